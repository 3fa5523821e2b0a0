package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// parquetSink is a lake sink on the rig's lake and clock.
func (r *rig) parquetSink(name string) pipeline.Sink {
	return pipeline.Sink{Sink: lake.NewParquet(r.lakeOptions(name))}
}

func (r *rig) jsonSink() pipeline.Sink {
	return pipeline.Sink{Sink: lake.NewJSON(r.lakeOptions("json"))}
}

func (r *rig) lakeOptions(name string) lake.Options {
	return lake.Options{
		Name: name, Store: r.lake, TempDir: r.t.TempDir(), Writer: "test", Mapping: transform.Version,
		Every: time.Hour, Now: r.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// events reads the events of source acme back from its flush records.
func (r *rig) events(sink string) []schema.Event {
	r.t.Helper()
	var events []schema.Event
	for rec, err := range lake.Open(r.lake).Flushes(r.t.Context(), sink, "acme") {
		if err != nil {
			r.t.Fatal(err)
		}
		for _, o := range rec.Objects {
			if !isTable(o.Key, "events") || o.Pruned {
				continue
			}
			for e, err := range lake.ReadTable[schema.Event](r.t.Context(), r.lake, o.Key) {
				if err != nil {
					r.t.Fatal(err)
				}
				events = append(events, e)
			}
		}
	}
	return events
}

func isTable(key, table string) bool {
	return len(key) > len(table) && key[:len(table)] == table
}

func TestAccountsAddUp(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake"), r.jsonSink()}
	pages := logPages(5, 60)
	pages[2].Records[7].Bytes = []byte(`{"log_id":`)
	pages[3].Records[1].Bytes = []byte(`{"nothing":"known"}`)
	pages[4].Records[2].Bytes = []byte(`{"log_id":"fan","date":"2026-11-18T22:10:00.000Z","type":"sapi","details":{"request":{"method":"post","path":"/api/v2/roles/rol_1/users","body":{"users":["auth0|1","auth0|2","auth0|3"]}}}}`)
	pages[4].Filtered = 9
	rep := r.mustRun(&script{name: "acme", pages: pages})
	for _, s := range rep.Sinks {
		if s.Records != rep.Landed || s.Rejected != 2 || s.FannedOut != 2 || s.Events != s.Records-s.Rejected+s.FannedOut {
			t.Errorf("sink %s: %+v with %d landed; want 2 rejected, 2 fanned out", s.Sink, s.Tally, rep.Landed)
		}
		if s.Pending.Records != 0 {
			t.Errorf("sink %s: %d pending", s.Sink, s.Pending.Records)
		}
	}
	reader := lake.Open(r.lake)
	for name, count := range map[string]func(context.Context, string) (load.Counts, error){"parquet": reader.Counts, "json": reader.CountsJSON} {
		counts, err := count(t.Context(), "acme")
		if err != nil || counts.Events != 300 || counts.Rejects != 2 {
			t.Errorf("%s lake: %+v, %v; want 300 events, 2 rejects", name, counts, err)
		}
	}
	if again := r.mustRun(&script{name: "acme", pages: pages}); again.Segments != 0 || again.Sinks[0].Objects != 0 {
		t.Errorf("a second run landed %d segments and wrote %d objects", again.Segments, again.Sinks[0].Objects)
	}
}

// Events of a day are in that day's partition, sorted by time, though they were
// read in another order and spilled to disk.
func TestEventsAreFiledByTheirDay(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	r.mustRun(&script{name: "acme", pages: logPages(8, 60)})
	days := map[string]int{}
	for rec, err := range lake.Open(r.lake).Flushes(t.Context(), "lake", "acme") {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range rec.Objects {
			var last int64
			for e, err := range lake.ReadTable[schema.Event](t.Context(), r.lake, o.Key) {
				if err != nil {
					t.Fatal(err)
				}
				day := e.TimeDT.UTC().Format(time.DateOnly)
				if want := fmt.Sprintf("events/source=acme/dt=%s/", day); !isTable(o.Key, want) {
					t.Errorf("an event of %s is in %s", day, o.Key)
				}
				if e.Time < last {
					t.Errorf("%s is not sorted by time", o.Key)
				}
				last = e.Time
				days[day]++
			}
		}
	}
	if len(days) != 2 || days["2026-11-18"]+days["2026-11-19"] != 480 {
		t.Errorf("got %v, want 480 events over two days", days)
	}
}

// A sink that fails does not stop the other, and catches up later.
func TestOneSinkFailsTheOtherGoesOn(t *testing.T) {
	r := newRig(t)
	down := errors.New("lake two is down")
	broken := newRig(t)
	failing := true
	broken.lake = &blobtest.Faulty{Store: broken.lake, Before: func(op, _ string) error {
		if failing && op == blobtest.OpPutNew {
			return down
		}
		return nil
	}}
	r.sinks = []pipeline.Sink{broken.parquetSink("two"), r.parquetSink("lake")}
	src := &script{name: "acme", pages: logPages(3, 40)}
	rep := r.run(src)
	if !rep.Failed() || rep.Err != nil {
		t.Fatalf("report %+v, want only the sink to have failed", rep)
	}
	wantError(t, rep.Sinks[0].Err, down, "two", "acme")
	if rep.Sinks[1].Err != nil || rep.Sinks[1].Events != 120 || rep.Sinks[0].Pending.Records != 120 {
		t.Errorf("sinks: %+v", rep.Sinks)
	}
	failing = false
	if rep := r.mustRun(src); rep.Sinks[0].Events != 120 || rep.Sinks[1].Events != 0 {
		t.Errorf("after it came back: %+v", rep.Sinks)
	}
	if got := len(broken.events("two")); got != 120 {
		t.Errorf("the broken sink holds %d events, want 120", got)
	}
}

// A failed source does not stop the other.
func TestOneSourceFailsTheOtherGoesOn(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	bad := &script{name: "bad", pages: logPages(2, 10), fail: errors.New("401"), failAt: 0}
	good := &script{name: "good", pages: logPages(2, 10)}
	rep := r.pipeline().Run(t.Context(), []pipeline.Source{r.source(bad), r.source(good)})
	if rep.Sources[0].Err == nil || rep.Sources[1].Failed() || rep.Sources[1].Sinks[0].Events != 20 {
		t.Errorf("got %+v", rep.Sources)
	}
}

// Each call to the lake, lost on its way or with its answer: after the next run
// the lake holds each event once, and no more runs change it.
func TestFlushFailureMatrix(t *testing.T) {
	lost := errors.New("connection lost")
	clean := newRig(t)
	calls := 0
	clean.lake = &blobtest.Faulty{Store: clean.lake, Before: func(string, string) error { calls++; return nil }}
	clean.sinks = []pipeline.Sink{clean.parquetSink("lake")}
	clean.mustRun(&script{name: "acme", pages: logPages(4, 50)})
	for _, answer := range []bool{false, true} {
		for n := range calls {
			t.Run(fmt.Sprintf("call %d answer lost %v", n, answer), func(t *testing.T) { flushOnceFailing(t, n, answer, lost) })
		}
	}
}

func flushOnceFailing(t *testing.T, n int, answer bool, lost error) {
	t.Helper()
	r := newRig(t)
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
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	src := &script{name: "acme", pages: logPages(4, 50)}
	r.run(src)
	if made <= n && !answer { // a call that fails by itself has no answer to lose
		t.Fatalf("only %d calls were made", made)
	}
	src.pages = logPages(6, 50) // the source grew meanwhile
	r.lake = memory
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	for range 2 {
		r.clock.skip(2 * time.Hour)
		r.mustRun(src)
	}
	r.wantEvents(300)
	before := len(memory.(*blobtest.Memory).Objects())
	r.clock.skip(2 * time.Hour)
	r.mustRun(src)
	if after := len(memory.(*blobtest.Memory).Objects()); after != before {
		t.Error("a later run changed the lake")
	}
}

func (r *rig) wantEvents(n int) {
	r.t.Helper()
	var got []string
	for _, e := range r.events("lake") {
		got = append(got, e.Metadata.UID)
	}
	slices.Sort(got)
	for i := range n {
		if id := fmt.Sprintf("900%053d", i); i >= len(got) || got[i] != id {
			r.t.Fatalf("the lake holds %d events and not each of %d once", len(got), n)
		}
	}
	if len(got) != n {
		r.t.Fatalf("the lake holds %d events, want %d", len(got), n)
	}
}

// A lost state does not flush again what flush records say is there.
func TestLostStateKeepsTheLake(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	src := &script{name: "acme", pages: logPages(4, 50)}
	first := r.mustRun(src)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	src.pages = logPages(5, 50)
	rep := r.mustRun(src)
	if rep.Sinks[0].Events != first.Landed+50 || rep.Sinks[0].Pending.Records != 0 {
		t.Errorf("after the loss: %+v", rep.Sinks[0])
	}
	r.wantEvents(250)
}

func TestStatusTellsWhatTheRunsDid(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	src := &script{name: "acme", pages: logPages(3, 40)}
	src.pages[0].Records[0].Bytes = []byte("odd")
	sources := []pipeline.Source{r.source(src)}
	before, err := r.pipeline().Status(t.Context(), sources)
	if err != nil || before[0].Known {
		t.Fatalf("before the first run: %+v, %v", before, err)
	}
	r.mustRun(src)
	st, err := r.pipeline().Status(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	s := st[0]
	if !s.Known || s.Totals.Records != 120 || len(s.Runs) != 1 || s.Runs[0].Landed != 120 || s.LastDrain.IsZero() ||
		len(s.Rejects) != 1 || s.Sinks[0].Pending.Records != 0 || s.Sinks[0].Tally.Events != 119 || s.Cursor != "3" {
		t.Errorf("got %+v", s)
	}
}

func TestUsersOfTheNewestSnapshot(t *testing.T) {
	r := newRig(t)
	src := &script{name: "users"}
	for i, id := range []string{"s1", "s2", "s3"} {
		begin := day0.Add(time.Duration(i) * time.Hour)
		snap := &schema.Snapshot{ID: id, Begin: begin}
		page := extract.Page{Snapshot: snap}
		for u := range 3 {
			page.Records = append(page.Records, schema.Raw{Kind: schema.KindAuth0User, Bytes: fmt.Appendf(nil, `{"user_id":"auth0|%s-%d","email":"a@example.com"}`, id, u)})
		}
		src.pages = append(src.pages, page)
		if id != "s3" { // the newest was cut off
			src.pages = append(src.pages, extract.Page{Snapshot: &schema.Snapshot{ID: id, Begin: begin, End: begin, Complete: true}})
		}
	}
	r.mustRun(src)
	p := r.pipeline()
	snap, err := p.Snapshot(t.Context(), "users")
	if err != nil || snap.ID != "s2" {
		t.Fatalf("got %+v, %v; want s2", snap, err)
	}
	var ids []string
	for u, err := range p.Users(t.Context(), r.source(src), snap) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.UserID)
	}
	if want := []string{"auth0|s2-0", "auth0|s2-1", "auth0|s2-2"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if _, err := p.Snapshot(t.Context(), "nobody"); !errors.Is(err, pipeline.ErrNoSnapshot) {
		t.Errorf("got %v, want ErrNoSnapshot", err)
	}
}

// Snapshots of one day are filed one after the other, whatever the order they
// were read in; settings go with their snapshot.
func TestSnapshotsOfOneDayAreFiledApart(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake"), r.jsonSink()}
	src := &script{name: "pool"}
	for _, id := range []string{"20261118T220000Z-9", "20261118T220000Z", "20261118T220000Z-10"} {
		begun := &schema.Snapshot{ID: id, Begin: day0}
		src.pages = append(src.pages, extract.Page{Snapshot: begun, Records: []schema.Raw{
			{Kind: schema.KindSetting, Bytes: []byte(`{"section":"client","id":"c1","state":"ok","data":{"ClientId":"c1"}}`)},
			{Kind: schema.KindAuth0User, Bytes: []byte(`{"user_id":"auth0|1"}`)},
			{Kind: schema.KindSetting, Bytes: []byte(`{"section":"domain","id":"","state":"denied","detail":"not allowed"}`)},
		}}, extract.Page{Snapshot: &schema.Snapshot{ID: id, Begin: day0, End: day0, Complete: true}})
	}
	rep := r.mustRun(src)
	for _, s := range rep.Sinks {
		if s.Users != 3 || s.Settings != 6 || s.Rejected != 0 || s.FannedOut != 0 {
			t.Errorf("sink %s: %+v", s.Sink, s.Tally)
		}
	}
	if again := r.mustRun(src); again.Segments != 0 {
		t.Errorf("a second run landed %d segments", again.Segments)
	}
}
