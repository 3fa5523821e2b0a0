-- title: Duplicates, gaps and rejects
-- shows: What makes the lake less than whole: events that are there twice (one record read by two sources, most of the time), spans that were lost, and records that could not be mapped.
-- parameter: days = 30 : how many days back, today besides
SELECT
  'duplicate' AS finding,
  {{all "source"}} AS source,
  min(dt) AS dt,
  uid AS detail,
  count(*) AS n
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
GROUP BY product, account_id, uid
HAVING count(*) > 1
UNION ALL
SELECT
  'gap',
  source,
  dt,
  CAST(gap_from AS varchar) || ' to ' || CAST(gap_to AS varchar) || ': ' || reason,
  1
FROM {{table "v_gaps"}}
WHERE dt >= {{day .days}}
UNION ALL
SELECT 'reject', source, dt, reason, count(*)
FROM {{table "rejected"}}
WHERE dt >= {{day .days}}
GROUP BY source, dt, reason
ORDER BY finding, source, dt, detail
