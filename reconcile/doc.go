// Package reconcile compares the accounts of two sources: it decides which
// accounts belong to one person, what differs between them, and which account
// has no partner; and it writes the reports people read.
//
// It compares complete snapshots only, and trusts no claim that anyone can make
// for himself: an address that is not verified on both sides, or a user name
// that merely looks the same, never links two accounts.
//
// Either side may be Auth0 or Cognito. The answer is the same, mirrored, when
// the sides are swapped, and does not depend on the order the accounts are read
// in.
//
// # How accounts are matched
//
// Rules are tried in order. A rule links two accounts when its key names
// exactly one account on each side, counted over the whole snapshots, and
// neither account has another candidate under the same rule. The first link
// stays; a later rule that would link differently is reported as a conflict.
//
//	K1         an attribute configured for it holds the other account's id
//	K2         a federated identity is the other side's Auth0 user_id
//	K2-nocase  the same, upper and lower case made equal: case-insensitive pools
//	           lower-case the names of federated users
//	K3         the same account of a social provider stands behind both
//	K3-nocase  the same, upper and lower case made equal
//	K4         the same e-mail address, verified on both sides
//	K5         the same phone number, verified on both sides
//
// The attribute of K1 must not be writable by the users themselves.
//
// # What it is not
//
// It reads no source, no lake and no state, and changes no account. Rows are
// handed out as Go values; who stores them is not its business.
package reconcile
