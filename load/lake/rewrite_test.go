package lake_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const recordOne = "flushes/lake/acme/000000000001.json"

// before and after are the rows of one range under two mappings: the later one
// files a day elsewhere, changes another, leaves the users alone and gives no
// rejects.
func before() []load.Row { return loadtest.Rows("acme", 1, 3) }

func after() []load.Row {
	var rows []load.Row
	for _, r := range before() {
		if r.Reject != nil {
			continue
		}
		if r.Event != nil {
			e := *r.Event
			if r.Day == "2026-01-02" {
				r.Day = "2026-01-01"
			} else {
				e.Message = "mapped otherwise"
			}
			r.Event = &e
		}
		rows = append(rows, r)
	}
	return rows
}

// third are the rows under yet another mapping.
func third() []load.Row {
	rows := before()[60:]
	for i := range rows {
		if rows[i].Event != nil {
			e := *rows[i].Event
			e.Message = "mapped a third time"
			rows[i].Event = &e
		}
	}
	return rows
}

func keysOfRows(rows []load.Row) []string {
	var keys []string
	for _, r := range rows {
		keys = append(keys, loadtest.Key(r))
	}
	return keys
}

func batchOf(mapping int, rows []load.Row) load.Batch {
	b := loadtest.Batch("acme", 1, 4, rows)
	b.Mapping = mapping
	return b
}

// flushed is a lake with one finished flush, and a bystander.
func flushed(t *testing.T, newSink func(lake.Options) *lake.Sink) *blobtest.Memory {
	t.Helper()
	store := blobtest.NewMemory()
	mustFlush(t, newSink(options(t, store)), batchOf(1, before()))
	return store
}

// byMapping2 are options of a program with the later mapping.
func byMapping2(t *testing.T, store blob.Store) lake.Options {
	o := options(t, store)
	o.Mapping = 2
	return o
}

func later() time.Time { return now().Add(time.Hour) }

// rewrite does what the pipeline does: plan, and rewrite unless all is done.
func rewrite(ctx context.Context, s *lake.Sink, b load.Batch, told *[]lake.Change) (load.Result, error) {
	return s.Rewrite(ctx, b, lake.Rewrite{At: later(), Before: func(_ context.Context, c []lake.Change) error {
		*told = append(*told, c...)
		return nil
	}})
}

// wantTold checks that the changes told lead from the lake that was to the one
// that is, object by object, and tell of nothing else.
func wantTold(t *testing.T, what string, was, is map[string][]byte, told []lake.Change) {
	t.Helper()
	type version struct{ key, sum string }
	became := map[version]string{}
	for _, c := range told {
		became[version{c.Key, c.Old}] = c.New
	}
	hash := func(objects map[string][]byte, key string) string {
		if b, ok := objects[key]; ok {
			return sum(b)
		}
		return ""
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for key := range all {
		at, want := hash(was, key), hash(is, key)
		for n := 0; at != want && n < 5; n++ {
			next, ok := became[version{key, at}]
			if !ok {
				break
			}
			at = next
		}
		if at != want {
			t.Errorf("%s: %s became %q, told was %q", what, key, want, at)
		}
	}
}

func TestRewrite(t *testing.T) {
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			store := flushed(t, newSink)
			was := store.Objects()
			s := newSink(byMapping2(t, store))
			w, err := s.Prepare(t.Context(), batchOf(2, after()), later())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.Close() }()
			changes := w.Changes()
			if diff := cmp.Diff(was, store.Objects()); diff != "" {
				t.Errorf("preparing changed the lake (-was +is):\n%s", diff)
			}
			res, err := w.Commit(t.Context())
			if err != nil || res.Upto != (load.Position{Segment: 4}) || res.Counts.Rejects != 0 || res.Counts.Events != 120 {
				t.Fatalf("got %+v, %v", res, err)
			}
			wantWhole(t, name, store, keysOfRows(after()))
			wantTold(t, name, was, store.Objects(), changes)
			var removed int64
			for _, c := range changes {
				if strings.HasPrefix(c.Key, "users") {
					t.Errorf("told of %s, which is as it was", c.Key)
				}
				if c.New == "" {
					removed += c.Removed
				}
			}
			if removed == 0 {
				t.Error("no row was told to be removed")
			}
			plan, err := s.Plan(t.Context(), "acme", 1, 4)
			if err != nil || !plan.Done || plan.Reopened || plan.Counts != res.Counts {
				t.Errorf("planned %+v, %v; want it done, with %+v", plan, err, res.Counts)
			}
			for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
				if err != nil || r.Mapping != 2 || !r.RewrittenAt.Equal(later()) || !r.CompletedAt.Equal(now()) || r.Replaces != sum(was[recordOne]) || r.Format != 1 {
					t.Errorf("record %+v, %v", r, err)
				}
			}
			if diff := cmp.Diff(fresh(t, newSink), objectsOnly(store)); diff != "" {
				t.Errorf("objects (-flushed so at first +rewritten):\n%s", diff)
			}
		})
	}
}

