variable "name" {
  description = "Name of this deployment; part of the names of all that is made."
  type        = string
  default     = "covalent-braket"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$", var.name))
    error_message = "name must be 1 to 24 lower-case letters, digits and hyphens, and begin and end with a letter or digit: it becomes part of a bucket's name."
  }
}

variable "region" {
  description = "AWS region of jobs, bucket and images. Unset: that of your AWS configuration."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$", var.region))
    error_message = "region must be the name of an AWS region. Braket's are us-east-1, us-west-1, us-west-2, eu-west-2 and eu-north-1."
  }
}

variable "bucket_name" {
  description = "Name of the bucket. Unset: amazon-braket-{name}-{region}-{account}."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^amazon-braket-[a-z0-9-]{1,48}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must begin with amazon-braket- (Braket's own role may write to no other), have at most 63 characters, and hold lower-case letters, digits and hyphens only. Use a name such as amazon-braket-my-team."
  }
}

variable "s3_prefix" {
  description = "Key prefix of payloads and outcomes in the bucket."
  type        = string
  default     = "covalent"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9!_.'()-]+(/[A-Za-z0-9!_.'()-]+)*$", var.s3_prefix)) && length(var.s3_prefix) <= 512 && !startswith(var.s3_prefix, "jobs")
    error_message = "s3_prefix must be 1 to 512 letters, digits and ! _ . ' ( ) / -, without / at its ends, and must not begin with jobs, where Braket puts results. Use a prefix such as covalent or team/covalent."
  }
}

variable "expire_days" {
  description = "Days after which payloads, outcomes and results in the bucket are deleted; 0 keeps them."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.expire_days >= 0 && var.expire_days <= 3650 && floor(var.expire_days) == var.expire_days
    error_message = "expire_days must be a whole number from 0 (keep everything) to 3650. A job may wait and run for days: use 7 or more."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts bucket and images. Unset: the key that S3 and ECR manage."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not of an alias), such as arn:aws:kms:us-east-1:123456789012:key/0123abcd-..., in the bucket's region."
  }
}

variable "force_destroy" {
  description = "Whether destroying deletes a bucket with objects and a repository with images in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "monthly_budget_usd" {
  description = "Amount a month, in US dollars, at 80 % and 100 % of which budget_email is told what Braket costs; 0: no alarm. It stops nothing."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.monthly_budget_usd >= 0
    error_message = "monthly_budget_usd must be 0 (no alarm) or an amount in US dollars, such as 100."
  }
}

variable "budget_email" {
  description = "Address that the budget's alarm goes to."
  type        = string
  default     = null

  validation {
    condition     = var.budget_email == null || can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", var.budget_email))
    error_message = "budget_email must be one address, such as team@example.com."
  }
}

variable "tags" {
  description = "Tags for all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
