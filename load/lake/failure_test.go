package lake_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

var errLost = errors.New("connection reset")

// calls counts store calls and loses the request or the answer of one.
type calls struct {
	mu      sync.Mutex // find asks from several goroutines
	n, lose int
	answer  bool
}

func (c *calls) store(m *blobtest.Memory) *blobtest.Faulty {
	lost := func(answer bool) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !answer {
			c.n++
		}
		if c.n == c.lose && answer == c.answer {
			return errLost
		}
		return nil
	}
	return &blobtest.Faulty{
		Store:  m,
		Before: func(string, string) error { return lost(false) },
		After:  func(string, string) error { return lost(true) },
	}
}

// Every store call of a flush fails once, as a request that never arrived and
// as an answer that never came back; then the flush is done again.
func TestFailureMatrix(t *testing.T) {
	rows := loadtest.Rows("acme", 1, 3)
	var want []string
	for _, r := range rows {
		want = append(want, loadtest.Key(r))
	}
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			for _, answer := range []bool{false, true} {
				for n := 1; ; n++ {
					store := blobtest.NewMemory()
					c := &calls{lose: n, answer: answer}
					_, err := flush(t.Context(), newSink(options(t, c.store(store))), loadtest.Batch("acme", 1, 4, rows))
					if c.n < n {
						if n < 10 {
							t.Errorf("a flush made %d calls only", n-1)
						}
						break
					}
					// The answer of a call that failed by itself (there is no
					// record yet) cannot be lost.
					what := fmt.Sprintf("call %d, answer %v", n, answer)
					if err != nil && !errors.Is(err, errLost) || err == nil && !answer {
						t.Errorf("%s: got error %v", what, err)
					}
					// Segments landed meanwhile must not move the end.
					c.lose = 0
					again := newSink(options(t, c.store(store)))
					plan, err := again.Plan(t.Context(), "acme", 1, 4)
					if err != nil || plan.To != 4 {
						t.Fatalf("%s: plan again: %+v, %v", what, plan, err)
					}
					mustFlush(t, again, loadtest.Batch("acme", 1, 4, rows))
					wantWhole(t, what, store, want)
				}
			}
		})
	}
}

// wantWhole checks that the lake holds just those rows, that its one record is
// completed and names every object there is, with its hash.
func wantWhole(t *testing.T, what string, store *blobtest.Memory, want []string) {
	t.Helper()
	// Sorted, as keys of second parts come first.
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(kept(t, store)))); diff != "" {
		t.Errorf("%s: rows (-want +got)\n%s", what, diff)
	}
	var listed []string
	for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
		if err != nil {
			t.Fatal(err)
		}
		if r.State != lake.StateCompleted {
			t.Errorf("%s: record is %s", what, r.State)
		}
		listed = append(listed, fmt.Sprintf("flushes/lake/acme/%012d.json", r.From))
		for _, o := range r.Objects {
			listed = append(listed, o.Key)
			if got := sum(store.Objects()[o.Key]); got != o.SHA256 {
				t.Errorf("%s: %s has hash %s, record says %s", what, o.Key, got, o.SHA256)
			}
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(listed, slices.Sorted(slices.Values(keysOf(store)))); diff != "" {
		t.Errorf("%s: objects (-listed +there)\n%s", what, diff)
	}
}

// A flush begun by an earlier version of the program, which filed and wrote
// rows otherwise, is finished by this one, and nothing of the earlier remains.
func TestResumedByAnotherVersion(t *testing.T) {
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			rows := loadtest.Rows("acme", 1, 3)
			earlier := slices.Clone(rows)
			for i := range earlier {
				if earlier[i].Event != nil {
					earlier[i].Day = "2025-12-3" + fmt.Sprint(i/60)
					continue
				}
				break
			}
			store := blobtest.NewMemory()
			c := &calls{lose: 12}
			o := options(t, c.store(store))
			o.Writer = "1.0.0"
			o.PartBytes = 1 // other objects
			if _, err := flush(t.Context(), newSink(o), loadtest.Batch("acme", 1, 4, earlier)); err == nil {
				t.Fatal("the first version was to fail")
			}
			// An object of another range is nobody's business.
			bystander := "events/source=acme/dt=2025-12-30/000000000009-000000000010.parquet"
			if _, err := store.PutNew(t.Context(), bystander, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			b := loadtest.Batch("acme", 1, 4, rows)
			b.Mapping = 2
			mustFlush(t, newSink(options(t, store)), b)
			if err := store.Delete(t.Context(), bystander); err != nil {
				t.Fatal(err)
			}
			if len(store.Objects()) != len(keysOf(store)) {
				t.Error("the bystander is gone")
			}
			var want []string
			for _, r := range rows {
				want = append(want, loadtest.Key(r))
			}
			wantWhole(t, "resumed", store, want)
		})
	}
}