// fresh are the objects of a lake that was flushed with the later mapping.
func fresh(t *testing.T, newSink func(lake.Options) *lake.Sink) map[string]string {
	t.Helper()
	store := blobtest.NewMemory()
	mustFlush(t, newSink(byMapping2(t, store)), batchOf(2, after()))
	return objectsOnly(store)
}

func objectsOnly(store *blobtest.Memory) map[string]string {
	sums := map[string]string{}
	for key, b := range store.Objects() {
		if !strings.HasPrefix(key, "flushes/") {
			sums[key] = sum(b)
		}
	}
	return sums
}

// What changes nothing touches nothing; a mapping that gives the same rows is
// noted, without reopening the flush.
func TestRewriteNothing(t *testing.T) {
	store := flushed(t, lake.NewParquet)
	was := store.Objects()
	var told []lake.Change
	if _, err := rewrite(t.Context(), lake.NewParquet(options(t, store)), batchOf(1, before()), &told); err != nil || told != nil {
		t.Errorf("told %+v, %v", told, err)
	}
	if diff := cmp.Diff(was, store.Objects()); diff != "" {
		t.Errorf("objects (-was +is):\n%s", diff)
	}
	if _, err := rewrite(t.Context(), lake.NewParquet(byMapping2(t, store)), batchOf(2, before()), &told); err != nil {
		t.Error(err)
	}
	for _, c := range told {
		if c.Key != recordOne {
			t.Errorf("told of %s", c.Key)
		}
	}
	wantTold(t, "mapping", was, store.Objects(), told)
	wantWhole(t, "mapping", store, keysOfRows(before()))
}

// Parts grow and shrink.
func TestRewriteParts(t *testing.T) {
	rows := func(n int) []load.Row {
		var rows []load.Row
		for i := range n {
			e := loadtest.Event(int64(i), now())
			rows = append(rows, load.Row{Day: "2026-01-03", Event: &e})
		}
		return rows
	}
	store := blobtest.NewMemory()
	o := options(t, store)
	o.PartBytes = 50_000
	s := lake.NewJSON(o)
	mustFlush(t, s, batchOf(1, rows(2000)))
	for i, n := range []int{100, 2000, 0, 1900} {
		was := store.Objects()
		var told []lake.Change
		if _, err := rewrite(t.Context(), s, batchOf(1+i, rows(n)), &told); err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprint("to ", n)
		wantWhole(t, what, store, keysOfRows(rows(n)))
		wantTold(t, what, was, store.Objects(), told)
		if n > 1000 && len(store.Objects()) < 3 {
			t.Errorf("%s: %d objects, want several parts", what, len(store.Objects()))
		}
	}
}

// Every store call of a rewriting fails once, as a request that never arrived
// and as an answer that never came back; then it is found and done again, by the
// same program or by one with a later mapping.
func TestRewriteFailureMatrix(t *testing.T) {
	for name, newSink := range sinks() {
		for _, answer := range []bool{false, true} {
			for _, mapping := range []int{2, 3} {
				// The layouts share all but how rows are encoded.
				if name == "parquet" && ((mapping == 3) != answer || raceDetector || testing.Short()) {
					continue
				}
				for n := 1; ; n++ {
					store := flushed(t, newSink)
					was := store.Objects()
					c := &calls{lose: n, answer: answer}
					var told []lake.Change
					_, err := rewrite(t.Context(), newSink(byMapping2(t, c.store(store))), batchOf(2, after()), &told)
					if c.n < n {
						if n < 10 {
							t.Errorf("a rewriting made %d calls only", n-1)
						}
						break
					}
					what := fmt.Sprintf("%s, call %d, answer %v, then mapping %d", name, n, answer, mapping)
					if err != nil && !errors.Is(err, errLost) || err == nil && !answer {
						t.Errorf("%s: got error %v", what, err)
					}
					finishRewriting(t, what, newSink, store, mapping, &told)
					wantTold(t, what, was, store.Objects(), told)
				}
			}
		}
	}
}

