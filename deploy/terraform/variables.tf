variable "name" {
  description = "What everything made here is called, or begins with."
  type        = string
  default     = "idtrail"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "A name has 2 to 24 of a-z, 0-9 and -, a letter first."
  }
}

variable "tags" {
  description = "Tags of everything made here. Objects get theirs from idtrail's config."
  type        = map(string)
  default     = {}
}

# --- Buckets ---------------------------------------------------------------

variable "bucket" {
  description = "The bucket of lake and state; and of raw and manifests, without an evidence_bucket. With create = false it exists, and nothing of it is touched: neither its policy nor its lifecycle rules."
  type = object({
    name        = string
    create      = optional(bool, true)
    object_lock = optional(bool, false)
  })

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "Not the name of a bucket: 3 to 63 of a-z, 0-9, - and dot."
  }
}

variable "evidence_bucket" {
  description = "A bucket of its own for raw and manifests, with Object Lock enabled: the locks themselves are set by idtrail, on each object (lock: in its config). Null: they are in bucket."
  type = object({
    name        = string
    create      = optional(bool, true)
    object_lock = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.evidence_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.evidence_bucket.name))
    error_message = "Not the name of a bucket: 3 to 63 of a-z, 0-9, - and dot."
  }

  validation {
    condition     = var.evidence_bucket == null || try(var.evidence_bucket.name, "") != var.bucket.name
    error_message = "evidence_bucket is the same as bucket: leave it out."
  }
}

variable "prefixes" {
  description = "Where things are in their buckets, as idtrail's config says."
  type = object({
    lake      = optional(string, "lake")
    state     = optional(string, "state")
    raw       = optional(string, "raw")
    manifests = optional(string, "manifests")
  })
  default = {}

  validation {
    condition     = alltrue([for p in values(var.prefixes) : can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", p))])
    error_message = "A prefix neither begins nor ends with a slash, and is not empty."
  }
}

variable "kms_key_arn" {
  description = "Key that the objects are encrypted with. Null: S3's own keys (SSE-S3)."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "Write the ARN of the key itself, not of an alias: a policy cannot name an alias."
  }
}

variable "object_tags" {
  description = "Whether idtrail's config has tags: for objects, which takes a right of its own."
  type        = bool
  default     = false
}

variable "object_retention" {
  description = "Whether idtrail's config has a lock: for raw or manifests, which takes a right of its own."
  type        = bool
  default     = false
}

variable "require_conditional_writes" {
  description = "Refuse every write to the buckets made here that would silently replace an object. idtrail makes no such writes; who else writes below its prefixes may."
  type        = bool
  default     = false
}

variable "manage_lifecycle" {
  description = "Set lifecycle rules on the buckets that are made here. A bucket has ONE lifecycle configuration, and setting it replaces all of it: false where another tool sets it too. See merge-lifecycle.sh."
  type        = bool
  default     = true
}

variable "lifecycle_days" {
  description = "Days after which a replaced or removed version of an object is gone (noncurrent; of the state's own, which is replaced every few seconds while a run lasts, state_noncurrent), and after which raw becomes GLACIER_IR (null: never). Nothing current ever expires."
  type = object({
    noncurrent       = optional(number, 30)
    state_noncurrent = optional(number, 1)
    raw_glacier_ir   = optional(number)
  })
  default = {}

  validation {
    condition     = alltrue([for d in [var.lifecycle_days.noncurrent, var.lifecycle_days.state_noncurrent] : d >= 1 && floor(d) == d])
    error_message = "Days are whole numbers from 1 on."
  }
}

variable "extra_lifecycle_rules" {
  description = "Rules of yours for the buckets made here, which this module would otherwise replace; by prefix. Anything else belongs to manage_lifecycle = false."
  type = list(object({
    id              = string
    bucket          = optional(string, "data")
    prefix          = string
    expiration_days = optional(number)
    noncurrent_days = optional(number)
  }))
  default = []

  validation {
    condition     = alltrue([for r in var.extra_lifecycle_rules : contains(["data", "evidence"], r.bucket) && !startswith(r.id, "idtrail-") && (r.expiration_days != null || r.noncurrent_days != null)])
    error_message = "bucket is data or evidence, an id does not begin with idtrail-, and a rule says what expires."
  }
}

# --- What idtrail may do ---------------------------------------------------

variable "task_policy_json" {
  description = "Policy of the task, in place of all that the variables below say of sources: what `idtrail policy` prints for the config. The rights on buckets and key, too, are then in it."
  type        = string
  default     = null

  validation {
    condition     = var.task_policy_json == null || can(jsondecode(var.task_policy_json).Statement)
    error_message = "Not an IAM policy: there is no Statement in it."
  }
}

variable "user_pool_arns" {
  description = "Cognito user pools that are read."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.user_pool_arns : can(regex("^arn:[^:]+:cognito-idp:[^:]+:[0-9]{12}:userpool/", a))])
    error_message = "Write ARNs of user pools."
  }
}

