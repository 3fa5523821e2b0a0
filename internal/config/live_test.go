package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

// live is base with one more source.
func live(source string) string { return base + "  - " + source + "\n" }

func TestLiveDefaults(t *testing.T) {
	c := mustParse(t, live(`{name: a, kind: auth0_users, connection: acme}
  - {name: p, kind: cognito_users, user_pool_id: eu-west-1_P}
  - {name: l, kind: cloudtrail_lookup, event_sources: [iam], regions: [us-east-1]}
  - {name: t, kind: cloudtrail_trail, bucket: trail, event_sources: [sso.amazonaws.com]}
  - {name: k, kind: cloudtrail_trail, bucket: trail, public_keys: keys.pem, event_sources: [kms]}`))
	source := func(name string) config.Source {
		s, ok := c.Source(name)
		if !ok {
			t.Fatalf("no source %s", name)
		}
		return s
	}
	days := config.Since{Span: 90 * 24 * time.Hour}
	for _, tt := range []struct{ got, want any }{
		{*source("a").Auth0Users, config.Auth0Users{Connection: "acme", Roles: true, Organizations: true, Settings: true}},
		{*source("p").CognitoUsers, config.CognitoUsers{UserPoolID: "eu-west-1_P", Groups: true, Settings: true}},
		{*source("l").CloudTrailLookup, config.CloudTrailLookup{Regions: []string{"us-east-1"}, Since: days, EventSources: []string{"iam"}}},
		{*source("t").CloudTrailTrail, config.CloudTrailTrail{Bucket: "trail", Since: days, EventSources: []string{"sso"}, Digests: true}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", tt.want, diff)
		}
	}
	if got := source("k").CloudTrailTrail.PublicKeys; got != "/etc/idtrail/keys.pem" {
		t.Errorf("public keys: got %s, want the path from the file's folder", got)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("got warnings %v, want none", c.Warnings)
	}
	for _, name := range []string{"a", "p", "left"} {
		if !source(name).Users() {
			t.Errorf("%s is no source of users", name)
		}
	}
}

func TestUserOptions(t *testing.T) {
	keys := `phone_region: DE, attributes: [x], link_attribute: y}`
	c := mustParse(t, live(`{name: a, kind: auth0_users, connection: acme, `+keys+`
  - {name: p, kind: cognito_users, user_pool_id: eu-west-1_P, `+keys+`
  - {name: f, kind: archive, format: cognito_users, path: in/f, `+keys))
	want := config.UserOptions{PhoneRegion: "DE", Attributes: []string{"x"}, LinkAttribute: "y"}
	for _, name := range []string{"a", "p", "f"} {
		s, _ := c.Source(name)
		if diff := cmp.Diff(want, s.UserOptions()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if s, _ := c.Source("acme"); s.UserOptions().PhoneRegion != "" {
		t.Error("a log has options of users")
	}
}

func TestReconcileLive(t *testing.T) {
	text := live(`{name: a, kind: auth0_users, connection: acme, attributes: [app_metadata.plan]}
  - {name: p, kind: cognito_users, user_pool_id: eu-west-1_P}
reconcile:
  - {left: a, right: p, attributes: [{left: app_metadata.plan, right: "custom:plan"}]}`)
	if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), `p does not keep "custom:plan"`) {
		t.Errorf("got error %v, want that p does not keep the attribute", err)
	}
	mustParse(t, strings.Replace(text, "eu-west-1_P}", `eu-west-1_P, attributes: ["custom:plan"]}`, 1))
}

