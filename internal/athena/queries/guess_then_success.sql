-- title: Guessed: failures, then a success
-- shows: Sign-ins that succeeded soon after many failures of the same person, on whichever system. from_same_address says that the success came from an address that had failed before.
-- parameter: days = 30 : how many days back, today besides
-- parameter: failures = 5 : fewer failures before the success are left out
-- parameter: minutes = 60 : failures longer before the success do not count
WITH logon AS (
  SELECT
    time, uid, source, ip, status_id,
    coalesce(person_key, user_id, lower(user_name)) AS who,
    coalesce(user_name, user_id) AS user_name
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND class_uid = 3002 AND activity_id = 1 AND status_id IN (1, 2)
    AND coalesce(person_key, user_id, user_name) IS NOT NULL
), numbered AS (
  -- Attempts belong together up to and with the success that ends them.
  SELECT *,
    coalesce(sum(CASE WHEN status_id = 1 THEN 1 ELSE 0 END) OVER (
      PARTITION BY who ORDER BY time, status_id DESC, uid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS nth
  FROM logon
), ended AS (
  SELECT *,
    max(CASE WHEN status_id = 1 THEN time END) OVER (PARTITION BY who, nth) AS success_at,
    max(CASE WHEN status_id = 1 THEN ip END) OVER (PARTITION BY who, nth) AS success_ip,
    max(CASE WHEN status_id = 1 THEN source END) OVER (PARTITION BY who, nth) AS success_source
  FROM numbered
)
SELECT
  success_at,
  who,
  max(user_name) AS user_name,
  success_source AS source,
  success_ip AS ip,
  count(*) AS failures,
  min(time) AS first_failure_at,
  {{all "ip"}} AS failed_from,
  max(CASE WHEN ip = success_ip THEN 1 ELSE 0 END) = 1 AS from_same_address
FROM ended
WHERE success_at IS NOT NULL AND status_id = 2
  AND date_diff('second', time, success_at) <= {{.minutes}} * 60
GROUP BY success_at, who, nth, success_source, success_ip
HAVING count(*) >= {{.failures}}
ORDER BY success_at DESC, who
