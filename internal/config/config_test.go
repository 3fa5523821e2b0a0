package config_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

// base is the shortest good file; tests add to it.
const base = `state: state
lake: lake
connections:
  acme: {auth0: acme.eu.auth0.com, client_id: id, client_secret: "${env:SECRET}"}
  prod: {aws: {region: eu-west-1}}
sources:
  - {name: acme, kind: auth0_logs, connection: acme}
  - {name: left, kind: archive, format: auth0_users, path: in/left, attributes: [app_metadata.plan]}
  - {name: right, kind: archive, format: cognito_users, path: in/right}
`

func options(env map[string]string) config.Options {
	return config.Options{Dir: "/etc/idtrail", Env: lookup(env)}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func parse(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	return config.Parse([]byte(text), "t.yaml", options(map[string]string{"SECRET": hidden, "HOME": "/home/me", "EMPTY": ""}))
}

func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := mustParse(t, base)
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("state", c.State, config.Store{URL: "/etc/idtrail/state"})
	check("directory of the state", c.StateDir(), "/etc/idtrail/state")
	check("manifests", c.Manifests, config.Store{URL: "/etc/idtrail/lake"})
	check("retention", c.Retention, config.Retention{})
	check("lake", c.Lake, config.Store{URL: "/etc/idtrail/lake"})
	check("raw", c.Raw, config.Store{URL: "/etc/idtrail/lake/raw"})
	check("sinks", c.Sinks, []config.Sink{{Name: "lake", Kind: "parquet", Every: time.Hour, MaxBytes: 256 << 20}})
	check("jobs", c.Jobs, []config.Job{{Name: "all", Sources: []string{"acme", "left", "right"}}})
	check("limits", c.Limits, config.Limits{
		SegmentBytes: 8 << 20, SegmentRecords: 10_000, SegmentAge: time.Minute, Delivery: 30 * time.Minute,
		FlushBytes: 2 << 30, Sources: 4, Memory: 32 << 20, TempDir: "/etc/idtrail/state/tmp",
	})
	check("auth0_logs", c.Sources[0], config.Source{Name: "acme", Kind: "auth0_logs", Auth0Logs: &config.Auth0Logs{
		Connection: "acme", Since: config.Since{Span: 30 * 24 * time.Hour}, Overlap: 10 * time.Minute,
	}})
	check("snapshot", c.Sources[1].Archive.Snapshot, config.SnapshotFile)
	check("warnings", c.Warnings, []config.Problem(nil))
	if got := c.Connections["acme"].Auth0.ClientSecret.Reveal(); got != hidden {
		t.Errorf("secret: got %q, want the variable's value", got)
	}
}

func TestDependentDefaults(t *testing.T) {
	text := strings.Replace(base, "connection: acme}", "connection: acme, retention: 5d}", 1) +
		"  - {name: trail, kind: archive, format: cloudtrail, path: s3://trail/a/}\n" +
		"  - {name: trail2, kind: archive, format: cloudtrail, path: x, event_sources: [sso.amazonaws.com]}\n" +
		"reconcile: [{left: left, right: right}]\n"
	text = strings.Replace(text, "lake: lake", "lake: {url: s3://lake/x/, kms_key: k, tags: {a: b}}", 1)
	c := mustParse(t, text)
	if got, want := c.Sources[0].Auth0Logs.Since.Span, 5*24*time.Hour; got != want {
		t.Errorf("since follows retention: got %v, want %v", got, want)
	}
	want := config.Store{URL: "s3://lake/x/raw", KMSKey: "k", Tags: map[string]string{"a": "b"}}
	if diff := cmp.Diff(want, c.Raw); diff != "" {
		t.Errorf("raw follows lake (-want +got):\n%s", diff)
	}
	if !c.Jobs[0].Reconcile || c.Reconcile[0].Compare != nil {
		t.Errorf("got job %+v and compare %v; want the default job to reconcile, and no compare", c.Jobs[0], c.Reconcile[0].Compare)
	}
	trail, _ := c.Source("trail")
	if diff := cmp.Diff([]string{"cognito-idp", "cognito-identity", "signin", "sts", "iam"}, trail.Archive.EventSources); diff != "" {
		t.Errorf("event sources (-want +got):\n%s", diff)
	}
	trail2, _ := c.Source("trail2")
	if got := trail2.Archive.EventSources; !slices.Equal(got, []string{"sso"}) {
		t.Errorf("event sources: got %v, want [sso]", got)
	}
	if trail.Archive.Path != "s3://trail/a/" {
		t.Errorf("path: got %s, want it as it stands", trail.Archive.Path)
	}
}

