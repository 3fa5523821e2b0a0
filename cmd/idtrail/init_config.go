package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/internal/config"
)

// What init may read of an Auth0 tenant.
const (
	readLog   = "log"
	readUsers = "users"
	readBoth  = "both"
)

// trailHistory is the answer that reads CloudTrail without a trail.
const trailHistory = "history"

// The jobs that init writes, where users are not to be read as often as events.
const (
	jobOften   = "audit"
	jobNightly = "nightly"
)

// answers are what init asks for.
type answers struct {
	lake, state string

	auth0     string // tenant
	auth0Read string // log, users or both
	pool      string // id of a user pool
	trail     string // bucket, with a prefix maybe, or history
	awsRegion string

	// files, which begins with y for yes, leads to the questions below it: for
	// directories, globs or places in S3.
	files                    string
	auth0Logs, auth0Users    string
	cloudTrail, cognitoUsers string

	// siem, which begins with y for yes, leads to the questions below it: a site
	// of Datadog, and URLs.
	siem                  string
	datadog, splunk, otlp string
}

// initSource is a source of the config to write.
type initSource struct {
	name  string
	users bool
	// text is all but its name.
	text string
}

// file is the text of the config.
func (w *answers) file() (string, error) {
	if !slices.Contains([]string{readLog, readUsers, readBoth}, w.auth0Read) {
		return "", usage("write log, users or both", "%s is nothing to read of an Auth0 tenant", printable(w.auth0Read))
	}
	sources := w.sources()
	if len(sources) == 0 {
		return "", usage("name one, as in: idtrail init --auth0 acme.eu.auth0.com", "there is nothing to read")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Config of idtrail. Relative paths count from this file. Every other key, with\n"+
		"# its default, is in idtrail.example.yaml; an unknown key is an error.\n\n"+
		"# What was read and delivered: one SQLite file a source, on a local disk.\nstate: %s\n\n"+
		"# The tables; raw records, the evidence, go to raw/ in it.\nlake: %s\n\n",
		strconv.Quote(w.state), strconv.Quote(w.lake))
	if connections := w.auth0Connection() + w.awsConnection(); connections != "" {
		b.WriteString("connections:\n" + connections + "\n")
	}
	b.WriteString("# A name is for good: a renamed source begins anew.\nsources:\n")
	for _, s := range sources {
		fmt.Fprintf(&b, "  - name: %s\n%s", s.name, s.text)
	}
	b.WriteString("\n# Few large files are fast to query: a source is flushed once in this time.\n" +
		"sinks:\n  - name: lake\n    kind: parquet\n    every: 1h\n" + w.sinkTexts())
	left, right := w.sides()
	if left != "" && right != "" {
		fmt.Fprintf(&b, "\n# Compare the users of both sides; scope says who is expected on both.\n"+
			"reconcile:\n  - left: %s\n    right: %s\n", left, right)
	}
	if hasJobs(sources) {
		b.WriteString(jobsText(sources, left != "" && right != ""))
	}
	return b.String(), nil
}

// auth0Connection is the tenant's, with the scopes its sources use.
func (w *answers) auth0Connection() string {
	if w.auth0 == "" {
		return ""
	}
	var scopes []string
	if w.auth0Read != readUsers {
		scopes = append(scopes, "read:logs")
	}
	if w.auth0Read != readLog {
		scopes = append(scopes, auth0.UsersOptions{}.Scopes()...)
	}
	return fmt.Sprintf("  auth0:\n    auth0: %s\n"+
		"    # A machine-to-machine application that may use the Management API, with\n    # the scopes\n%s"+
		"    client_id: \"${env:AUTH0_CLIENT_ID}\"\n    client_secret: \"${env:AUTH0_CLIENT_SECRET}\"\n",
		strconv.Quote(w.auth0), comment(scopes))
}

