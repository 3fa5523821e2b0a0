-- title: Privileges granted
-- shows: Roles, permissions, policies and group memberships that were given to users, groups and applications, and roles bound to pools.
-- parameter: days = 30 : how many days back, today besides
SELECT
  time,
  source,
  coalesce(actor_name, actor_id, app_name, app_id) AS by_whom,
  actor_id,
  coalesce(user_name, user_id, group_name, group_uid, entity_name, request_path) AS to_whom,
  coalesce({{join "privileges"}}, policy_name, group_name, group_uid) AS what,
  activity,
  coalesce(operation, event_code) AS operation,
  severity,
  ip,
  uid
FROM {{table "v_events"}}
WHERE dt >= {{day .days}}
  AND status_id = 1
  AND (
    class_uid = 3005 AND activity_id = 1
    OR class_uid = 3006 AND activity_id IN (1, 3)
    OR class_uid = 3001 AND activity_id = 7
    OR operation IN ('SetIdentityPoolRoles', 'SetPrincipalTagAttributeMap', 'CreatePolicyVersion', 'SetDefaultPolicyVersion', 'UpdateAssumeRolePolicy')
    OR {{matches "request_path" "^/api/v2/client-grants(/|$)"}} AND method IN ('POST', 'PATCH')
  )
ORDER BY time DESC, uid
