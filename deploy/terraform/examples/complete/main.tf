# A tenant, a user pool and a trail; a lake of its own, and a bucket for the
# evidence with Object Lock. Copy this folder, and change what has an example's
# name.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "vpc_id" {
  description = "Where the tasks run."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a NAT gateway."
  type        = list(string)
}

variable "image" {
  description = "The image, as make image built it and you pushed it."
  type        = string
}

# Their values are put in by hand, so that they are in no state and no plan:
#   aws secretsmanager put-secret-value --secret-id idtrail --secret-string file://secrets.json
resource "aws_secretsmanager_secret" "idtrail" {
  name        = "idtrail"
  description = "JSON with auth0_client_id, auth0_client_secret, datadog_api_key and signing_key"
}

resource "aws_ecr_repository" "idtrail" {
  name                 = "idtrail"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

module "idtrail" {
  source = "../.."

  bucket           = { name = "acme-idtrail" }
  evidence_bucket  = { name = "acme-idtrail-evidence" }
  object_retention = true

  image              = var.image
  ecr_repository_arn = aws_ecr_repository.idtrail.arn
  config             = { yaml = file("${path.module}/idtrail.yaml") }
  secrets = {
    AUTH0_CLIENT_ID     = "${aws_secretsmanager_secret.idtrail.arn}:auth0_client_id::"
    AUTH0_CLIENT_SECRET = "${aws_secretsmanager_secret.idtrail.arn}:auth0_client_secret::"
    DD_API_KEY          = "${aws_secretsmanager_secret.idtrail.arn}:datadog_api_key::"
    IDTRAIL_SIGNING_KEY = "${aws_secretsmanager_secret.idtrail.arn}:signing_key::"
  }

  user_pool_arns = ["arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab1Cd2Ef3"]
  cloudtrail     = true
  read_buckets   = [{ name = "acme-trail", prefix = "AWSLogs" }]

  # The times are those of idtrail.yaml, in EventBridge's language. What ends
  # within a day alarms in half an hour; a stuck run, or one that always finds
  # its sources held, is seen by the watch, whose exit code 3 alarms.
  timezone = "Europe/Berlin"
  jobs = {
    audit = {
      schedules           = ["cron(0/5 * * * ? *)"]
      max_silence_minutes = 30
    }
    nightly = {
      schedules           = ["cron(0 3 * * ? *)"]
      max_silence_minutes = 26 * 60
      cpu                 = 512
      memory              = 1024
    }
    watch = {
      schedules = ["rate(1 hour)"]
      args      = ["status", "--max-age", "36h"]
    }
  }

  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  alarm_emails = ["identity-team@acme.example"]
}

output "places" {
  value = module.idtrail.places
}

output "policies" {
  value = module.idtrail.policies
}
