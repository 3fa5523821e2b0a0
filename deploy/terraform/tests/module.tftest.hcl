# Plans of the module, without an account: terraform test. Nothing is created,
# and the provider is asked nothing but to plan.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.this
  values = { account_id = "123456789012" }
}

variables {
  bucket     = { name = "acme-idtrail" }
  image      = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/idtrail:1.0.0"
  config     = { yaml = "{state: s, lake: l, sources: []}" }
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1"]
  jobs = {
    audit   = { schedules = ["cron(0/5 * * * ? *)"], max_silence_minutes = 30 }
    nightly = { schedules = ["cron(0 3 1 * ? *)", "cron(0 3 ? * MON *)"], max_silence_minutes = 1560 }
    watch   = { schedules = ["rate(1 hour)"], args = ["status", "--max-age", "36h"] }
  }
}

run "one_bucket" {
  command = plan

  assert {
    condition     = keys(aws_s3_bucket.this) == ["data"] && !aws_s3_bucket.this["data"].object_lock_enabled
    error_message = "one bucket, without Object Lock, was asked for"
  }
  assert {
    condition     = output.places == { lake = "s3://acme-idtrail/lake", state = "s3://acme-idtrail/state", raw = "s3://acme-idtrail/raw", manifests = "s3://acme-idtrail/manifests" }
    error_message = "places: ${jsonencode(output.places)}"
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_public_access_block.this : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "a bucket is not closed to the public"
  }
  assert {
    condition     = aws_s3_bucket_versioning.this["data"].versioning_configuration[0].status == "Enabled"
    error_message = "the bucket has no versions"
  }
  assert {
    condition     = keys(aws_scheduler_schedule.this) == ["audit", "nightly", "nightly-2", "watch"] && alltrue([for s in aws_scheduler_schedule.this : s.flexible_time_window[0].mode == "OFF"])
    error_message = "schedules: ${jsonencode(keys(aws_scheduler_schedule.this))}"
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.silence) == ["audit", "nightly"] && alltrue([for a in aws_cloudwatch_metric_alarm.silence : a.treat_missing_data == "breaching"])
    error_message = "a job whose silence is told must have an alarm that missing data sets off, and no other"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.silence["audit"].period == 1800 && aws_cloudwatch_metric_alarm.silence["nightly"].period * aws_cloudwatch_metric_alarm.silence["nightly"].evaluation_periods == 1560 * 60
    error_message = "the alarms look back for another time than was asked for"
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this["data"].rule) == 5
    error_message = "one rule for each place, and one for uploads"
  }
  # What the task may do, to the letter.
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Action])) == toset([
      "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
    ])
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if contains(flatten([s.Action]), "s3:DeleteObject")] == [
      "arn:aws:s3:::acme-idtrail/state/*",
    ]
    error_message = "the task may remove something besides old copies of its state"
  }
}

run "evidence_apart" {
  command = plan

  variables {
    evidence_bucket  = { name = "acme-evidence" }
    object_retention = true
    kms_key_arn      = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-4333-8444-555555555555"
  }

  assert {
    condition     = aws_s3_bucket.this["evidence"].object_lock_enabled && !aws_s3_bucket.this["data"].object_lock_enabled
    error_message = "only the evidence is to be locked"
  }
  assert {
    condition     = output.places.raw == "s3://acme-evidence/raw" && output.places.manifests == "s3://acme-evidence/manifests" && output.places.state == "s3://acme-idtrail/state"
    error_message = "places: ${jsonencode(output.places)}"
  }
  assert {
    condition     = one([for r in aws_s3_bucket_server_side_encryption_configuration.this["data"].rule : r.bucket_key_enabled])
    error_message = "KMS would be asked for each object"
  }
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if contains(flatten([s.Action]), "s3:PutObjectRetention")])) == toset([
      "arn:aws:s3:::acme-evidence/raw/*", "arn:aws:s3:::acme-evidence/manifests/*",
    ])
    error_message = aws_iam_role_policy.task.policy
  }
}

run "bucket_that_exists" {
  command = plan

  variables {
    bucket = { name = "acme-shared", create = false }
  }

  assert {
    condition     = length(aws_s3_bucket.this) + length(aws_s3_bucket_policy.this) + length(aws_s3_bucket_lifecycle_configuration.this) + length(aws_s3_bucket_versioning.this) + length(aws_s3_bucket_server_side_encryption_configuration.this) + length(aws_s3_bucket_public_access_block.this) == 0
    error_message = "something of a bucket that exists would be replaced"
  }
  assert {
    condition     = [for r in jsondecode(output.lifecycle_rules["acme-shared"]).Rules : r.ID] == ["idtrail-uploads", "idtrail-lake", "idtrail-manifests", "idtrail-raw", "idtrail-state"]
    error_message = output.lifecycle_rules["acme-shared"]
  }
}

