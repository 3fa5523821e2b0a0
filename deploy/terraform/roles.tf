# Four roles: what the program may do (task), what ECS may do before it starts
# (execution), what may start it (scheduler), and, where somebody is named for
# it, who may remove what was kept (retention). The statements are those that
# idtrail policy prints, and docs/PERMISSIONS.md and docs/SOURCES.md explain, by the
# same ids; a test compares them. Left out is RemoveProbe: the task removes nothing
# but old copies of its state.

data "aws_iam_policy_document" "tasks_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${local.region}:${local.account}:*"]
    }
  }
}

# --- Statements ------------------------------------------------------------

locals {
  # What is read and written in each place, and what tags and locks add to that.
  write_actions = concat(["s3:GetObject", "s3:PutObject"], var.object_tags ? ["s3:PutObjectTagging"] : [])
  lock_actions  = var.object_retention ? ["s3:PutObjectRetention"] : []

  keep_statements = flatten([
    [for name, p in local.places : [
      {
        sid        = "${title(name)}List"
        actions    = ["s3:ListBucket"]
        resources  = [local.bucket_arns[p.bucket]]
        conditions = [{ test = "StringLike", variable = "s3:prefix", values = ["${p.prefix}/*"] }]
      },
      {
        sid = "${title(name)}ReadWrite"
        actions = concat(
          local.write_actions,
          name == "state" ? ["s3:DeleteObject"] : [],
          contains(["raw", "manifests"], name) ? local.lock_actions : [],
        )
        resources = [local.place_arns[name]]
      },
    ]],
    var.object_retention ? [
      { sid = "LockOfBucket", actions = ["s3:GetBucketObjectLockConfiguration"], resources = [local.bucket_arns[local.evidence]] },
    ] : [],
    var.kms_key_arn == null ? [] : [
      { sid = "Key", actions = ["kms:GenerateDataKey", "kms:Decrypt"], resources = [var.kms_key_arn], conditions = local.by_s3 },
    ],
  ])

  # Keys are used by S3 only, for whoever reads and writes objects.
  by_s3 = [{ test = "StringEquals", variable = "kms:ViaService", values = ["s3.${local.region}.${local.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"}"] }]

  # What a replay, a prune or an erasure removes objects from.
  lake_folders = [
    "events", "events_json", "gaps", "gaps_json", "pools", "pools_json", "rejected", "rejected_json",
    "reports", "snapshots", "snapshots_json", "staged", "users", "users_json",
  ]
  remove_statements = [
    {
      sid       = "LakeRemove"
      actions   = ["s3:DeleteObject"]
      resources = [for folder in local.lake_folders : "${trimsuffix(local.place_arns["lake"], "*")}${folder}/*"]
    },
    { sid = "RawRemove", actions = ["s3:DeleteObject"], resources = [local.place_arns["raw"]] },
  ]

  source_statements = concat(
    length(var.user_pool_arns) == 0 ? [] : [
      {
        sid       = "CognitoUsers"
        actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:ListUsers", "cognito-idp:ListGroups", "cognito-idp:ListUsersInGroup"]
        resources = var.user_pool_arns
      },
      {
        sid = "CognitoSettings"
        actions = [
          "cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListUserPoolClients", "cognito-idp:DescribeUserPoolClient",
          "cognito-idp:ListUserPoolClientSecrets", "cognito-idp:ListIdentityProviders", "cognito-idp:DescribeIdentityProvider",
          "cognito-idp:ListResourceServers", "cognito-idp:GetUICustomization",
          "cognito-idp:DescribeManagedLoginBrandingByClient", "cognito-idp:ListTerms", "cognito-idp:DescribeTerms",
          "cognito-idp:DescribeRiskConfiguration", "cognito-idp:GetLogDeliveryConfiguration",
          "cognito-idp:ListTagsForResource", "cognito-idp:ListUserPoolReplicas", "cognito-idp:GetSigningCertificate",
        ]
        resources = var.user_pool_arns
      },
      { sid = "CognitoDomain", actions = ["cognito-idp:DescribeUserPoolDomain"], resources = ["*"] },
    ],
    length(var.user_pool_arns) == 0 || !var.user_pool_mfa ? [] : [
      { sid = "CognitoMFA", actions = ["cognito-idp:AdminGetUser"], resources = var.user_pool_arns },
    ],
    length(var.identity_pool_arns) == 0 ? [] : [
      {
        sid       = "IdentityPools"
        actions   = ["cognito-identity:DescribeIdentityPool", "cognito-identity:GetIdentityPoolRoles", "cognito-identity:GetPrincipalTagAttributeMap"]
        resources = var.identity_pool_arns
      },
    ],
    !var.cloudtrail ? [] : [
      { sid = "CloudTrail", actions = ["cloudtrail:LookupEvents"], resources = ["*"] },
      { sid = "CloudTrailKeys", actions = ["cloudtrail:ListPublicKeys"], resources = ["*"] },
    ],
    length(var.read_buckets) == 0 ? [] : [
      { sid = "ListTrail", actions = ["s3:ListBucket"], resources = distinct([for b in var.read_buckets : "arn:${local.partition}:s3:::${b.name}"]) },
      { sid = "ReadTrail", actions = ["s3:GetObject"], resources = [for b in var.read_buckets : "arn:${local.partition}:s3:::${b.name}/${b.prefix == "" ? "*" : "${b.prefix}/*"}"] },
    ],
    length(var.read_kms_key_arns) == 0 ? [] : [
      { sid = "ReadKeys", actions = ["kms:Decrypt"], resources = var.read_kms_key_arns },
    ],
    length(var.assume_role_arns) == 0 ? [] : [
      { sid = "AssumeRoles", actions = ["sts:AssumeRole"], resources = var.assume_role_arns },
    ],
    # The config itself, where it is in S3, is read by the program.
    var.config.s3_url == null ? [] : [
      { sid = "ReadConfig", actions = ["s3:GetObject"], resources = ["arn:${local.partition}:s3:::${trimprefix(coalesce(var.config.s3_url, "-"), "s3://")}"] },
    ],
    local.secret_statements["referenced"],
  )

  # An ARN of a secret may have a key of it, a stage and a version behind it.
  secret_arns = {
    referenced = var.referenced_secret_arns
    injected   = concat(values(var.secrets), compact([var.config.ssm_parameter_arn]))
  }
  secret_statements = {
    for who, arns in local.secret_arns : who => concat(
      length([for a in arns : a if strcontains(a, ":secretsmanager:")]) == 0 ? [] : [
        { sid = "Secrets", actions = ["secretsmanager:GetSecretValue"], resources = distinct([for a in arns : join(":", slice(split(":", a), 0, 7)) if strcontains(a, ":secretsmanager:")]) },
      ],
      length([for a in arns : a if strcontains(a, ":ssm:")]) == 0 ? [] : [
        { sid = "Parameters", actions = [who == "injected" ? "ssm:GetParameters" : "ssm:GetParameter"], resources = distinct([for a in arns : a if strcontains(a, ":ssm:")]) },
      ],
      length(arns) == 0 || length(var.secrets_kms_key_arns) == 0 ? [] : [
        { sid = "SecretKeys", actions = ["kms:Decrypt"], resources = var.secrets_kms_key_arns },
      ],
    )
  }
}

# --- Task ------------------------------------------------------------------

data "aws_iam_policy_document" "task" {
  dynamic "statement" {
    for_each = concat(local.keep_statements, local.source_statements)

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = try(statement.value.conditions, [])

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "What idtrail may do"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name   = "idtrail"
  role   = aws_iam_role.task.id
  policy = coalesce(var.task_policy_json, data.aws_iam_policy_document.task.json)
}

# --- Execution -------------------------------------------------------------

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for g in aws_cloudwatch_log_group.job : "${g.arn}:*"]
  }

  dynamic "statement" {
    for_each = var.ecr_repository_arn == null ? [] : [
      { sid = "RegistryToken", actions = ["ecr:GetAuthorizationToken"], resources = ["*"] },
      { sid = "Image", actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], resources = [var.ecr_repository_arn] },
    ]

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }

  dynamic "statement" {
    for_each = local.secret_statements["injected"]

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "What ECS does to start idtrail: image, secrets, logs"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

# --- Scheduler -------------------------------------------------------------

data "aws_iam_policy_document" "scheduler_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule-group/${var.name}"]
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    sid       = "Run"
    actions   = ["ecs:RunTask"]
    resources = [for t in aws_ecs_task_definition.job : "${t.arn_without_revision}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [local.cluster_arn]
    }
  }

  statement {
    sid       = "PassRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.task.arn, aws_iam_role.execution.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "NotStarted"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.not_started.arn]
  }
}

resource "aws_iam_role" "scheduler" {
  name               = "${var.name}-scheduler"
  description        = "What EventBridge Scheduler does: it starts idtrail"
  assume_role_policy = data.aws_iam_policy_document.scheduler_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "run"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}

# --- Policies for people ---------------------------------------------------

locals {
  read_statements = {
    for name, p in local.places : name => [
      {
        sid        = "Read${title(name)}List"
        actions    = ["s3:ListBucket"]
        resources  = [local.bucket_arns[p.bucket]]
        conditions = [{ test = "StringLike", variable = "s3:prefix", values = ["${p.prefix}/*"] }]
      },
      { sid = "Read${title(name)}", actions = ["s3:GetObject"], resources = [local.place_arns[name]] },
    ]
  }
  read_key = var.kms_key_arn == null ? [] : [{ sid = "ReadKey", actions = ["kms:Decrypt"], resources = [var.kms_key_arn], conditions = local.by_s3 }]

  people = {
    auditor   = concat(local.read_statements["raw"], local.read_statements["lake"], local.read_statements["manifests"], local.read_key)
    operator  = concat(local.read_statements["state"], local.read_key)
    analyst   = concat(local.read_statements["lake"], local.read_key)
    retention = concat(local.keep_statements, local.remove_statements)
  }
}

data "aws_iam_policy_document" "people" {
  for_each = local.people

  dynamic "statement" {
    for_each = each.value

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = try(statement.value.conditions, [])

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}
