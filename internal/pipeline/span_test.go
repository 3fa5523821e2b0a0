package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
)

// past is a vendor that keeps records by the minute they happened in, and a
// source of them. Its cursor is the minute, counted from day0, to go on at, and
// where a span ends.
type past struct {
	name    string
	minutes [][]schema.Raw
	// lost minutes are kept no longer; gaps of a span say so.
	lost int
	// end is where the ordinary reading ends so far.
	end int
	// page is how many minutes one page has.
	page int
	// fail fails reading at a minute, from the outset; -1 never.
	fail int
	// opened counts readings.
	opened int
}

var errVendor = errors.New("the vendor answers 500")

type pastCursor struct {
	At    int `json:"at"`
	Until int `json:"until,omitempty"`
}

func newPast(minutes int) *past {
	p := &past{name: "acme", end: minutes, page: 10, fail: -1}
	for i := range minutes {
		at := day0.Add(time.Duration(i) * time.Minute)
		id := fmt.Sprintf("900%053d", i)
		line := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","user_id":"auth0|%d","client_id":"c"}`, id, at.Format("2006-01-02T15:04:05.000Z"), i%7)
		p.minutes = append(p.minutes, []schema.Raw{{Kind: schema.KindAuth0Log, ID: id, Time: at, Bytes: []byte(line)}})
	}
	return p
}

func minute(i int) time.Time { return day0.Add(time.Duration(i) * time.Minute) }

func (p *past) Name() string { return p.name }

func (p *past) Overlap() time.Duration { return 5 * time.Minute }

func (p *past) cursor(c pastCursor) extract.Cursor {
	text, _ := json.Marshal(c)
	return extract.Cursor(text)
}

func (p *past) Start(t time.Time) extract.Cursor {
	return p.cursor(pastCursor{At: max(int(t.Sub(day0)/time.Minute), 0)})
}

func (p *past) Range(from, to time.Time) extract.Cursor {
	return p.cursor(pastCursor{At: int(from.Sub(day0) / time.Minute), Until: int(to.Sub(day0) / time.Minute)})
}

func (p *past) Skip(c extract.Cursor) (extract.Skipped, error) {
	var cur pastCursor
	if err := json.Unmarshal([]byte(c), &cur); err != nil {
		return extract.Skipped{}, err
	}
	return extract.Skipped{
		Next: p.cursor(pastCursor{At: cur.At + p.page}),
		Gaps: []schema.Gap{{From: minute(cur.At), To: minute(cur.At + p.page), Reason: "skipped"}},
	}, nil
}

func (p *past) Reached(c extract.Cursor) (time.Time, error) {
	var cur pastCursor
	err := json.Unmarshal([]byte(c), &cur)
	return minute(cur.At), err
}

