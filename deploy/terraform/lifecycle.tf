# A bucket has one lifecycle configuration, S3 can only replace it as a whole,
# and so does aws_s3_bucket_lifecycle_configuration. It is set here on buckets
# that are made here, with extra_lifecycle_rules beside ours, and never on one
# that was there: merge-lifecycle.sh puts output lifecycle_rules among the rules
# such a bucket has.

locals {
  # Ids begin with idtrail-: by that the script knows which rules are ours.
  lifecycle_rules = {
    for key, b in local.buckets : key => concat(
      [{
        id                 = "idtrail-uploads"
        prefix             = ""
        abort_days         = 7
        noncurrent_days    = null
        delete_markers     = false
        expiration_days    = null
        glacier_ir_in_days = null
      }],
      [for name, p in local.places : {
        id                 = "idtrail-${name}"
        prefix             = "${p.prefix}/"
        abort_days         = null
        noncurrent_days    = name == "state" ? var.lifecycle_days.state_noncurrent : var.lifecycle_days.noncurrent
        delete_markers     = true
        expiration_days    = null
        glacier_ir_in_days = name == "raw" ? var.lifecycle_days.raw_glacier_ir : null
      } if p.bucket == key],
    )
  }
  extra_rules = {
    for key, b in local.buckets : key => [for r in var.extra_lifecycle_rules : {
      id                 = r.id
      prefix             = r.prefix
      abort_days         = null
      noncurrent_days    = r.noncurrent_days
      delete_markers     = false
      expiration_days    = r.expiration_days
      glacier_ir_in_days = null
    } if r.bucket == key]
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.manage_lifecycle ? local.made : {}

  bucket = aws_s3_bucket.this[each.key].id

  dynamic "rule" {
    for_each = concat(local.lifecycle_rules[each.key], local.extra_rules[each.key])

    content {
      id     = rule.value.id
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      dynamic "abort_incomplete_multipart_upload" {
        for_each = rule.value.abort_days == null ? [] : [rule.value.abort_days]

        content {
          days_after_initiation = abort_incomplete_multipart_upload.value
        }
      }

      dynamic "noncurrent_version_expiration" {
        for_each = rule.value.noncurrent_days == null ? [] : [rule.value.noncurrent_days]

        content {
          noncurrent_days = noncurrent_version_expiration.value
        }
      }

      dynamic "expiration" {
        for_each = rule.value.delete_markers || rule.value.expiration_days != null ? [rule.value] : []

        content {
          days                         = expiration.value.expiration_days
          expired_object_delete_marker = expiration.value.delete_markers ? true : null
        }
      }

      dynamic "transition" {
        for_each = rule.value.glacier_ir_in_days == null ? [] : [rule.value.glacier_ir_in_days]

        content {
          days          = transition.value
          storage_class = "GLACIER_IR"
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
