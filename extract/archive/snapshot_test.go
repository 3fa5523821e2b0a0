package archive_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/extracttest"
)

func users(from, to int) string { return strings.Join(records("auth0_users", from, to), "\n") }

func TestSnapshotEachFile(t *testing.T) {
	p := newPoller(t, archive.Options{Format: "auth0_users"})
	write(t, p.dir, "users-2026-11-18.json", users(0, 3))
	write(t, p.dir, "users-20261117T0300.json", users(0, 2)+"\nbroken\n")
	write(t, p.dir, "users.json", users(0, 4)) // as old as it was changed
	write(t, p.dir, "v-2026-11-18.json", users(0, 1))
	r := p.run(t)
	same(t, "snapshots", r.snapshots, []string{
		"20261117T030000Z+", "20261118T000000Z+", "20261118T000000Z-2+", "20261119T120000Z+",
	})
	same(t, "counts", r.counts, []map[string]int64{{"users": 2, "unparsed": 1}, {"users": 3}, {"users": 1}, {"users": 4}})

	// Another file of that second, an older one, and one replaced.
	touch(t, write(t, p.dir, "users2.json", users(0, 1)), fileTime())
	write(t, p.dir, "w-2026-11-18.json", users(0, 1))
	touch(t, write(t, p.dir, "users-2026-11-18.json", users(0, 5)), fileTime().Add(time.Hour))
	r = p.run(t)
	if len(r.snapshots) != 3 || r.snapshots[2] != "20261119T120000Z-2+" {
		t.Fatalf("got snapshots %v", r.snapshots)
	}
	for _, id := range r.snapshots[:2] {
		if !strings.HasPrefix(id, "20261118T000000Z-") || len(id) < len("20261118T000000Z-1000000+") || r.snapshots[0] == r.snapshots[1] {
			t.Errorf("got snapshots %v: they may bear another's name", r.snapshots)
		}
	}
}

func TestSnapshotNotComplete(t *testing.T) {
	whole := gz(users(0, 500))
	for name, content := range map[string]string{
		"cut gzip": whole[:len(whole)/2], "cut line": users(0, 3)[:100], "cut array": "[" + users(0, 1), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a-2026-11-18", content)
			write(t, dir, "b-2026-11-19", users(0, 1))
			for _, mode := range []string{"file", "all"} {
				r := run(t, source(t, archive.Options{Format: "auth0_users", Path: dir, Snapshot: mode}), "", nil)
				want := []string{"20261118T000000Z", "20261119T000000Z+"}
				if mode == "all" {
					want = []string{"20261119T000000Z"}
				}
				same(t, mode, r.snapshots, want)
				if len(r.done) != 2 || r.done[0].Fault == "" || r.err != nil {
					t.Errorf("got inputs %v, error %v", r.done, r.err)
				}
			}
		})
	}
}

func TestSnapshotOfNoUsers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "users-2026-11-18.json", `{"Users":[]}`)
	r := run(t, source(t, archive.Options{Format: "cognito_users", Path: dir}), "", nil)
	same(t, "snapshots", r.snapshots, []string{"20261118T000000Z+"})
	same(t, "counts", r.counts, []map[string]int64{{"users": 0}})
}

func TestSnapshotOfAllFiles(t *testing.T) {
	p := newPoller(t, archive.Options{Format: "auth0_users", Snapshot: "all"})
	if r := p.run(t); r.pages != 0 || r.err != nil {
		t.Fatalf("no files: %d pages, error %v", r.pages, r.err)
	}
	write(t, p.dir, "a-2026-11-18", users(0, 1500))
	write(t, p.dir, "b-2026-11-17", users(1500, 2000))
	r := p.run(t)
	same(t, "snapshots", r.snapshots[len(r.snapshots)-1], "20261118T000000Z+")
	same(t, "counts", r.counts, []map[string]int64{{"users": 2000}})
	if r := p.run(t); r.pages != 0 {
		t.Errorf("nothing new: got %d pages", r.pages)
	}
	write(t, p.dir, "c-2026-11-18", users(2000, 2001))
	r = p.run(t)
	same(t, "counts with another file", r.counts, []map[string]int64{{"users": 2001}})
	same(t, "its snapshot", r.snapshots[len(r.snapshots)-1], "20261118T000000Z-2+")
}

// A snapshot with a hole is read again, into itself, until it has none.
func TestSnapshotOfAllFilesWithAHole(t *testing.T) {
	for _, missing := range []string{"a", "b", "c"} {
		b := newBucket(t, map[string]string{
			"a-2026-11-18": users(0, 1200), "b-2026-11-18": users(1200, 2400), "c-2026-11-18": users(2400, 3600),
		})
		refused := true
		b.fault = func(key string, _ int64) error {
			if refused && strings.HasPrefix(key, missing) {
				return fs.ErrPermission
			}
			return nil
		}
		var ledger extracttest.Ledger
		o := archive.Options{Format: "auth0_users", Store: b, Snapshot: "all", Ledger: &ledger}
		r := run(t, source(t, o), "", &ledger)
		if len(r.ids) != 2400 || r.err == nil || len(r.counts) != 0 {
			t.Fatalf("%s missing: got %d users, counts %v, error %v", missing, len(r.ids), r.counts, r.err)
		}
		refused = false
		seen := map[string]bool{}
		for _, id := range r.ids {
			seen[id] = true
		}
		for i := 0; len(r.counts) == 0; i++ {
			if r = run(t, source(t, o), r.next, &ledger); r.err != nil || i > 2 {
				t.Fatalf("%s missing: run %d: %v", missing, i, r.err)
			}
			for _, id := range r.ids {
				seen[id] = true
			}
		}
		same(t, "counts", r.counts, []map[string]int64{{"users": 3600}})
		same(t, "snapshot", r.snapshots[len(r.snapshots)-1], "20261118T000000Z+")
		if len(seen) != 3600 {
			t.Errorf("%s missing: got %d users in all", missing, len(seen))
		}
		if r = run(t, source(t, o), r.next, &ledger); r.pages != 0 {
			t.Errorf("%s missing: complete, and %d pages more", missing, r.pages)
		}
	}
}

func TestSnapshotKeepsItsNameWhenResumed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b-2026-11-18", users(0, 2500))
	var ledger extracttest.Ledger
	o := archive.Options{Format: "auth0_users", Path: dir, Ledger: &ledger}
	var mid extract.Cursor
	for p, err := range source(t, o).Pages(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		mid = p.Next
		break
	}
	write(t, dir, "a-2026-11-18", users(0, 1))
	r := run(t, source(t, o), mid, &ledger)
	same(t, "snapshots", r.snapshots, []string{"20261118T000000Z", "20261118T000000Z+", "20261118T000000Z-2+"})
	same(t, "counts", r.counts, []map[string]int64{{"users": 2500}, {"users": 1}})
}