func TestLiveProblems(t *testing.T) {
	const (
		users  = "{name: n, kind: auth0_users, connection: %s}"
		pool   = "{name: n, kind: cognito_users, %s}"
		lookup = "{name: n, kind: cloudtrail_lookup, %s}"
		trail  = "{name: n, kind: cloudtrail_trail, %s}"
	)
	tests := []struct{ form, keys, want string }{
		{users, "prod", "prod is not an auth0 connection"},
		{users, "nobody", `there is no connection "nobody"`},
		{users, "acme, rate: 0", "rate: must be above 0 and at most 1000"},
		{users, "acme, phone_region: Germany", "is no country"},
		{users, "acme, user_pool_id: x", `unknown key "user_pool_id"`},
		{pool, "connection: prod", "user_pool_id: is missing"},
		{pool, "user_pool_id: pool", `"pool" is no user pool's id`},
		{pool, "user_pool_id: eu-west-1_P, connection: acme", "acme is not an aws connection"},
		{pool, "user_pool_id: eu-west-1_P, rate: 31", "rate: must be above 0 and at most 30"},
		{pool, "user_pool_id: eu-west-1_P, shards: 10", "shards: must be 1, 16 or 256"},
		{pool, "user_pool_id: eu-west-1_P, shards: 0", "shards: must be 1, 16 or 256"},
		{pool, "user_pool_id: eu-west-1_P, identity_pools: [x]", `identity_pools[0]: "x" is no identity pool's id`},
		{pool, "user_pool_id: eu-west-1_P, groups: false, mfa: {groups: [a]}", "mfa.groups: are not known without groups"},
		{pool, "user_pool_id: eu-west-1_P, mfa: {users: [a]}", `unknown key "users"`},
		{lookup, "since: 91d", "since: is longer than 90d"},
		{lookup, "rate: 3", "rate: must be above 0 and at most 2"},
		{lookup, "regions: [Ireland]", `regions[0]: "Ireland" is no region`},
		{lookup, `account: "12"`, `account: "12" is no account`},
		{lookup, "account: 123456789012", "account: must be text (in quotes), but is a number"},
		{lookup, "window: 0s", "window: must be longer than nothing"},
		{lookup, "overlap: 0s", "overlap: must be longer than nothing"},
		{lookup, "event_sources: []", "event_sources: is empty"},
		{lookup, "event_sources: [all, iam]", "[all] stands alone"},
		{trail, "prefix: x", "bucket: is missing"},
		{trail, "bucket: s3://b/x", "bucket: must be the bucket's name alone"},
		{trail, "bucket: My_Bucket", "is no bucket name"},
		{trail, "bucket: trail, prefix: x/AWSLogs/1", "prefix: is what stands before AWSLogs/"},
		{trail, "bucket: trail, organization: acme", `organization: "acme" is no organization's id`},
		{trail, `bucket: trail, accounts: ["1"]`, `accounts[0]: "1" is no account`},
		{trail, "bucket: trail, regions: [x]", `regions[0]: "x" is no region`},
		{trail, "bucket: trail, relist: 0s", "relist: must be longer than nothing"},
		{trail, "bucket: trail, digests: false, public_keys: k", "public_keys: are for digests"},
		{trail, "bucket: trail, public_keys: s3://b/k", "public_keys: must be a file"},
		{trail, "bucket: trail, original_bucket: X", "original_bucket: \"X\" is no bucket name"},
	}
	for _, tt := range tests {
		text := live(fmt.Sprintf(tt.form, tt.keys))
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot error: %v\nwant: %s", text, err, tt.want)
		}
	}
}

// Two sources of the same records are allowed, and warned of once.
func TestLiveWarnings(t *testing.T) {
	const (
		regional = "event_sources: [cognito-idp]"
		history  = "{name: l, kind: cloudtrail_lookup, connection: prod, " + regional + "%s}"
		trail    = "{name: t, kind: cloudtrail_trail, bucket: trail, " + regional + "%s}"
		files    = "{name: f, kind: archive, format: cloudtrail, path: in/trail, " + regional + "}"
	)
	lookup := func(more string) string { return fmt.Sprintf(history, more) }
	bucket := func(more string) string { return fmt.Sprintf(trail, more) }
	second := func(s string) string { return strings.Replace(s, "{name: ", "{name: x", 1) }
	tests := []struct {
		name    string
		sources []string
		want    string // in the one warning; "" for none
	}{
		{"history and trail", []string{lookup(""), bucket("")}, "sources[4]: l may give the same CloudTrail events"},
		{"history and files", []string{lookup(""), files}, "l may give the same"},
		{"trail and files", []string{bucket(""), files}, "t may give the same"},
		{"other services", []string{lookup(""), strings.Replace(bucket(""), "cognito-idp", "sts", 1)}, ""},
		{"all services", []string{lookup(""), strings.Replace(bucket(""), "cognito-idp", "all", 1)}, "l may give the same"},
		{"other regions", []string{lookup(", regions: [us-east-1]"), bucket(", regions: [eu-west-1]")}, ""},
		{"one trail twice", []string{bucket(""), second(bucket(""))}, "t may give the same"},
		{"a trail of two accounts", []string{bucket(`, accounts: ["111111111111"]`), second(bucket(`, accounts: ["222222222222"]`))}, ""},
		{"two trails", []string{bucket(""), strings.Replace(second(bucket("")), "bucket: trail", "bucket: other", 1)}, ""},
		{"one account's history twice", []string{lookup(""), second(lookup(""))}, "l may give the same"},
		{"two folders", []string{files, strings.Replace(second(files), "in/trail", "in/other", 1)}, ""},
		{"one pool twice", []string{
			"{name: p, kind: cognito_users, user_pool_id: eu-west-1_P}", "{name: q, kind: cognito_users, user_pool_id: eu-west-1_P}",
		}, "sources[4].user_pool_id: p reads the same users"},
		{"one tenant twice", []string{
			"{name: p, kind: auth0_users, connection: acme}", "{name: q, kind: auth0_users, connection: acme}",
		}, "sources[4].connection: p reads the same users"},
		{"users and log of a tenant", []string{"{name: p, kind: auth0_users, connection: acme}"}, ""},
		{"iam without its region", []string{"{name: l, kind: cloudtrail_lookup, connection: prod}"}, "IAM and global sign-ins are recorded in us-east-1"},
		{"a region nobody knows", []string{"{name: l, kind: cloudtrail_lookup}"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, live(strings.Join(tt.sources, "\n  - ")))
			var got []string
			for _, w := range c.Warnings {
				got = append(got, w.Key+": "+w.Message)
			}
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("got %q, want none", got)
			case tt.want != "" && (len(got) != 1 || !slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, tt.want) })):
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
