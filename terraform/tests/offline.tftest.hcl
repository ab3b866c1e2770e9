# terraform test: what the templates would make, worked out without calling AWS.

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = {
    account_id = "123456789012"
  }
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_s3_bucket.braket.bucket == "amazon-braket-covalent-braket-us-east-1-123456789012"
    error_message = "Braket's own role writes to buckets named amazon-braket-... only."
  }

  assert {
    condition     = !aws_s3_bucket.braket.force_destroy && !aws_ecr_repository.images.force_delete
    error_message = "What users stored is not deleted unless they say so."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.braket.block_public_acls,
      aws_s3_bucket_public_access_block.braket.block_public_policy,
      aws_s3_bucket_public_access_block.braket.ignore_public_acls,
      aws_s3_bucket_public_access_block.braket.restrict_public_buckets,
    ])
    error_message = "Nothing of the bucket is public."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.braket.policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Action    = "s3:*"
      Principal = "*"
      Resource = [
        "arn:aws:s3:::amazon-braket-covalent-braket-us-east-1-123456789012/*",
        "arn:aws:s3:::amazon-braket-covalent-braket-us-east-1-123456789012",
      ]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "What does not come over TLS is refused."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.braket.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Objects are encrypted without a key of one's own too."
  }

  assert {
    condition = toset([
      for rule in aws_s3_bucket_lifecycle_configuration.braket[0].rule :
      "${rule.status} ${coalesce(rule.filter[0].prefix, "all")} ${try(rule.expiration[0].days, 0)}"
    ]) == toset(["Enabled covalent/ 30", "Enabled jobs/ 30", "Enabled all 0"])
    error_message = "Payloads and results expire after 30 days, and nothing else does."
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.braket.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "Access lists of objects have no say."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.images.policy).rules[0].selection == { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
    error_message = "Old images are not kept for ever."
  }

  assert {
    condition     = aws_ecr_repository.images.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.images.image_scanning_configuration[0].scan_on_push
    error_message = "Images cannot be replaced under their tag, and are scanned."
  }

  assert {
    condition = jsondecode(aws_iam_role.job.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "braket.amazonaws.com" }
    }]
    error_message = "Nobody but Braket may take the role."
  }

  assert {
    condition     = "${aws_iam_role.job.path}${aws_iam_role.job.name}" == "/service-role/AmazonBraketJobsExecutionRole-covalent-braket"
    error_message = "The role has a name that AmazonBraketFullAccess may pass."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.caller.policy).Statement : statement
      if strcontains(jsonencode(statement), "iam:PassRole")
      ] == [{
        Sid       = "RunJobsAsRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:aws:iam::123456789012:role/service-role/AmazonBraketJobsExecutionRole-covalent-braket"
        Condition = { StringEquals = { "iam:PassedToService" = "braket.amazonaws.com" } }
    }]
    error_message = "The caller may pass this role alone, to Braket alone."
  }

  assert {
    condition     = length(replace(aws_iam_policy.caller.policy, "/\\s/", "")) < 6144 && length(replace(aws_iam_role_policy.job.policy, "/\\s/", "")) < 10240
    error_message = "IAM takes managed policies of 6144 characters and inline ones of 10240."
  }

  assert {
    condition     = length(aws_budgets_budget.braket) == 0
    error_message = "There is no budget unless one is asked for."
  }
}

run "with_key_and_budget" {
  command = plan

  variables {
    kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/0123abcd"
    expire_days        = 0
    monthly_budget_usd = 100
    budget_email       = "team@example.com"
    force_destroy      = true
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.braket.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
    error_message = "The key encrypts objects."
  }

  assert {
    condition     = aws_ecr_repository.images.encryption_configuration[0].kms_key == var.kms_key_arn
    error_message = "The key encrypts images."
  }

  assert {
    condition     = output.kms_key_id == var.kms_key_arn
    error_message = "The executor encrypts with the same key."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.braket) == 0
    error_message = "With 0 days nothing expires."
  }

  assert {
    condition     = aws_budgets_budget.braket[0].limit_amount == "100"
    error_message = "The budget is the amount that was asked for."
  }

  assert {
    condition = toset([
      for each in aws_budgets_budget.braket[0].notification : "${each.threshold} ${join(" ", each.subscriber_email_addresses)}"
    ]) == toset(["80 team@example.com", "100 team@example.com"])
    error_message = "The address is told at 80 % and at 100 %."
  }
}

run "a_budget_needs_an_address" {
  command = plan

  variables {
    monthly_budget_usd = 100
  }

  expect_failures = [aws_budgets_budget.braket]
}

run "variables_are_checked" {
  command = plan

  variables {
    name               = "My_Team"
    region             = "us-east"
    bucket_name        = "my-bucket"
    s3_prefix          = "/covalent/"
    expire_days        = -1
    kms_key_arn        = "alias/mine"
    monthly_budget_usd = -1
    budget_email       = "team"
  }

  expect_failures = [
    var.name,
    var.region,
    var.bucket_name,
    var.s3_prefix,
    var.expire_days,
    var.kms_key_arn,
    var.monthly_budget_usd,
    var.budget_email,
  ]
}
