package lake_test

import (
	"errors"
	"fmt"
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
	"github.com/idtrail/idtrail/schema"
)

func found(t *testing.T, store blob.Store, q lake.Query) []string {
	t.Helper()
	var keys []string
	for f, err := range lake.Open(store).Find(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, f.Source+" "+f.Event.Metadata.UID)
	}
	return keys
}

// eventRows makes sorted rows of events an hour apart; edit changes the i-th.
func eventRows(n int, edit func(i int, e *schema.Event)) []load.Row {
	rows := make([]load.Row, n)
	for i := range rows {
		e := loadtest.Event(int64(i), time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC))
		e.Metadata.UID = fmt.Sprint(i)
		rows[i].Day = e.TimeDT.Format(time.DateOnly)
		edit(i, &e)
		rows[i].Event = &e
	}
	return rows
}

func TestFindPlaces(t *testing.T) {
	user := &schema.UserObject{UID: "auth0|Ab", UIDAlt: "sub-1", Name: "Mary", EmailAddr: "Mary@Example.com"}
	rows := eventRows(60, func(i int, e *schema.Event) {
		e.User, e.Actor, e.UserResult = nil, nil, nil
		switch i {
		case 3:
			e.User = user
		case 30:
			e.Actor = &schema.Actor{User: user}
		case 50:
			e.UserResult = user
		case 51: // the same person twice in one event is one find
			e.User, e.Actor, e.UserResult = user, &schema.Actor{User: user}, user
		}
	})
	all := []string{"acme 3", "acme 30", "acme 50", "acme 51"}
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
		for who, want := range map[string][]string{
			"auth0|Ab": all, "auth0|ab": nil, "sub-1": all, "SUB-1": nil, "mary": all, "MARY@EXAMPLE.COM": all,
			"mar": nil, "nobody": nil,
		} {
			if diff := cmp.Diff(want, found(t, store, lake.Query{User: who})); diff != "" {
				t.Errorf("%s: %q (-want +got)\n%s", name, who, diff)
			}
		}
	}
}

func TestFindBounds(t *testing.T) {
	rows := eventRows(72, func(_ int, e *schema.Event) { e.User = &schema.UserObject{UID: "u"} })
	at := func(h int) time.Time { return time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC) }
	expect := func(from, to int) (want []string) {
		for i := from; i < to; i++ {
			want = append(want, fmt.Sprint("acme ", i))
		}
		return want
	}
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
		for what, test := range map[string]struct {
			q    lake.Query
			want []string
		}{
			"all":             {lake.Query{}, expect(0, 72)},
			"since":           {lake.Query{Since: at(30)}, expect(30, 72)},
			"until":           {lake.Query{Until: at(30)}, expect(0, 30)},
			"between":         {lake.Query{Since: at(20), Until: at(50)}, expect(20, 50)},
			"to midnight":     {lake.Query{Until: at(24)}, expect(0, 24)},
			"to the next ms":  {lake.Query{Until: at(24).Add(time.Millisecond)}, expect(0, 25)},
			"another zone":    {lake.Query{Since: at(23).In(time.FixedZone("", 9*3600)), Until: at(25)}, expect(23, 25)},
			"nothing between": {lake.Query{Since: at(30), Until: at(30)}, nil},
			"limit":           {lake.Query{Limit: 5}, expect(0, 5)},
			"limit at end":    {lake.Query{Limit: 72}, expect(0, 72)},
			"its source":      {lake.Query{Sources: []string{"acme"}}, expect(0, 72)},
			"no such source":  {lake.Query{Sources: []string{"acm"}}, nil},
		} {
			test.q.User = "u"
			if diff := cmp.Diff(test.want, found(t, store, test.q)); diff != "" {
				t.Errorf("%s: %s (-want +got)\n%s", name, what, diff)
			}
		}
	}
}

// An event whose clock was wrong is filed under the day it was landed, and
// found by that.
func TestFindWrongClock(t *testing.T) {
	rows := eventRows(24, func(i int, e *schema.Event) {
		e.User = &schema.UserObject{UID: fmt.Sprint("u", i == 0)}
		if i == 0 {
			e.TimeDT = time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)
			e.Time = e.TimeDT.UnixMilli()
		}
	})
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
		q := lake.Query{User: "utrue", Since: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
		if diff := cmp.Diff([]string{"acme 0"}, found(t, store, q)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// Sources of both layouts, many flushes a day, more events than are held at
// once: all come in the order of time.
func TestFindMerges(t *testing.T) {
	store := blobtest.NewMemory()
	n := 0
	for source, newSink := range map[string]func(lake.Options) *lake.Sink{
		"acme": lake.NewParquet, "acme0": lake.NewJSON, "acme-x": lake.NewParquet,
	} {
		for seg := range int64(12) {
			var rows []load.Row
			for i := range 40 {
				e := loadtest.Event(0, time.Date(2026, 1, 1, 0, i, int(seg)*5+len(source), 0, time.UTC))
				e.Metadata.UID = fmt.Sprint(n)
				n++
				rows = append(rows, load.Row{Day: "2026-01-01", Event: &e})
			}
			mustFlush(t, newSink(options(t, store)), loadtest.Batch(source, seg+1, seg+2, rows))
		}
	}
	both := blobtest.NewMemory() // a source in both layouts is found once
	for _, newSink := range sinks() {
		o := options(t, both)
		o.Name = fmt.Sprintf("%p", newSink)
		mustFlush(t, newSink(o), loadtest.Batch("acme", 1, 2, eventRows(5, func(int, *schema.Event) {})))
	}
	who := loadtest.Event(0, now()).User.UID
	if got := len(found(t, both, lake.Query{User: who})); got != 1 {
		t.Errorf("a source in both layouts: %d found, want 1", got)
	}
	var times []int64
	seen := map[string]bool{}
	for f, err := range lake.Open(store).Find(t.Context(), lake.Query{User: who}) {
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, f.Event.Time)
		seen[f.Event.Metadata.UID] = true
	}
	if len(times) != n || len(seen) != n || !slices.IsSorted(times) {
		t.Errorf("%d found, %d different, sorted %v; want %d", len(times), len(seen), slices.IsSorted(times), n)
	}
	sources, err := lake.Open(store).Sources(t.Context())
	if diff := cmp.Diff([]string{"acme", "acme-x", "acme0"}, sources); err != nil || diff != "" {
		t.Errorf("sources %v (-want +got)\n%s", err, diff)
	}
}

// remote is a store whose reads are requests, so that what is needed whole is
// copied first.
type remote struct{ blob.Store }

func (remote) URL() string { return "s3://bucket/lake" }

func TestFindWholeEvents(t *testing.T) {
	var full schema.Event
	loadtest.Fill(&full, 1)
	full.Time, full.TimeDT = now().UnixMilli(), now()
	rows := []load.Row{{Day: "2026-01-03", Event: &full}}
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
		for what, s := range map[string]blob.Store{"near": store, "far": remote{store}, "without ReadAt": struct{ blob.Store }{store}} {
			for f, err := range lake.Open(s).Find(t.Context(), lake.Query{User: full.User.UID}) {
				if err != nil {
					t.Fatal(err)
				}
				same(t, name+" "+what, []schema.Event{full}, []schema.Event{f.Event})
			}
		}
	}
}