// The other version wrote the same places with other bytes.
func TestOtherBytesReplaced(t *testing.T) {
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			rows := loadtest.Rows("acme", 1, 3)
			earlier := slices.Clone(rows)
			for i := range earlier {
				if earlier[i].Event != nil {
					e := *earlier[i].Event
					e.Message = "mapped otherwise"
					earlier[i].Event = &e
				}
			}
			store := blobtest.NewMemory()
			c := &calls{}
			faulty := c.store(store)
			faulty.Before = func(op, _ string) error {
				if op == blobtest.OpPutMatch {
					return errLost
				}
				return nil
			}
			if _, err := flush(t.Context(), newSink(options(t, faulty)), loadtest.Batch("acme", 1, 4, earlier)); !errors.Is(err, errLost) {
				t.Fatalf("got error %v", err)
			}
			mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 4, rows))
			var want []string
			for _, r := range rows {
				want = append(want, loadtest.Key(r))
			}
			wantWhole(t, "replaced", store, want)
		})
	}
}

func TestDeliverElsewhereThanPlanned(t *testing.T) {
	s := lake.NewParquet(options(t, blobtest.NewMemory()))
	if _, err := s.Plan(t.Context(), "acme", 1, 4); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]load.Batch{
		"other end":   loadtest.Batch("acme", 1, 5, nil),
		"amid":        {Source: "acme", From: load.Position{Segment: 1, Record: 3}, To: load.Position{Segment: 4}},
		"backwards":   loadtest.Batch("acme", 4, 1, nil),
		"amid at end": {Source: "acme", From: load.Position{Segment: 1}, To: load.Position{Segment: 4, Record: 1}},
	} {
		if res, err := s.Deliver(t.Context(), b); err == nil || res.Upto != b.From {
			t.Errorf("%s: got %+v, %v; want an error and nothing kept", name, res, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"disk":      {syscall.ENOSPC, "free some space"},
		"directory": {os.ErrPermission, "writable"},
		"other":     {errLost, "connection reset"},
	} {
		faulty := &blobtest.Faulty{Store: blobtest.NewMemory(), Before: func(op, key string) error {
			if op == blobtest.OpPutNew && strings.HasPrefix(key, "events/") {
				return test.err
			}
			return nil
		}}
		_, err := flush(t.Context(), lake.NewParquet(options(t, faulty)), loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3)))
		if !errors.Is(err, test.err) {
			t.Errorf("%s: got error %v", name, err)
			continue
		}
		for _, want := range []string{test.want, "acme", "lake", "events/source=acme/dt=2026-01-02/000000000001-000000000003.parquet"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %q, want %q in it", name, err, want)
			}
		}
	}
}

func TestTemporaryFiles(t *testing.T) {
	store := blobtest.NewMemory()
	o := options(t, store)
	rows := loadtest.Rows("acme", 1, 3)
	b := loadtest.Batch("acme", 1, 4, nil)
	b.Rows = func(yield func(load.Row, error) bool) {
		if yield(rows[0], nil) {
			yield(load.Row{}, errLost)
		}
	}
	if _, err := flush(t.Context(), lake.NewParquet(o), b); !errors.Is(err, errLost) {
		t.Errorf("got error %v", err)
	}
	mustFlush(t, lake.NewParquet(o), loadtest.Batch("acme", 1, 4, rows))
	if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	o.TempDir += "/missing"
	o.Name = "other"
	_, err := flush(t.Context(), lake.NewParquet(o), loadtest.Batch("acme", 1, 4, rows))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), o.TempDir) {
		t.Errorf("missing directory: got error %v", err)
	}
}

