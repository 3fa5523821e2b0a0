// Package cloudtrail reads AWS CloudTrail: [Lookup] asks its LookupEvents API,
// [Trail] reads the files a trail writes to S3.
//
// # Lookup
//
// The API answers newest first, of the last 90 days, one account and region,
// and management events only. So time is read in closed windows, oldest first,
// each to its end with frozen bounds, one pass for every event source; the
// cursor moves when a window is drained, never inside one. Events turn up late,
// and amended ones under a new id: each run reads the last hour again, and once
// a day the last 24. Bounds are shared by neighbours, so some ids come twice.
//
// # Trail
//
// A trail's files are named by when they were delivered, in folders of account,
// region and day. They are read day by day, all accounts and regions of a day
// together; the newest hours are listed again on every run, and which files are
// finished is the ledger's to know. With them come hourly digests, a chain of
// signed lists of the files: they prove that none is missing and none altered.
// What they prove to be lost or changed is declared as a gap, once.
//
// Neither scrubs, maps or drops copies: whoever lands the records does.
package cloudtrail

import "strings"

// IdentitySources are the event sources that are read unless told otherwise.
func IdentitySources() []string {
	return []string{"cognito-idp", "cognito-identity", "signin", "sts", "iam"}
}

// allSources is the word for every event source.
const allSources = "all"

const serviceDomain = ".amazonaws.com"

// fullSource is the name of a service as events bear it.
func fullSource(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if !strings.Contains(name, ".") {
		name += serviceDomain
	}
	return name
}
