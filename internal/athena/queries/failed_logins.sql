-- title: Failed logins per user and day
-- shows: Who failed to sign in how often, a row for each user, source and day, with the addresses it came from and the reasons given.
-- parameter: days = 30 : how many days back, today besides
-- parameter: failures = 3 : fewer on one day are left out
SELECT
  dt,
  source,
  coalesce(user_name, user_id) AS user_name,
  max(person_key) AS person_key,
  count(*) AS failures,
  {{all "ip"}} AS addresses,
  {{all "coalesce(status_detail, status_code, message)"}} AS reasons,
  min(time) AS first_at,
  max(time) AS last_at
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
  AND class_uid = 3002 AND activity_id = 1 AND status_id = 2
  AND coalesce(user_name, user_id) IS NOT NULL
GROUP BY dt, source, coalesce(user_name, user_id)
HAVING count(*) >= {{.failures}}
ORDER BY dt DESC, failures DESC, user_name
