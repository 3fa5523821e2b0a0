package integration_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// views makes the tables of a lake and the views over them readable in DuckDB.
func views(dir string) string {
	var b strings.Builder
	for _, table := range pipeline.Tables() {
		if files, err := filepath.Glob(filepath.Join(dir, table.Name, "*")); err == nil && len(files) > 0 {
			b.WriteString(schema.DuckDBTable(table, dir) + ";\n")
		} else {
			b.WriteString(schema.DuckDBEmpty(table) + ";\n")
		}
	}
	for _, view := range schema.Views(schema.ViewOptions{Dialect: schema.DialectDuckDB}) {
		b.WriteString(view.SQL + ";\n")
	}
	return b.String()
}

// put writes rows of a table as the line does.
func put[T any](t *testing.T, dir, key string, rows ...T) {
	t.Helper()
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lake.WriteTable(t.Context(), store, key, slices.Values(rows)); err != nil {
		t.Fatal(err)
	}
}

var viewTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// smallLake is a person with an account on each side, one who is gone, and one
// nobody compared, in a pool of two apps.
func smallLake(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	event := func(uid string, user *schema.UserObject, actor *schema.Actor, tenant string) schema.Event {
		return schema.Event{TimeDT: viewTime, Metadata: schema.Metadata{UID: uid, TenantUID: tenant}, User: user, Actor: actor}
	}
	put(t, dir, "events/source=auth0/dt=2026-11-20/1.parquet",
		event("a1", &schema.UserObject{UID: "auth0|1", Name: "ada@example.com"}, nil, "acme"),
		event("a2", nil, &schema.Actor{User: &schema.UserObject{UID: "auth0|1"}}, "acme"),
		event("a3", &schema.UserObject{UID: "auth0|9", Name: "nobody"}, nil, "acme"))
	put(t, dir, "events/source=trail/dt=2026-11-20/1.parquet",
		event("t1", &schema.UserObject{UID: "sub-1"}, &schema.Actor{AppUID: "client-1"}, ""),
		event("t2", &schema.UserObject{UID: "sub-2"}, &schema.Actor{AppUID: "client-2"}, "eu-west-1_P"),
		event("t3", &schema.UserObject{UID: "sub-3"}, nil, "eu-west-1_Q"))
	later, gone := viewTime.Add(time.Hour), viewTime.Add(2*time.Hour)
	put(t, dir, "persons/persons.parquet",
		reconcile.Person{Source: "pool", UserID: "sub-1", UserName: "ada.old", PersonKey: "K0", ValidFrom: viewTime, ValidTo: &later},
		reconcile.Person{Source: "pool", UserID: "sub-1", UserName: "ada", PersonKey: "K1", LinkRule: "K4", ValidFrom: later},
		reconcile.Person{Source: "pool", UserID: "sub-2", UserName: "bob.old", PersonKey: "K2", ValidFrom: viewTime, ValidTo: &later},
		reconcile.Person{Source: "pool", UserID: "sub-2", UserName: "bob", PersonKey: "K3", ValidFrom: later, ValidTo: &gone},
		reconcile.Person{Source: "users", UserID: "auth0|1", UserName: "ada@example.com", PersonKey: "K1", LinkRule: "K4", ValidFrom: viewTime},
		// The same account out of another source, which is compared with nothing.
		reconcile.Person{Source: "users_old", UserID: "auth0|1", UserName: "ada@example.com", PersonKey: "K9", ValidFrom: gone})
	setting := func(section, id, state, snapshot, data string) schema.Setting {
		return schema.Setting{Section: section, ID: id, State: state, SnapshotID: snapshot, Data: data}
	}
	put(t, dir, "pools/source=pool/dt=2026-11-19/snapshot=20261119T030000Z/1.parquet",
		setting("client", "client-1", "ok", "20261119T030000Z", `{"ClientId":"client-1","ClientName":"old portal","UserPoolId":"eu-west-1_P"}`),
		setting("client", "client-2", "ok", "20261119T030000Z", `{"ClientId":"client-2","ClientName":"deleted app","UserPoolId":"eu-west-1_P"}`),
		setting("user_pool", "", "ok", "20261119T030000Z", `{"Id":"eu-west-1_P","Name":"customers"}`))
	put(t, dir, "pools/source=pool/dt=2026-11-20/snapshot=20261120T030000Z/1.parquet",
		setting("client", "client-1", "ok", "20261120T030000Z", `{"ClientId":"client-1","ClientName":"portal","UserPoolId":"eu-west-1_P"}`),
		setting("user_pool", "", "denied", "20261120T030000Z", ""))
	user := func(snapshot, id, name string) schema.User {
		return schema.User{SnapshotID: snapshot, UserID: id, UserName: name}
	}
	put(t, dir, "users/source=pool/dt=2026-11-19/snapshot=s1/1.parquet", user("s1", "sub-1", "ada"), user("s1", "sub-2", "bob"))
	put(t, dir, "users/source=pool/dt=2026-11-20/snapshot=s2/1.parquet", user("s2", "sub-1", "ada"), user("s2", "sub-3", "carl"))
	put(t, dir, "users/source=pool/dt=2026-11-20/snapshot=s3/1.parquet", user("s3", "sub-1", "cut off"))
	put(t, dir, "users/source=users/dt=2026-11-18/snapshot=s1/1.parquet", user("s1", "auth0|1", "ada@example.com"))
	complete := func(id string, at time.Time) schema.SnapshotRow {
		return schema.SnapshotRow{SnapshotID: id, BeginAt: at, EndAt: at}
	}
	put(t, dir, "snapshots/source=pool/dt=2026-11-19/1.parquet", complete("s1", viewTime.AddDate(0, 0, -1)))
	put(t, dir, "snapshots/source=pool/dt=2026-11-20/1.parquet", complete("s2", viewTime))
	put(t, dir, "snapshots/source=users/dt=2026-11-18/1.parquet", complete("s1", viewTime.AddDate(0, 0, -2)))
	return dir
}