// finishRewriting goes on where one was cut off.
func finishRewriting(t *testing.T, what string, newSink func(lake.Options) *lake.Sink, store *blobtest.Memory, mapping int, told *[]lake.Change) {
	t.Helper()
	o := options(t, store)
	o.Mapping, o.Writer = mapping, fmt.Sprint("version ", mapping)
	if mapping == 2 {
		o.Writer = "1.2.3"
	}
	s := newSink(o)
	plan, err := s.Plan(t.Context(), "acme", 1, 4)
	if err != nil || plan.To != 4 || plan.Done == plan.Reopened {
		t.Fatalf("%s: plan again: %+v, %v", what, plan, err)
	}
	unfinished := 0
	for r, err := range s.Unfinished(t.Context(), "acme") {
		if err != nil || r.State != lake.StateReopened {
			t.Errorf("%s: unfinished %+v, %v", what, r, err)
		}
		unfinished++
	}
	if (unfinished == 1) != plan.Reopened {
		t.Errorf("%s: %d unfinished, planned %+v", what, unfinished, plan)
	}
	rows := after()
	if mapping == 3 {
		rows = third()
	}
	if _, err := rewrite(t.Context(), s, batchOf(mapping, rows), told); err != nil {
		t.Fatalf("%s: again: %v", what, err)
	}
	wantWhole(t, what, store, keysOfRows(rows))
}

