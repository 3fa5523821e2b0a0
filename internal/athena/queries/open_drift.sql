-- title: Open drift between two systems
-- shows: What the newest comparison of each two systems found, the gravest first, and since when it is found.
-- parameter: severity = medium|high : regular expression of the severities shown
SELECT
  severity,
  type,
  left_source,
  left_name,
  right_source,
  right_name,
  field,
  left_value,
  right_value,
  detail,
  confidence,
  first_seen_at,
  compared_at,
  person_key
FROM {{table "v_drift"}}
WHERE is_current AND {{matches "severity" .severity}}
ORDER BY CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, first_seen_at, left_source, left_name, right_name
