package people_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/people"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

const table = "persons/persons.parquet"

var (
	begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	later = begin.AddDate(0, 0, 10)
)

func account(source, id, key string, rule reconcile.Rule, from time.Time, to *time.Time) reconcile.Person {
	return reconcile.Person{Source: source, UserID: id, UserName: id, PersonKey: key, LinkRule: rule, ValidFrom: from, ValidTo: to}
}

// write replaces the table.
func write(t testing.TB, store blob.Store, rows ...reconcile.Person) {
	t.Helper()
	_ = store.Delete(t.Context(), table)
	if _, err := lake.WriteTable(t.Context(), store, table, slices.Values(rows)); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, store blob.Store, dir string) *people.Index {
	t.Helper()
	x, err := people.Open(t.Context(), store, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// of labels an event of user and actor, "" for none, and returns its labels.
func of(x *people.Index, user, actor string) []string {
	var e schema.Event
	if user != "" {
		e.User = &schema.UserObject{UID: user}
	}
	if actor != "" {
		e.Actor = &schema.Actor{User: &schema.UserObject{UID: actor}}
	}
	x.Label(&e)
	return e.Metadata.Labels
}

func wantLabels(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
}

func TestLabel(t *testing.T) {
	store := blobtest.NewMemory()
	write(t, store,
		account("acme", "auth0|1", "k1", "", begin, nil),
		// Closed, then opened again with another link.
		account("acme", "auth0|2", "old", "K4", begin, &later),
		account("acme", "auth0|2", "k2", "", later, nil),
		// Gone: the row closed last.
		account("acme", "auth0|3", "k3a", "", begin, new(begin.AddDate(0, 0, 3))),
		account("acme", "auth0|3", "k3b", "", begin.AddDate(0, 0, 5), &later),
		// Gone, and linked once: as v_events has it, that one.
		account("acme", "auth0|6", "k6", "K4", begin, new(begin.AddDate(0, 0, 3))),
		account("acme", "auth0|6", "alone", "", begin.AddDate(0, 0, 5), &later),
		// The same id in two sources: the linked one is better.
		account("acme", "sub-4", "alone", "", later, nil),
		account("pool", "sub-4", "k4", "K2", begin, nil),
		// Nothing tells them apart but their source's name.
		account("a", "same", "k5", "", begin, nil),
		account("b", "same", "other", "", begin, nil),
	)
	x := open(t, store, t.TempDir())
	for _, tt := range []struct {
		name, user, actor, want string
	}{
		{"user", "auth0|1", "", "person:k1"},
		{"user before actor", "auth0|1", "auth0|2", "person:k1"},
		{"actor", "", "auth0|1", "person:k1"},
		{"actor where the user is not known", "auth0|9", "auth0|1", "person:k1"},
		{"open before closed", "auth0|2", "", "person:k2"},
		{"closed last", "auth0|3", "", "person:k3b"},
		{"closed and linked", "auth0|6", "", "person:k6"},
		{"linked before newer", "sub-4", "", "person:k4"},
		{"first source", "same", "", "person:k5"},
		{"not known", "auth0|9", "auth0|8", ""},
		{"by name", "AUTH0|1", "", ""},
		{"nobody", "", "", ""},
	} {
		for range 2 { // the second time out of the cache
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if got := of(x, tt.user, tt.actor); !slices.Equal(got, want) {
				t.Errorf("%s: labels %q, want %q", tt.name, got, want)
			}
		}
	}
}

// TestLabelShared: lists of labels may share memory with another event's.
func TestLabelShared(t *testing.T) {
	store := blobtest.NewMemory()
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	x := open(t, store, t.TempDir())
	room := make([]string, 1, 4)
	room[0] = "self"
	e := schema.Event{User: &schema.UserObject{UID: "auth0|1"}, Metadata: schema.Metadata{Labels: room}}
	x.Label(&e)
	x.Label(&e)
	wantLabels(t, e.Metadata.Labels, "self", "person:k1")
	if got := room[:2][1]; got != "" {
		t.Errorf("the list's own memory was written to: %q", got)
	}
}

func TestNoTable(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	x := open(t, store, dir)
	wantLabels(t, of(x, "auth0|1", ""))
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	wantLabels(t, of(open(t, store, dir), "auth0|1", ""), "person:k1")
	if err := store.Delete(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, of(open(t, store, dir), "auth0|1", ""))
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left of a table that is gone: %q", left)
	}
}

func TestChangedTable(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	before := open(t, store, dir)
	write(t, store, account("acme", "auth0|1", "k2", "", begin, nil), account("acme", "auth0|2", "k3", "", begin, nil))
	after := open(t, store, dir)
	wantLabels(t, of(after, "auth0|1", ""), "person:k2")
	wantLabels(t, of(after, "auth0|2", ""), "person:k3")
	// Who opened it before keeps what was there then.
	wantLabels(t, of(before, "auth0|1", ""), "person:k1")
}

// TestKept: a table that is the same is not read again, and its index is
// nobody's business.
func TestKept(t *testing.T) {
	store, dir := &counting{Store: blobtest.NewMemory()}, t.TempDir()
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	open(t, store, dir)
	read := store.gets
	wantLabels(t, of(open(t, store, dir), "auth0|1", ""), "person:k1")
	if read == 0 || store.gets != read {
		t.Errorf("read the table %d times, then %d times more", read, store.gets-read)
	}
	for _, name := range files(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, want 0600", info.Mode())
		}
	}
}