func TestReferences(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(hidden+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := config.Options{Dir: dir, Env: lookup(map[string]string{"BUCKET": "my-bucket", "YAML": "a: [b"})}
	text := strings.NewReplacer(
		"${env:SECRET}", "${file:secret}",
		"lake: lake", `lake: "s3://${env:BUCKET}/lake"`,
		"client_id: id", `client_id: "$${x} ${env:YAML}"`,
	).Replace(base)
	c, err := config.Parse([]byte(text), "t.yaml", o)
	if err != nil {
		t.Fatal(err)
	}
	a := c.Connections["acme"].Auth0
	if a.ClientSecret.Reveal() != hidden || c.Lake.URL != "s3://my-bucket/lake" || a.ClientID != "${x} a: [b" {
		t.Errorf("got secret %q, lake %q, client id %q", a.ClientSecret.Reveal(), c.Lake.URL, a.ClientID)
	}
}

func TestSkipSecrets(t *testing.T) {
	o := options(nil)
	o.SkipSecrets = true
	c, err := config.Parse([]byte(base), "t.yaml", o)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Connections["acme"].Auth0.ClientSecret.Empty() {
		t.Error("the secret was read")
	}
	if _, err := config.Parse([]byte(strings.Replace(base, "${env:SECRET}", hidden, 1)), "t.yaml", o); err == nil {
		t.Error("a literal secret passed")
	}
	unset := strings.Replace(base, "client_id: id", `client_id: "${env:NOT_SET}"`, 1)
	if _, err := config.Parse([]byte(unset), "t.yaml", o); err != nil {
		t.Errorf("a client id that nobody asked for is missed: %v", err)
	}
	o.SkipSecrets = false
	if _, err := config.Parse([]byte(unset), "t.yaml", o); err == nil {
		t.Error("a client id that is needed is not missed")
	}
}

// TestProblems changes one text of the good file, or adds to its end, and wants
// the message.
func TestProblems(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "lake: lake", "lakes: lake", `2:1: lakes: unknown key "lakes"; did you mean lake?`},
		{"far key", "", "zzzzzz: 1\n", `10:1: zzzzzz: unknown key "zzzzzz"; known: connections, heartbeat, jobs, lake, limits, manifests, notify, raw, reconcile, retention, serve, signing_key, sinks, sources, state, state_cache, timezone, verify_keys`},
		{"null under an unknown key", "", "limitz:\n", `10:1: limitz: unknown key "limitz"; did you mean limits?`},
		{"nested key", "connection: acme}", "conectoin: acme}", `7:36: sources[0].conectoin: unknown key "conectoin"; did you mean connection?`},
		{"duplicate key", "lake: lake", "state: x", `2:1: is not valid YAML: mapping key "state" already defined at [1:1]; keep one of the two`},
		{"text for a list", "", "sinks: parquet\n", "10:8: sinks: must be a list, but is text"},
		{"number for text", "client_id: id", "client_id: 12", "4:47: connections.acme.client_id: must be text (in quotes), but is a number"},
		{"no unit", "connection: acme}", "connection: acme, overlap: 5}", "overlap: must be a span of time with its unit, as in 90s or 7d, but is a number"},
		{"bad span", "connection: acme}", "connection: acme, overlap: 5x}", `overlap: "5x" is no span of time; write 90s`},
		{"bad since", "connection: acme}", "connection: acme, since: monday}", `since: "monday" is neither a span like 7d nor a time`},
		{"bad rate", "connection: acme}", "connection: acme, rate: fast}", "rate: must be a number, but is text"},
		{"negative rate", "connection: acme}", "connection: acme, rate: -1}", "rate: must be above 0"},
		{"bad size", "", "limits: {memory: much}\n", `limits.memory: "much" is no size; write 256MiB`},
		{"small memory", "", "limits: {memory: 1KiB}\n", "limits.memory: must be 1MiB to 1024MiB"},
		{"fraction", "", "limits: {segment_records: 1.5}\n", "segment_records: must be a whole number, but is a number with a fraction"},
		{"yes is text", "", "jobs: {a: {sources: [acme], strict: yes}}\n", "strict: must be true or false, but is text"},
		{"merge key", "", "<<: {a: b}\n", "10:1: <<: merge keys (<<) are not supported; repeat the keys"},
		{"tag", "state: state", "state: !!str state", "state: must be text, but is a value with a tag (!!str)"},
		{"two documents", "", "---\na: b\n", "a second document begins here"},

		{"state missing", "state: state\n", "", "1:1: state: is missing; say where"},
		{"state's bucket", "state: state", "state: s3://b/state", `1:8: state: "b" is no bucket name`},
		{"state without url", "state: state", "state: {region: eu-west-1}", "1:1: state: is missing; say where"},
		{"state is never locked", "state: state", "state: {url: s3://bucket/x, lock: {}}", `unknown key "lock"`},
		{"state within a lake in S3", "state: state\nlake: lake", "state: s3://bucket/lake/state\nlake: s3://bucket/lake", "state: and lake lie within each other"},
		{"cache of a directory", "", "state_cache: x\n", "state_cache: is for a state in S3 only, and /etc/idtrail/state is a directory"},
		{"cache in S3", "state: state", "state: s3://bucket/state\nstate_cache: s3://bucket/x", "state_cache: must be a directory on a local disk"},
		{"cache in the lake", "state: state", "state: s3://bucket/state\nstate_cache: lake/x", "state_cache: and lake lie within each other"},
		{"literal signing key", "", "signing_key: " + hidden + "\n", "signing_key: is a secret and must not stand in the file"},
		{"private key for a public one", "", "verify_keys: [PRIVATE+KEY+" + hidden + "]\n", "verify_keys[0]: is a private key and must not stand in the file; write what idtrail keygen printed"},
		{"no public key", "", "verify_keys: [acme]\n", `verify_keys[0]: "acme" is no public key`},
		{"one key, not a list", "", "verify_keys: acme\n", "verify_keys: must be a list, but is text"},
		{"no retention", "", "retention: {raw: 29d}\n", "retention.raw: must be at least 30d; leave it out to keep everything"},
		{"retention in the wrong unit", "", "retention: {lake: 400m}\n", "retention.lake: must be at least 1d"},
		{"retention of something else", "", "retention: {state: 4d}\n", `retention.state: unknown key "state"`},
		{"manifests in raw", "", "manifests: lake/raw/x\n", "manifests: and raw lie within each other"},
		{"manifests in the lake", "", "manifests: lake/manifests\n", "manifests: lies within the lake"},
		{"lock of a directory", "", "manifests: {lock: {mode: governance, days: 3}}\n", "manifests.lock: is for S3 only, and /etc/idtrail/lake is a directory"},
		{"lake missing", "lake: lake\n", "", "lake: is missing"},
		{"tilde", "lake: lake", "lake: ~/lake", `lake: "~/lake": ~ is not expanded`},
		{"other scheme", "lake: lake", "lake: gs://b/x", "is neither a path nor s3://bucket/prefix"},
		{"bad bucket", "lake: lake", "lake: s3://My_Bucket/x", `"My_Bucket" is no bucket name`},
		{"dots", "lake: lake", "lake: s3://bucket/../x", "has an empty or a .. part"},
		{"kms of a directory", "lake: lake", "lake: {url: lake, kms_key: k}", "lake.kms_key: is for S3 only, and /etc/idtrail/lake is a directory"},
		{"lock of the lake", "lake: lake", "lake: {url: s3://bucket/x, lock: {}}", `unknown key "lock"`},
		{"lock without mode", "", "raw: {url: s3://bucket/x, lock: {days: 3}}\n", "raw.lock.mode: is missing"},
		{"lock without days", "", "raw: {url: s3://bucket/x, lock: {mode: governance}}\n", "raw.lock.days: must be 1 to 36500"},
		{"glacier", "", "raw: {url: s3://bucket/x, storage_class: DEEP_ARCHIVE}\n", `"DEEP_ARCHIVE" cannot be read back at once`},
		{"raw is the lake", "", "raw: lake\n", "raw: is the lake itself"},
		{"raw in a table", "", "raw: lake/events/raw\n", "raw: lies in events/raw of the lake"},
		{"lake within raw", "lake: lake", "lake: raw/lake\nraw: raw", "lake: lies within raw"},
		{"state within lake", "state: state", "state: lake/state", "state: and lake lie within each other"},

		{"unknown connection", "connection: acme}", "connection: acne}", `7:48: sources[0].connection: there is no connection "acne"; did you mean acme?`},
		{"wrong connection", "connection: acme}", "connection: prod}", "prod is not an auth0 connection"},
		{"connection missing", ", connection: acme}", "}", "7:5: sources[0].connection: is missing"},
		{"neither", "{aws: {region: eu-west-1}}", "{gcp: x}", "connections.prod: is neither auth0 nor aws"},
		{"both", "{aws: {region: eu-west-1}}", "{aws: {}, auth0: x}", "connections.prod: names auth0 and aws"},
		{"region", "region: eu-west-1", "region: Ireland", `"Ireland" is no region`},
		{"role", "region: eu-west-1", "role_arn: admin", "is no role's ARN"},
		{"external id alone", "region: eu-west-1", "external_id: x", "goes with a role_arn"},
		{"external id", "region: eu-west-1", `role_arn: "arn:aws:iam::123456789012:role/r", external_id: "a b"`, "connections.prod.aws.external_id: is none that AWS takes"},
		{"store's role", "lake: lake", "lake: {url: s3://bucket/lake, role_arn: admin}", "lake.role_arn: is no role's ARN"},
		{"store's external id", "state: state", "state: {url: s3://bucket/state, external_id: xyz}", "state.external_id: goes with a role_arn"},
		{"role of a directory", "lake: lake", `lake: {url: lake, role_arn: "arn:aws:iam::123456789012:role/r"}`, "lake.role_arn: is for S3 only"},
		{"tenant's ca in s3", "client_id: id", "client_id: id, ca_file: s3://bucket/ca.pem", "connections.acme.ca_file: must be a file"},
		{"plain http", "acme.eu.auth0.com", "http://acme.eu.auth0.com", "plain http would send the secret in the clear"},
		{"like loopback", "acme.eu.auth0.com", "http://localhost.evil.example", "plain http would send the secret in the clear"},
		{"user in the domain", "acme.eu.auth0.com", "http://localhost@evil.example", "has more than a host"},
		{"path in the domain", "acme.eu.auth0.com", "https://acme.eu.auth0.com/api/v2", "has more than a host"},
		{"no host", "acme.eu.auth0.com", "acme eu", `"acme eu" is no host`},
		{"no client id", "client_id: id, ", "", "connections.acme.client_id: is missing"},
		{"no secret", `, client_secret: "${env:SECRET}"`, "", "connections.acme.client_secret: is missing"},
		{"secret and key", "client_id: id", `client_id: id, private_key: "${env:SECRET}"`, "private_key: stands beside client_secret"},
		{"algorithm alone", "client_id: id", "client_id: id, private_key_alg: RS256", "goes with a private_key"},
		{"no overlap", "connection: acme}", "connection: acme, overlap: 0s}", "overlap: must be longer than nothing"},
		{"audience", "client_id: id", "client_id: id, audience: x", "audience: is no URL"},
		{"connection's name", "  prod:", "  Prod:", `connections.Prod: "Prod" is no name`},

		{"no sources", "sources:", "sources: []\nlimits:\n#", "sources: there is none"},
		{"source's name", "name: acme,", "name: 1acme,", `"1acme" is no name`},
		{"name missing", "name: acme, ", "", "sources[0].name: is missing"},
		{"name twice", "name: right", "name: left", `9:12: sources[2].name: there is another "left" before it`},
		{"kind missing", "kind: auth0_logs, ", "", "sources[0].kind: is missing"},
		{"kind unknown", "kind: auth0_logs", "kind: auth0_log", `kind "auth0_log" is unknown; did you mean auth0_logs?`},
		{"format missing", "format: auth0_users, ", "", "sources[1].format: is missing"},
		{"format unknown", "format: auth0_users", "format: auth0_user", `did you mean auth0_users?`},
		{"path missing", "path: in/right", "poll: true", "sources[2].path: is missing"},
		{"same path", "path: in/right", "path: ./in/left", "sources[2].path: left reads the same path"},
		{"reads the lake", "path: in/right", "path: lake/raw", "would read what idtrail writes to lake"},
		{"reads down to the lake", "path: in/right", `path: "./**/*.json"`, "would read what idtrail writes to lake"},
		{"events have no snapshot", "format: cognito_users", "format: cloudtrail, snapshot: all", "snapshot: is for users only"},
		{"users have no services", "format: cognito_users", "format: cognito_users, event_sources: [iam]", "event_sources: is for format cloudtrail only"},
		{"all and more", "format: cognito_users", "format: cloudtrail, event_sources: [all, iam]", "[all] stands alone"},
		{"phone region", "format: cognito_users", "format: cognito_users, phone_region: Germany", "is no country"},
		{"connection of a directory", "format: cognito_users", "format: cognito_users, connection: prod", "connection: is for s3:// only"},
		{"retention below overlap", "connection: acme}", "connection: acme, retention: 1d, overlap: 1d}", "overlap: is as long as retention"},

		{"two sinks of a kind", "", "sinks: [{name: a, kind: json}, {name: b, kind: json}]\n", "10:48: sinks[1].kind: there is a json sink before it"},
		{"sinks of one name", "", "sinks: [{name: a, kind: json}, {name: a, kind: parquet}]\n", `there is another "a" before it`},
		{"tiny flush", "", "sinks: [{name: a, kind: json, max_bytes: 12}]\n", "max_bytes: must be at least 1MiB"},

		{"unknown side", "", "reconcile: [{left: left, right: rigth}]\n", `there is no source "rigth"; did you mean right?`},
		{"no side", "", "reconcile: [{left: left}]\n", "reconcile[0].right: is missing"},
		{"events to reconcile", "", "reconcile: [{left: left, right: acme}]\n", "reconcile[0].right: acme gives events"},
		{"with itself", "", "reconcile: [{left: left, right: left}]\n", "is the same source as left"},
		{"twice", "", "reconcile: [{left: left, right: right}, {left: right, right: left}]\n", "compares right and left again"},
		{"compare", "", "reconcile: [{left: left, right: right, compare: [mail]}]\n", `compare[0]: "mail" is unknown; did you mean email?`},
		{"status", "", "reconcile: [{left: left, right: right, scope: {left: {statuses: [blocked]}}}]\n", `"blocked" is unknown`},
		{"empty pair", "", "reconcile: [{left: left, right: right, group_map: [{}]}]\n", "group_map[0]: names no group"},
		{"attribute not kept", "", "reconcile: [{left: left, right: right, attributes: [{left: app_metadata.plan, right: plan}]}]\n", `attributes[0].right: right does not keep "plan"`},
		{"half an attribute", "", "reconcile: [{left: left, right: right, attributes: [{left: a}]}]\n", "attributes[0]: lacks a side"},

		{"job's source", "", "jobs: {a: {sources: [acme, rigth]}}\n", `jobs.a.sources[1]: there is no source "rigth"; did you mean right?`},
		{"source twice", "", "jobs: {a: {sources: [acme, acme]}}\n", `"acme" stands here twice`},
		{"idle job", "", "jobs: {a: {schedule: '@daily'}}\n", "jobs.a: does nothing"},
		{"nothing to reconcile", "", "jobs: {a: {reconcile: true}}\n", "jobs.a.reconcile: there is nothing to reconcile"},
		{"schedule", "", "jobs: {a: {sources: [acme], schedule: '5 minutes'}}\n", `"5 minutes" is no schedule`},

		{"literal secret", `"${env:SECRET}"`, hidden, "4:66: connections.acme.client_secret: is a secret and must not stand in the file; put it into the environment"},
		{"secret with more", `"${env:SECRET}"`, `"${env:SECRET}` + hidden + `"`, "is a secret and must not stand in the file"},
		{"number as a secret", `"${env:SECRET}"`, "1234567890", "client_secret: must be a reference, but is a number"},
		{"variable not set", "${env:SECRET}", "${env:SECRETS}", "connections.acme.client_secret: the environment variable SECRETS is not set"},
		{"variable empty", "${env:SECRET}", "${env:EMPTY}", "client_secret: ${env:EMPTY} is empty"},
		{"no such file", "${env:SECRET}", "${file:nowhere}", "client_secret: read the file of a reference: open /etc/idtrail/nowhere: no such file"},
		{"no way to secrets manager", "${env:SECRET}", "${secretsmanager:arn#key}", "client_secret: ${secretsmanager:arn#key}: cannot be fetched here; use ${env:NAME}"},
		{"no way to ssm", "client_id: id", `client_id: "${ssm:/x}"`, "client_id: ${ssm:/x}: cannot be fetched here"},
		{"vault for what everybody needs", "lake: lake", `lake: "s3://bucket/${ssm:/x}"`, "lake: ${ssm:…} may stand only where a secret or a client_id may; write it out"},
		{"nothing of a vault", "${env:SECRET}", "${ssm:}", "${ssm:} names nothing"},
		{"no scheme", "client_id: id", `client_id: "${SECRET}"`, "is no reference; write ${env:NAME}"},
		{"variable without name", "client_id: id", `client_id: "${env:}"`, "${env:} names nothing"},
		{"no quotes", `"${env:SECRET}"`, "${env:SECRET}", "put values with ${…}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := base + tt.new
			if tt.old != "" {
				if text = strings.Replace(base, tt.old, tt.new, 1); text == base {
					t.Fatalf("%q is not in the base", tt.old)
				}
			}
			_, err := parse(t, text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got:\n%v\nwant:\n%s", err, tt.want)
			}
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the secret shows: %v", err)
			}
			var all *config.Error
			if !errors.As(err, &all) || len(all.Problems) > 2 {
				t.Errorf("got %v, want one problem, at most two", err)
			}
		})
	}
}

