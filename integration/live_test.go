package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// cloud is a company whose Auth0 and AWS are asked live.
type cloud struct {
	*site
	cognito    *fake.Cognito
	cloudTrail *fake.CloudTrail
	env        []string
}

// The size of a cloud.
const cloudUsers, cloudTrail = 120, 400

func newCloud(t *testing.T) *cloud {
	t.Helper()
	end := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)
	c := &cloud{site: &site{dir: t.TempDir()}}
	c.tenant = fake.NewTenant(fake.TenantOptions{Seed: 3, Users: cloudUsers, Logs: 1, Trail: cloudTrail, Days: 2, End: end})
	c.secrets = append(c.tenant.Secrets(), clientSecret, awsSecret)
	c.auth0 = fake.NewAuth0(fake.Auth0Options{
		ClientID: "client", ClientSecret: clientSecret, Scopes: fake.DirectoryScopes(), Directory: c.tenant.Directory(),
	}, nil)
	c.cognito = fake.NewCognito(fake.CognitoOptions{
		Users: c.tenant.CognitoList(), Settings: c.tenant.CognitoSettings(), Quotas: fake.CognitoQuotas(),
	})
	c.cloudTrail = fake.NewCloudTrail(fake.CloudTrailOptions{PerSecond: 2, Burst: 2})
	c.cloudTrail.Add(time.Time{}, slices.Collect(c.tenant.TrailRecords())...)
	server := httptest.NewServer(c.auth0)
	t.Cleanup(server.Close)
	c.url = server.URL
	c.env = cloudEnv(t, c.cognito, c.cloudTrail)
	c.writeUsers(t)
	c.write(t, "in/history.ndjson", slices.Collect(c.tenant.TrailRecords()))
	return c
}

const awsSecret = "hunter2-aws"

