package people_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/people"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// writeUsers writes a complete snapshot of a source.
func writeUsers(t *testing.T, store blob.Store, source, day string, users ...schema.User) {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	id := "s" + day
	row := schema.Snapshot{ID: id, Begin: at, End: at}.Row()
	_, errUsers := lake.WriteTable(t.Context(), store, "users/source="+source+"/dt="+day+"/snapshot="+id+"/1.parquet", slices.Values(users))
	_, errSnap := lake.WriteTable(t.Context(), store, "snapshots/source="+source+"/dt="+day+"/1.parquet", slices.Values([]schema.SnapshotRow{row}))
	if errUsers != nil || errSnap != nil {
		t.Fatal(errUsers, errSnap)
	}
}

func user(id, name, email string, verified bool) schema.User {
	return schema.User{UserID: id, UserName: name, UserNameNorm: name, Email: email, EmailVerified: &verified}
}

// resolved says in short what became of a name.
func resolved(t *testing.T, store blob.Store, who string) string {
	t.Helper()
	p, err := people.Resolve(t.Context(), store, who)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, a := range p.Accounts {
		s := fmt.Sprintf("%s %s %s %s", a.Source, a.UserID, a.Rule, a.Named)
		if a.To != nil {
			s += " to " + a.To.Format(time.DateOnly)
		}
		text = append(text, s)
	}
	for _, a := range p.Candidates {
		text = append(text, fmt.Sprintf("? %s %s", a.Source, a.UserID))
	}
	return strings.Join(text, "; ")
}

func TestResolve(t *testing.T) {
	store := blobtest.NewMemory()
	named := func(p reconcile.Person, name string) reconcile.Person {
		p.UserName = name
		return p
	}
	write(t, store,
		named(account("acme", "auth0|1", "k1", "K4", begin, nil), "ann"),
		named(account("acme", "auth0|2", "k2", "", begin, nil), "same"),
		named(account("acme", "auth0|3", "k3", "", begin, &later), "old name"),
		named(account("acme", "auth0|3", "k3", "", later, nil), "new name"),
		named(account("acme", "auth0|5", "k5", "K1", begin, &later), "gone"),
		named(account("pool", "sub-1", "k1", "K4", begin, nil), "sub-1"),
		named(account("pool", "sub-2", "k2b", "", begin, nil), "SAME"),
		// Linked to auth0|3 for ten days, then on its own.
		named(account("pool", "sub-3", "k3", "K5", begin, &later), "sub-3"),
		named(account("pool", "sub-3", "k3b", "", later, nil), "sub-3"),
		named(account("pool", "sub-5", "k5", "K1", begin, &later), "gone-too"),
	)
	writeUsers(t, store, "acme", "2026-11-01", user("auth0|1", "ann", "former@x.io", true))
	writeUsers(t, store, "acme", "2026-11-02",
		user("auth0|1", "ann", "Ann@x.io", true), user("auth0|2", "same", "victim@x.io", false), user("auth0|3", "new name", "", false))
	writeUsers(t, store, "pool", "2026-11-02",
		user("sub-1", "sub-1", "ann@x.io", true), user("sub-2", "SAME", "victim@x.io", true), user("sub-3", "sub-3", "", false))
	writeUsers(t, store, "third", "2026-11-02", user("auth0|9", "lone", "lone@x.io", true))
	drift := []reconcile.Drift{
		{ComparedAt: begin, LeftSource: "acme", RightSource: "pool", Type: reconcile.Candidate, LeftID: "auth0|1", RightID: "sub-3"},
		{ComparedAt: later, LeftSource: "acme", RightSource: "pool", Type: reconcile.Candidate, LeftID: "auth0|1", RightID: "sub-2", RightName: "SAME"},
		{ComparedAt: later, LeftSource: "acme", RightSource: "pool", Type: reconcile.Attribute, LeftID: "auth0|1", RightID: "sub-5"},
	}
	for i, d := range drift {
		key := fmt.Sprintf("drift/dt=%s/acme-pool-%d.parquet", d.ComparedAt.Format(time.DateOnly), i)
		if _, err := lake.WriteTable(t.Context(), store, key, slices.Values([]reconcile.Drift{d})); err != nil {
			t.Fatal(err)
		}
	}
	for who, want := range map[string]string{
		"auth0|1":     "acme auth0|1 K4 id; pool sub-1 K4 ; ? pool sub-2",
		"sub-1":       "pool sub-1 K4 id; acme auth0|1 K4 ; ? pool sub-2",
		"ANN":         "acme auth0|1 K4 user_name; pool sub-1 K4 ; ? pool sub-2",
		"k1":          "acme auth0|1 K4 person_key; pool sub-1 K4 person_key; ? pool sub-2",
		"ANN@X.IO":    "acme auth0|1 K4 verified_email; pool sub-1 K4 verified_email; ? pool sub-2",
		"former@x.io": "",
		// The same name is no proof, nor is an address that is not verified.
		"same":        "? acme auth0|2; ? pool sub-2",
		"victim@x.io": "pool sub-2  verified_email; ? acme auth0|2; ? acme auth0|1",
		// For the time it was linked.
		"auth0|3":  "acme auth0|3  id; pool sub-3 K5  to 2026-11-11",
		"sub-3":    "pool sub-3  id",
		"old name": "acme auth0|3  ; pool sub-3 K5  to 2026-11-11",
		// Accounts that are gone are still the person's.
		"gone": "acme auth0|5 K1 user_name; pool sub-5 K1 ",
		// A source that is compared with none.
		"lone@x.io": "third auth0|9  verified_email",
		"nobody":    "",
	} {
		if diff := cmp.Diff(want, resolved(t, store, who)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", who, diff)
		}
	}
	p, err := people.Resolve(t.Context(), store, "sub-1")
	if err != nil || p.Accounts[1].Email != "Ann@x.io" {
		t.Errorf("the linked account: %+v, %v; want its verified address", p, err)
	}
}

// A lake without any of the tables knows nobody; one whose table is damaged says so.
func TestResolveWithoutTables(t *testing.T) {
	store := blobtest.NewMemory()
	if got := resolved(t, store, "ann"); got != "" {
		t.Errorf("got %q of an empty lake", got)
	}
	if _, err := store.PutNew(t.Context(), table, newBody("torn")); err != nil {
		t.Fatal(err)
	}
	if _, err := people.Resolve(t.Context(), store, "ann"); err == nil || !strings.Contains(err.Error(), table) {
		t.Errorf("got error %v, want one that names the table", err)
	}
}