// TestAllProblemsAtOnce: nobody wants to mend a file line by line.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := parse(t, "state: s3://B/x\nlake: 5\nsources:\n  - {name: a, kind: auth0_logs, conectoin: b}\n  - {name: A, kind: nix, foo: bar}\n")
	want := []string{
		"t.yaml:1:8: state: \"B\" is no bucket", "t.yaml:2:7: lake: must be text",
		"t.yaml:4:33: sources[0].conectoin: unknown key", "t.yaml:5:12: sources[1].name:", "t.yaml:5:21: sources[1].kind:",
	}
	if err == nil {
		t.Fatal("got no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got %s, want %s", lines[i], want[i])
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"http on loopback", "acme.eu.auth0.com", `"http://127.0.0.1:8080"`},
		{"http on localhost", "acme.eu.auth0.com", `"http://localhost:8080/"`},
		{"http on ::1", "acme.eu.auth0.com", `"http://[::1]:8080"`},
		{"https", "acme.eu.auth0.com", "https://acme.eu.auth0.com/"},
		{"nothing under a key", "", "sinks:\nlimits:\njobs:\n"},
		{"anchors", "state: state\nlake: lake", "state: &a state\nlake: {url: lake}\nraw: {url: *a}\nlimits: {temp_dir: x}\n#"},
		{"raw beside the lake", "", "raw: evidence\n"},
		{"a BOM", "state: state", "\ufeffstate: state"},
		{"CRLF", "\n", "\r\n"},
		{"a block of text", "state: state", "state: |\n  state"},
		{"size as a number", "", "limits: {memory: 33554432}\n"},
		{"schedule in a zone", "", `jobs: {a: {sources: [acme], schedule: "CRON_TZ=Europe/Berlin 0 3 * * 1-5"}}` + "\n"},
		{"schedule of its own", "", `jobs: {a: {sources: [acme], schedule: "@every 1h"}}` + "\n"},
		{"no comparison", "", "reconcile: [{left: left, right: right, compare: []}]\n"},
		{"no connection in scope", "", `reconcile: [{left: left, right: right, scope: {left: {connections: ["", db]}}}]` + "\n"},
		{"a glob that does not go down", "path: in/right", `path: "./*.json"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := base + tt.new
			if tt.old != "" {
				text = strings.ReplaceAll(base, tt.old, tt.new)
			}
			if tt.name == "anchors" {
				text = strings.Replace(text, "raw: {url: *a}", "", 1)
			}
			mustParse(t, text)
		})
	}
}

func TestWarnings(t *testing.T) {
	c := mustParse(t, base+"  - {name: again, kind: auth0_logs, connection: acme}\njobs: {a: {sources: [acme, left, again]}}\n")
	var got []string
	for _, w := range c.Warnings {
		got = append(got, fmt.Sprintf("%d %s", w.Line, w))
	}
	want := []string{
		"9 sources[2]: right is in no job and is never read; add it to one",
		"10 sources[3].connection: acme reads the log of the same tenant; its events would count twice",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestLoadLooksInOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(path, state string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(base, "state: state", "state: "+state, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("flag/f.yaml", "flag")
	write("env/e.yaml", "env")
	text := strings.Replace(base, "state: state", "state: text", 1)
	env := map[string]string{"SECRET": hidden}
	load := func(path string) (*config.Config, error) {
		return config.Load(t.Context(), config.Options{
			Path: path, Dir: dir, Env: lookup(env),
			ReadS3: func(_ context.Context, url string) ([]byte, error) {
				return []byte(strings.Replace(base, "state: state", "state: s3", 1)), nil
			},
		})
	}
	wantState := func(path, want string) {
		t.Helper()
		c, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.State.URL != filepath.Join(dir, want) {
			t.Errorf("state: got %s, want %s in %s", c.State.URL, want, dir)
		}
	}
	if _, err := load(""); !errors.Is(err, config.ErrNotFound) || !strings.Contains(err.Error(), "IDTRAIL_CONFIG") {
		t.Errorf("nothing anywhere: got %v, want ErrNotFound with the places", err)
	}
	write("idtrail.yaml", "here")
	wantState("", "here")
	env["IDTRAIL_CONFIG_YAML"] = text
	wantState("", "text")
	env["IDTRAIL_CONFIG"] = "env/e.yaml"
	wantState("", "env/env")
	wantState("flag/f.yaml", "flag/flag")
	wantState("s3://bucket/c.yaml", "s3")
	if _, err := load("missing.yaml"); !errors.Is(err, config.ErrNotFound) || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("missing: got %v, want ErrNotFound that names the file", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		big: "is larger than", dir: "is a directory", "s3://b/k": "s3 is not supported here",
	} {
		_, err := config.Load(t.Context(), config.Options{Path: path, Dir: dir, Env: lookup(nil)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

func exampleFile(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../idtrail.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestExampleParses(t *testing.T) {
	env := map[string]string{
		"AUTH0_CLIENT_ID": "id", "AUTH0_CLIENT_SECRET": hidden, "AWS_EXTERNAL_ID": "x",
		"DD_API_KEY": hidden, "IDTRAIL_SIGNING_KEY": hidden, "SPLUNK_TOKEN": hidden, "OTLP_TOKEN": hidden, "IDTRAIL_PSEUDONYM_KEY": hidden,
		"HEARTBEAT_URL": "https://hc.example/" + hidden, "HEARTBEAT_AUDIT": "https://hc.example/" + hidden,
		"SLACK_WEBHOOK": "https://hooks.example/" + hidden, "PAGER_URL": "https://pager.example/" + hidden, "PAGER_AUTHORIZATION": hidden,
		"SMTP_URL": "smtps://idtrail:" + hidden + "@smtp.example",
	}
	o := options(env)
	o.Fetch = map[string]config.Fetch{config.SchemeSecretsManager: func(context.Context, string) (string, error) { return hidden, nil }}
	c, err := config.Parse(exampleFile(t), "idtrail.example.yaml", o)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("got warnings %v, want none", c.Warnings)
	}
	if shown := fmt.Sprintf("%+v %#v %+v", c, c.Connections["acme"].Auth0, c.Sinks) + fmt.Sprintf("%+v %+v %+v", *c.Heartbeat, c.Notify, *c.Jobs[0].Heartbeat); strings.Contains(shown, hidden) {
		t.Error("the secret shows")
	}
}

// TestExampleIsComplete walks the types: each key has to stand in the example,
// at a place of its type.
func TestExampleIsComplete(t *testing.T) {
	var file any
	if err := yaml.Unmarshal(exampleFile(t), &file); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	seen := map[string]bool{}
	walk(reflect.TypeFor[config.Config](), file, func(key string, ok bool) {
		seen[key] = seen[key] || ok
		missing[key] = true
	})
	for key := range missing {
		if !seen[key] {
			t.Errorf("%s does not stand in idtrail.example.yaml", key)
		}
	}
	if len(missing) < 60 {
		t.Errorf("found %d keys in the types, which is too few: the walk is broken", len(missing))
	}
}

func walk(typ reflect.Type, node any, visit func(key string, ok bool)) {
	switch typ.Kind() { //nolint:exhaustive // the others are leaves
	case reflect.Pointer:
		walk(typ.Elem(), node, visit)
	case reflect.Slice, reflect.Map:
		// A mapping by names may be read into a list.
		list, _ := node.([]any)
		m, _ := node.(map[string]any)
		for _, item := range append(slices.AppendSeq(list, maps.Values(m)), nil) {
			walk(typ.Elem(), item, visit)
		}
	case reflect.Struct:
		m, _ := node.(map[string]any)
		walkStruct(typ, m, visit)
	}
}

func walkStruct(typ reflect.Type, m map[string]any, visit func(key string, ok bool)) {
	if typ.PkgPath() != reflect.TypeFor[config.Config]().PkgPath() {
		return
	}
	for f := range typ.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case key == "-" || f.Tag.Get("yaml") == "":
		case key == "":
			walk(f.Type, any(m), visit)
		default:
			member, ok := m[key]
			visit(typ.Name()+"."+key, ok)
			walk(f.Type, member, visit)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(base))
	f.Add([]byte("a: &a [*a]\n<<: *a\n"))
	f.Add([]byte("? [a]\n: {b: !!set {c}}\n"))
	f.Add([]byte("lake: {url: s3://b/x, tags: {a: }}\nsources: [{kind: [x]}, {name: {}}]\n"))
	f.Add([]byte("\ufeff%YAML 1.2\n---\nstate: >-\n  x\n...\n"))
	example, err := os.ReadFile("../../idtrail.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, text []byte) {
		o := options(map[string]string{"SECRET": hidden})
		o.SkipSecrets = true
		c, err := config.Parse(text, "t.yaml", o)
		if (c == nil) == (err == nil) {
			t.Fatalf("got config %v and error %v, want one of them", c, err)
		}
		var all *config.Error
		if err != nil && (!errors.As(err, &all) || len(all.Problems) == 0) {
			t.Fatalf("got %v, want an Error with problems", err)
		}
	})
}