func TestParts(t *testing.T) {
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			store := blobtest.NewMemory()
			o := options(t, store)
			o.PartBytes = 100_000
			var rows []load.Row
			var want []string
			for i := range 15_000 {
				e := loadtest.Event(int64(i), now().AddDate(0, 0, i/10_000))
				rows = append(rows, load.Row{Day: e.TimeDT.Format("2006-01-02"), Event: &e})
				want = append(want, loadtest.Key(rows[i]))
			}
			c := mustFlush(t, newSink(o), loadtest.Batch("acme", 1, 4, rows))
			if c.Objects < 3 || c.Events != 15_000 {
				t.Errorf("counts %+v, want several objects", c)
			}
			var got []string
			for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
				if err != nil {
					t.Fatal(err)
				}
				for i, o := range r.Objects {
					got = append(got, rowKeys(t, store, "events", o.Key)...)
					if i == 1 && !strings.Contains(o.Key, "000000000001-000000000003-p2.") {
						t.Errorf("second part is named %s", o.Key)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows (-want +got)\n%s", diff)
			}
		})
	}
}

func TestSameRowsSameBytes(t *testing.T) {
	for name, newSink := range sinks() {
		var first map[string][]byte
		for i := range 3 {
			store := blobtest.NewMemory()
			var rows []load.Row
			for n := range 300 {
				e := loadtest.Event(int64(n), now())
				e.Unmapped = map[string]string{}
				for k := range 20 {
					e.Unmapped[fmt.Sprint("key", k)] = fmt.Sprint(n)
				}
				rows = append(rows, load.Row{Day: "2026-01-03", Event: &e})
			}
			for n := range 70 {
				var u schema.User
				loadtest.Fill(&u, n)
				rows = append(rows, load.Row{Day: "2026-01-03", User: &u, SnapshotID: "s"})
			}
			mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 4, rows))
			objects := store.Objects()
			delete(objects, "flushes/lake/acme/000000000001.json")
			if i == 0 {
				first = objects
			}
			for key := range first {
				if !bytes.Equal(first[key], objects[key]) {
					t.Errorf("%s: %s is other bytes the %d. time", name, key, i+1)
				}
			}
		}
	}
}

// The client under the store repeats a request whose answer was lost, and then
// hears that the object exists, or has changed: by its own first attempt.
func TestRepeatedByTheClient(t *testing.T) {
	rows := loadtest.Rows("acme", 1, 3)
	var want []string
	for _, r := range rows {
		want = append(want, loadtest.Key(r))
	}
	answers := map[string]error{blobtest.OpPutNew: blob.ErrExist, blobtest.OpPutMatch: blob.ErrChanged}
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		faulty := &blobtest.Faulty{Store: store, After: func(op, _ string) error { return answers[op] }}
		mustFlush(t, newSink(options(t, faulty)), loadtest.Batch("acme", 1, 4, rows))
		wantWhole(t, name, store, want)
	}
}

// Somebody else completed the record with other objects: that is no success.
func TestCompletedByAnother(t *testing.T) {
	store := blobtest.NewMemory()
	faulty := &blobtest.Faulty{Store: store}
	const key = "flushes/lake/acme/000000000001.json"
	faulty.Before = func(op, _ string) error {
		if op != blobtest.OpPutMatch {
			return nil
		}
		info, err := store.Head(t.Context(), key)
		if err != nil {
			return err
		}
		text := `{"format":1,"sink":"lake","source":"acme","from":1,"to":4,"state":"completed","mapping":1}`
		_, err = store.PutMatch(t.Context(), key, info.ETag, strings.NewReader(text))
		return err
	}
	_, err := flush(t.Context(), lake.NewParquet(options(t, faulty)), loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3)))
	if !errors.Is(err, blob.ErrChanged) || !strings.Contains(err.Error(), key) {
		t.Errorf("got error %v, want %v of %s", err, blob.ErrChanged, key)
	}
}

// A batch that was delivered is not written again, even unplanned.
func TestDeliveredAgain(t *testing.T) {
	store := blobtest.NewMemory()
	b := loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3))
	counts := mustFlush(t, lake.NewParquet(options(t, store)), b)
	writes := 0
	faulty := &blobtest.Faulty{Store: store, Before: func(op, _ string) error {
		if op != blobtest.OpGet {
			writes++
		}
		return nil
	}}
	res, err := lake.NewParquet(options(t, faulty)).Deliver(t.Context(), b)
	if err != nil || res.Counts != counts || res.Upto != b.To || writes != 0 {
		t.Errorf("got %+v, %v and %d calls that are no get; want counts %+v and none", res, err, writes, counts)
	}
}
