-- title: A country new for a user
-- shows: The first sign-in of a person from a country, where earlier ones are known from others. Only logs that name the country can tell: Auth0's do.
-- parameter: days = 7 : how many days back a country counts as new, today besides
-- parameter: history = 90 : how many days back earlier sign-ins are looked for
WITH logon AS (
  SELECT
    dt, time, source, ip, country, city,
    coalesce(person_key, user_id) AS who,
    coalesce(user_name, user_id) AS user_name
  FROM {{table "v_events"}}
  WHERE dt >= {{day .history}}
    AND class_uid = 3002 AND activity_id = 1 AND status_id = 1
    AND country IS NOT NULL AND coalesce(person_key, user_id) IS NOT NULL
), seen AS (
  SELECT who, country, min(time) AS first_at
  FROM logon
  GROUP BY who, country
), earlier AS (
  SELECT s.who AS who, s.country AS country, count(*) AS countries, {{all "e.country"}} AS known
  FROM seen AS s
  JOIN seen AS e ON e.who = s.who AND e.first_at < s.first_at
  GROUP BY s.who, s.country
)
SELECT
  s.first_at,
  s.who,
  max(l.user_name) AS user_name,
  max(l.source) AS source,
  s.country,
  max(l.city) AS city,
  max(l.ip) AS ip,
  max(b.known) AS known_countries
FROM seen AS s
JOIN earlier AS b ON b.who = s.who AND b.country = s.country
JOIN logon AS l ON l.who = s.who AND l.country = s.country AND l.time = s.first_at
GROUP BY s.first_at, s.who, s.country
HAVING min(l.dt) >= {{day .days}}
ORDER BY s.first_at DESC, s.who
