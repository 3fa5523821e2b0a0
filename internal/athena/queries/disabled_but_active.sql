-- title: Disabled, but still signing in
-- shows: Persons of whom an account is disabled in the newest snapshot, and who signed in after it was last changed: with it, or with their account on the other system.
-- parameter: days = 30 : how many days back, today besides
WITH disabled AS (
  SELECT source, user_id, user_name, person_key, coalesce(updated_at, snapshot_at) AS since
  FROM {{table "v_users"}}
  WHERE NOT active AND status = 'disabled'
), logon AS (
  SELECT time, source, user_id, user_name, person_key, ip
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND class_uid = 3002 AND status_id = 1 AND (activity_id = 1 OR activity = 'Token Exchange')
)
SELECT
  d.source AS disabled_in,
  d.user_id,
  d.user_name,
  d.person_key,
  d.since AS changed_at,
  l.source AS seen_in,
  l.user_id AS seen_as,
  count(*) AS sign_ins,
  min(l.time) AS first_at,
  max(l.time) AS last_at,
  {{all "l.ip"}} AS addresses
FROM disabled AS d
JOIN logon AS l ON coalesce(l.person_key, l.user_id) = coalesce(d.person_key, d.user_id)
WHERE l.time > d.since
GROUP BY d.source, d.user_id, d.user_name, d.person_key, d.since, l.source, l.user_id
ORDER BY last_at DESC, d.source, d.user_id
