-- title: Protection switched off
-- shows: Attack protection, log streams, logs of pools, triggers and actions, network rules, keys, password policies and trails that were switched off, removed or changed, and settings of pools that were changed.
-- parameter: days = 30 : how many days back, today besides
WITH change AS (
  SELECT
    *,
    CASE
      WHEN class_uid = 3004 AND activity_id = 9 THEN 'disabled: ' || coalesce(entity_name, 'policy')
      WHEN {{matches "request_path" "^/api/v2/(attack-protection|risk-assessments)/"}} AND {{matches "request" "\"enabled\": *false"}} THEN 'disabled: ' || request_path
      WHEN {{matches "request_path" "^/api/v2/(log-streams|event-streams)(/|$)"}} AND (method = 'DELETE' OR {{matches "request" "\"status\": *\"(paused|suspended|disabled)\""}}) THEN 'log stream stopped'
      WHEN {{matches "request_path" "^/api/v2/actions/triggers/.+/bindings"}} THEN 'triggers bound anew'
      WHEN {{matches "request_path" "^/api/v2/(actions|rules|hooks)/"}} AND (method = 'DELETE' OR {{matches "request" "\"enabled\": *false"}}) THEN 'action, rule or hook removed'
      WHEN {{matches "request_path" "^/api/v2/network-acls(/|$)"}} AND method IN ('DELETE', 'PUT', 'PATCH') THEN 'network rule changed'
      WHEN {{matches "request_path" "^/api/v2/tenants/settings"}} THEN 'tenant settings changed'
      WHEN operation IN ('SetRiskConfiguration') THEN 'threat protection changed'
      WHEN operation IN ('SetLogDeliveryConfiguration') THEN 'log delivery of a pool changed'
      WHEN operation IN ('UpdateUserPool', 'UpdateUserPoolClient') THEN 'settings of a pool or app replaced'
      WHEN operation IN ('DeleteUserPool', 'DeleteUserPoolDomain', 'DeleteIdentityPool') THEN 'deleted'
      WHEN coalesce(contains(labels, 'unauthenticated_identities'), false) THEN 'identity pool lets anybody in'
      WHEN operation IN ('DeleteAccountPasswordPolicy', 'UpdateAccountPasswordPolicy') THEN 'password policy of the account changed'
      WHEN operation IN ('DeleteRolePermissionsBoundary', 'DeleteUserPermissionsBoundary') THEN 'permissions boundary removed'
      WHEN operation IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors', 'DeleteEventDataStore') THEN 'trail changed'
    END AS finding
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND status_id = 1
    AND (class_uid = 3004 OR class_uid IN (3001, 6003))
    AND NOT (class_uid = 6003 AND activity_id = 2)
)
SELECT
  time,
  source,
  finding,
  coalesce(entity_name, request_path, pool_name, pool_id, user_name, user_id) AS target,
  coalesce(actor_name, actor_id, app_name, app_id) AS by_whom,
  actor_id,
  ip,
  coalesce(operation, event_code) AS operation,
  severity,
  uid
FROM change
WHERE finding IS NOT NULL
ORDER BY time DESC, uid
