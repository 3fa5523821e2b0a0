package pipeline_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// snapshotOf is a complete snapshot of these records.
func snapshotOf(begin time.Time, kind schema.Kind, lines ...string) []extract.Page {
	s := schema.Snapshot{ID: begin.Format("20060102T150405Z"), Begin: begin}
	page := extract.Page{Snapshot: &s}
	for _, line := range lines {
		page.Records = append(page.Records, schema.Raw{Kind: kind, Bytes: []byte(line)})
	}
	done := s
	done.End, done.Complete, done.Counts = begin, true, map[string]int64{"users": int64(len(lines))}
	return []extract.Page{page, {Snapshot: &done}}
}

func auth0Line(id, email string) string {
	return fmt.Sprintf(`{"user_id":"auth0|%s","email":%q,"email_verified":true,"name":"N","identities":[{"connection":"db","provider":"auth0","user_id":%q,"isSocial":false}]}`, id, email, id)
}

func poolLine(sub, name string) string {
	return fmt.Sprintf(`{"Username":%q,"Enabled":true,"UserStatus":"CONFIRMED","Attributes":[{"Name":"sub","Value":%q},{"Name":"email","Value":"a@example.com"},{"Name":"email_verified","Value":"true"},{"Name":"name","Value":%q}]}`, sub, sub, name)
}

// pair runs both sources and reconciles them.
func (r *rig) pair(left, right *script) pipeline.ReconcileReport {
	r.t.Helper()
	r.mustRun(left)
	r.mustRun(right)
	return r.reconcile(left, right)
}

func (r *rig) reconcile(left, right *script) pipeline.ReconcileReport {
	r.t.Helper()
	return r.pipeline().Reconcile(r.t.Context(), []pipeline.Reconcile{{Left: r.source(left), Right: r.source(right)}})[0]
}

func (r *rig) persons(key string) []string {
	r.t.Helper()
	var rows []string
	for p, err := range lake.ReadTable[reconcile.Person](r.t.Context(), r.lake, key) {
		if err != nil {
			r.t.Fatal(err)
		}
		open := "open"
		if p.ValidTo != nil {
			open = "closed"
		}
		rows = append(rows, fmt.Sprintf("%s %s %s %s", p.Source, p.UserID, p.LinkRule, open))
	}
	return rows
}

func TestReconcileWritesWhatItFound(t *testing.T) {
	r := newRig(t)
	left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"), auth0Line("2", "b@example.com"))}
	right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "Other"))}
	rep := r.pair(left, right)
	if rep.Err != nil || rep.Summary.Linked != 1 || rep.Summary.ByType[reconcile.MissingRight] != 1 || rep.Summary.ByType[reconcile.Attribute] != 1 {
		t.Fatalf("got %+v, %v", rep.Summary, rep.Err)
	}
	var types []string
	for d, err := range lake.ReadTable[reconcile.Drift](t.Context(), r.lake, rep.Objects[0]) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, string(d.Type))
	}
	if want := []string{"missing_right", "attribute"}; !slices.Equal(types, want) {
		t.Errorf("drift table holds %v, want %v", types, want)
	}
	objects := r.lake.(*blobtest.Memory).Objects()
	for _, end := range []string{"drift.html", "drift.csv", "drift.json", ".ndjson.gz"} {
		if !slices.ContainsFunc(rep.Objects, func(k string) bool { return strings.HasSuffix(k, end) && len(objects[k]) > 0 }) {
			t.Errorf("no %s among %v", end, rep.Objects)
		}
	}
	want := []string{"pool s-1 K4 open", "users auth0|1 K4 open", "users auth0|2  open"}
	for _, key := range []string{"persons/persons.parquet", "persons_json/persons.ndjson.gz"} {
		if got := r.persons(key); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	again := r.reconcile(left, right)
	if again.Err != nil || len(r.lake.(*blobtest.Memory).Objects()) != len(objects) {
		t.Errorf("the same comparison again: %v, %d objects, had %d", again.Err, len(r.lake.(*blobtest.Memory).Objects()), len(objects))
	}
}

// A person who leaves keeps a closed row; who changes partners gets a new one.
func TestPersonsKeepTheirHistory(t *testing.T) {
	r := newRig(t)
	left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"), auth0Line("2", "b@example.com"))}
	right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "N"))}
	r.pair(left, right)
	later := day0.Add(24 * time.Hour)
	left.pages = append(left.pages, snapshotOf(later, schema.KindAuth0User, auth0Line("1", "a@example.com"))...)
	right.pages = append(right.pages, snapshotOf(later, schema.KindCognitoUser, poolLine("s-9", "N"))...)
	if rep := r.pair(left, right); rep.Err != nil {
		t.Fatal(rep.Err)
	}
	want := []string{"pool s-1 K4 closed", "pool s-9 K4 open", "users auth0|1 K4 open", "users auth0|2  closed"}
	if got := r.persons("persons/persons.parquet"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReconcileWaitsForCompleteSnapshots(t *testing.T) {
	r := newRig(t)
	left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"))}
	right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "N"))[:1]}
	rep := r.pair(left, right)
	if rep.Err != nil || rep.Waiting == "" || rep.Summary != nil {
		t.Errorf("got %+v, want to wait for the pool", rep)
	}
	if n := r.lakeObjects(); n != 0 {
		t.Errorf("%d objects were written", n)
	}
}

// Each call to the lake, lost on its way or with its answer: the tables are as
// before or as after, never half, and the next time makes them right.
func TestReconcileFailureMatrix(t *testing.T) {
	lost := errors.New("connection lost")
	for _, answer := range []bool{false, true} {
		for n := 0; ; n++ {
			r := newRig(t)
			left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"))}
			right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "N"))}
			r.mustRun(left)
			r.mustRun(right)
			memory, made := r.lake, 0
			faulty := &blobtest.Faulty{Store: memory}
			hook := func(string, string) error {
				if made++; made == n+1 {
					return lost
				}
				return nil
			}
			if answer {
				faulty.After = hook
			} else {
				faulty.Before = hook
			}
			r.lake = faulty
			rep := r.reconcile(left, right)
			if made <= n {
				break
			}
			if rep.Err != nil {
				wantError(t, rep.Err, lost)
			}
			r.lake = memory
			if rep := r.reconcile(left, right); rep.Err != nil {
				t.Fatalf("call %d: after the failure: %v", n, rep.Err)
			}
			if got, want := r.persons("persons/persons.parquet"), []string{"pool s-1 K4 open", "users auth0|1 K4 open"}; !slices.Equal(got, want) {
				t.Errorf("call %d: persons %q, want %q", n, got, want)
			}
		}
	}
}