variable "user_pool_mfa" {
  description = "Whether the config asks for second factors of single users (mfa: of a cognito_users source)."
  type        = bool
  default     = false
}

variable "identity_pool_arns" {
  description = "Cognito identity pools whose settings are read."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.identity_pool_arns : can(regex("^arn:[^:]+:cognito-identity:[^:]+:[0-9]{12}:identitypool/", a))])
    error_message = "Write ARNs of identity pools."
  }
}

variable "cloudtrail" {
  description = "Whether the config reads CloudTrail: LookupEvents, or the public keys of a trail's digests."
  type        = bool
  default     = false
}

variable "read_buckets" {
  description = "Buckets that sources read, with what stands before the keys: a trail's (AWSLogs, or PREFIX/AWSLogs), an archive's. An empty prefix is the whole bucket."
  type = list(object({
    name   = string
    prefix = optional(string, "")
  }))
  default = []

  validation {
    condition     = alltrue([for b in var.read_buckets : !startswith(b.prefix, "/") && !endswith(b.prefix, "/")])
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "read_kms_key_arns" {
  description = "Keys that what is read is encrypted with: a trail's."
  type        = list(string)
  default     = []
}

variable "assume_role_arns" {
  description = "Roles in other accounts that connections of the config assume (role_arn)."
  type        = list(string)
  default     = []
}

variable "referenced_secret_arns" {
  description = "Secrets and parameters that the config itself refers to ($${secretsmanager:…}, $${ssm:…}): read by the task role."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.referenced_secret_arns : can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)", a))])
    error_message = "Write ARNs of Secrets Manager's secrets or SSM's parameters."
  }
}

# --- The task --------------------------------------------------------------

variable "image" {
  description = "The image, best by digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/idtrail@sha256:…"
  type        = string

  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name a tag or a digest, and not latest: what runs for years should change only when told to."
  }
}

variable "ecr_repository_arn" {
  description = "The ECR repository of the image. Null: it is pulled from elsewhere, without credentials."
  type        = string
  default     = null
}

variable "config" {
  description = "idtrail's config, in one of three ways: its text (up to about 50 kB, readable to who may describe task definitions; secrets are references), the ARN of an SSM parameter that holds the text, or an s3:// URL."
  type = object({
    yaml              = optional(string)
    ssm_parameter_arn = optional(string)
    s3_url            = optional(string)
  })

  validation {
    condition     = length([for v in [var.config.yaml, var.config.ssm_parameter_arn, var.config.s3_url] : v if v != null]) == 1
    error_message = "Give exactly one of yaml, ssm_parameter_arn and s3_url."
  }

  validation {
    condition     = var.config.yaml == null || can(yamldecode(var.config.yaml).sources)
    error_message = "yaml is not YAML, or names no sources."
  }

  validation {
    condition     = var.config.yaml == null || length(coalesce(var.config.yaml, "-")) <= 50000
    error_message = "A task definition holds 64 kB in all: put the config into S3."
  }

  validation {
    condition     = var.config.ssm_parameter_arn == null || can(regex("^arn:[^:]+:ssm:[^:]+:[0-9]{12}:parameter/", var.config.ssm_parameter_arn))
    error_message = "ssm_parameter_arn is the ARN of a parameter."
  }

  validation {
    condition     = var.config.s3_url == null || can(regex("^s3://[^/]+/.+", var.config.s3_url))
    error_message = "s3_url is s3://bucket/key."
  }
}

variable "secrets" {
  description = "Environment variables that the config refers to ($${env:NAME}), and the ARN of the Secrets Manager secret or SSM parameter that each gets its value from. A key of a secret in JSON is ARN:KEY::"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k, v in var.secrets : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", k)) && can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:|ssm:[^:]+:[0-9]{12}:parameter/)", v))])
    error_message = "Names of environment variables, and ARNs. No values: they would be in the plan and in the state."
  }
}

variable "secrets_kms_key_arns" {
  description = "Customer managed keys that these secrets, parameters and that config are encrypted with."
  type        = list(string)
  default     = []
}

