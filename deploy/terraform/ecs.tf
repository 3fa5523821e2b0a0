locals {
  cluster_arn = var.cluster_arn == null ? one(aws_ecs_cluster.this[*].arn) : var.cluster_arn

  config_environment = merge(
    var.config.yaml == null ? {} : { IDTRAIL_CONFIG_YAML = var.config.yaml },
    var.config.s3_url == null ? {} : { IDTRAIL_CONFIG = var.config.s3_url },
  )
  config_secrets = var.config.ssm_parameter_arn == null ? {} : { IDTRAIL_CONFIG_YAML = var.config.ssm_parameter_arn }
  environment    = merge({ AWS_REGION = local.region }, var.environment, local.config_environment)
  secrets        = merge(var.secrets, local.config_secrets)

  # The one place the image writes to: its VOLUME, which ECS gives the image's
  # owner only if the path is the same.
  home = "/var/lib/idtrail"
}

resource "aws_ecs_cluster" "this" {
  count = var.cluster_arn == null ? 1 : 0

  name = var.name
  tags = var.tags
}

resource "aws_cloudwatch_log_group" "job" {
  for_each = var.jobs

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# One for each job: they differ in size, and their logs tell which ran.
resource "aws_ecs_task_definition" "job" {
  for_each = var.jobs

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  dynamic "ephemeral_storage" {
    for_each = each.value.ephemeral_gib == null ? [] : [each.value.ephemeral_gib]

    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  volume {
    name = "home"
  }

  container_definitions = jsonencode([{
    name      = "idtrail"
    image     = var.image
    essential = true
    command   = coalesce(each.value.args, ["run", each.key, "--log-format", "json"])

    user                   = "65532:65532"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"], add = [] } }
    mountPoints            = [{ sourceVolume = "home", containerPath = local.home, readOnly = false }]

    # A run that is told to stop has published its state within 20 seconds.
    stopTimeout = 30

    environment = [for k in sort(keys(local.environment)) : { name = k, value = local.environment[k] }]
    secrets     = [for k in sort(keys(local.secrets)) : { name = k, valueFrom = local.secrets[k] }]

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.job[each.key].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "run"
      }
    }
  }])
}

resource "aws_security_group" "task" {
  count = var.vpc_id == null ? 0 : 1

  name_prefix = "${var.name}-"
  description = "idtrail: nothing in, calls out"
  vpc_id      = var.vpc_id
  tags        = var.tags

  dynamic "egress" {
    for_each = toset([for p in var.egress_ports : tostring(p)])

    content {
      description      = "calls out"
      from_port        = egress.value
      to_port          = egress.value
      protocol         = "tcp"
      cidr_blocks      = ["0.0.0.0/0"]
      ipv6_cidr_blocks = ["::/0"]
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
