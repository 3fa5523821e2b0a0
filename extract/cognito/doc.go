// Package cognito reads Amazon Cognito: [Source] is the source of one user
// pool's users, their groups, and the pool's settings.
//
// # How a snapshot is read
//
// Every run is a whole snapshot: ListUsers knows no filter by date. First come
// the settings, a record a section; then ListGroups and ListUsersInGroup for
// every group (far cheaper than a call for every user), kept in memory at 16
// bytes a membership; then the users, in shards by the first digits of their
// sub, some of them at a time under one rate limit. Each user is landed as one
// line that wraps the vendor's own JSON, cut verbatim out of the answer:
//
//	{"user":{"Username":…,"Attributes":[…],…},"groups":["admin"],"mfa":{…}}
//
// groups is null where memberships were not read; mfa is there only for users
// AdminGetUser was asked for.
//
// The cursor names the snapshot, when it began, and the shards read to their
// end. A run that finds it unfinished and less than six hours old reads the
// other shards; whoever lands the records drops those that come again. Page
// tokens never leave a run: they expire after an hour.
//
// A snapshot is not atomic. Who is found in a group but was not listed is
// looked up by sub, so that a user who moved between pages is not lost; who is
// found in neither may still exist.
//
// # What it does not do
//
// It writes nothing to AWS. It never sets AttributesToGet (an error where a user
// lacks an attribute), never reads events of users, and, apart from the secrets
// of clients and providers, which it replaces by fingerprints, hands on what the
// vendor says.
package cognito
