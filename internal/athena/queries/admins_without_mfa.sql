-- title: Administrators without MFA
-- shows: Accounts that may sign in, have a role or are in a group of that name, and are known to have no second factor, or are not known to have one: the latter were not asked for (see mfa: of the source).
-- parameter: admins = admin|owner|root|superuser|security : regular expression of the names of roles and groups, in lower case
SELECT
  source,
  user_id,
  user_name,
  email,
  person_key,
  CASE WHEN mfa_enabled IS NULL THEN 'not known' ELSE 'none' END AS mfa,
  {{join "roles"}} AS roles,
  {{join "\"groups\""}} AS in_groups,
  last_login_at
FROM {{table "v_users"}}
WHERE active
  AND mfa_enabled IS DISTINCT FROM true
  AND (
    coalesce({{matches (print "lower(" (join "roles") ")") .admins}}, false)
    OR coalesce({{matches (print "lower(" (join "\"groups\"") ")") .admins}}, false)
  )
ORDER BY mfa DESC, source, user_name
