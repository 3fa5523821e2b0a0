locals {
  topic_arn = var.alarm_topic_arn == null ? one(aws_sns_topic.alarms[*].arn) : var.alarm_topic_arn

  # Up to an hour is one period; more is counted in hours. CloudWatch looks back
  # for a day in shorter periods, for a week in hours.
  silence = {
    for job, j in var.jobs : job => {
      minutes = j.max_silence_minutes
      period  = j.max_silence_minutes <= 60 ? j.max_silence_minutes * 60 : 3600
      periods = j.max_silence_minutes <= 60 ? 1 : ceil(j.max_silence_minutes / 60)
    } if j.max_silence_minutes != null && j.enabled
  }
}

# Not encrypted with the key of SNS: CloudWatch and EventBridge may not use it.
# No message holds personal data.
resource "aws_sns_topic" "alarms" {
  count = var.alarm_topic_arn == null ? 1 : 0

  name = "${var.name}-alarms"
  tags = var.tags
}

data "aws_iam_policy_document" "topic" {
  count = var.alarm_topic_arn == null ? 1 : 0

  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms[0].arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:*"]
    }
  }

  # Without a condition, as AWS shows it for topics: an alarm that is refused
  # would be the worse of the two.
  statement {
    sid       = "Events"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms[0].arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarm_topic_arn == null ? 1 : 0

  arn    = aws_sns_topic.alarms[0].arn
  policy = data.aws_iam_policy_document.topic[0].json
}

resource "aws_sns_topic_subscription" "emails" {
  for_each = var.alarm_topic_arn == null ? toset(var.alarm_emails) : toset([])

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}

# --- Silence: no run of a job has ended for too long -------------------------

resource "aws_cloudwatch_log_metric_filter" "run_ends" {
  for_each = local.silence

  name           = "${var.name}-${each.key}-run-ends"
  log_group_name = aws_cloudwatch_log_group.job[each.key].name
  pattern        = "{ $.msg = \"run ends\" }"

  metric_transformation {
    namespace = var.name
    name      = "RunsEnded-${each.key}"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "silence" {
  for_each = local.silence

  alarm_name          = "${var.name}-${each.key}-silent"
  alarm_description   = "No run of job ${each.key} has ended for ${each.value.minutes} minutes. Is its schedule on, does the task start, does it hang? Logs: /${var.name}/${each.key}"
  namespace           = var.name
  metric_name         = "RunsEnded-${each.key}"
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.periods
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  tags                = var.tags
}

# --- Failure: a task that ended otherwise than well, or never began ----------

# 0 is done, and 4 that another run holds every source.
resource "aws_cloudwatch_event_rule" "failed" {
  name        = "${var.name}-failed"
  description = "A task of idtrail failed, or could not be started"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [local.cluster_arn]
      group      = [for job in sort(keys(var.jobs)) : "family:${var.name}-${job}"]
      lastStatus = ["STOPPED"]
      "$or" = [
        { containers = { exitCode = [{ anything-but = [0, 4] }] } },
        { stopCode = ["TaskFailedToStart"] },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  rule = aws_cloudwatch_event_rule.failed.name
  arn  = local.topic_arn

  input_transformer {
    input_paths = {
      group  = "$.detail.group"
      task   = "$.detail.taskArn"
      code   = "$.detail.containers[0].exitCode"
      reason = "$.detail.stoppedReason"
    }
    input_template = "\"idtrail, <group>: exit code <code>, <reason>. Codes: 1 failed, 2 config, 3 partly done, 130 stopped; none: not started. Task: <task>\""
  }
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name          = "${var.name}-not-started"
  alarm_description   = "EventBridge Scheduler could not start a task of idtrail; why is in the messages of the queue ${var.name}-not-started. Purge it when that is mended."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.not_started.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  tags                = var.tags
}