func TestFindErrors(t *testing.T) {
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, eventRows(30, func(int, *schema.Event) {})))
		who := loadtest.Event(0, now()).User.UID
		for n := 1; ; n++ {
			c := &calls{lose: n}
			var err error
			for _, err = range lake.Open(c.store(store)).Find(t.Context(), lake.Query{User: who}) {
			}
			if c.n < n {
				break
			}
			if !errors.Is(err, errLost) {
				t.Errorf("%s: call %d fails: got error %v", name, n, err)
			}
		}
		for key := range store.Objects() {
			if strings.HasPrefix(key, "events") {
				info, err := store.Head(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := store.PutMatch(t.Context(), key, info.ETag, strings.NewReader("torn")); err != nil {
					t.Fatal(err)
				}
			}
		}
		var err error
		for _, err = range lake.Open(store).Find(t.Context(), lake.Query{User: who}) {
		}
		if err == nil || !strings.Contains(err.Error(), "events") {
			t.Errorf("%s: torn object: got error %v, want one that names it", name, err)
		}
	}
}

// The accounts are recomputed from the objects, whatever the records say.
func TestCounts(t *testing.T) {
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		s := newSink(options(t, store))
		want := mustFlush(t, s, loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 3)))
		want.Add(mustFlush(t, s, loadtest.Batch("acme", 4, 6, loadtest.Rows("acme", 4, 2))))
		mustFlush(t, s, loadtest.Batch("other", 1, 3, loadtest.Rows("other", 1, 2)))
		got, err := lake.Open(store).Counts(t.Context(), "acme")
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, want)
		}
		fromJSON, err := lake.Open(store).CountsJSON(t.Context(), "acme")
		if name == "parquet" {
			want = load.Counts{}
		}
		if err != nil || fromJSON != want {
			t.Errorf("%s: JSON: got %+v, %v; want %+v", name, fromJSON, err, want)
		}
	}
}

// What an earlier version wrote has fewer columns.
func TestOlderColumns(t *testing.T) {
	type userObject struct {
		Name string `parquet:"name,optional"`
	}
	type event struct {
		Time    int64       `parquet:"time"`
		User    *userObject `parquet:"user,optional"`
		Message string      `parquet:"message,optional"`
		Retired string      `parquet:"retired,optional"`
	}
	store := blobtest.NewMemory()
	at := time.Date(2026, 1, 1, 5, 0, 0, 0, time.UTC).UnixMilli()
	key := "events/source=acme/dt=2026-01-01/000000000001-000000000001.parquet"
	old := []event{{at, nil, "a", "x"}, {at + 1, &userObject{"mary"}, "b", "x"}}
	if _, err := lake.WriteTable(t.Context(), store, key, slices.Values(old)); err != nil {
		t.Fatal(err)
	}
	for f, err := range lake.Open(store).Find(t.Context(), lake.Query{User: "Mary"}) {
		if err != nil {
			t.Fatal(err)
		}
		want := schema.Event{Time: at + 1, User: &schema.UserObject{Name: "mary"}, Message: "b"}
		same(t, "old", []schema.Event{want}, []schema.Event{f.Event})
	}
	if got := len(found(t, store, lake.Query{User: "mary"})); got != 1 {
		t.Errorf("found %d, want 1", got)
	}
	same(t, "old", []schema.Event{
		{Time: at, Message: "a"}, {Time: at + 1, Message: "b", User: &schema.UserObject{Name: "mary"}},
	}, readBack[schema.Event](t, store, key))
}

// An object of several row groups, whose rows are counted through.
func TestFindInManyRowGroups(t *testing.T) {
	store := blobtest.NewMemory()
	b := manyEvents(12_000, 1, 0, func() {})
	var want []string
	rows := b.Rows
	b.Rows = func(yield func(load.Row, error) bool) {
		for r, err := range rows {
			if r.Event.User.Name == "person7@example.com" {
				want = append(want, "acme "+r.Event.Metadata.UID)
			}
			if !yield(r, err) {
				return
			}
		}
	}
	mustFlush(t, lake.NewParquet(options(t, store)), b)
	if diff := cmp.Diff(want, found(t, store, lake.Query{User: "person7@example.com"})); diff != "" || len(want) < 3 {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