// cloudEnv serves the services of AWS, and returns what leads there.
func cloudEnv(t *testing.T, cognito *fake.Cognito, trail *fake.CloudTrail) []string {
	t.Helper()
	idp, ct := httptest.NewServer(cognito), httptest.NewServer(trail)
	t.Cleanup(idp.Close)
	t.Cleanup(ct.Close)
	return []string{
		"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=" + idp.URL, "AWS_ENDPOINT_URL_COGNITO_IDENTITY=" + idp.URL,
		"AWS_ENDPOINT_URL_CLOUDTRAIL=" + ct.URL, "AWS_ENDPOINT_URL_STS=" + ct.URL,
		"AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=" + awsSecret, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

func (c *cloud) config(t *testing.T) string {
	t.Helper()
	c.writeFile(t, "idtrail.yaml", fmt.Appendf(nil, `
state: ./state
lake: ./out/lake
raw: ./out/raw
connections:
  acme: {auth0: %q, client_id: client, client_secret: "${env:AUTH0_SECRET}"}
  cloud: {aws: {region: %s}}
sources:
  - {name: users, kind: auth0_users, connection: acme, rate: 1000, every: 12h}
  - name: pool
    kind: cognito_users
    connection: cloud
    user_pool_id: %s
    identity_pools: [%q]
    rate: 30
    every: 12h
    mfa: {groups: [%[7]s]}
    link_attribute: %[5]q
  - {name: history, kind: cloudtrail_lookup, connection: cloud, regions: [%[2]s, us-east-1], since: 3d, window: 1d, rate: 2}
sinks:
  - {name: lake, kind: parquet, every: 1ms}
  - {name: json, kind: json, every: 1ms}
reconcile:
  - {left: users, right: pool, scope: {left: {connections: [%[6]s]}}}
`, c.url, fake.Region, fake.PoolID, fake.IdentityPoolID, fake.LinkAttribute, strings.Join(c.tenant.InScope(), ", "), strings.Join(c.groups(), ", ")))
	return c.path("idtrail.yaml")
}

// groups are those of the pool that anybody is in.
func (c *cloud) groups() []string {
	var all []string
	users := c.tenant.CognitoList()
	for i := range users.Len() {
		all = append(all, users.At(i).Groups...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// throttle refuses some calls in a row to each of the three, in the middle of
// the run.
func (c *cloud) throttle() {
	c.auth0.SetFault(func(call fake.Call) *fake.Fault {
		if call.N > 8 && call.N <= 11 {
			return fake.TooMany(time.Second, true)
		}
		return nil
	})
	c.cognito.SetFault(func(call fake.Call) *fake.Fault {
		if call.Path == "ListUsers" && call.PathN > 1 && call.PathN <= 4 {
			return fake.CognitoFault(400, "TooManyRequestsException")
		}
		return nil
	})
	c.cloudTrail.SetFault(func(call fake.TrailCall) *fake.Fault {
		if call.Op == fake.LookupEvents && call.OpN > 2 && call.OpN <= 5 {
			return fake.Throttled()
		}
		return nil
	})
}

// TestLive reads users of both sides and CloudTrail's history live, throttled
// on the way, and holds what was written against what was served.
func TestLive(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.throttle()
	config := c.config(t)
	first, out := c.run(t, c.env, config, 0, "--log-level", "debug")
	wantDone(t, first)
	c.wantThrottled(t)
	l := &line{site: c.site, place: place{rawDir: c.path("out/raw"), lakeDir: c.path("out/lake"), env: c.env}, total: map[string]sourceReport{}}
	l.add(first)
	t.Run("ids", func(t *testing.T) { c.ids(t, l) })
	t.Run("accounts", func(t *testing.T) { c.accounts(t, l) })
	t.Run("drift", func(t *testing.T) { l.drift(t, first) })
	t.Run("secrets", func(t *testing.T) { l.secrets(t, out, "events", "users", "pools", "snapshots", "drift", "persons") })
	t.Run("again", func(t *testing.T) { l.again(t, config) })
}

// wantThrottled wants each of the three to have refused calls.
func (c *cloud) wantThrottled(t *testing.T) {
	t.Helper()
	n := map[string]int{}
	for _, call := range c.auth0.Calls() {
		if call.Status == 429 {
			n["auth0"]++
		}
	}
	for _, call := range c.cognito.Calls() {
		if call.Path == "ListUsers" && call.Status == 400 {
			n["cognito"]++
		}
	}
	for _, call := range c.cloudTrail.Calls() {
		if call.Status == 400 {
			n["cloudtrail"]++
		}
	}
	for _, name := range []string{"auth0", "cognito", "cloudtrail"} {
		if n[name] < 3 {
			t.Errorf("%s refused %d calls, want 3 at least", name, n[name])
		}
	}
}

// ids holds the ids in the lake against those served, both read by DuckDB.
func (c *cloud) ids(t *testing.T, l *line) {
	t.Helper()
	objects := func(name, form string) string {
		return "read_json_objects(" + harness.Quote(c.path(name)) + ", format='" + form + "', maximum_object_size=67108864)"
	}
	rows := harness.DuckDB(t, `CREATE TABLE wanted AS
      SELECT 'users' AS source, json->>'$.user_id' AS id FROM `+objects("in/users/*", "newline_delimited")+`
      UNION ALL SELECT 'pool', list_filter(CAST(u->'$.Attributes' AS STRUCT("Name" VARCHAR, "Value" VARCHAR)[]), a -> a."Name" = 'sub')[1]."Value"
        FROM (SELECT unnest(CAST(json->'$.Users' AS JSON[])) AS u FROM `+objects("in/pool/*", "unstructured")+`)
      UNION ALL SELECT 'history', json->>'$.eventID' FROM `+objects("in/history.ndjson", "newline_delimited")+`
        WHERE split_part((json->>'$.eventSource'), '.', 1) IN ('cognito-idp','cognito-identity','signin','sts','iam')
          AND (json->>'$.eventCategory') <> 'Data';
    CREATE TABLE found AS SELECT source, regexp_replace(metadata.uid, '#[0-9]+$', '') AS id FROM `+l.table("events", "")+`
      UNION SELECT source, user_id FROM `+l.table("users", "")+`;
    SELECT 'missing' AS what, * FROM (FROM wanted EXCEPT FROM found)
    UNION ALL SELECT 'made up', * FROM (FROM found EXCEPT FROM wanted)
    UNION ALL SELECT 'few', source, count(*)::VARCHAR FROM wanted GROUP BY source HAVING count(*) < 100
    UNION ALL SELECT 'twice', source, user_id FROM `+l.table("users", "")+` GROUP BY ALL HAVING count(*) > 1`)
	for i, row := range rows {
		if i < 10 {
			t.Errorf("%v", row)
		}
	}
}

// accounts holds what the run reported against raw and the lake.
func (c *cloud) accounts(t *testing.T, l *line) {
	t.Helper()
	lake := map[string]map[string]any{}
	for _, row := range harness.DuckDB(t, `WITH rows AS (SELECT source, 'events' AS tbl FROM `+l.table("events", "")+`
      UNION ALL SELECT source, 'users' FROM `+l.table("users", "")+` UNION ALL SELECT source, 'pools' FROM `+l.table("pools", "")+`)
      SELECT source, count(*) FILTER (tbl = 'events') AS events, count(*) FILTER (tbl = 'users') AS users,
        count(*) FILTER (tbl = 'pools') AS settings FROM rows GROUP BY source`) {
		lake[text(row["source"])] = row
	}
	for name, got := range l.total {
		chain := readChain(t, filepath.Join(l.place.rawDir, name))
		if chain.landed != got.Landed || got.Read != got.Landed+got.Repeated+got.Filtered {
			t.Errorf("%s: read %d, landed %d, repeated %d; raw has %d", name, got.Read, got.Landed, got.Repeated, chain.landed)
		}
		row := lake[name]
		for _, k := range got.Sinks {
			if k.Records != got.Landed || k.Rejected != 0 || row["events"] != k.Events || row["users"] != k.Users {
				t.Errorf("%s: landed %d, sink %s says %+v, the lake has %v", name, got.Landed, k.Sink, k, row)
			}
		}
		if settings, _ := row["settings"].(int64); (settings < 10) != (name == "history") {
			t.Errorf("%s: %d settings", name, settings)
		}
	}
	complete := harness.DuckDB(t, "SELECT source, count(*) AS n FROM "+l.table("snapshots", "")+" GROUP BY source ORDER BY source")
	if len(complete) != 2 || complete[0]["n"] != int64(1) || complete[1]["n"] != int64(1) {
		t.Errorf("snapshots: %v, want one of pool and one of users", complete)
	}
}

// TestKilledSnapshot kills idtrail while it reads a pool: the next run goes on
// with the same snapshot, and every user is in it once; so too where the state is
// lost, and read back from raw.
func TestKilledSnapshot(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("state lost=%v", lost), func(t *testing.T) {
			t.Parallel()
			testKilledSnapshot(t, lost)
		})
	}
}

func testKilledSnapshot(t *testing.T, lost bool) {
	t.Helper()
	const users, shards, killAt = 4000, 256, 150
	s := &site{dir: t.TempDir()}
	cognito := fake.NewCognito(fake.CognitoOptions{Users: fake.CognitoCrowd(users)})
	env := cloudEnv(t, cognito, fake.NewCloudTrail(fake.CloudTrailOptions{}))
	s.writeFile(t, "idtrail.yaml", fmt.Appendf(nil, `
state: ./state
lake: ./lake
raw: ./raw
connections: {cloud: {aws: {region: %s}}}
sources: [{name: pool, kind: cognito_users, connection: cloud, user_pool_id: %s, rate: 30, shards: %d, groups: false, settings: false}]
sinks: [{name: lake, kind: parquet, every: 1ms}]
limits: {segment_records: 100}
`, fake.Region, fake.PoolID, shards))
	config := s.path("idtrail.yaml")
	// Behind killAt calls there is no answer: the snapshot cannot get on.
	cognito.SetFault(func(call fake.Call) *fake.Fault {
		if call.Path == "ListUsers" && call.PathN > killAt {
			return &fake.Fault{Hang: true}
		}
		return nil
	})
	landed := func() bool {
		names, _ := filepath.Glob(s.path("raw/pool/*.ndjson.zst")) // the pattern is good
		return len(names) >= 10 && cognito.Count("ListUsers") > killAt
	}
	harness.KillIdtrail(t, landed, env, "run", "-c", config)
	cognito.SetFault(nil)
	before := snapshotOf(t, env, config)
	if len(before.Done) == 0 || len(before.Done) == shards || before.Finished {
		t.Fatalf("killed with shards %v done, finished %v: want it in the middle", before.Done, before.Finished)
	}
	if lost {
		if err := os.RemoveAll(s.path("state")); err != nil {
			t.Fatal(err)
		}
	}
	asked := cognito.Count("ListUsers")
	r, _ := s.run(t, env, config, 0)
	if got := r.source(t, "pool"); got.Error != "" || !got.Drained || got.Landed == 0 {
		t.Errorf("went on: %+v", got)
	}
	for _, call := range cognito.Calls()[cognito.Count("")-(cognito.Count("ListUsers")-asked):] {
		for _, prefix := range before.Done {
			if bytes.Contains(call.Input, fmt.Appendf(nil, `sub ^= \"%s\"`, prefix)) {
				t.Errorf("shard %s was read again", prefix)
			}
		}
	}
	wantSnapshot(t, s, before.Snapshot, users)
}

// poolCursor is what the cursor of a pool says, as far as the tests look at it.
type poolCursor struct {
	Snapshot string
	Done     []string
	Finished bool
}

// snapshotOf asks status how far the only source's snapshot is.
func snapshotOf(t *testing.T, env []string, config string) poolCursor {
	t.Helper()
	out := harness.Idtrail(t, env, "status", "--json", "-c", config)
	var status struct{ Sources []struct{ Cursor string } }
	if err := json.Unmarshal([]byte(out.Stdout), &status); err != nil || len(status.Sources) != 1 {
		t.Fatalf("read status: %v\n%s\n%s", err, out.Stdout, out.Stderr)
	}
	var cursor poolCursor
	if err := json.Unmarshal([]byte(status.Sources[0].Cursor), &cursor); err != nil {
		t.Fatalf("read cursor: %v\n%s", err, out.Stdout)
	}
	return cursor
}

// wantSnapshot wants the lake to hold this snapshot alone, complete.
func wantSnapshot(t *testing.T, s *site, id string, users int64) {
	t.Helper()
	table := func(name string) string {
		return "read_parquet(" + harness.Quote(s.path("lake/"+name+"/**/*.parquet")) + ", hive_partitioning=true, hive_types_autocast=false)"
	}
	got := harness.DuckDB(t, `SELECT count(*) AS rows, count(DISTINCT user_id) AS users, min(snapshot_id) AS first, max(snapshot_id) AS last,
      (SELECT string_agg(snapshot_id || ' ' || counts['users']) FROM `+table("snapshots")+`) AS complete FROM `+table("users"))[0]
	for name, want := range map[string]any{"rows": users, "users": users, "first": id, "last": id, "complete": fmt.Sprint(id, " ", users)} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if chain := readChain(t, s.path("raw/pool")); chain.landed != users {
		t.Errorf("raw has %d users, want %d", chain.landed, users)
	}
}
