-- title: MFA removed or disabled
-- shows: Second factors taken from users, by themselves or by somebody else, and MFA switched off for a tenant or a pool.
-- parameter: days = 30 : how many days back, today besides
SELECT
  time,
  source,
  CASE WHEN class_uid = 3001 THEN 'user' ELSE 'everybody' END AS concerns,
  coalesce(user_name, user_id, entity_name, pool_id) AS target,
  coalesce(actor_name, actor_id) AS by_whom,
  actor_id,
  ip,
  activity,
  coalesce(operation, event_code) AS operation,
  severity,
  uid
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
  AND status_id = 1
  AND (
    class_uid = 3001 AND (activity_id = 11 OR activity = 'MFA Factors Replaced')
    OR status_detail = 'MFA_POLICY_DISABLED'
    OR class_uid = 3004 AND activity_id = 9 AND {{matches "lower(entity_name)" "mfa"}}
  )
ORDER BY time DESC, uid
