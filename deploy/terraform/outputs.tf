output "places" {
  description = "What idtrail's config says of them: keys state, lake, raw and manifests."
  value       = { for name, p in local.places : name => "s3://${local.buckets[p.bucket].name}/${p.prefix}" }
}

output "lifecycle_rules" {
  description = "Our rules for each bucket, in the form of S3's API: for merge-lifecycle.sh, where the bucket existed."
  value = {
    for key, rules in local.lifecycle_rules : local.buckets[key].name => jsonencode({
      Rules = [for r in rules : { for k, v in {
        ID                             = r.id
        Status                         = "Enabled"
        Filter                         = { Prefix = r.prefix }
        AbortIncompleteMultipartUpload = r.abort_days == null ? null : { DaysAfterInitiation = r.abort_days }
        NoncurrentVersionExpiration    = r.noncurrent_days == null ? null : { NoncurrentDays = r.noncurrent_days }
        Expiration                     = r.delete_markers ? { ExpiredObjectDeleteMarker = true } : null
        Transitions                    = r.glacier_ir_in_days == null ? null : [{ Days = r.glacier_ir_in_days, StorageClass = "GLACIER_IR" }]
      } : k => v if v != null }]
    })
  }
}

output "task_role_arn" {
  description = "The role idtrail runs with: what a role in another account trusts, with an external id."
  value       = aws_iam_role.task.arn
}

output "cluster_arn" {
  description = "The ECS cluster."
  value       = local.cluster_arn
}

output "task_definition_arns" {
  description = "By job: to run one by hand."
  value       = { for job, t in aws_ecs_task_definition.job : job => t.arn }
}

output "log_groups" {
  description = "By job."
  value       = { for job, g in aws_cloudwatch_log_group.job : job => g.name }
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = local.topic_arn
}

output "policies" {
  description = "Policies for people, to attach to roles of theirs: auditor (verify), operator (status), analyst (find, Athena on the lake), retention (prune, erase, replay: nobody's daily role)."
  value       = { for who, d in data.aws_iam_policy_document.people : who => d.json }
}