// comment writes words as lines of comment.
func comment(words []string) string {
	const width = 78
	var b strings.Builder
	line := "    #  "
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "    #  "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

func (w *answers) awsConnection() string {
	if !w.usesAWS() {
		return ""
	}
	return fmt.Sprintf("  aws:\n    # Credentials are found as the AWS SDK does: environment, profile, role. The\n"+
		"    # rights they need are printed by idtrail policy; role_arn names a role to assume.\n"+
		"    aws: {region: %s}\n", strconv.Quote(w.region()))
}

// usesAWS says whether there is a connection for AWS. Without a region there
// would be nothing in it.
func (w *answers) usesAWS() bool {
	return (w.pool != "" || w.trail != "") && w.region() != ""
}

// region is the one said, else the user pool's.
func (w *answers) region() string {
	if w.awsRegion != "" {
		return w.awsRegion
	}
	region, _, ok := strings.Cut(w.pool, "_")
	if !ok {
		return ""
	}
	return region
}

// noFiles says that no flag named files.
func (w *answers) noFiles() bool {
	return w.auth0Logs+w.cloudTrail+w.auth0Users+w.cognitoUsers == ""
}

func (w *answers) environment() []string {
	names := []string{}
	if w.auth0 != "" {
		names = append(names, "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET")
	}
	return append(names, w.sinkEnvironment()...)
}

// sources are those of the answers: what is read live, then files.
func (w *answers) sources() []initSource {
	var all []initSource
	if w.auth0 != "" && w.auth0Read != readUsers {
		all = append(all, initSource{"auth0_logs", false, "    kind: auth0_logs\n    connection: auth0\n" +
			"    # Where the first run begins; Auth0 keeps 1 to 30 days, by plan.\n    since: 30d\n"})
	}
	if w.trail != "" {
		all = append(all, initSource{"cloudtrail", false, w.trailText()})
	}
	if w.auth0 != "" && w.auth0Read != readLog {
		all = append(all, initSource{"auth0_users", true, "    kind: auth0_users\n    connection: auth0\n" + everyText})
	}
	if w.pool != "" {
		all = append(all, initSource{"cognito_users", true, "    kind: cognito_users\n" + w.awsLine() +
			"    user_pool_id: " + strconv.Quote(w.pool) + "\n" + everyText})
	}
	return append(all, w.archives()...)
}

// everyText keeps a run that comes too often from reading everybody again.
const everyText = "    # A run that comes sooner than this after a complete snapshot reads nothing.\n    every: 12h\n"

// eventSourcesText names the default, to show what can be changed.
const eventSourcesText = "    # The services to keep; [all] keeps everything.\n" +
	"    event_sources: [cognito-idp, cognito-identity, signin, sts, iam]\n"

func (w *answers) awsLine() string {
	if !w.usesAWS() {
		return ""
	}
	return "    connection: aws\n"
}

func (w *answers) trailText() string {
	if w.trail == trailHistory {
		text := "    kind: cloudtrail_lookup\n" + w.awsLine()
		if region := w.region(); region != "" {
			text += "    # IAM and global sign-ins are recorded in one region for all.\n    regions: [" + quoted(withGlobal(region)) + "]\n"
		}
		return text + eventSourcesText
	}
	// Whoever pastes the place of the files means what stands before AWSLogs/.
	place, _, _ := strings.Cut(strings.TrimPrefix(w.trail, "s3://"), "AWSLogs")
	bucket, prefix, _ := strings.Cut(strings.TrimRight(place, "/"), "/")
	text := "    kind: cloudtrail_trail\n" + w.awsLine() + "    bucket: " + strconv.Quote(bucket) + "\n"
	if prefix != "" {
		text += "    prefix: " + strconv.Quote(prefix) + "\n"
	}
	return text + "    # Where the first run begins, by the day of the files.\n    since: 90d\n" + eventSourcesText
}

// withGlobal adds the region that records for all others of its partition.
func withGlobal(region string) []string {
	home := "us-east-1"
	switch {
	case strings.HasPrefix(region, "cn-"):
		home = "cn-north-1"
	case strings.HasPrefix(region, "us-gov-"):
		home = "us-gov-west-1"
	}
	return slices.Compact([]string{region, home})
}

func quoted(words []string) string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = strconv.Quote(word)
	}
	return strings.Join(all, ", ")
}

// archives are the sources of files. Their names differ from those of the live
// sources, beside which they may stand.
func (w *answers) archives() []initSource {
	const snapshot = "    # Each file is a complete snapshot.\n    snapshot: file\n"
	var all []initSource
	for _, a := range []struct {
		name, format, path, more string
		users                    bool
	}{
		{"auth0_log_files", config.FormatAuth0Logs, w.auth0Logs, "", false},
		{"cloudtrail_files", config.FormatCloudTrail, w.cloudTrail, eventSourcesText, false},
		{"auth0_user_files", config.FormatAuth0Users, w.auth0Users, snapshot, true},
		{"cognito_user_files", config.FormatCognitoUsers, w.cognitoUsers, snapshot, true},
	} {
		if a.path == "" {
			continue
		}
		all = append(all, initSource{a.name, a.users, fmt.Sprintf("    kind: archive\n    format: %s\n    path: %s\n"+
			"    # Look for new files in every run.\n    poll: true\n%s", a.format, strconv.Quote(a.path), a.more)})
	}
	return all
}

// sides are the sources of users to compare, live ones first; "" is none.
func (w *answers) sides() (left, right string) {
	for _, s := range w.sources() {
		switch {
		case !s.users:
		case strings.HasPrefix(s.name, "auth0") && left == "":
			left = s.name
		case strings.HasPrefix(s.name, "cognito") && right == "":
			right = s.name
		}
	}
	return left, right
}

// hasJobs says whether events and users are to be read, and so not alike often.
func hasJobs(sources []initSource) bool {
	users := func(s initSource) bool { return s.users }
	events := func(s initSource) bool { return !s.users }
	return slices.ContainsFunc(sources, users) && slices.ContainsFunc(sources, events)
}

func jobsText(sources []initSource, reconcile bool) string {
	var events, users []string
	for _, s := range sources {
		if s.users {
			users = append(users, s.name)
		} else {
			events = append(events, s.name)
		}
	}
	text := fmt.Sprintf("\n# Two lines of cron: events often, users once a night. Without a job's name, run\n# does both.\njobs:\n"+
		"  %s:\n    sources: [%s]\n  %s:\n    sources: [%s]\n",
		jobOften, strings.Join(events, ", "), jobNightly, strings.Join(users, ", "))
	if reconcile {
		text += "    reconcile: true\n"
	}
	return text
}
