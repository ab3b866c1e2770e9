# What electrons need to run as Amazon Braket Hybrid Jobs: a bucket, a role for the jobs, a policy
# for whoever runs Covalent's server, and a repository for images of your own.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id # .name in provider 5, .region in 6

  bucket     = coalesce(var.bucket_name, "amazon-braket-${var.name}-${local.region}-${local.account}")
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}" # known before the bucket is there
}

# --- bucket -----------------------------------------------------------------------------------

resource "aws_s3_bucket" "braket" {
  # checkov:skip=CKV_AWS_18:Access logs need a bucket of their own; CloudTrail's data events do without.
  # checkov:skip=CKV_AWS_21:What is in it is written once and expires; versions would keep what was deleted.
  # checkov:skip=CKV_AWS_144:Payloads and results live for days; a copy in another region helps nobody.
  # checkov:skip=CKV_AWS_145:A KMS key of your own is an option (kms_key_arn); S3 encrypts in any case.
  # checkov:skip=CKV2_AWS_62:Nothing has to be told of new objects.
  bucket        = local.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "braket" {
  bucket                  = aws_s3_bucket.braket.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "braket" {
  bucket = aws_s3_bucket.braket.id

  rule {
    object_ownership = "BucketOwnerEnforced" # no ACLs: policies alone decide
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "braket" {
  bucket = aws_s3_bucket.braket.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null # one call to KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "braket" {
  count  = var.expire_days > 0 ? 1 : 0
  bucket = aws_s3_bucket.braket.id

  rule {
    id     = "expire-payloads"
    status = "Enabled"

    filter {
      prefix = "${var.s3_prefix}/"
    }

    expiration {
      days = var.expire_days
    }
  }

  rule {
    id     = "expire-results"
    status = "Enabled"

    filter {
      prefix = "jobs/" # where Braket's SDK puts the results of quantum tasks
    }

    expiration {
      days = var.expire_days
    }
  }

  rule {
    id     = "abort-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arn, "${local.bucket_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "braket" {
  bucket     = aws_s3_bucket.braket.id
  policy     = data.aws_iam_policy_document.bucket.json
  depends_on = [aws_s3_bucket_public_access_block.braket] # S3 takes one change at a time
}

# --- images -----------------------------------------------------------------------------------

resource "aws_ecr_repository" "images" {
  # checkov:skip=CKV_AWS_136:A KMS key of your own is an option (kms_key_arn); ECR encrypts in any case.
  name                 = local.repository
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_destroy

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "images" {
  repository = aws_ecr_repository.images.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Keep the last 20 images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
      action       = { type = "expire" }
    }]
  })
}

# --- alarm ------------------------------------------------------------------------------------

resource "aws_budgets_budget" "braket" {
  count        = var.monthly_budget_usd > 0 ? 1 : 0
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "Service"
    values = ["Amazon Braket"]
  }

  dynamic "notification" {
    for_each = [80, 100]

    content {
      notification_type          = "ACTUAL"
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = compact([var.budget_email])
    }
  }

  lifecycle {
    precondition {
      condition     = var.budget_email != null
      error_message = "monthly_budget_usd is set, so budget_email must say whom to tell."
    }
  }
}