// TestDamaged: every damage is noticed when the index is opened, and it is made
// anew.
func TestDamaged(t *testing.T) {
	rows := make([]reconcile.Person, 2000)
	for i := range rows {
		id := fmt.Sprintf("auth0|%06d", i)
		rows[i] = account("acme", id, "key"+id, "", begin, nil)
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"no SQLite": func([]byte) []byte { return []byte("not a database, but a text of some length") },
		"cut off":   func(b []byte) []byte { return b[:len(b)/2] },
		"a page":    func(b []byte) []byte { return overwrite(b, len(b)/2) },
		"the first": func(b []byte) []byte { return overwrite(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			store, dir := blobtest.NewMemory(), t.TempDir()
			write(t, store, rows...)
			if err := open(t, store, dir).Close(); err != nil {
				t.Fatal(err)
			}
			path := files(t, dir)[0]
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			x := open(t, store, dir)
			for i := range rows {
				wantLabels(t, of(x, rows[i].UserID, ""), "person:"+rows[i].PersonKey)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedWhileOpen: events go on without labels, the error comes with Close,
// and the next one is made anew.
func TestDamagedWhileOpen(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	rows := make([]reconcile.Person, 50_000)
	for i := range rows {
		id := fmt.Sprintf("auth0|%06d", i)
		rows[i] = account("acme", id, "key"+id, "", begin, nil)
	}
	write(t, store, rows...)
	x := open(t, store, dir)
	path := files(t, dir)[0]
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o600); err != nil {
		t.Fatal(err)
	}
	labelled := 0
	for i := range rows {
		labelled += len(of(x, rows[i].UserID, ""))
	}
	if labelled == len(rows) {
		t.Skip("all of it was in memory")
	}
	if err := x.Close(); err == nil {
		t.Error("no error though the file is damaged")
	}
	wantLabels(t, of(open(t, store, dir), "auth0|049999", ""), "person:keyauth0|049999")
}

func TestConcurrent(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	rows := make([]reconcile.Person, 10_000)
	for i := range rows {
		id := fmt.Sprintf("auth0|%05d", i)
		rows[i] = account("acme", id, "key"+id, "", begin, nil)
	}
	write(t, store, rows...)
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			x, err := people.Open(t.Context(), store, dir) // all of them make it
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = x.Close() }()
			var inner sync.WaitGroup
			for k := range 2 {
				inner.Go(func() {
					for i := range rows {
						r := rows[(i*(7+2*k)+n)%len(rows)]
						if got := of(x, r.UserID, ""); len(got) != 1 || got[0] != "person:"+r.PersonKey {
							t.Errorf("labels of %s: %q", r.UserID, got)
							return
						}
					}
				})
			}
			inner.Wait()
		})
	}
	group.Wait()
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files %q, want one", left)
	}
}

// TestStoreFails: an error of the store is one, and leaves nothing behind.
func TestStoreFails(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	if _, err := store.PutNew(t.Context(), table, newBody("no Parquet")); err != nil {
		t.Fatal(err)
	}
	if _, err := people.Open(t.Context(), store, dir); err == nil {
		t.Error("no error though the table is none")
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left behind: %q", left)
	}
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	if _, err := people.Open(t.Context(), store, filepath.Join(dir, "missing")); err == nil {
		t.Error("no error though there is no folder")
	}
}

// TestForeign: a file that others may write to is not believed.
func TestForeign(t *testing.T) {
	store, dir := blobtest.NewMemory(), t.TempDir()
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	open(t, store, dir)
	path := files(t, dir)[0]
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, of(open(t, store, dir), "auth0|1", ""), "person:k1")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want it made anew", info.Mode(), err)
	}
}

func TestOddFolder(t *testing.T) {
	store, dir := blobtest.NewMemory(), filepath.Join(t.TempDir(), "a ?#%41 é")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, store, account("acme", "auth0|1", "k1", "", begin, nil))
	wantLabels(t, of(open(t, store, dir), "auth0|1", ""), "person:k1")
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files %q, want one", left)
	}
}

func TestNil(t *testing.T) {
	var x *people.Index
	wantLabels(t, of(x, "auth0|1", ""))
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkLabel(b *testing.B) {
	store := blobtest.NewMemory()
	rows := make([]reconcile.Person, 100_000)
	for i := range rows {
		id := fmt.Sprintf("auth0|%06d", i)
		rows[i] = account("acme", id, reconcile.PersonKey(id), "", begin, nil)
	}
	write(b, store, rows...)
	x := open(b, store, b.TempDir())
	for name, spread := range map[string]int{"cached": 1000, "all": len(rows)} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				e := schema.Event{User: &schema.UserObject{UID: rows[i*7919%spread].UserID}}
				x.Label(&e)
			}
		})
	}
}
