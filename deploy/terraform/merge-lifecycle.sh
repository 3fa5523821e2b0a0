#!/usr/bin/env bash
# Puts idtrail's lifecycle rules among those a bucket has.
#
#   merge-lifecycle.sh [--yes] BUCKET < rules.json
#
# rules.json is output lifecycle_rules of the module for that bucket:
#   terraform output -json lifecycle_rules | jq -r '.["BUCKET"]' | merge-lifecycle.sh BUCKET
#
# S3 knows one lifecycle configuration for each bucket, and no way to change a
# part of it. So this reads it, leaves what every other rule says as it is, puts
# ours (their IDs begin with "idtrail-") in place of what was ours, shows the
# difference, and writes the whole back when it is told to. S3 cannot make that
# depend on what was read: do not run it beside another tool that does the same.
# Nothing is written where nothing differs. Needs aws (version 2) and jq.
set -euo pipefail

yes=
if [[ ${1-} == --yes ]]; then
  yes=1
  shift
fi
if [[ $# -ne 1 || $1 == -* ]]; then
  echo "usage: ${0##*/} [--yes] BUCKET < rules.json" >&2
  exit 2
fi
bucket=$1
for tool in aws jq; do
  command -v "$tool" >/dev/null || { echo "merge-lifecycle: $tool is not installed" >&2; exit 1; }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat >"$dir/ours"
if ! jq -es 'length == 1 and (.[0].Rules | type == "array" and length > 0 and all(.[]; (.ID | type == "string" and startswith("idtrail-"))))' \
  "$dir/ours" >"$dir/out" 2>&1; then
  echo "merge-lifecycle: what was piped in has no rules, or some whose IDs do not begin with idtrail-" >&2
  exit 2
fi

# Only "there is none" is none. With any other failure the rules of others are
# unknown, and would be lost.
if ! aws s3api get-bucket-lifecycle-configuration --bucket "$bucket" --output json >"$dir/is" 2>"$dir/err"; then
  if ! grep -q NoSuchLifecycleConfiguration "$dir/err"; then
    cat "$dir/err" >&2
    echo "merge-lifecycle: the rules of $bucket could not be read; nothing was changed" >&2
    exit 1
  fi
  echo '{"Rules": []}' >"$dir/is"
fi
jq -es 'length == 1 and (.[0].Rules | type == "array")' "$dir/is" >"$dir/out" || {
  echo "merge-lifecycle: what S3 answered has no rules; nothing was changed" >&2
  exit 1
}

# A rule of old has its prefix outside of a filter, and S3 refuses the two forms
# side by side: it is written in the new one, which means the same.
jq -s 'def filtered: if has("Prefix") and (has("Filter") | not) then .Filter = {Prefix} | del(.Prefix) else . end;
  .[0].Rules as $is | .[1].Rules as $ours
  | {Rules: ([$is[] | select((.ID // "") | startswith("idtrail-") | not) | filtered] + $ours)}' "$dir/is" "$dir/ours" >"$dir/to"

if diff -u --label "$bucket, now" --label "$bucket, then" \
  <(jq -S '.Rules | sort_by(.ID)' "$dir/is") <(jq -S '.Rules | sort_by(.ID)' "$dir/to"); then
  echo "merge-lifecycle: $bucket has these rules already" >&2
  exit 0
fi
if [[ $(jq '.Rules | length' "$dir/to") -gt 1000 ]]; then
  echo "merge-lifecycle: that would be more than the 1000 rules S3 takes" >&2
  exit 1
fi

if [[ -z $yes ]]; then
  echo "merge-lifecycle: nothing was changed; call it again with --yes to write this" >&2
  exit 3
fi

# It is part of the configuration, and would fall back to its default.
size=$(jq -r '.TransitionDefaultMinimumObjectSize // empty' "$dir/is")
aws s3api put-bucket-lifecycle-configuration --bucket "$bucket" \
  ${size:+--transition-default-minimum-object-size "$size"} \
  --lifecycle-configuration "file://$dir/to"
echo "merge-lifecycle: $bucket has the rules above" >&2
