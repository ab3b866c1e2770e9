# Who may do what; the permissions themselves are in policies.tf.

locals {
  # This path and beginning are those of the role that Braket's console makes: whoever has AWS's
  # own AmazonBraketFullAccess may pass it, and it is found where no role is named.
  role_name = "AmazonBraketJobsExecutionRole-${var.name}"
  role_path = "/service-role/"
  role_arn  = "arn:${local.partition}:iam::${local.account}:role${local.role_path}${local.role_name}"

  repository     = "amazon-braket-${var.name}"
  repository_arn = "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${local.repository}"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["braket.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "job" {
  name               = local.role_name
  path               = local.role_path
  description        = "Braket Hybrid Jobs that run electrons of Covalent (${var.name})"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "job" {
  name   = "covalent-braket-job"
  role   = aws_iam_role.job.id
  policy = data.aws_iam_policy_document.job.json
}

resource "aws_iam_policy" "caller" {
  name        = "covalent-braket-caller-${var.name}"
  description = "For whoever runs Covalent's server with the Braket executor (${var.name})"
  policy      = data.aws_iam_policy_document.caller.json
}