// A rewriting cut off and taken up by the same program ends in what was told at
// first: what is written down of it stays true.
func TestRewriteKeepsItsWord(t *testing.T) {
	store := flushed(t, lake.NewParquet)
	was := store.Objects()
	c := &calls{lose: 8}
	var told, again []lake.Change
	if _, err := rewrite(t.Context(), lake.NewParquet(byMapping2(t, c.store(store))), batchOf(2, after()), &told); !errors.Is(err, errLost) {
		t.Fatalf("got error %v", err)
	}
	s := lake.NewParquet(byMapping2(t, store))
	if _, err := s.Rewrite(t.Context(), batchOf(2, after()), lake.Rewrite{At: later().Add(time.Minute), Before: func(_ context.Context, c []lake.Change) error {
		again = c
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	wantTold(t, "told at first", was, store.Objects(), told)
	for _, c := range again {
		if c.Key != recordOne && !slices.Contains(told, c) {
			t.Errorf("told of %+v only the second time", c)
		}
	}
}

// The client under the store repeats requests, and hears of its own first ones.
func TestRewriteRepeatedByTheClient(t *testing.T) {
	answers := map[string]error{blobtest.OpPutNew: blob.ErrExist, blobtest.OpPutMatch: blob.ErrChanged}
	for name, newSink := range sinks() {
		store := flushed(t, newSink)
		faulty := &blobtest.Faulty{Store: store, After: func(op, _ string) error { return answers[op] }}
		var told []lake.Change
		if _, err := rewrite(t.Context(), newSink(byMapping2(t, faulty)), batchOf(2, after()), &told); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantWhole(t, name, store, keysOfRows(after()))
	}
}

// A second writer takes over at every call of the first, with a later mapping
// or the same; the first must not spoil what the second wrote.
func TestRewriteByTwo(t *testing.T) {
	for _, mapping := range []int{2, 3} {
		for n := 1; ; n++ {
			store := flushed(t, lake.NewJSON)
			calls := 0
			what := fmt.Sprintf("overtaken at call %d with mapping %d", n, mapping)
			unguarded := false
			faulty := &blobtest.Faulty{Store: store, Before: func(op, _ string) error {
				if calls++; calls == n {
					// Whoever is overtaken right here has looked already, and
					// nothing says that there is to be no such object: that is what
					// leases are for.
					unguarded = (op == blobtest.OpDelete || op == blobtest.OpPutNew) && mapping == 3
				}
				if calls == n && !unguarded {
					finishRewriting(t, what, lake.NewJSON, store, mapping, new([]lake.Change))
				}
				return nil
			}}
			var told []lake.Change
			_, err := rewrite(t.Context(), lake.NewJSON(byMapping2(t, faulty)), batchOf(2, after()), &told)
			if calls < n {
				break
			}
			if err != nil && !errors.Is(err, blob.ErrChanged) && !errors.Is(err, lake.ErrNewer) {
				t.Errorf("%s: got error %v", what, err)
			}
			rows := after()
			if mapping == 3 && !unguarded {
				rows = third()
			}
			wantWhole(t, what, store, keysOfRows(rows))
		}
	}
}

func TestWhatCannotBeRewritten(t *testing.T) {
	refused := func(what string, store blob.Store, b load.Batch, want error) {
		t.Helper()
		var told []lake.Change
		_, err := rewrite(t.Context(), lake.NewParquet(options(t, store)), b, &told)
		if err == nil || want != nil && !errors.Is(err, want) || told != nil {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	empty := blobtest.NewMemory()
	refused("no flush", empty, batchOf(1, nil), blob.ErrNotExist)
	if _, err := lake.NewParquet(options(t, empty)).Plan(t.Context(), "acme", 1, 4); err != nil {
		t.Fatal(err)
	}
	refused("open flush", empty, batchOf(1, nil), lake.ErrUnfinished)
	store := flushed(t, lake.NewParquet)
	refused("other end", store, loadtest.Batch("acme", 1, 5, nil), nil)
	refused("amid", store, load.Batch{Source: "acme", From: load.Position{Segment: 1}, To: load.Position{Segment: 4, Record: 1}}, nil)
	refused("unsorted", store, batchOf(1, []load.Row{before()[125], before()[0]}), nil)
	refused("older mapping", store, batchOf(0, nil), lake.ErrNewer)

	c := &calls{lose: 5}
	var told []lake.Change
	if _, err := rewrite(t.Context(), lake.NewParquet(byMapping2(t, c.store(store))), batchOf(2, after()), &told); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	older := lake.NewParquet(options(t, store))
	if _, err := older.Plan(t.Context(), "acme", 1, 4); !errors.Is(err, lake.ErrNewer) {
		t.Errorf("planned by an older mapping: got %v", err)
	}
	if _, err := lake.NewParquet(byMapping2(t, store)).Deliver(t.Context(), batchOf(2, after())); !errors.Is(err, lake.ErrUnfinished) {
		t.Errorf("delivered: got %v", err)
	}
	if _, err := older.PreparePrune(t.Context(), "acme", 1, lake.Prune{}); !errors.Is(err, lake.ErrUnfinished) {
		t.Errorf("pruned: got %v", err)
	}
}

func TestBeforeSaysNo(t *testing.T) {
	store := flushed(t, lake.NewParquet)
	was := store.Objects()
	o := byMapping2(t, store)
	_, err := lake.NewParquet(o).Rewrite(t.Context(), batchOf(2, after()), lake.Rewrite{Before: func(context.Context, []lake.Change) error { return errLost }})
	if diff := cmp.Diff(was, store.Objects()); !errors.Is(err, errLost) || diff != "" {
		t.Errorf("got %v; objects (-was +is):\n%s", err, diff)
	}
	if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestRewriteCancelled(t *testing.T) {
	for n := 1; ; n++ {
		store := flushed(t, lake.NewJSON)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		faulty := &blobtest.Faulty{Store: store, Before: func(string, string) error {
			if calls++; calls == n {
				cancel()
				return ctx.Err()
			}
			return nil
		}}
		var told []lake.Change
		_, err := rewrite(ctx, lake.NewJSON(byMapping2(t, faulty)), batchOf(2, after()), &told)
		cancel()
		if calls < n {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v", n, err)
		}
		finishRewriting(t, fmt.Sprint("cancelled at ", n), lake.NewJSON, store, 2, &told)
	}
}

func dropUsers(table, _ string) bool { return table == "users" }

func dropEvents(table, day string) bool { return table == "events" && day == "2026-01-02" }

func prune(t *testing.T, s *lake.Sink, drop func(string, string) bool, told *[]lake.Change) error {
	t.Helper()
	p, err := s.PreparePrune(t.Context(), "acme", 1, lake.Prune{At: later(), Drop: drop})
	if err != nil {
		return err
	}
	*told = append(*told, p.Changes()...)
	return p.Commit(t.Context())
}

// wantPruned checks what is left, and what the record says of the rest.
func wantPruned(t *testing.T, what string, was map[string][]byte, store *blobtest.Memory, prefixes ...string) {
	t.Helper()
	left := store.Objects()
	for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
		if err != nil || r.State != lake.StateCompleted || r.Format != 2 || len(r.Pruning) > 0 || !r.PrunedAt.Equal(later()) || r.Counts.Events != 120 {
			t.Errorf("%s: record %+v, %v", what, r, err)
		}
		for _, o := range r.Objects {
			want := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(o.Key, p) })
			if _, there := left[o.Key]; there == want || o.Pruned != want || o.SHA256 != sum(was[o.Key]) || o.Rows == 0 {
				t.Errorf("%s: there: %v, want it pruned: %v; %+v", what, there, want, o)
			}
		}
	}
}

func TestPrune(t *testing.T) {
	for name, newSink := range sinks() {
		store := flushed(t, newSink)
		s := newSink(options(t, store))
		was := store.Objects()
		var told []lake.Change
		if err := prune(t, s, func(string, string) bool { return false }, &told); err != nil || told != nil {
			t.Errorf("%s: nothing: told %v, %v", name, told, err)
		}
		if err := prune(t, s, dropUsers, &told); err != nil {
			t.Fatal(err)
		}
		wantPruned(t, name, was, store, "users")
		between := store.Objects()
		if err := prune(t, s, dropUsers, &told); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(between, store.Objects()); diff != "" {
			t.Errorf("%s: pruned again (-was +is):\n%s", name, diff)
		}
		if err := prune(t, s, dropEvents, &told); err != nil {
			t.Fatal(err)
		}
		layout := map[string]string{"parquet": "", "json": "_json"}[name]
		wantPruned(t, name, was, store, "users", "events"+layout+"/source=acme/dt=2026-01-02")
		wantTold(t, name, was, store.Objects(), told)
		if plan, err := s.Plan(t.Context(), "acme", 1, 9); err != nil || !plan.Done || plan.Reopened || plan.Counts.Users != 9 {
			t.Errorf("%s: planned %+v, %v", name, plan, err)
		}
	}
}

func TestPruneFailureMatrix(t *testing.T) {
	for _, answer := range []bool{false, true} {
		for n := 1; ; n++ {
			store := flushed(t, lake.NewParquet)
			was := store.Objects()
			c := &calls{lose: n, answer: answer}
			var told []lake.Change
			err := prune(t, lake.NewParquet(options(t, c.store(store))), dropUsers, &told)
			if c.n < n {
				if n < 5 {
					t.Errorf("a pruning made %d calls only", n-1)
				}
				break
			}
			what := fmt.Sprintf("call %d, answer %v", n, answer)
			if !errors.Is(err, errLost) {
				t.Errorf("%s: got error %v", what, err)
			}
			s := lake.NewParquet(options(t, store))
			for r, err := range s.Unfinished(t.Context(), "acme") {
				if err != nil || len(r.Pruning) == 0 {
					t.Errorf("%s: unfinished %+v, %v", what, r, err)
				}
				// What was begun is not rewritten amid that.
				if _, err := s.Prepare(t.Context(), batchOf(1, before()), later()); !errors.Is(err, lake.ErrUnfinished) {
					t.Errorf("%s: rewritten: %v", what, err)
				}
			}
			drop := dropUsers
			if n%2 == 0 { // more is old by now
				drop = func(table, day string) bool { return dropUsers(table, day) || dropEvents(table, day) }
			}
			if err := prune(t, s, drop, &told); err != nil {
				t.Fatalf("%s: again: %v", what, err)
			}
			prefixes := []string{"users"}
			if n%2 == 0 {
				prefixes = append(prefixes, "events/source=acme/dt=2026-01-02")
			}
			wantPruned(t, what, was, store, prefixes...)
			wantTold(t, what, was, store.Objects(), told)
		}
	}
}

// What was pruned does not come back by a rewriting.
func TestRewriteOfWhatWasPruned(t *testing.T) {
	for name, newSink := range sinks() {
		for _, n := range []int{0, 6} { // a call to lose on the way
			store := flushed(t, newSink)
			was := store.Objects()
			var told []lake.Change
			if err := prune(t, newSink(options(t, store)), dropUsers, &told); err != nil {
				t.Fatal(err)
			}
			c := &calls{lose: n}
			res, err := rewrite(t.Context(), newSink(byMapping2(t, c.store(store))), batchOf(2, after()), &told)
			if n > 0 {
				if !errors.Is(err, errLost) {
					t.Fatalf("got error %v", err)
				}
				res, err = rewrite(t.Context(), newSink(byMapping2(t, store)), batchOf(2, after()), &told)
			}
			if err != nil || res.Counts.Users != 9 || res.Counts.Events != 120 {
				t.Fatalf("%s: got %+v, %v", name, res, err)
			}
			there := int64(0)
			for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
				if err != nil || r.Format != 2 || r.State != lake.StateCompleted {
					t.Errorf("%s: record %+v, %v", name, r, err)
				}
				for _, o := range r.Objects {
					_, ok := store.Objects()[o.Key]
					if ok == o.Pruned || o.Pruned != strings.HasPrefix(o.Key, "users") {
						t.Errorf("%s: there: %v, %+v", name, ok, o)
					}
					if ok {
						there += o.Bytes
					}
				}
			}
			if there != res.Counts.Bytes || int64(len(store.Objects())) != res.Counts.Objects+1 {
				t.Errorf("%s: %d bytes in %d objects, counted %+v", name, there, len(store.Objects())-1, res.Counts)
			}
			for key := range store.Objects() {
				if strings.HasPrefix(key, "users") {
					t.Errorf("%s: %s is back", name, key)
				}
			}
			wantTold(t, name, was, store.Objects(), told)
		}
	}
}

// The forms records take are read by others, and for years.
func TestRecordForms(t *testing.T) {
	store := blobtest.NewMemory()
	golden := func(name string) {
		t.Helper()
		file := filepath.Join("testdata", "record_"+name+".json")
		there := store.Objects()[recordOne]
		if r, err := lake.DecodeRecord(there); err != nil || r.From != 1 || r.To != 4 {
			t.Errorf("%s: decoded %+v, %v", name, r, err)
		}
		// Hashes and sizes are those of a compressor, which others keep.
		got := regexp.MustCompile(`"[0-9a-f]{64}"`).ReplaceAll(there, []byte(`"…"`))
		got = regexp.MustCompile(`"bytes": [0-9]+`).ReplaceAll(got, []byte(`"bytes": 1`))
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	s := lake.NewJSON(byMapping2(t, store))
	if _, err := s.Plan(t.Context(), "acme", 1, 4); err != nil {
		t.Fatal(err)
	}
	golden("open")
	mustFlush(t, s, batchOf(2, before()[120:]))
	golden("completed")
	stop := &blobtest.Faulty{Store: store, After: func(op, key string) error {
		if op == blobtest.OpPutMatch && key == recordOne {
			return errLost
		}
		return nil
	}}
	var told []lake.Change
	o := byMapping2(t, stop)
	o.Mapping = 3
	if _, err := rewrite(t.Context(), lake.NewJSON(o), batchOf(3, before()[125:]), &told); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	golden("reopened")
	o.Store = store
	if _, err := rewrite(t.Context(), lake.NewJSON(o), batchOf(3, before()[125:]), &told); err != nil {
		t.Fatal(err)
	}
	golden("rewritten")
	o.Store = stop
	if err := prune(t, lake.NewJSON(o), dropUsers, &told); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	golden("pruning")
	o.Store = store
	if err := prune(t, lake.NewJSON(o), nil, &told); err != nil {
		t.Fatal(err)
	}
	golden("pruned")
}
