CREATE OR REPLACE VIEW "audit"."v_events" AS
WITH "person" AS (
  SELECT "user_id", "user_name", "person_key"
  FROM (
    SELECT "user_id", "user_name", "person_key",
      row_number() OVER (
        PARTITION BY "user_id"
        ORDER BY CASE WHEN "valid_to" IS NULL THEN 0 ELSE 1 END, CASE WHEN "link_rule" IS NULL THEN 1 ELSE 0 END,
          "valid_to" DESC, "valid_from" DESC, "source"
      ) AS "nth"
    FROM "audit"."persons"
  ) AS "ranked"
  WHERE "nth" = 1
), "setting" AS (
  SELECT "section", "state", "dt", "snapshot_id", "data",
    coalesce(json_extract_scalar("data", '$.ClientId'), json_extract_scalar("data", '$.client_id'), json_extract_scalar("data", '$.Id'), json_extract_scalar("data", '$.IdentityPoolId'), "id") AS "id",
    coalesce(json_extract_scalar("data", '$.ClientName'), json_extract_scalar("data", '$.name'), json_extract_scalar("data", '$.Name'), json_extract_scalar("data", '$.IdentityPoolName')) AS "name",
    json_extract_scalar("data", '$.UserPoolId') AS "pool_id"
  FROM "audit"."pools"
  WHERE "state" = 'ok' AND "section" IN ('client', 'user_pool', 'identity_pool')
), "named" AS (
  SELECT "section", "id", "name", "pool_id"
  FROM (
    SELECT "section", "id", "name", "pool_id",
      row_number() OVER (PARTITION BY "section", "id" ORDER BY "dt" DESC, "snapshot_id" DESC) AS "nth"
    FROM "setting"
  ) AS "ranked"
  WHERE "nth" = 1
)
SELECT
  "e"."time_dt" AS "time",
  "e"."class_uid" AS "class_uid",
  "e"."class_name" AS "class",
  "e"."activity_id" AS "activity_id",
  "e"."activity_name" AS "activity",
  "e"."severity" AS "severity",
  "e"."severity_id" AS "severity_id",
  "e"."status_id" AS "status_id",
  "e"."status" AS "status",
  "e"."status_code" AS "status_code",
  "e"."status_detail" AS "status_detail",
  "e"."metadata"."event_code" AS "event_code",
  "e"."api"."operation" AS "operation",
  "e"."message" AS "message",
  "e"."user"."uid" AS "user_id",
  coalesce(nullif("e"."user"."name", 'unknown'), "u"."user_name") AS "user_name",
  "e"."user"."email_addr" AS "user_email",
  coalesce("u"."person_key", "a"."person_key") AS "person_key",
  "e"."actor"."user"."uid" AS "actor_id",
  coalesce(nullif("e"."actor"."user"."name", 'unknown'), "a"."user_name") AS "actor_name",
  "a"."person_key" AS "actor_person_key",
  coalesce("e"."actor"."app_uid", "app"."id") AS "app_id",
  coalesce("e"."actor"."app_name", "app"."name") AS "app_name",
  coalesce("e"."metadata"."tenant_uid", "app"."pool_id") AS "pool_id",
  "pool"."name" AS "pool_name",
  coalesce("e"."http_request"."http_method", element_at("e"."unmapped", 'http_request.http_method')) AS "method",
  "e"."src_endpoint"."ip" AS "ip",
  "e"."src_endpoint"."location"."city" AS "city",
  "e"."src_endpoint"."location"."country" AS "country",
  "e"."http_request"."user_agent" AS "user_agent",
  "e"."is_mfa" AS "is_mfa",
  "e"."http_request"."url"."path" AS "request_path",
  "e"."api"."request"."data" AS "request",
  "e"."privileges" AS "privileges",
  "e"."policy"."name" AS "policy_name",
  "e"."group"."uid" AS "group_uid",
  "e"."group"."name" AS "group_name",
  "e"."entity"."type" AS "entity_type",
  "e"."entity"."name" AS "entity_name",
  "e"."cloud"."account"."uid" AS "account_id",
  "e"."cloud"."region" AS "region",
  "e"."metadata"."product"."name" AS "product",
  "e"."metadata"."labels" AS "labels",
  "e"."metadata"."uid" AS "uid",
  "e"."raw_data" AS "raw_data",
  "e"."source" AS "source",
  "e"."dt" AS "dt"
FROM "audit"."events" AS "e"
LEFT JOIN "person" AS "u" ON "u"."user_id" = "e"."user"."uid"
LEFT JOIN "person" AS "a" ON "a"."user_id" = "e"."actor"."user"."uid"
LEFT JOIN "named" AS "app" ON "app"."section" = 'client' AND "app"."id" = coalesce("e"."actor"."app_uid", "e"."service"."uid")
LEFT JOIN "named" AS "pool" ON "pool"."section" <> 'client' AND "pool"."id" = coalesce("e"."metadata"."tenant_uid", "app"."pool_id")
