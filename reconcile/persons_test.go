package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

func persons(list ...reconcile.Person) iter.Seq2[reconcile.Person, error] {
	return func(yield func(reconcile.Person, error) bool) {
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func TestPersonKey(t *testing.T) {
	// The first half of sha256("auth0|1"), so that SQL can compute it too.
	if got, want := reconcile.PersonKey("auth0|1"), "b03e5d4509cd37476db38fb76f9b5b3c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// night runs one comparison and carries the history over it.
func night(t *testing.T, n int, prev []reconcile.Person, left, right []schema.User) []reconcile.Person {
	t.Helper()
	l, r := side("acme", left...), side("pool", right...)
	l.Snapshot.Begin = begin.AddDate(0, 0, n)
	r.Snapshot.Begin = begin.AddDate(0, 0, n).Add(time.Minute)
	res := compare(t, l, r, reconcile.Options{})
	h := reconcile.History{
		Previous: persons(prev...), Current: res.Persons(context.Background()),
		Begin: map[string]time.Time{"acme": l.Snapshot.Begin, "pool": r.Snapshot.Begin},
	}
	return all(t, h.Rows())
}

type row = reconcile.Person

func TestHistory(t *testing.T) {
	born := begin.AddDate(-1, 0, 0)
	k1, k2, s1, s3 := reconcile.PersonKey("auth0|1"), reconcile.PersonKey("auth0|2"), reconcile.PersonKey("s1"), reconcile.PersonKey("s3")
	at := func(day int) time.Time { return begin.AddDate(0, 0, day) }
	pool := func(day int) time.Time { return at(day).Add(time.Minute) }

	first := night(t, 0, nil, []schema.User{auth0("auth0|1")}, []schema.User{cognito("s1"), cognito("s3")})
	want := []row{
		{"acme", "auth0|1", "auth0|1", k1, "", born, nil},
		{"pool", "s1", "s1", s1, "", born, nil},
		{"pool", "s3", "s3", s3, "", born, nil},
	}
	wantPersons(t, "first night", want, first)
	again := night(t, 1, first, []schema.User{auth0("auth0|1")}, []schema.User{cognito("s1"), cognito("s3")})
	wantPersons(t, "nothing changed", want, again)

	linked := night(t, 2, again, []schema.User{auth0("auth0|1")},
		[]schema.User{cognito("s1", linkID("auth0|1")), cognito("s3", named("renamed"))})
	want = []row{
		{"acme", "auth0|1", "auth0|1", k1, "", born, new(at(2))},
		{"acme", "auth0|1", "auth0|1", k1, "K1", at(2), nil},
		{"pool", "s1", "s1", s1, "", born, new(pool(2))},
		{"pool", "s1", "s1", k1, "K1", pool(2), nil},
		{"pool", "s3", "s3", s3, "", born, new(pool(2))},
		{"pool", "s3", "renamed", s3, "", pool(2), nil},
	}
	wantPersons(t, "linked and renamed", want, linked)
	wantPersons(t, "the same night again", want, night(t, 2, linked, []schema.User{auth0("auth0|1")},
		[]schema.User{cognito("s1", linkID("auth0|1")), cognito("s3", named("renamed"))}))

	// The Auth0 account is deleted and created anew; s3 is deleted.
	anew := night(t, 3, linked, []schema.User{auth0("auth0|2", created(at(2).Add(time.Hour)))}, []schema.User{cognito("s1", linkID("auth0|2"))})
	want = []row{
		{"acme", "auth0|1", "auth0|1", k1, "", born, new(at(2))},
		{"acme", "auth0|1", "auth0|1", k1, "K1", at(2), new(at(3))},
		{"acme", "auth0|2", "auth0|2", k2, "K1", at(2).Add(time.Hour), nil},
		{"pool", "s1", "s1", s1, "", born, new(pool(2))},
		{"pool", "s1", "s1", k1, "K1", pool(2), new(pool(3))},
		{"pool", "s1", "s1", k2, "K1", pool(3), nil},
		{"pool", "s3", "s3", s3, "", born, new(pool(2))},
		{"pool", "s3", "renamed", s3, "", pool(2), new(pool(3))},
	}
	wantPersons(t, "created anew", want, anew)

	// s3 comes back under its old id.
	back := night(t, 4, anew, []schema.User{auth0("auth0|2", created(at(2).Add(time.Hour)))},
		[]schema.User{cognito("s1", linkID("auth0|2")), cognito("s3")})
	wantPersons(t, "came back", append(want, row{"pool", "s3", "s3", s3, "", pool(3), nil}), back)
}

func wantPersons(t *testing.T, what string, want, got []row) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestHistoryEdges(t *testing.T) {
	open := row{"acme", "a", "a", "k", "", begin, nil}
	other := row{"other", "o", "o", "k", "K4", begin, nil}
	later := begin.Add(time.Hour)
	for _, c := range []struct {
		name      string
		prev, cur []row
		begin     map[string]time.Time
		want      []row
		err       error
	}{
		{name: "other sources stay", prev: []row{open, other}, begin: map[string]time.Time{"acme": later}, want: []row{
			{"acme", "a", "a", "k", "", begin, new(later)}, other,
		}},
		{
			name: "a snapshot judged anew replaces its rows", prev: []row{open}, cur: []row{{"acme", "a", "a", "k", "K4", begin, nil}},
			begin: map[string]time.Time{"acme": begin}, want: []row{{"acme", "a", "a", "k", "K4", begin, nil}},
		},
		{name: "held for no time", prev: []row{open}, begin: map[string]time.Time{"acme": begin}, want: []row{}},
		{name: "stale", prev: []row{open}, begin: map[string]time.Time{"acme": begin.Add(-1 * time.Second)}, err: reconcile.ErrStale},
		{name: "no snapshot", cur: []row{open}, begin: map[string]time.Time{}, err: reconcile.ErrOptions},
		{name: "previous unsorted", prev: []row{other, open}, err: reconcile.ErrUnsorted},
		{name: "current unsorted", cur: []row{other, open}, begin: map[string]time.Time{"acme": begin, "other": begin}, err: reconcile.ErrUnsorted},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := []row{}
			var err error
			for p, e := range (reconcile.History{Previous: persons(c.prev...), Current: persons(c.cur...), Begin: c.begin}).Rows() {
				if err = e; e == nil {
					got = append(got, p)
				}
			}
			if !errors.Is(err, c.err) {
				t.Fatalf("error: got %v, want %v", err, c.err)
			}
			if c.err == nil {
				wantPersons(t, "rows", c.want, got)
			}
		})
	}
}

func TestMergePersons(t *testing.T) {
	unlinked, k4, k2 := row{Source: "acme", UserID: "a"}, row{Source: "acme", UserID: "a", LinkRule: "K4"}, row{Source: "acme", UserID: "a", LinkRule: "K2"}
	b, c := row{Source: "acme", UserID: "b"}, row{Source: "pool", UserID: "a"}
	got := all(t, reconcile.MergePersons(persons(unlinked, b), persons(k4, c), persons(k2), persons()))
	wantPersons(t, "merged", []row{k2, b, c}, got)
	for _, err := range reconcile.MergePersons(persons(unlinked, b)) {
		if err != nil {
			t.Error(err)
		}
		break // stops its readers
	}
	for _, err := range reconcile.MergePersons(persons(b, unlinked)) {
		if err != nil && !errors.Is(err, reconcile.ErrUnsorted) {
			t.Errorf("unsorted: got %v", err)
		}
	}
}

// The person of a pair is its Auth0 account, on whichever side that is.
func TestPersonsSortedAndOriented(t *testing.T) {
	l, r := side("zeta", auth0("auth0|1"), auth0("auth0|0")), side("pool", cognito("s1", linkID("auth0|1")))
	want := all(t, compare(t, l, r, reconcile.Options{}).Persons(context.Background()))
	got := all(t, compare(t, r, l, reconcile.Options{}).Persons(context.Background()))
	wantPersons(t, "swapped", want, got)
	res := compare(t, side("acme", auth0("auth0|1"), auth0("auth0|2")), side("pool", cognito("s1")), reconcile.Options{})
	for p, err := range res.Persons(context.Background()) {
		if err != nil || p.UserID != "auth0|1" {
			t.Errorf("first of several: got %s, %v", p.UserID, err)
		}
		break
	}
	if want[0].Source != "pool" || want[0].PersonKey != reconcile.PersonKey("auth0|1") || want[1].UserID != "auth0|0" {
		t.Errorf("order or key: %+v", want)
	}
}
