-- title: Dormant accounts
-- shows: Accounts that may sign in and have not for long: neither by the vendor's own word nor by the events of the lake, which have to reach back as far. An account that never did counts from its creation.
-- parameter: days = 90 : how many days without a sign-in
WITH logon AS (
  SELECT user_id, max(time) AS last_at
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND class_uid = 3002 AND status_id = 1 AND activity_id IN (1, 99)
    AND user_id IS NOT NULL
  GROUP BY user_id
)
SELECT
  u.source,
  u.user_id,
  u.user_name,
  u.email,
  u.person_key,
  u.status,
  u.created_at,
  u.last_login_at,
  date_diff('day', coalesce(u.last_login_at, u.created_at), {{now}}) AS days_idle
FROM {{table "v_users"}} AS u
LEFT JOIN logon AS l ON l.user_id = u.user_id
WHERE u.active
  AND l.user_id IS NULL
  AND date_diff('day', coalesce(u.last_login_at, u.created_at), {{now}}) >= {{.days}}
ORDER BY days_idle DESC, u.source, u.user_id
