# Written by scripts/update_terraform.py from covalent_braket_plugin/permissions.py, where each
# permission stands once with its reason: change it there.

data "aws_iam_policy_document" "caller" {
  # checkov:skip=CKV_AWS_356:IAM knows no narrower resource for the actions on *.

  # CreateJob makes a job of an electron, with tags (TagResource, which also renames a job);
  # SearchJobs tells how all jobs stand; SearchQuantumTasks finds what a cancelled job left open,
  # and what a job's quantum tasks cost. IAM knows no narrower resource for them.
  statement {
    sid = "MakeAndFindJobs"
    actions = [
      "braket:CreateJob",
      "braket:SearchJobs",
      "braket:SearchQuantumTasks",
      "braket:TagResource",
    ]
    resources = ["*"]
  }

  # GetJob tells how a job ended, CancelJob ends it.
  statement {
    sid       = "FollowAndCancelJobs"
    actions   = ["braket:CancelJob", "braket:GetJob"]
    resources = ["arn:${local.partition}:braket:${local.region}:${local.account}:job/*"]
  }

  # CancelQuantumTask ends the quantum tasks that a cancelled job left open.
  statement {
    sid       = "CancelQuantumTasks"
    actions   = ["braket:CancelQuantumTask"]
    resources = ["arn:${local.partition}:braket:*:${local.account}:quantum-task/*"]
  }

  # CreateJob hands the job its role.
  statement {
    sid       = "RunJobsAsRole"
    actions   = ["iam:PassRole"]
    resources = [local.role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["braket.amazonaws.com"]
    }
  }

  # Payloads go to S3, outcomes come from there, and both are removed when the electron is done;
  # an upload in parts that fails is given up.
  statement {
    sid = "StageAndFetchObjects"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:DeleteObject",
      "s3:GetObject",
      "s3:PutObject",
    ]
    resources = ["arn:${local.partition}:s3:::${local.bucket}/${var.s3_prefix}/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # Without it S3 answers 403 instead of 404 for an object that is not there, so that a job that
  # left no outcome looks like one whose outcome may not be read. A condition on s3:prefix would
  # bring the 403 back: GetObject has no such key. `jobs delete` lists what a job has there;
  # whether a job saved new checkpoints is looked up the same way.
  statement {
    sid       = "TellMissingObjects"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${local.bucket}"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # Objects are encrypted with this key.
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : ["key"]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.amazonaws.com"]
      }
    }
  }

  # Users read the logs of their jobs, and the end of a failed job's is put into the electron's
  # error.
  statement {
    sid     = "ReadLogs"
    actions = ["logs:DescribeLogStreams", "logs:GetLogEvents"]
    resources = [
      "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/braket/jobs:*",
    ]
  }

  # ListServiceQuotas tells how many jobs may run at the same time; without it that is found out
  # by trying.
  statement {
    sid       = "ReadQuotas"
    actions   = ["servicequotas:ListServiceQuotas"]
    resources = ["*"]
  }

  # BatchGetImage tells which Python AWS's image has; without it the published one is taken.
  statement {
    sid     = "LookAtAwsImages"
    actions = ["ecr:BatchGetImage"]
    resources = [
      "arn:${local.partition}:ecr:${local.region}:292282985366:repository/amazon-braket-*-jobs",
    ]
  }

  # SearchDevices finds a device by its name, GetDevice tells whether a QPU can be used now;
  # without them only ARNs are taken, and nothing waits for a device. IAM knows no narrower
  # resource.
  statement {
    sid       = "ChooseDevice"
    actions   = ["braket:GetDevice", "braket:SearchDevices"]
    resources = ["*"]
  }

  # The doctor looks at the tags of a bucket whose name does not say that it is Braket's.
  statement {
    sid       = "CheckBucket"
    actions   = ["s3:GetBucketTagging"]
    resources = ["arn:${local.partition}:s3:::${local.bucket}"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # The doctor looks whether Braket was enabled in the account: then its own role is there.
  statement {
    sid     = "CheckEnabled"
    actions = ["iam:GetRole"]
    resources = [
      "arn:${local.partition}:iam::${local.account}:role/aws-service-role/braket.amazonaws.com/AWSServiceRoleForAmazonBraket",
    ]
  }

  # The doctor looks whom the role trusts, and what it may do.
  statement {
    sid       = "CheckRole"
    actions   = ["iam:GetRole", "iam:SimulatePrincipalPolicy"]
    resources = [local.role_arn]
  }

  # The doctor looks whether the image is there.
  statement {
    sid       = "CheckOwnImage"
    actions   = ["ecr:DescribeImages"]
    resources = [local.repository_arn]
  }
}

data "aws_iam_policy_document" "job" {
  # checkov:skip=CKV_AWS_356:IAM knows no narrower resource for the actions on *.

  # The worker fetches the payload and leaves the outcome; Braket does so with the job's source,
  # results and checkpoints. Results of quantum tasks lie under jobs/.
  statement {
    sid     = "FetchAndLeaveObjects"
    actions = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    resources = [
      "arn:${local.partition}:s3:::${local.bucket}/${var.s3_prefix}/*",
      "arn:${local.partition}:s3:::${local.bucket}/jobs/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # S3 answers 404, not 403, for an object that is not there; Braket lists input data and
  # checkpoints.
  statement {
    sid       = "TellMissingObjects"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${local.bucket}"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # Objects are encrypted with this key.
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : ["key"]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.amazonaws.com"]
      }
    }
  }

  # Braket starts the job in one of its own images.
  statement {
    sid = "PullAwsImages"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [
      "arn:${local.partition}:ecr:${local.region}:292282985366:repository/amazon-braket-*-jobs",
    ]
  }

  # Braket starts the job in an image of your own.
  statement {
    sid = "PullOwnImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [local.repository_arn]
  }

  # Pulling an image needs a login; IAM knows no narrower resource for it.
  statement {
    sid       = "LogInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  # What the job prints goes to CloudWatch Logs.
  statement {
    sid = "WriteLogs"
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:DescribeLogStreams",
      "logs:PutLogEvents",
    ]
    resources = [
      "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/braket*",
    ]
  }

  # Braket records the instance's load.
  statement {
    sid       = "WriteMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = ["/aws/braket"]
    }
  }

  # Electrons run circuits; IAM knows no narrower resource for these.
  statement {
    sid = "RunQuantumTasks"
    actions = [
      "braket:CreateQuantumTask",
      "braket:GetDevice",
      "braket:SearchDevices",
      "braket:TagResource",
    ]
    resources = ["*"]
  }

  # Electrons wait for their circuits, and may cancel them.
  statement {
    sid       = "FollowQuantumTasks"
    actions   = ["braket:CancelQuantumTask", "braket:GetQuantumTask"]
    resources = ["arn:${local.partition}:braket:*:${local.account}:quantum-task/*"]
  }
}