func TestEventsView(t *testing.T) {
	got := map[string]string{}
	for _, row := range harness.DuckDB(t, views(smallLake(t))+`SELECT * FROM v_events`) {
		var shown []string
		for _, column := range []string{"user_name", "person_key", "actor_id", "actor_person_key", "app_name", "pool_id", "pool_name"} {
			shown = append(shown, strings.ReplaceAll(fmt.Sprint(row[column]), "<nil>", "-"))
		}
		uid := row["uid"].(string)
		if _, twice := got[uid]; twice {
			t.Errorf("event %s is there twice", uid)
		}
		got[uid] = strings.Join(shown, " ")
	}
	want := map[string]string{
		"a1": "ada@example.com K1 - - - acme -",
		"a2": "- K1 auth0|1 K1 - acme -",
		"a3": "nobody - - - - acme -",
		"t1": "ada K1 - - portal eu-west-1_P customers",
		"t2": "bob K3 - - deleted app eu-west-1_P customers",
		"t3": "- - - - - eu-west-1_Q -",
	}
	for uid := range want {
		if got[uid] != want[uid] {
			t.Errorf("event %s: got %q, want %q", uid, got[uid], want[uid])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d events, want %d", len(got), len(want))
	}
}

func TestUsersView(t *testing.T) {
	var got []string
	for _, row := range harness.DuckDB(t, views(smallLake(t))+`SELECT * FROM v_users ORDER BY source, user_id`) {
		got = append(got, fmt.Sprint(row["source"], " ", row["user_id"], " ", row["user_name"], " ", row["snapshot_id"], " ", row["person_key"]))
	}
	want := []string{"pool sub-1 ada s2 K1", "pool sub-3 carl s2 <nil>", "users auth0|1 ada@example.com s1 K1"}
	if !slices.Equal(got, want) {
		t.Errorf("v_users: got %q\nwant %q", got, want)
	}
}

// TestDriftView: findings of the newest comparison alone, since when they are
// found, and whether there are newer snapshots by now.
func TestDriftView(t *testing.T) {
	dir := smallLake(t)
	drift := func(at time.Time, right, snapshot, id string) reconcile.Drift {
		return reconcile.Drift{
			ComparedAt: at, LeftSource: "users", LeftSnapshot: "s1", RightSource: right, RightSnapshot: snapshot,
			Type: reconcile.MissingRight, Severity: reconcile.SeverityHigh, PersonKey: "K", LeftID: id,
		}
	}
	before := viewTime.AddDate(0, 0, -1)
	put(t, dir, "drift/dt=2026-11-19/1.parquet", drift(before, "pool", "s1", "auth0|1"), drift(before, "pool", "s1", "auth0|2"))
	put(t, dir, "drift/dt=2026-11-20/1.parquet", drift(viewTime, "pool", "s2", "auth0|1"), drift(viewTime, "pool", "s2", "auth0|3"))
	put(t, dir, "drift/dt=2026-11-20/2.parquet", drift(viewTime, "other", "s9", "auth0|1"))
	var got []string
	for _, row := range harness.DuckDB(t, views(dir)+`SELECT *, strftime(first_seen_at, '%d') AS seen FROM v_drift ORDER BY right_source, left_id`) {
		got = append(got, fmt.Sprint(row["right_source"], " ", row["left_id"], " ", row["left_name"], " ", row["seen"], " ", row["is_current"]))
	}
	want := []string{
		"other auth0|1 ada@example.com 20 false",
		"pool auth0|1 ada@example.com 19 true",
		"pool auth0|3 <nil> 20 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("v_drift: got %q\nwant %q", got, want)
	}
}

// TestGapsView: a gap that was declared twice is one.
func TestGapsView(t *testing.T) {
	dir := smallLake(t)
	gap := schema.Gap{Stream: "main", From: viewTime, To: viewTime.Add(90 * time.Second), Reason: "lost", DeclaredAt: viewTime.Add(time.Hour), Segment: 3}
	again := gap
	again.DeclaredAt, again.Segment = gap.DeclaredAt.AddDate(0, 0, 1), 4
	put(t, dir, "gaps/source=auth0/dt=2026-11-20/1.parquet", gap)
	put(t, dir, "gaps/source=auth0/dt=2026-11-21/1.parquet", again)
	put(t, dir, "gaps/source=trail/dt=2026-11-21/1.parquet", again)
	var got []string
	for _, row := range harness.DuckDB(t, views(dir)+`SELECT * FROM v_gaps ORDER BY source`) {
		got = append(got, fmt.Sprint(row["source"], " ", row["seconds"], " ", row["reason"], " ", row["dt"], " ", row["declared_at"]))
	}
	want := []string{"auth0 90 lost 2026-11-20 2026-11-20 13:00:00+00", "trail 90 lost 2026-11-21 2026-11-21 13:00:00+00"}
	if !slices.Equal(got, want) {
		t.Errorf("v_gaps: got %q\nwant %q", got, want)
	}
}

// TestOnePersonOnBothSides asks the lake of a whole company, in one query, what
// one person did: in Auth0, and in CloudTrail, which knows the sub alone.
func TestOnePersonOnBothSides(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if out := harness.Idtrail(t, nil, "demo", "--dir", dir, "--users", "200", "--logs", "8000"); out.Code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", out.Code, out.Stdout, out.Stderr)
	}
	db := views(filepath.Join(dir, "lake"))
	rows := harness.DuckDB(t, db+`
WITH both_sides AS (
  SELECT person_key FROM v_events WHERE person_key IS NOT NULL
  GROUP BY person_key HAVING count(DISTINCT source) FILTER (source IN ('logs', 'history')) = 2
)
SELECT person_key, source, count(*) AS n, count(user_name) AS named, count(app_name) AS apps
FROM v_events WHERE person_key IN (SELECT min(person_key) FROM both_sides) AND source IN ('logs', 'history')
GROUP BY ALL ORDER BY ALL`)
	if len(rows) != 2 || rows[0]["source"] != "history" || rows[1]["source"] != "logs" {
		t.Fatalf("got %v, want a person's events on both sides", rows)
	}
	if trail := rows[0]; trail["named"] != trail["n"] {
		t.Errorf("of %v events in CloudTrail %v have the user's name", trail["n"], trail["named"])
	}
	// Every event of a user who is in some snapshot has the person and the name.
	lost := harness.DuckDB(t, db+`
SELECT count(*) AS events, count(*) FILTER (person_key IS NULL OR user_name IS NULL) AS lost
FROM v_events WHERE user_id IN (SELECT user_id FROM v_users)`)[0]
	if lost["events"].(int64) < 1000 || lost["lost"].(int64) != 0 {
		t.Errorf("of %v events of known users %v lack the person or the name", lost["events"], lost["lost"])
	}
	all := harness.DuckDB(t, db+`SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM v_events) AS shown`)[0]
	if all["events"] != all["shown"] {
		t.Errorf("%v events, v_events has %v", all["events"], all["shown"])
	}
	// CloudTrail names apps and pools by their ids, sign-ins not even the pool.
	signIns := harness.DuckDB(t, db+`
SELECT app_id, app_name, pool_id, pool_name, count(*) AS n FROM v_events
WHERE source = 'history' AND event_code = 'AwsApiCall' AND operation = 'InitiateAuth' AND app_id IS NOT NULL GROUP BY ALL`)
	if len(signIns) != 1 || signIns[0]["app_name"] == nil || signIns[0]["pool_id"] != fake.PoolID || signIns[0]["pool_name"] != fake.TenantName {
		t.Errorf("sign-ins: got %v, want those of one app and pool, named", signIns)
	}
}
