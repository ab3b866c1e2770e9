# Those that are settings of the executor have the setting's name.

output "region" {
  description = "AWS region."
  value       = local.region
}

output "s3_bucket_name" {
  description = "Bucket for payloads, outcomes and results."
  value       = aws_s3_bucket.braket.id
}

output "s3_prefix" {
  description = "Key prefix in the bucket."
  value       = var.s3_prefix
}

output "braket_job_execution_role_name" {
  description = "Role that jobs run as."
  value       = aws_iam_role.job.arn
}

output "kms_key_id" {
  description = "KMS key that encrypts what is stored in S3; null: S3's own."
  value       = var.kms_key_arn
}

output "ecr_repository_url" {
  description = "Repository for images of your own; with a tag it is an ecr_image_uri."
  value       = aws_ecr_repository.images.repository_url
}

output "caller_policy_arn" {
  description = "Policy to attach to whoever runs Covalent's server."
  value       = aws_iam_policy.caller.arn
}
