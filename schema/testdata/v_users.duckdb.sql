CREATE OR REPLACE VIEW "v_users" AS
WITH "person" AS (
  SELECT "user_id", "user_name", "person_key"
  FROM (
    SELECT "user_id", "user_name", "person_key",
      row_number() OVER (
        PARTITION BY "user_id"
        ORDER BY CASE WHEN "valid_to" IS NULL THEN 0 ELSE 1 END, CASE WHEN "link_rule" IS NULL THEN 1 ELSE 0 END,
          "valid_to" DESC, "valid_from" DESC, "source"
      ) AS "nth"
    FROM "persons"
  ) AS "ranked"
  WHERE "nth" = 1
), "newest" AS (
  SELECT "source", "dt", "snapshot_id", "begin_at"
  FROM (
    SELECT "source", "dt", "snapshot_id", "begin_at",
      row_number() OVER (PARTITION BY "source" ORDER BY "begin_at" DESC, "snapshot_id" DESC) AS "nth"
    FROM "snapshots"
  ) AS "ranked"
  WHERE "nth" = 1
)
SELECT
  "u"."snapshot_id" AS "snapshot_id",
  "u"."user_id" AS "user_id",
  "u"."user_name" AS "user_name",
  "u"."user_name_norm" AS "user_name_norm",
  "u"."active" AS "active",
  "u"."status" AS "status",
  "u"."status_raw" AS "status_raw",
  "u"."name_formatted" AS "name_formatted",
  "u"."given_name" AS "given_name",
  "u"."family_name" AS "family_name",
  "u"."nickname" AS "nickname",
  "u"."locale" AS "locale",
  "u"."zoneinfo" AS "zoneinfo",
  "u"."email" AS "email",
  "u"."email_norm" AS "email_norm",
  "u"."email_verified" AS "email_verified",
  "u"."phone" AS "phone",
  "u"."phone_e164" AS "phone_e164",
  "u"."phone_verified" AS "phone_verified",
  "u"."mfa_enabled" AS "mfa_enabled",
  "u"."mfa_factors" AS "mfa_factors",
  "u"."groups" AS "groups",
  "u"."roles" AS "roles",
  "u"."organizations" AS "organizations",
  "u"."identities" AS "identities",
  "u"."connection" AS "connection",
  "u"."link_id" AS "link_id",
  "u"."created_at" AS "created_at",
  "u"."updated_at" AS "updated_at",
  "u"."last_login_at" AS "last_login_at",
  "u"."attributes" AS "attributes",
  "u"."raw_data" AS "raw_data",
  "p"."person_key" AS "person_key",
  "n"."begin_at" AS "snapshot_at",
  "u"."source" AS "source",
  "u"."dt" AS "dt"
FROM "users" AS "u"
JOIN "newest" AS "n" ON "n"."source" = "u"."source" AND "n"."dt" = "u"."dt" AND "n"."snapshot_id" = "u"."snapshot_id"
LEFT JOIN "person" AS "p" ON "p"."user_id" = "u"."user_id"
