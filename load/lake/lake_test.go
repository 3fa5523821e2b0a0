package lake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

func now() time.Time { return time.Date(2026, 1, 3, 4, 5, 6, 0, time.UTC) }

func options(t *testing.T, store blob.Store) lake.Options {
	return lake.Options{Name: "lake", Store: store, TempDir: t.TempDir(), Writer: "1.2.3", Mapping: 1, Now: now}
}

// sinks are the two layouts, which have to behave the same.
func sinks() map[string]func(lake.Options) *lake.Sink {
	return map[string]func(lake.Options) *lake.Sink{"parquet": lake.NewParquet, "json": lake.NewJSON}
}

func TestContract(t *testing.T) {
	for name, newSink := range sinks() {
		t.Run(name, func(t *testing.T) {
			loadtest.Run(t, loadtest.Harness{Once: true, Open: func(t *testing.T) loadtest.Destination {
				store := blobtest.NewMemory()
				broken := false
				faulty := &blobtest.Faulty{Store: store, Before: func(string, string) error {
					if broken {
						return errors.New("no route to host")
					}
					return nil
				}}
				return loadtest.Destination{
					Sink:  newSink(options(t, faulty)),
					Kept:  func(t *testing.T) []string { return kept(t, store) },
					Break: func(b bool) { broken = b },
				}
			}})
		})
	}
}

// kept returns the keys of all rows in the store, by table and object name,
// without those of a flush that is not completed.
func kept(t *testing.T, store *blobtest.Memory) []string {
	t.Helper()
	completed := map[string]bool{}
	for _, source := range []string{"acme", "other"} {
		for r, err := range lake.Open(store).Flushes(t.Context(), "lake", source) {
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range r.Objects {
				completed[o.Key] = true
			}
		}
	}
	var keys []string
	for _, table := range []string{"events", "users", "snapshots", "rejected", "gaps"} {
		for info, err := range store.List(t.Context(), table, "") {
			if err != nil {
				t.Fatal(err)
			}
			if completed[info.Key] {
				keys = append(keys, rowKeys(t, store, table, info.Key)...)
			}
		}
	}
	return keys
}

func rowKeys(t *testing.T, store blob.Store, table, key string) []string {
	t.Helper()
	switch table {
	case "events":
		return read(t, store, key, func(e schema.Event) load.Row { return load.Row{Event: &e} })
	case "users":
		return read(t, store, key, func(u schema.User) load.Row {
			return load.Row{User: &u, SnapshotID: u.SnapshotID}
		})
	case "snapshots":
		return read(t, store, key, func(s schema.SnapshotRow) load.Row {
			return load.Row{Snapshot: &schema.Snapshot{ID: s.SnapshotID}}
		})
	case "rejected":
		return read(t, store, key, func(r schema.Reject) load.Row { return load.Row{Reject: &r} })
	default:
		return read(t, store, key, func(g schema.Gap) load.Row { return load.Row{Gap: &g} })
	}
}

func read[T any](t *testing.T, store blob.Store, key string, row func(T) load.Row) []string {
	t.Helper()
	var keys []string
	for v, err := range lake.ReadTable[T](t.Context(), store, key) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, loadtest.Key(row(v)))
	}
	return keys
}

// flush plans and delivers, as the pipeline does.
func flush(ctx context.Context, s *lake.Sink, b load.Batch) (load.Counts, error) {
	plan, err := s.Plan(ctx, b.Source, b.From.Segment, b.To.Segment)
	if err != nil || plan.Done {
		return plan.Counts, err
	}
	b.To.Segment = plan.To
	res, err := s.Deliver(ctx, b)
	return res.Counts, err
}