func (p *past) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	p.opened++
	return func(yield func(extract.Page, error) bool) {
		var cur pastCursor
		if err := json.Unmarshal([]byte(from), &cur); err != nil {
			yield(extract.Page{}, err)
			return
		}
		end := min(p.end, len(p.minutes))
		if cur.Until > 0 {
			end = min(cur.Until, len(p.minutes))
		}
		for cur.At < end {
			if ctx.Err() != nil || p.fail >= cur.At && p.fail < cur.At+p.page {
				yield(extract.Page{}, errors.Join(errVendor, ctx.Err()))
				return
			}
			var page extract.Page
			if cur.Until > 0 && cur.At < p.lost {
				page.Gaps = []schema.Gap{{From: minute(cur.At), To: minute(min(p.lost, end)), Reason: "beyond retention"}}
				cur.At = min(p.lost, end)
			}
			for i := cur.At; i < min(cur.At+p.page, end); i++ {
				page.Records = append(page.Records, p.minutes[i]...)
			}
			cur.At = min(cur.At+p.page, end)
			page.Next = p.cursor(cur)
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (r *rig) sinceMinute(src *past, i int) pipeline.Source {
	s := r.source(src)
	s.Since = minute(i)
	return s
}

func (r *rig) mustBackfill(src pipeline.Source, o pipeline.BackfillOptions) pipeline.BackfillReport {
	r.t.Helper()
	rep, err := r.pipeline().Backfill(r.t.Context(), src, o)
	if err != nil || rep.Failed() || !rep.Done {
		r.t.Fatalf("back-fill failed: %v %+v", err, rep)
	}
	return rep
}

func (r *rig) mustRunSource(src pipeline.Source) pipeline.SourceReport {
	r.t.Helper()
	rep := r.pipeline().Run(r.t.Context(), []pipeline.Source{src}).Sources[0]
	if rep.Failed() {
		r.t.Fatalf("run failed: %v %+v", rep.Err, rep.Sinks)
	}
	return rep
}

func (r *rig) wantEventsOnce(n int) {
	r.t.Helper()
	got := map[string]int{}
	for _, e := range r.events("lake") {
		got[e.Metadata.UID]++
	}
	for i := range n {
		if id := fmt.Sprintf("900%053d", i); got[id] != 1 {
			r.t.Errorf("event %d is in the lake %d times", i, got[id])
		}
	}
	if len(got) != n {
		r.t.Errorf("%d events in the lake, want %d", len(got), n)
	}
}

func span(from, to int) pipeline.BackfillOptions {
	return pipeline.BackfillOptions{From: minute(from), To: minute(to), Slice: time.Hour}
}

// Whatever the order of ordinary runs, back-fills and lost states, and however
// they overlap, each record is landed once.
func TestBackfillLandsNothingTwice(t *testing.T) {
	const all = 300
	run := func(end int) func(*rig, *past) {
		return func(r *rig, p *past) { p.end = end; r.mustRunSource(r.sinceMinute(p, 200)) }
	}
	fill := func(from, to int) func(*rig, *past) {
		return func(r *rig, p *past) { r.mustBackfill(r.sinceMinute(p, 200), span(from, to)) }
	}
	lose := func(r *rig, _ *past) { _ = os.RemoveAll(r.dir) }
	later := func(r *rig, _ *past) { r.clock.skip(1000 * time.Hour) }
	for name, steps := range map[string][]func(*rig, *past){
		"after the runs":             {run(300), fill(0, 220)},
		"before the first run":       {fill(0, 230), run(300)},
		"between":                    {run(250), fill(0, 200), run(300)},
		"over everything":            {run(250), fill(0, 300), run(300)},
		"long ahead, then forgotten": {run(210), fill(0, 300), later, run(250), later, run(300)},
		"twice the same":             {run(300), fill(0, 200), fill(0, 200)},
		"two that overlap":           {run(300), fill(0, 120), later, fill(60, 210)},
		"state lost behind it":       {run(250), fill(0, 300), lose, run(300)},
		"state lost before it":       {run(250), lose, fill(0, 240), run(300)},
		"state lost between two":     {run(300), fill(0, 120), lose, later, fill(60, 210), lose, run(300)},
		"quiet":                      {run(300), func(r *rig, p *past) { o := span(0, 200); o.Quiet = true; r.mustBackfill(r.sinceMinute(p, 200), o) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.sinks = []pipeline.Sink{r.parquetSink("lake")}
			p := newPast(all)
			for _, step := range steps {
				step(r, p)
				r.clock.skip(2 * time.Hour)
			}
			r.mustRunSource(r.sinceMinute(p, 200))
			r.wantIDs(all)
			r.wantEventsOnce(all)
		})
	}
}

func TestBackfillLeavesTheCursorAlone(t *testing.T) {
	r := newRig(t)
	p := newPast(100)
	src := r.sinceMinute(p, 80)
	r.mustRunSource(src)
	before, _, _ := r.state("acme").Cursor(t.Context(), "main")
	rep := r.mustBackfill(src, span(0, 90))
	after, _, _ := r.state("acme").Cursor(t.Context(), "main")
	if before != after || before == "" {
		t.Errorf("the cursor went from %s to %s", before, after)
	}
	if rep.Slices != 2 || rep.Landed != 80 || rep.Repeated != 10 || !rep.Reached.Equal(minute(90)) {
		t.Errorf("got %+v, want 80 landed and 10 repeated in 2 slices", rep)
	}
	opened := p.opened
	if again := r.mustBackfill(src, span(0, 90)); again.Read != 0 || p.opened != opened {
		t.Errorf("a finished back-fill read %d records again", again.Read)
	}
}

// What the vendor keeps no longer is a gap of the back-fill's stream, once.
func TestBackfillBeyondRetention(t *testing.T) {
	r := newRig(t)
	p := newPast(200)
	p.lost = 70
	src := r.sinceMinute(p, 150)
	r.mustRunSource(src)
	r.mustBackfill(src, span(0, 150))
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.mustRunSource(src)
	r.mustBackfill(src, span(0, 150))
	gaps, n, err := r.state("acme").Gaps(t.Context(), 10)
	if err != nil || n != 2 {
		t.Fatalf("%d gaps, %v; want one for each of two slices", n, err)
	}
	slices.Reverse(gaps)
	if !gaps[0].From.Equal(minute(0)) || !gaps[0].To.Equal(gaps[1].From) || !gaps[1].To.Equal(minute(70)) || gaps[0].Stream == "main" {
		t.Errorf("got %+v, want minute 0 to 70 of the back-fill's stream", gaps)
	}
}

// A back-fill that failed lands what it read, and goes on there.
func TestBackfillGoesOn(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake")}
	p := newPast(200)
	src := r.sinceMinute(p, 150)
	r.mustRunSource(src)
	p.fail = 95
	rep, err := r.pipeline().Backfill(t.Context(), src, span(0, 150))
	wantError(t, err, errVendor, "acme")
	if rep.Landed != 90 || rep.Done || !rep.Reached.Equal(minute(60)) {
		t.Errorf("got %+v, want 90 landed, one slice", rep)
	}
	p.fail = -1
	if rep := r.mustBackfill(src, span(0, 150)); rep.Landed != 60 {
		t.Errorf("landed %d, want the 60 that were missing", rep.Landed)
	}
	r.clock.skip(2 * time.Hour) // the lake is flushed by its own pace
	r.mustRunSource(src)
	r.wantEventsOnce(200)
}

func TestBackfillRefusals(t *testing.T) {
	r := newRig(t)
	src := r.source(&script{name: "acme"})
	_, err := r.pipeline().Backfill(t.Context(), src, span(0, 10))
	wantError(t, err, pipeline.ErrNoBackfill, "acme", "script")
	_, err = r.pipeline().Backfill(t.Context(), src, span(10, 10))
	wantError(t, err, nil, "empty")
	_, err = r.pipeline().Backfill(t.Context(), src, span(0, 1<<20))
	wantError(t, err, nil, "future")
}

// Three runs that fail at one place make a source stuck; the skip that status
// prints passes over it, and declares what is lost, once.
func TestStuckAndSkipped(t *testing.T) {
	r := newRig(t)
	p := newPast(100)
	p.fail = 45
	src := r.sinceMinute(p, 0)
	status := func() pipeline.Status {
		t.Helper()
		s, err := r.pipeline().Status(t.Context(), []pipeline.Source{src})
		if err != nil {
			t.Fatal(err)
		}
		return s[0]
	}
	for i := range 3 {
		if s := status().Stuck; s != nil {
			t.Fatalf("stuck after %d runs", i)
		}
		if rep := r.pipeline().Run(t.Context(), []pipeline.Source{src}).Sources[0]; rep.Err == nil {
			t.Fatal("the run did not fail")
		}
	}
	s := status().Stuck
	if s == nil || s.Runs != 3 || s.Cursor != `{"at":40}` || s.Skip != `{"at":50}` || len(s.Loses) != 1 || s.Error == "" {
		t.Fatalf("got %+v, want stuck at 40, to be skipped to 50", s)
	}
	for range 2 {
		rep, err := r.pipeline().SetCursor(t.Context(), src, pipeline.CursorMove{Cursor: extract.Cursor(s.Skip), Reason: "the vendor says so"})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Segment > 0 && (len(rep.Gaps) != 1 || !rep.Gaps[0].From.Equal(minute(40)) || !rep.Gaps[0].To.Equal(minute(50))) {
			t.Errorf("got %+v, want a gap from 40 to 50", rep)
		}
	}
	if rep := r.mustRunSource(src); rep.Landed != 50 {
		t.Errorf("landed %d, want the 50 behind", rep.Landed)
	}
	if s := status(); s.Stuck != nil || s.GapsTotal != 1 {
		t.Errorf("stuck %+v, %d gaps; want none, one", s.Stuck, s.GapsTotal)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if rep := r.mustRunSource(src); rep.Landed != 0 {
		t.Errorf("landed %d anew", rep.Landed)
	}
}

func TestSetCursorByHand(t *testing.T) {
	r := newRig(t)
	p := newPast(100)
	p.end = 40
	src := r.sinceMinute(p, 0)
	r.mustRunSource(src)
	_, err := r.pipeline().SetCursor(t.Context(), src, pipeline.CursorMove{Cursor: "nonsense"})
	wantError(t, err, nil, "JSON")
	rep, err := r.pipeline().SetCursor(t.Context(), src, pipeline.CursorMove{Cursor: `{"at":60}`})
	if err != nil || len(rep.Gaps) != 1 || !rep.Gaps[0].To.Equal(minute(60)) {
		t.Errorf("forward: %+v, %v; want a gap", rep, err)
	}
	rep, err = r.pipeline().SetCursor(t.Context(), src, pipeline.CursorMove{Cursor: `{"at":30}`})
	if err != nil || len(rep.Gaps) != 0 {
		t.Errorf("back: %+v, %v; want no gap", rep, err)
	}
	p.end = 100
	r.mustRunSource(src)
	r.wantIDs(100)
}