variable "environment" {
  description = "More environment variables, none of them secret: HTTPS_PROXY, OTEL_EXPORTER_OTLP_ENDPOINT."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.environment) : !startswith(k, "IDTRAIL_CONFIG")])
    error_message = "The config is given in variable config."
  }
}

variable "jobs" {
  description = <<-EOT
    What runs when. By default a job runs `idtrail run NAME`. schedules are EventBridge Scheduler's expressions, cron(…) of
    six fields or rate(…). max_silence_minutes sets off the alarm when no run ended for that long; null for a verb that is no run.
    ephemeral_gib is the task's disk, 20 where it is null.
  EOT
  type = map(object({
    schedules           = list(string)
    args                = optional(list(string))
    max_silence_minutes = optional(number)
    cpu                 = optional(number, 256)
    memory              = optional(number, 512)
    ephemeral_gib       = optional(number)
    enabled             = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for k in keys(var.jobs) : can(regex("^[a-z][a-z0-9_]{0,31}$", k))])
    error_message = "Names of jobs are as in idtrail's config: a-z, 0-9 and _, a letter first, at most 32."
  }

  validation {
    condition     = alltrue(flatten([for j in values(var.jobs) : [for s in j.schedules : can(regex("^(rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)|cron\\([^ ]+( [^ ]+){5}\\))$", s))]]))
    error_message = "A schedule is rate(5 minutes) or cron(minute hour day month weekday year), with ? for one of the two days."
  }

  validation {
    condition     = alltrue([for j in values(var.jobs) : j.max_silence_minutes == null || (coalesce(j.max_silence_minutes, 1) >= 1 && coalesce(j.max_silence_minutes, 1) <= 7 * 24 * 60)])
    error_message = "CloudWatch looks back for a week at most: max_silence_minutes is 1 to 10080."
  }

  validation {
    condition     = alltrue([for j in values(var.jobs) : j.ephemeral_gib == null || (coalesce(j.ephemeral_gib, 21) >= 21 && coalesce(j.ephemeral_gib, 21) <= 200)])
    error_message = "ephemeral_gib is 21 to 200, or null for the 20 that cost nothing."
  }

  validation {
    condition     = alltrue([for j in values(var.jobs) : contains([256, 512, 1024, 2048, 4096], j.cpu) && j.memory >= 512 && j.memory >= 2 * j.cpu && j.memory <= 8 * j.cpu])
    error_message = "Fargate's sizes: cpu 256, 512, 1024, 2048 or 4096, and a memory of 2 to 8 times that."
  }

  validation {
    condition     = alltrue([for j in values(var.jobs) : j.args == null || length(setintersection(coalesce(j.args, []), ["-q", "--quiet"])) == 0 || j.max_silence_minutes == null])
    error_message = "With --quiet a run does not log that it ended, and the alarm on silence would always ring."
  }
}

variable "timezone" {
  description = "Of the schedules. rate(…) has none."
  type        = string
  default     = "UTC"
}

variable "cpu_architecture" {
  description = "X86_64, or ARM64 (cheaper): as the image was built."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "X86_64 or ARM64."
  }
}

variable "cluster_arn" {
  description = "An ECS cluster that exists. Null: one is made."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of the tasks, with a way to the internet: through a NAT gateway, or with assign_public_ip."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Name at least one subnet."
  }
}

variable "assign_public_ip" {
  description = "For public subnets. Nothing can reach the task: its security group lets nothing in."
  type        = bool
  default     = false
}

variable "vpc_id" {
  description = "Of the subnets: a security group is made in it that lets nothing in, and out only to egress_ports. Null with security_group_ids."
  type        = string
  default     = null

  validation {
    condition     = (var.vpc_id == null) != (length(var.security_group_ids) == 0)
    error_message = "Give vpc_id or security_group_ids, and not both."
  }
}

variable "security_group_ids" {
  description = "Security groups of the tasks, in place of the one made in vpc_id."
  type        = list(string)
  default     = []
}

variable "egress_ports" {
  description = "TCP ports the task may call: 443, and what a receiver listens at (Splunk's 8088, OTLP's 4318)."
  type        = list(number)
  default     = [443]
}

# --- Seen from outside -----------------------------------------------------

variable "log_retention_days" {
  description = "How long logs of runs are kept. They hold no personal data."
  type        = number
  default     = 90
}

variable "alarm_topic_arn" {
  description = "An SNS topic that alarms go to; its policy has to let CloudWatch and EventBridge publish. Null: one is made."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Addresses subscribed to the topic made here; each has to confirm."
  type        = list(string)
  default     = []
}