func mustFlush(t *testing.T, s *lake.Sink, b load.Batch) load.Counts {
	t.Helper()
	c, err := flush(t.Context(), s, b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keysOf(store *blobtest.Memory) []string {
	var keys []string
	for key := range store.Objects() {
		keys = append(keys, key)
	}
	return keys
}

func TestLayout(t *testing.T) {
	want := map[string][]string{
		"parquet": {
			"events/source=acme/dt=2026-01-02/000000000001-000000000003.parquet",
			"events/source=acme/dt=2026-01-03/000000000001-000000000003.parquet",
			"users/source=acme/dt=2026-01-02/snapshot=acme-001/000000000001-000000000003.parquet",
			"snapshots/source=acme/dt=2026-01-02/000000000001-000000000003.parquet",
			"rejected/source=acme/dt=2026-01-03/000000000001-000000000003.parquet",
			"gaps/source=acme/dt=2026-01-03/000000000001-000000000003.parquet",
			"flushes/lake/acme/000000000001.json",
		},
		"json": {
			"events_json/source=acme/dt=2026-01-02/000000000001-000000000003.ndjson.gz",
			"users_json/source=acme/dt=2026-01-02/snapshot=acme-001/000000000001-000000000003.ndjson.gz",
			"gaps_json/source=acme/dt=2026-01-03/000000000001-000000000003.ndjson.gz",
			"flushes/lake/acme/000000000001.json",
		},
	}
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3)))
		objects := store.Objects()
		for _, key := range want[name] {
			if _, ok := objects[key]; !ok {
				t.Errorf("%s: no %s in %v", name, key, keysOf(store))
			}
		}
	}
}

func TestDue(t *testing.T) {
	at := now()
	for name, test := range map[string]struct {
		every time.Duration
		p     load.Pending
		want  bool
	}{
		"first":     {time.Hour, load.Pending{Records: 1}, true},
		"early":     {time.Hour, load.Pending{Records: 1, Since: at.Add(-59 * time.Minute)}, false},
		"late":      {time.Hour, load.Pending{Records: 1, Since: at.Add(-time.Hour)}, true},
		"large":     {time.Hour, load.Pending{Bytes: 256 << 20, Since: at}, true},
		"snapshot":  {time.Hour, load.Pending{Snapshot: true, Since: at}, true},
		"every run": {0, load.Pending{Records: 1, Since: at}, true},
		// A clock that was ahead once held the lake up until its time came.
		"clock set back": {0, load.Pending{Records: 1, Since: at.Add(time.Hour)}, true},
	} {
		o := options(t, blobtest.NewMemory())
		o.Every = test.every
		s := lake.NewParquet(o)
		if got := s.Due(test.p, at); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestPlan(t *testing.T) {
	store := blobtest.NewMemory()
	s := lake.NewParquet(options(t, store))
	plan := func(from, head int64) load.Plan {
		t.Helper()
		p, err := s.Plan(t.Context(), "acme", from, head)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got, want := plan(1, 1), (load.Plan{From: 1, To: 1, Done: true}); got != want {
		t.Errorf("nothing pending: got %+v, want %+v", got, want)
	}
	if n := len(store.Objects()); n != 0 {
		t.Errorf("nothing pending, but %d objects written", n)
	}
	if got, want := plan(1, 4), (load.Plan{From: 1, To: 4}); got != want {
		t.Errorf("new: got %+v, want %+v", got, want)
	}
	if got, want := plan(1, 9), (load.Plan{From: 1, To: 4}); got != want {
		t.Errorf("open: got %+v, want %+v: its end is fixed", got, want)
	}
	counts := mustFlush(t, s, loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3)))
	if got, want := plan(1, 9), (load.Plan{From: 1, To: 4, Done: true, Counts: counts}); got != want {
		t.Errorf("completed: got %+v, want %+v", got, want)
	}
}

func TestRecord(t *testing.T) {
	store := blobtest.NewMemory()
	o := options(t, store)
	s := lake.NewParquet(o)
	b := loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3))
	b.Mapping = 7
	counts := mustFlush(t, s, b)
	mustFlush(t, s, loadtest.Batch("acme", 4, 5, nil))
	var got []lake.Record
	for r, err := range lake.Open(store).Flushes(t.Context(), "lake", "acme") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != 2 || got[0].To != got[1].From {
		t.Fatalf("got %+v, want two contiguous records", got)
	}
	r := got[0]
	if r.State != lake.StateCompleted || r.Mapping != 7 || r.Writer != "1.2.3" || r.Counts != counts || !r.CompletedAt.Equal(now()) {
		t.Errorf("got %+v", r)
	}
	if counts.Events != 120 || counts.Users != 9 || counts.Snapshots != 3 || counts.Rejects != 3 || counts.Gaps != 3 {
		t.Errorf("counts %+v", counts)
	}
	var rows, bytes int64
	for _, o := range r.Objects {
		rows += o.Rows
		bytes += o.Bytes
		if int64(len(store.Objects()[o.Key])) != o.Bytes {
			t.Errorf("%s: %d bytes, record says %d", o.Key, len(store.Objects()[o.Key]), o.Bytes)
		}
	}
	if rows != 138 || bytes != counts.Bytes || int64(len(r.Objects)) != counts.Objects {
		t.Errorf("objects hold %d rows in %d bytes; counts %+v", rows, bytes, counts)
	}
}

func TestNewerRecordRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"format":3,"state":{"new":"shape"}}`:                                      "format 3",
		`{"format":1,"state":"done"}`:                                               "altered",
		`{"format":1,"state":"reopened"}`:                                           "altered",
		`{"format":1,"state":"open","sink":"lake","source":"acme","from":2,"to":3}`: "moved or altered",
		`{`: "unexpected end",
	} {
		store := blobtest.NewMemory()
		if _, err := store.PutNew(t.Context(), "flushes/lake/acme/000000000001.json", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		s := lake.NewParquet(options(t, store))
		_, err := s.Plan(t.Context(), "acme", 1, 4)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "flushes/lake/acme/000000000001.json") {
			t.Errorf("%s: got error %v, want one with %q and the key", text, err, want)
		}
		if newer := errors.Is(err, lake.ErrNewer); newer != strings.Contains(text, `"format":3`) {
			t.Errorf("%s: is ErrNewer: %v", text, newer)
		}
	}
}

func TestUnsortedRowsRefused(t *testing.T) {
	rows := loadtest.Rows("acme", 1, 3)
	swapped := func(i, j int) []load.Row {
		s := append([]load.Row{}, rows...)
		s[i], s[j] = s[j], s[i]
		return s
	}
	two := rows[0]
	two.User = &schema.User{}
	day := rows[0]
	day.Day = "2026-02-30"
	folder := rows[125]
	folder.SnapshotID = "../x"
	for name, bad := range map[string][]load.Row{
		"days":     swapped(0, 119),
		"tables":   swapped(119, 120),
		"time":     swapped(3, 4),
		"two sets": {two},
		"none":     {{Day: "2026-01-02"}},
		"no day":   {day},
		"no path":  {folder},
	} {
		store := blobtest.NewMemory()
		if _, err := flush(t.Context(), lake.NewParquet(options(t, store)), loadtest.Batch("acme", 1, 4, bad)); err == nil {
			t.Errorf("%s: taken; want an error", name)
		}
	}
}

func TestCheck(t *testing.T) {
	store := blobtest.NewMemory()
	failing := ""
	errStore := errors.New("refused")
	faulty := &blobtest.Faulty{Store: store, Before: func(op, _ string) error {
		if op == failing {
			return errStore
		}
		return nil
	}}
	s := lake.NewParquet(options(t, faulty))
	for _, write := range []bool{false, true} {
		if err := s.Check(t.Context(), write); err != nil {
			t.Errorf("write %v: %v", write, err)
		}
	}
	if n := len(store.Objects()); n != 0 {
		t.Errorf("%d objects left behind", n)
	}
	for _, failing = range []string{blobtest.OpList, blobtest.OpPutNew, blobtest.OpGet, blobtest.OpDelete} {
		if err := s.Check(t.Context(), true); !errors.Is(err, errStore) {
			t.Errorf("%s fails: got %v", failing, err)
		}
	}
	o := options(t, store)
	o.TempDir += "/missing"
	if err := lake.NewParquet(o).Check(t.Context(), true); err == nil {
		t.Error("no temporary directory: no error")
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func gunzip(t *testing.T, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
