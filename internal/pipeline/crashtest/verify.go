package crashtest

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

// verify checks raw and both layouts of the lake, record by record.
func verify(t *testing.T, raw, lakeStore blob.Store) {
	t.Helper()
	verifyRaw(t, raw)
	for _, layout := range []struct{ sink, suffix string }{{"lake", ""}, {"json", "_json"}} {
		objects := verifyFlushes(t, lakeStore, layout.sink)
		verifyOnlyThose(t, lakeStore, layout.suffix, objects)
		verifyRows(t, lakeStore, layout.suffix, objects)
	}
}

func verifyRaw(t *testing.T, raw blob.Store) {
	t.Helper()
	logs := readChain(t, raw, "logs")
	var want []string
	for i := range logsGrown {
		want = append(want, string(logLine(i)))
	}
	exactly(t, "raw logs", logs, want)
	if got := len(readChain(t, raw, "users")); got != 2*usersCount {
		t.Errorf("raw holds %d users of two snapshots, want %d", got, 2*usersCount)
	}
	readChain(t, raw, "trail")
}

// readChain returns what was landed: log lines as they were sent.
func readChain(t *testing.T, raw blob.Store, source string) []string {
	t.Helper()
	var lines []string
	prev, next := "", int64(0)
	for seq, err := range segment.List(t.Context(), raw, source, 0) {
		if err != nil {
			t.Fatal(err)
		}
		seg, err := segment.Read(t.Context(), raw, source, seq)
		if err != nil {
			t.Fatal(err)
		}
		if seq != next || seg.Header.Prev != prev {
			t.Fatalf("%s: segment %d does not follow segment %d", source, seq, next-1)
		}
		prev, next = seg.SHA256, next+1
		for rec := range seg.Records() {
			lines = append(lines, sent(rec))
		}
	}
	return lines
}

func sent(rec segment.Record) string {
	if rec.Kind != schema.KindUnparsed {
		return string(rec.Line)
	}
	_, text, _ := strings.Cut(string(rec.Line), `"text":"`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}

// verifyFlushes checks that each source's flushes are completed and contiguous,
// and returns the objects they name.
func verifyFlushes(t *testing.T, store blob.Store, sink string) map[string]lake.Object {
	t.Helper()
	objects := map[string]lake.Object{}
	for _, s := range scripts(true) {
		next := int64(0)
		for rec, err := range lake.Open(store).Flushes(t.Context(), sink, s.name) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.From != next || rec.State != lake.StateCompleted {
				t.Errorf("%s/%s: flush %d-%d is %s where one from %d was expected", sink, s.name, rec.From, rec.To, rec.State, next)
			}
			next = rec.To
			for _, o := range rec.Objects {
				objects[o.Key] = o
			}
		}
	}
	return objects
}

// verifyOnlyThose checks that every object below a table stands in a record.
func verifyOnlyThose(t *testing.T, store blob.Store, suffix string, objects map[string]lake.Object) {
	t.Helper()
	found := 0
	for _, table := range []string{"events", "users", "snapshots", "rejected", "gaps"} {
		for info, err := range store.List(t.Context(), table+suffix+"/", "") {
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := objects[info.Key]; !ok {
				t.Errorf("%s stands in no flush record", info.Key)
			}
			found++
		}
	}
	if found != len(objects) {
		t.Errorf("%d objects, %d in records", found, len(objects))
	}
}

func verifyRows(t *testing.T, store blob.Store, suffix string, objects map[string]lake.Object) {
	t.Helper()
	var events, users, snapshots, rejects, gaps []string
	for key := range objects {
		switch table, _, _ := strings.Cut(key, "/"); strings.TrimSuffix(table, suffix) {
		case "events":
			events = append(events, rows(t, store, key, func(e schema.Event) string { return e.Metadata.UID })...)
		case "users":
			users = append(users, rows(t, store, key, func(u schema.User) string { return path.Dir(key) + u.UserID })...)
		case "snapshots":
			snapshots = append(snapshots, rows(t, store, key, func(s schema.SnapshotRow) string { return fmt.Sprint(s) })...)
		case "rejected":
			rejects = append(rejects, rows(t, store, key, func(r schema.Reject) string { return r.ID })...)
		case "gaps":
			gaps = append(gaps, rows(t, store, key, func(g schema.Gap) string { return g.Reason })...)
		}
	}
	var wantEvents []string
	odd := 0
	for i := range logsGrown {
		if i%oddEvery == oddEvery-1 {
			odd++
			continue
		}
		wantEvents = append(wantEvents, logID(i))
	}
	exactly(t, "events"+suffix, events, wantEvents)
	distinct(t, "users"+suffix, users, 2*usersCount)
	distinct(t, "snapshots"+suffix, snapshots, 2)
	distinct(t, "rejected"+suffix, rejects, odd)
	distinct(t, "gaps"+suffix, gaps, 1)
}

func rows[T any](t *testing.T, store blob.Store, key string, name func(T) string) []string {
	t.Helper()
	var names []string
	for row, err := range lake.ReadTable[T](t.Context(), store, key) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name(row))
	}
	return names
}

func exactly(t *testing.T, what string, got, want []string) {
	t.Helper()
	count := map[string]int{}
	for _, g := range got {
		count[g]++
	}
	var wrong []string
	for _, w := range want {
		if count[w] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s is there %d times", w, count[w]))
		}
		delete(count, w)
	}
	for g := range count {
		wrong = append(wrong, g+" was never sent")
	}
	if len(wrong) > 0 {
		t.Errorf("%s: %d wrong: %s …", what, len(wrong), strings.Join(wrong[:min(5, len(wrong))], ", "))
	}
}

func distinct(t *testing.T, what string, got []string, want int) {
	t.Helper()
	seen := map[string]bool{}
	for _, g := range got {
		seen[g] = true
	}
	if len(got) != want || len(seen) != want {
		t.Errorf("%s: %d rows, %d distinct; want %d", what, len(got), len(seen), want)
	}
}
