// Package auth0 reads Auth0 tenants: [Logs] is the source of tenant logs, [Users]
// the source of users.
//
// # How logs are read
//
// Checkpoint paging of GET /api/v2/logs: from (exclusive, ascending by log_id)
// and take. The cursor is the last log_id, never a date and never Auth0's next
// link: dates are not in the order of ids, and links expire. A first run begins
// at a made-up id; Auth0 takes any id as a position in the order.
//
// Every run first reads the records shortly before its cursor again (Overlap),
// because Auth0 does not promise that a record never appears below an id
// already returned. The same reading proves that the cursor's own record still
// exists: where it does not, retention has passed the cursor, and the span that
// may have been lost is declared as a gap.
//
// A run ends on an empty array, or with the page that passes the instant the
// run began at (by the server's clock): a busy tenant never answers empty. A
// short page ends nothing: the server may cap pages below what was asked for.
//
// # How users are read
//
// A snapshot begins with an export job, which Auth0 works on while the rest is
// read: first settings, a page of records for each page of a list; then who has
// which role and is a member of which organization, from the side of the roles
// and organizations, since that takes a call for every hundred memberships and
// not several for every user. Then the export's file is downloaded and each of
// its lines joined with them:
//
//	{"user":<the line as it stands>,"roles":[{"id","name"}],
//	 "organizations":[{"id","name","roles":[{"id","name"}]}]}
//
// What the application may not read, and what is switched off, is left out of
// that, and a setting (role_members, organization_members,
// organization_member_roles) says why: a reader must not take it for "none".
//
// The search of users is not used: it ends at 1,000 and lags. Only its total is
// compared, and a difference warned of; but an export that is empty while there
// are users is an error.
//
// A link to the file is good for a minute and is asked for right before each
// download; no token goes with it. A file counts as whole only when its transfer
// and its compression ended as they should; a download that is cut off begins
// again, and what was given before is counted over, not kept.
//
// A snapshot that was left is gone on with for 6 hours, as long as its job and
// the bytes of its file are the same; its memberships are read again. Else
// another one is begun.
//
// Secrets in settings (of connections, applications, log streams) are replaced
// by fingerprints, which differ where the secret differs and say nothing else.
//
// # What it does not do
//
// It does not scrub, map or judge records: each element of a page and each line
// of an export is handed on byte by byte, whatever it holds. It does not
// deduplicate: overlap records come again. Of users it does not see what takes a
// call each: enrollments, brute-force blocks, roles by groups.
package auth0
