-- title: Password spray: many users, one address
-- shows: Addresses from which many users failed to sign in on one day, more than succeeded. users_in counts those who got in from there: look at them first.
-- parameter: days = 30 : how many days back, today besides
-- parameter: users = 10 : fewer users who failed are left out
WITH logon AS (
  SELECT
    dt, ip, time, status_id, country,
    coalesce(person_key, user_id, lower(user_name)) AS who,
    coalesce(user_name, user_id) AS user_name
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND class_uid = 3002 AND activity_id = 1 AND status_id IN (1, 2)
    AND ip IS NOT NULL AND coalesce(person_key, user_id, user_name) IS NOT NULL
)
SELECT
  dt,
  ip,
  max(country) AS country,
  count(DISTINCT who) FILTER (WHERE status_id = 2) AS users_failed,
  count(*) FILTER (WHERE status_id = 2) AS failures,
  count(DISTINCT who) FILTER (WHERE status_id = 1) AS users_in,
  {{all "CASE WHEN status_id = 1 THEN user_name END"}} AS names_in,
  min(time) AS first_at,
  max(time) AS last_at
FROM logon
GROUP BY dt, ip
HAVING count(DISTINCT who) FILTER (WHERE status_id = 2) >= {{.users}}
  AND count(DISTINCT who) FILTER (WHERE status_id = 2) > count(DISTINCT who) FILTER (WHERE status_id = 1)
ORDER BY users_failed DESC, dt DESC, ip