run "rules_of_others_stay" {
  command = plan

  variables {
    extra_lifecycle_rules = [{ id = "athena-results", prefix = "athena/", expiration_days = 7 }]
  }

  assert {
    condition     = contains([for r in aws_s3_bucket_lifecycle_configuration.this["data"].rule : r.id], "athena-results") && length(aws_s3_bucket_lifecycle_configuration.this["data"].rule) == 6
    error_message = "the rule is not among ours"
  }
  assert {
    condition     = alltrue([for r in aws_s3_bucket_lifecycle_configuration.this["data"].rule : length([for e in r.expiration : e if coalesce(e.days, 0) > 0]) == 0 if startswith(r.id, "idtrail-")])
    error_message = "a rule of ours lets something expire that is current"
  }
}

run "everything_read" {
  command = plan

  variables {
    user_pool_arns         = ["arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab1Cd2Ef3"]
    user_pool_mfa          = true
    identity_pool_arns     = ["arn:aws:cognito-identity:eu-west-1:123456789012:identitypool/eu-west-1:1"]
    cloudtrail             = true
    read_buckets           = [{ name = "acme-trail", prefix = "AWSLogs" }, { name = "acme-archive" }]
    assume_role_arns       = ["arn:aws:iam::210987654321:role/idtrail-read"]
    referenced_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:idtrail-AbCdEf"]
    secrets = {
      A = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:idtrail-AbCdEf:auth0_client_id::"
      B = "arn:aws:ssm:eu-west-1:123456789012:parameter/idtrail/b"
    }
    config                     = { ssm_parameter_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/idtrail/config" }
    require_conditional_writes = true
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "ReadTrail"])) == toset([
      "arn:aws:s3:::acme-trail/AWSLogs/*", "arn:aws:s3:::acme-archive/*",
    ])
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.task.policy).Statement : s.Resource if s.Sid == "Secrets"] == ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:idtrail-AbCdEf"]
    error_message = aws_iam_role_policy.task.policy
  }
  assert {
    condition = alltrue([for s in local.secret_statements["injected"] : s.resources == (
      s.sid == "Secrets" ? ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:idtrail-AbCdEf"] :
      ["arn:aws:ssm:eu-west-1:123456789012:parameter/idtrail/b", "arn:aws:ssm:eu-west-1:123456789012:parameter/idtrail/config"]
    )]) && length(local.secret_statements["injected"]) == 2
    error_message = jsonencode(local.secret_statements)
  }
  assert {
    condition     = toset(keys(local.secrets)) == toset(["A", "B", "IDTRAIL_CONFIG_YAML"]) && !contains(keys(local.environment), "IDTRAIL_CONFIG_YAML")
    error_message = "the config is a secret's value, and no plain one"
  }
}

run "policy_of_the_program" {
  command = plan

  variables {
    task_policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.task.policy).Statement) == 0
    error_message = "what idtrail policy printed was not taken"
  }
}

run "refused" {
  command = plan

  variables {
    image                  = "idtrail:latest"
    config                 = { yaml = "a: b", s3_url = "s3://x/y" }
    evidence_bucket        = { name = "acme-idtrail" }
    prefixes               = { lake = "lake/" }
    kms_key_arn            = "arn:aws:kms:eu-west-1:123456789012:alias/idtrail"
    secrets                = { A = "hunter2" }
    environment            = { IDTRAIL_CONFIG_YAML = "x" }
    lifecycle_days         = { noncurrent = 0 }
    security_group_ids     = ["sg-1"]
    jobs                   = { audit = { schedules = ["*/5 * * * *"] } }
    user_pool_arns         = ["eu-west-1_Ab1Cd2Ef3"]
    extra_lifecycle_rules  = [{ id = "idtrail-x", prefix = "x/", expiration_days = 1 }]
    referenced_secret_arns = ["idtrail"]
  }

  expect_failures = [
    var.image, var.config, var.evidence_bucket, var.prefixes, var.kms_key_arn, var.secrets, var.environment, var.lifecycle_days,
    var.vpc_id, var.jobs, var.user_pool_arns, var.extra_lifecycle_rules, var.referenced_secret_arns,
  ]
}

run "quiet_jobs" {
  command = plan

  variables {
    jobs = { audit = { schedules = ["rate(5 minutes)"], args = ["run", "audit", "--quiet"], max_silence_minutes = 30 } }
  }

  expect_failures = [var.jobs]
}
