data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.name
  partition = data.aws_partition.this.partition

  buckets = merge(
    { data = var.bucket },
    var.evidence_bucket == null ? {} : { evidence = var.evidence_bucket },
  )
  made     = { for key, b in local.buckets : key => b if b.create }
  evidence = var.evidence_bucket == null ? "data" : "evidence"

  # Which of the two each place is in, and below which prefix.
  places = {
    lake      = { bucket = "data", prefix = var.prefixes.lake }
    state     = { bucket = "data", prefix = var.prefixes.state }
    raw       = { bucket = local.evidence, prefix = var.prefixes.raw }
    manifests = { bucket = local.evidence, prefix = var.prefixes.manifests }
  }
  bucket_arns = { for key, b in local.buckets : key => "arn:${local.partition}:s3:::${b.name}" }
  place_arns  = { for key, p in local.places : key => "${local.bucket_arns[p.bucket]}/${p.prefix}/*" }
}

resource "aws_s3_bucket" "this" {
  for_each = local.made

  bucket              = each.value.name
  object_lock_enabled = each.value.object_lock
  tags                = var.tags

  lifecycle {
    # Whoever really wants to be rid of the evidence takes this out first.
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.made

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.made

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.made

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    # With a bucket key, KMS is asked once in a while and not for each object.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# There is no default retention on purpose: it would lock the state and the lake
# too, which are replaced. idtrail locks raw and manifests, object by object.
resource "aws_s3_bucket_versioning" "this" {
  for_each = local.made

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.made

  statement {
    sid       = "OnlyByTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arns[each.key], "${local.bucket_arns[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = var.require_conditional_writes ? ["on"] : []

    content {
      sid       = "NeverReplacedUnseen"
      effect    = "Deny"
      actions   = ["s3:PutObject"]
      resources = [for name, p in local.places : local.place_arns[name] if p.bucket == each.key]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "Null"
        variable = "s3:if-none-match"
        values   = ["true"]
      }

      condition {
        test     = "Null"
        variable = "s3:if-match"
        values   = ["true"]
      }

      # The parts of a multipart upload say neither; its completion does.
      condition {
        test     = "Bool"
        variable = "s3:ObjectCreationOperation"
        values   = ["true"]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.made

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.this]
}
