-- title: Secrets and exports
-- shows: Secrets of applications that were read, made or rotated, signing keys and access keys that were made or changed, and exports of users. idtrail's own exports are left out.
-- parameter: days = 30 : how many days back, today besides
WITH access AS (
  SELECT
    *,
    CASE
      WHEN {{matches (join "labels") "secret:"}} THEN 'secret read'
      WHEN {{matches "request_path" "^/api/v2/clients/[^/]+/(rotate-secret|credentials)"}} THEN 'client secret rotated or made'
      WHEN {{matches "request_path" "^/api/v2/jobs/users-exports$"}} AND method = 'POST' THEN 'users exported'
      WHEN {{matches "request_path" "^/api/v2/keys(/|$)"}} AND method <> 'GET' THEN 'signing or encryption key changed'
      WHEN event_code IN ('kms_key_management_success', 'kms_key_state_changed') THEN 'encryption key changed'
      WHEN operation IN ('AddUserPoolClientSecret', 'DeleteUserPoolClientSecret', 'CreateUserPoolClient') THEN 'client secret made or removed'
      WHEN operation IN ('ListUserPoolClientSecrets', 'DescribeUserPoolClient', 'DescribeIdentityProvider') THEN 'secret read'
      WHEN operation IN ('CreateAccessKey', 'UpdateAccessKey') THEN 'access key made or changed'
    END AS finding
  FROM {{table "v_events"}}
  WHERE dt >= {{day .days}}
    AND status_id = 1
    AND NOT coalesce(contains(labels, 'self'), false)
)
SELECT
  time,
  source,
  finding,
  coalesce(actor_name, actor_id, user_name, user_id, app_name, app_id) AS by_whom,
  actor_id,
  coalesce(request_path, pool_id, user_name, operation) AS target,
  coalesce(operation, event_code) AS operation,
  ip,
  severity,
  uid
FROM access
WHERE finding IS NOT NULL
ORDER BY time DESC, uid
