CREATE OR REPLACE VIEW "audit"."v_drift" AS
WITH "compared" AS (
  SELECT *,
    rank() OVER (PARTITION BY "left_source", "right_source" ORDER BY "compared_at" DESC) AS "nth",
    min("compared_at") OVER (
      PARTITION BY "left_source", "right_source", "type", "left_id", "right_id", "rule", "field"
    ) AS "first_seen_at"
  FROM "audit"."drift"
), "newest" AS (
  SELECT "source", max("begin_at") AS "begin_at"
  FROM "audit"."snapshots"
  GROUP BY "source"
), "snapshot" AS (
  SELECT "s"."source" AS "source", "s"."snapshot_id" AS "snapshot_id"
  FROM "audit"."snapshots" AS "s"
  JOIN "newest" AS "n" ON "n"."source" = "s"."source" AND "n"."begin_at" = "s"."begin_at"
  GROUP BY "s"."source", "s"."snapshot_id"
), "person" AS (
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
)
SELECT
  "d"."compared_at" AS "compared_at",
  "d"."type" AS "type",
  "d"."severity" AS "severity",
  "d"."confidence" AS "confidence",
  "d"."person_key" AS "person_key",
  "d"."left_source" AS "left_source",
  "d"."left_id" AS "left_id",
  coalesce("d"."left_name", "l"."user_name") AS "left_name",
  "d"."right_source" AS "right_source",
  "d"."right_id" AS "right_id",
  coalesce("d"."right_name", "r"."user_name") AS "right_name",
  "d"."rule" AS "rule",
  "d"."field" AS "field",
  "d"."left_value" AS "left_value",
  "d"."right_value" AS "right_value",
  "d"."detail" AS "detail",
  "d"."first_seen_at" AS "first_seen_at",
  "ls"."source" IS NOT NULL AND "rs"."source" IS NOT NULL AS "is_current",
  "d"."left_snapshot" AS "left_snapshot",
  "d"."right_snapshot" AS "right_snapshot",
  "d"."dt" AS "dt"
FROM "compared" AS "d"
LEFT JOIN "snapshot" AS "ls" ON "ls"."source" = "d"."left_source" AND "ls"."snapshot_id" = "d"."left_snapshot"
LEFT JOIN "snapshot" AS "rs" ON "rs"."source" = "d"."right_source" AND "rs"."snapshot_id" = "d"."right_snapshot"
LEFT JOIN "person" AS "l" ON "l"."user_id" = "d"."left_id"
LEFT JOIN "person" AS "r" ON "r"."user_id" = "d"."right_id"
WHERE "d"."nth" = 1
