locals {
  # A job may need two expressions, where cron has one.
  schedules = merge([for job, j in var.jobs : {
    for i, s in j.schedules : (i == 0 ? job : "${job}-${i + 1}") => { job = job, expression = s, enabled = j.enabled }
  }]...)
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

# What could not be started at all, for the alarm.
resource "aws_sqs_queue" "not_started" {
  name                      = "${var.name}-not-started"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name                         = each.key
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = each.value.expression
  schedule_expression_timezone = var.timezone
  state                        = each.value.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = local.cluster_arn
    role_arn = aws_iam_role.scheduler.arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.job[each.value.job].arn
      launch_type         = "FARGATE"
      task_count          = 1

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = concat(aws_security_group.task[*].id, var.security_group_ids)
        assign_public_ip = var.assign_public_ip
      }
    }

    # The scheduler neither waits for a run nor knows of the last one, and may
    # start one twice. That is fine: a run whose sources are all held by another
    # ends at once, with exit code 4. What could not be started is tried again
    # soon or not at all, since the next one is due anyway.
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 300
    }

    dead_letter_config {
      arn = aws_sqs_queue.not_started.arn
    }
  }
}
