-- title: Who changed what
-- shows: What was changed in accounts, groups, policies, applications and settings, by whom and from where. What people do to their own account and what idtrail does is left out.
-- parameter: days = 7 : how many days back, today besides
SELECT
  time,
  source,
  coalesce(actor_name, actor_id, app_name, app_id) AS who,
  actor_id,
  coalesce(ip, '') AS ip,
  class,
  activity,
  coalesce(operation, event_code) AS operation,
  coalesce(user_name, user_id, group_name, group_uid, entity_name, request_path, pool_id) AS what,
  severity,
  message,
  uid
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
  AND status_id = 1
  AND (class_uid IN (3001, 3004, 3005, 3006) OR class_uid = 6003 AND activity_id IN (1, 3, 4))
  AND coalesce(actor_id, app_id) IS NOT NULL
  AND (actor_id IS NOT NULL OR class_uid <> 3001)
  AND (user_id IS NULL OR actor_id IS NULL OR actor_id <> user_id)
  AND NOT coalesce(contains(labels, 'self'), false)
ORDER BY time DESC, uid
