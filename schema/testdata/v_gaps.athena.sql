CREATE OR REPLACE VIEW "audit"."v_gaps" AS
SELECT
  "source",
  "gap_from" AS "gap_from",
  "gap_to" AS "gap_to",
  "reason" AS "reason",
  "input" AS "input",
  date_diff('second', "gap_from", "gap_to") AS "seconds",
  min("declared_at") AS "declared_at",
  min("dt") AS "dt"
FROM "audit"."gaps"
GROUP BY "source", "gap_from", "gap_to", "reason", "input"
