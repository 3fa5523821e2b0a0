-- title: What idtrail itself did
-- shows: The complete snapshots idtrail took, and the traces its calls left in the logs it reads, by day: what it is expected to do, and nothing else.
-- parameter: days = 30 : how many days back, today besides
SELECT
  dt,
  source,
  'snapshot' AS trace,
  snapshot_id AS detail,
  count(*) AS n,
  min(begin_at) AS first_at,
  max(end_at) AS last_at
FROM {{table "snapshots"}}
WHERE dt >= {{day .days}}
GROUP BY dt, source, snapshot_id
UNION ALL
SELECT
  dt,
  source,
  'call',
  coalesce(operation, event_code),
  count(*),
  min(time),
  max(time)
FROM {{table "v_events"}}
WHERE dt >= {{day .days}} AND coalesce(contains(labels, 'self'), false)
GROUP BY dt, source, coalesce(operation, event_code)
ORDER BY dt DESC, source, trace, detail
