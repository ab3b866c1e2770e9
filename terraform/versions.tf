terraform {
  # 1.5: conditions and checks as they are used here. Works with OpenTofu too.
  required_version = ">= 1.5.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The next major version may rename what is used here.
      version = ">= 5.0, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ "covalent-braket" = var.name }, var.tags)
  }
}
