// Package auth0 reads Auth0 tenants: [Logs] is the source of tenant logs.
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
// # What it does not do
//
// It does not scrub, map or judge records: each element of a page is handed on
// byte by byte, whatever it holds. It does not deduplicate: overlap records
// come again. Users are another source.
package auth0
