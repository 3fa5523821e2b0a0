-- title: One person on both systems
-- shows: What a person did, and what was done to the person, in time, on every system. The person is found by a user name, an e-mail address or an id of any of their accounts.
-- parameter: user = nobody@example.com : name, e-mail address or id, in any case of letters
-- parameter: days = 30 : how many days back, today besides
WITH named AS (
  SELECT person_key, user_id, user_name FROM {{table "v_users"}}
  WHERE lower({{text .user}}) IN (lower(user_name), lower(email), lower(user_id))
  UNION ALL
  SELECT person_key, user_id, user_name FROM {{table "persons"}}
  WHERE lower({{text .user}}) IN (lower(user_name), lower(user_id), person_key)
)
SELECT
  time,
  source,
  class,
  activity,
  status,
  coalesce(operation, event_code) AS operation,
  coalesce(actor_name, actor_id) AS actor,
  coalesce(user_name, user_id) AS user_name,
  coalesce(app_name, app_id, pool_name, pool_id) AS app,
  ip,
  country,
  message,
  uid
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
  AND (
    person_key IN (SELECT person_key FROM named WHERE person_key IS NOT NULL)
    OR actor_person_key IN (SELECT person_key FROM named WHERE person_key IS NOT NULL)
    OR user_id IN (SELECT user_id FROM named)
    OR actor_id IN (SELECT user_id FROM named)
    OR lower({{text .user}}) IN (lower(user_name), lower(user_email), lower(user_id), lower(actor_id), lower(actor_name))
  )
ORDER BY time, uid
