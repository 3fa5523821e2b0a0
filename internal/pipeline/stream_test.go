package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

func recordID(n int) string { return fmt.Sprintf("900%053d", n) }

// wantGot checks that the records from to to-1 arrived in landed order, each
// once, or first seen in that order where repeats are allowed.
func (s *receiver) wantGot(t *testing.T, from, to int, repeats bool) {
	t.Helper()
	got := s.got
	if repeats {
		seen := map[string]bool{}
		got = nil
		for _, id := range s.got {
			if !seen[id] {
				got = append(got, id)
			}
			seen[id] = true
		}
	}
	for i := from; i < to; i++ {
		if n := i - from; n >= len(got) || got[n] != recordID(i) {
			t.Fatalf("%s has %d events, not each of %d to %d in order", s.name, len(got), from, to-1)
		}
	}
	if len(got) != to-from {
		t.Fatalf("%s has %d events, want %d", s.name, len(got), to-from)
	}
}

// wantLoop checks that the accounts of a sink of events add up.
func wantLoop(t *testing.T, what string, tally state.Tally, s state.Sent) {
	t.Helper()
	if tally.Events != tally.Records-tally.Rejected+tally.FannedOut {
		t.Errorf("%s: events != records - rejected + fanned out: %+v", what, tally)
	}
	if tally.Events != s.Accepted+s.Skipped+s.Rejected+s.Filtered {
		t.Errorf("%s: %d events != accepted + skipped + rejected + filtered: %+v", what, tally.Events, s)
	}
}

func (r *rig) siemStatus(src extract.Source) pipeline.SinkStatus {
	r.t.Helper()
	all, err := r.pipeline().Status(r.t.Context(), []pipeline.Source{r.source(src)})
	if err != nil {
		r.t.Fatal(err)
	}
	i := slices.IndexFunc(all[0].Sinks, func(s pipeline.SinkStatus) bool { return s.Sink == "siem" })
	if i < 0 {
		r.t.Fatalf("status does not show it: %+v", all[0].Sinks)
	}
	return all[0].Sinks[i]
}

// A sink that fails now and then gets each record in landed order, and goes on
// within a segment where it failed: at most the request in flight comes twice.
func TestStreamGoesOnWhereItStopped(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer lost %v", lost), func(t *testing.T) {
			r := newRig(t)
			sink := &receiver{post: func(n int) (bool, error) {
				if n%5 == 0 {
					return lost, errSink
				}
				return false, nil
			}}
			r.sinks = []pipeline.Sink{sink.sink()}
			src := &script{name: "acme", pages: logPages(2, 60)}
			src.pages[1].Gaps = []schema.Gap{{From: day0, To: day0, Reason: "lost"}}
			failures := 0
			for rep := r.run(src); rep.Failed(); rep = r.run(src) {
				wantError(t, rep.Sinks[0].Err, errSink, "siem", "acme")
				if failures++; failures > 30 {
					t.Fatal("it does not get on")
				}
			}
			sink.wantGot(t, 0, 120, lost)
			if extra := len(sink.got) - 120; extra > failures*10 || lost && extra == 0 {
				t.Errorf("%d events came twice in %d failures", extra, failures)
			}
			if sink.gaps != 1 && !lost {
				t.Errorf("the gap was told %d times", sink.gaps)
			}
			st := r.siemStatus(src)
			want := state.Tally{Records: 120, Events: 121, FannedOut: 1}
			if st.Tally != want || st.Pending.Records != 0 {
				t.Errorf("tally %+v, want %+v", st.Tally, want)
			}
			wantLoop(t, "records", st.Tally, st.Sent)
			wantLoop(t, "notices", st.Notices.Tally, st.Notices.Sent)
		})
	}
}

// The accounts of a sink are those recomputed from what was landed.
func TestStreamAccountsAddUp(t *testing.T) {
	r := newRig(t)
	sink := &receiver{refuse: func(e *schema.Event) bool { return e.Metadata.UID == recordID(130) }}
	s := sink.sink()
	s.Shape = shapeFunc(func(e *schema.Event) (*schema.Event, bool) {
		if strings.HasSuffix(e.Metadata.UID, "4") {
			return nil, false
		}
		out := *e
		out.RawData = ""
		return &out, true
	})
	r.sinks = []pipeline.Sink{s, r.parquetSink("lake")}
	pages := logPages(5, 60)
	pages[2].Records[7].Bytes = []byte(`{"log_id":`)
	pages[3].Records[1].Bytes = []byte(`{"nothing":"known"}`)
	pages[4].Records[2].Bytes = []byte(`{"log_id":"fan","date":"2026-11-18T22:10:00.000Z","type":"sapi","details":{"request":{"method":"post","path":"/api/v2/roles/rol_1/users","body":{"users":["auth0|1","auth0|2","auth0|3"]}}}}`)
	pages[4].Gaps = []schema.Gap{{From: day0, To: day0, Reason: "lost"}}
	src := &script{name: "acme", pages: pages}
	rep := r.mustRun(src)
	got, lakeSide := rep.Sinks[0], rep.Sinks[1]
	if want := (state.Tally{Records: 300, Rejected: 2, Events: 301, FannedOut: 3}); got.Tally != want {
		t.Errorf("got %+v, want %+v", got.Tally, want)
	}
	if lakeSide.Records != got.Records || lakeSide.Rejected != got.Rejected || lakeSide.Events != got.Events-1 {
		t.Errorf("the lake has %+v: the same but for the gap", lakeSide.Tally)
	}
	filtered := int64(0)
	for _, e := range r.events("lake") {
		if strings.HasSuffix(e.Metadata.UID, "4") {
			filtered++
		}
	}
	want := load.Sent{Accepted: int64(len(sink.got) + sink.gaps), Rejected: 1, Filtered: filtered}
	if got.Sent != want || filtered == 0 {
		t.Errorf("sent %+v, want %+v", got.Sent, want)
	}
	wantLoop(t, "records", got.Tally, state.Sent(got.Sent))
	st := r.siemStatus(src)
	if st.Tally != got.Tally || st.Sent != state.Sent(got.Sent) || st.LastSent.IsZero() {
		t.Errorf("status %+v, report %+v", st, got)
	}
	all, err := r.pipeline().Status(t.Context(), []pipeline.Source{r.source(src)})
	if err != nil || len(all[0].Refused) != 1 || all[0].Refused[0].Sink != "siem" || all[0].Refused[0].Record != 10 || len(all[0].Rejects) != 2 {
		t.Errorf("refused %+v, rejects %+v, %v", all[0].Refused, all[0].Rejects, err)
	}
}

type shapeFunc func(*schema.Event) (*schema.Event, bool)

func (f shapeFunc) Apply(e *schema.Event) (*schema.Event, bool) { return f(e) }

// An event is labelled once for each sink of events, before it is filtered, and
// never for the lake.
func TestLabelsAreForSinksOfEvents(t *testing.T) {
	r := newRig(t)
	sink, labelled := &receiver{}, 0
	s := sink.sink()
	s.Shape = shapeFunc(func(e *schema.Event) (*schema.Event, bool) {
		if slices.Contains(e.Metadata.Labels, "person:p1") {
			labelled++
		}
		return e, true
	})
	r.sinks = []pipeline.Sink{s, r.parquetSink("lake")}
	p := r.pipeline()
	p.Label = func(e *schema.Event) { e.Metadata.Labels = append(e.Metadata.Labels, "person:p1") }
	rep := p.Run(t.Context(), []pipeline.Source{r.source(&script{name: "acme", pages: logPages(1, 30)})}).Sources[0]
	if rep.Failed() || labelled != 30 {
		t.Errorf("labelled %d, %+v; want 30", labelled, rep)
	}
	for _, e := range r.events("lake") {
		if slices.Contains(e.Metadata.Labels, "person:p1") {
			t.Fatal("an event in the lake is labelled")
		}
	}
}

// Users and settings go to no sink of events, and are not pending for it.
func TestSnapshotsArePassedOver(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	r.sinks = []pipeline.Sink{sink.sink()}
	src := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"))}
	reads := r.countReads()
	rep := r.mustRun(src)
	if k := rep.Sinks[0]; k.Tally != (state.Tally{}) || k.Pending.Records != 0 || len(sink.got) != 0 {
		t.Errorf("got %+v", k)
	}
	if n := reads("users"); n != 0 {
		t.Errorf("segments of users were read %d times", n)
	}
	if st := r.siemStatus(src); st.Next.Segment != 2 || st.Pending.Segments != 0 {
		t.Errorf("it stands at %v, want behind the snapshot", st.Next)
	}
}

// countReads counts how often segments of a source are read, from now on.
func (r *rig) countReads() func(source string) int {
	keys := map[string]int{}
	r.raw = &blobtest.Faulty{Store: r.raw, Before: func(op, key string) error {
		if op == blobtest.OpGet {
			source, _, _ := strings.Cut(key, "/")
			r.clock.mu.Lock()
			keys[source]++
			r.clock.mu.Unlock()
		}
		return nil
	}}
	return func(source string) int { return keys[source] }
}

// Sinks that are up to date share one reading of a segment.
func TestSinksShareOneReading(t *testing.T) {
	r := newRig(t)
	var sinks []*receiver
	for i := range 4 {
		s := &receiver{name: fmt.Sprint("siem", i)}
		sinks = append(sinks, s)
		r.sinks = append(r.sinks, s.sink())
	}
	reads := r.countReads()
	src := &script{name: "acme", pages: logPages(1, 90)}
	r.mustRun(src)
	for i := 2; i <= 4; i++ {
		before := reads("acme")
		src.pages = logPages(i, 90)
		r.mustRun(src)
		// One for the head of the chain, one for the new segment.
		if n := reads("acme") - before; n != 2 {
			t.Errorf("run %d: raw was read %d times, want 2", i, n)
		}
	}
	for _, s := range sinks {
		s.wantGot(t, 0, 360, false)
	}
}

// Segments are read when their rows are asked for, one at a time.
func TestSegmentsAreReadLazily(t *testing.T) {
	r := newRig(t)
	reads := r.countReads()
	src := &script{name: "acme", pages: logPages(10, 100)}
	r.mustRun(src)
	sink := &receiver{size: 50, post: func(n int) (bool, error) {
		if n == 3 {
			return false, errSink
		}
		return false, nil
	}}
	r.sinks = []pipeline.Sink{sink.sink()}
	before := reads("acme")
	r.run(src)
	if n := reads("acme") - before; n > 4 {
		t.Errorf("raw was read %d times for 100 records of 100 a segment", n)
	}
	sink.wantGot(t, 0, 100, false)
}

// A sink dead for three days, while another and the lake go on: nothing is lost,
// and it catches up in order within its budget a run.
func TestASinkDeadForThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		dead := true
		siem := &receiver{size: 10, post: func(int) (bool, error) {
			time.Sleep(10 * time.Second)
			if dead {
				return false, errSink
			}
			return false, nil
		}}
		other := &receiver{name: "other"}
		r.sinks = []pipeline.Sink{siem.sink(), other.sink(), r.parquetSink("lake")}
		reads := r.countReads()
		src := &script{name: "acme"}
		p := r.pipeline()
		p.Raw, p.Now = r.raw, time.Now
		p.Limits.Deliver = time.Minute
		run := func() pipeline.SourceReport {
			rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
			if rep.Err != nil || rep.Sinks[1].Err != nil || rep.Sinks[2].Err != nil {
				t.Fatalf("another than the dead one failed: %+v", rep)
			}
			return rep
		}
		hours := 3 * 24
		for h := range hours {
			src.pages = logPages(h+1, 20)
			rep := run()
			wantError(t, rep.Sinks[0].Err, errSink)
			other.wantGot(t, 0, 20*(h+1), false)
			time.Sleep(time.Hour)
		}
		if st := r.siemStatus(src); !strings.Contains(st.LastError, errSink.Error()) || st.LastErrorAt.IsZero() || st.Pending.Records != 20*int64(hours) {
			t.Errorf("status of the dead one: %+v", st)
		}
		dead = false
		runs := 0
		for len(siem.got) < 20*hours {
			before, readBefore := len(siem.got), reads("acme")
			began := time.Now()
			rep := run()
			if rep.Sinks[0].Err != nil || len(siem.got) == before {
				t.Fatalf("run %d: %+v", runs, rep.Sinks[0])
			}
			if took := time.Since(began); took > 150*time.Second { // the notices have a minute of their own
				t.Errorf("run %d took %v with a budget of a minute", runs, took)
			}
			delivered := len(siem.got) - before
			if n := reads("acme") - readBefore; n > delivered/20+4 {
				t.Errorf("run %d: %d reads of raw for %d records", runs, n, delivered)
			}
			siem.wantGot(t, 0, len(siem.got), false)
			if runs++; runs > 200 {
				t.Fatal("it does not catch up")
			}
		}
		if runs < 5 {
			t.Errorf("%d runs: the budget did not hold", runs)
		}
		siem.wantGot(t, 0, 20*hours, false)
		if st := r.siemStatus(src); st.LastError != "" || st.Pending.Records != 0 {
			t.Errorf("status after it: %+v", st)
		}
	})
}

// The budget cuts between records; the sink that is told that its rows have
// ended keeps those it was given, and no more.
func TestTheBudgetCutsBetweenRecords(t *testing.T) {
	r := newRig(t)
	pages := logPages(1, 30)
	for i := range pages[0].Records {
		pages[0].Records[i].Bytes = fmt.Appendf(nil, `{"log_id":"%d","date":"2026-11-18T22:10:00.000Z","type":"sapi","details":{"request":{"method":"post","path":"/api/v2/roles/rol_1/users","body":{"users":["auth0|1","auth0|2","auth0|3"]}}}}`, i)
	}
	sink := &receiver{size: 1000}
	r.sinks = []pipeline.Sink{sink.sink()}
	p := r.pipeline()
	p.Limits.Deliver = 20 * time.Millisecond // the clock moves one each time it is asked
	src := &script{name: "acme", pages: pages}
	runs := 0
	for before := -1; len(sink.got) < 90; runs++ {
		if len(sink.got) == before || len(sink.got)%3 != 0 {
			t.Fatalf("run %d: %d events", runs, len(sink.got))
		}
		before = len(sink.got)
		if rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]; rep.Failed() {
			t.Fatal(rep.Sinks[0].Err)
		}
	}
	if seen := slices.Compact(slices.Sorted(slices.Values(sink.got))); runs < 2 || len(seen) != 90 || len(sink.got) != 90 {
		t.Errorf("%d runs, %d events, %d of them different; want 90 of each", runs, len(sink.got), len(seen))
	}
}

// A run told to stop keeps what the receiver has accepted.
func TestStoppingKeepsWhatIsAccepted(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	sink := &receiver{post: func(n int) (bool, error) {
		if n == 3 {
			cancel() // while the answer is on its way
		}
		return false, nil
	}}
	r.sinks = []pipeline.Sink{sink.sink()}
	src := &script{name: "acme", pages: logPages(2, 60)}
	rep := r.pipeline().Run(ctx, []pipeline.Source{r.source(src)}).Sources[0]
	wantError(t, rep.Sinks[0].Err, context.Canceled)
	if st := r.siemStatus(src); st.Tally.Records != int64(len(sink.got)) || st.LastError != "" {
		t.Errorf("%d events arrived, status %+v", len(sink.got), st)
	}
	r.mustRun(src)
	sink.wantGot(t, 0, 120, false)
}

// What a receiver has not acknowledged stays pending; the sink is asked again
// even if there is nothing new, with the note it left.
func TestASinkThatWaitsIsAskedAgain(t *testing.T) {
	r := newRig(t)
	sink := &receiver{acks: true}
	s := sink.sink()
	s.Every = time.Hour
	r.sinks = []pipeline.Sink{s}
	src := &script{name: "acme", pages: logPages(2, 60)}
	first := r.mustRun(src).Sinks[0]
	if !first.Waiting || first.Sent.Accepted != 120 || first.Records != 0 || first.Pending.Records != 120 {
		t.Errorf("first run: %+v", first)
	}
	if st := r.siemStatus(src); !st.Waiting {
		t.Errorf("status %+v does not say that it waits", st)
	}
	second := r.mustRun(src).Sinks[0]
	if second.Waiting || second.Sent.Acknowledged != 120 || second.Sent.Accepted != 0 || second.Records != 120 || second.Pending.Records != 0 {
		t.Errorf("second run: %+v", second)
	}
	sink.wantGot(t, 0, 120, false)
	st := r.siemStatus(src)
	wantLoop(t, "records", st.Tally, st.Sent)
}

// A new sink begins where it is told to, to the record, and once for all.
func TestWhereASinkBegins(t *testing.T) {
	at := func(n int) time.Time { return day0.Add(time.Duration(n) * time.Minute) }
	pages := logPages(3, 100)
	for i := range pages {
		for j := range pages[i].Records {
			n := i*100 + j
			pages[i].Records[j].Time = at(n)
			pages[i].Records[j].Bytes = fmt.Appendf(nil, `{"log_id":%q,"date":%q,"type":"s"}`, recordID(n), at(n).Format("2006-01-02T15:04:05.000Z"))
		}
	}
	tests := map[string]struct {
		start pipeline.Start
		first int
	}{
		"the beginning":      {pipeline.Start{}, 0},
		"now":                {pipeline.Start{Now: true}, 300},
		"before all":         {pipeline.Start{At: day0.Add(-time.Hour)}, 0},
		"behind all":         {pipeline.Start{At: at(300)}, 300},
		"within a segment":   {pipeline.Start{At: at(150)}, 150},
		"between two":        {pipeline.Start{At: at(149).Add(time.Second)}, 150},
		"a segment's first":  {pipeline.Start{At: at(200)}, 200},
		"less than a milli…": {pipeline.Start{At: at(199).Add(time.Microsecond)}, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			src := &script{name: "acme", pages: pages}
			r.mustRun(src)
			sink := &receiver{post: func(n int) (bool, error) {
				if n == 1 {
					return false, errSink
				}
				return false, nil
			}}
			s := sink.sink()
			s.Start = tt.start
			r.sinks = []pipeline.Sink{s}
			r.run(src) // fails, where there is anything to give
			s.Start = pipeline.Start{At: at(7)}
			r.sinks = []pipeline.Sink{s}
			r.run(src)
			sink.wantGot(t, tt.first, 300, false)
			src.pages = append(slices.Clone(pages), extract.Page{Records: []schema.Raw{logRecord(300)}})
			r.mustRun(src)
			sink.wantGot(t, tt.first, 301, false)
		})
	}
}

// A first run that is cut off has not read yet where the sink is to begin.
func TestWhereASinkBeginsWaitsForTheFirstDrain(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	s := sink.sink()
	pages := logPages(2, 10)
	for i := range 20 {
		at := day0.Add(time.Duration(i) * time.Minute)
		pages[i/10].Records[i%10].Time = at
		pages[i/10].Records[i%10].Bytes = fmt.Appendf(nil, `{"log_id":%q,"date":%q,"type":"s"}`, recordID(i), at.Format("2006-01-02T15:04:05.000Z"))
	}
	s.Start = pipeline.Start{At: day0.Add(15 * time.Minute)}
	r.sinks = []pipeline.Sink{s}
	src := &script{name: "acme", pages: pages, fail: errors.New("503"), failAt: 1}
	r.run(src)
	if st := r.siemStatus(src); st.Pending.Records != 0 {
		t.Errorf("pending of a sink without a place: %+v", st.Pending)
	}
	src.fail = nil
	r.mustRun(src)
	sink.wantGot(t, 15, 20, false)
}

// A sink is given its sources only, at its own pace.
func TestSourcesAndPaceOfASink(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	s := sink.sink()
	s.Sources, s.Every = []string{"acme"}, time.Hour
	r.sinks = []pipeline.Sink{s}
	acme, beta := &script{name: "acme", pages: logPages(1, 10)}, &script{name: "beta", pages: logPages(1, 10)}
	r.mustRun(acme)
	if rep := r.mustRun(beta); len(rep.Sinks) != 0 {
		t.Errorf("beta is delivered: %+v", rep.Sinks)
	}
	all, err := r.pipeline().Status(t.Context(), []pipeline.Source{r.source(beta)})
	if err != nil || len(all[0].Sinks) != 0 {
		t.Errorf("beta is pending: %+v, %v", all, err)
	}
	acme.pages = logPages(2, 10)
	if rep := r.mustRun(acme); !rep.Sinks[0].NotDue || rep.Sinks[0].Pending.Records != 10 {
		t.Errorf("within the hour: %+v", rep.Sinks[0])
	}
	r.clock.skip(time.Hour)
	r.mustRun(acme)
	sink.wantGot(t, 0, 20, false)
}

// A healthy sink is told each run once, and the chain's head when it grew.
func TestNoticesAreToldOnce(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	r.sinks = []pipeline.Sink{sink.sink()}
	src := &script{name: "acme", pages: logPages(1, 10)}
	rep := r.mustRun(src)
	if n := rep.Sinks[0].Notices; n == nil || n.Given != 2 || n.Sent.Accepted != 2 || n.Pending.Kept != 0 {
		t.Errorf("notices %+v", n)
	}
	r.mustRun(src)
	src.fail, src.failAt = errors.New("503"), 1
	src.pages = logPages(2, 10)
	r.run(src)
	if want := []string{"run", "chain_head", "run", "run"}; !slices.Equal(sink.told, want) {
		t.Errorf("told %v, want %v", sink.told, want)
	}
	st := r.siemStatus(src)
	wantLoop(t, "notices", st.Notices.Tally, st.Notices.Sent)
	// A sink that is new is not told of runs before it.
	late := &receiver{name: "late"}
	r.sinks = append(r.sinks, late.sink())
	src.fail = nil
	r.mustRun(src)
	if want := []string{"run", "chain_head"}; !slices.Equal(late.told, want) {
		t.Errorf("the late one was told %v, want %v", late.told, want)
	}
}

// A broken chain delivers nothing more, but is told of.
func TestABrokenChainIsTold(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	src := &script{name: "acme", pages: logPages(3, 100)}
	r.mustRun(src)
	r.sinks = []pipeline.Sink{sink.sink(), r.parquetSink("lake")}
	mustDelete(t, r, 3)
	if rep := r.run(src); rep.Err == nil {
		t.Fatal("the run did not fail")
	}
	if want := []string{"run"}; !slices.Equal(sink.told, want) || len(sink.got) != 0 {
		t.Errorf("told %v, %d events; want %v, none", sink.told, len(sink.got), want)
	}
	if n := r.lakeObjects(); n != 0 {
		t.Errorf("the lake got %d objects", n)
	}
}

// What a comparison finds is told at once, once, whatever the sink's pace; a
// source that is held is told of later, and fails nothing.
func TestDriftIsToldAtOnce(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	s := sink.sink()
	s.Every = 24 * time.Hour
	r.sinks = []pipeline.Sink{s}
	left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "a@example.com"))}
	right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "N"))}
	if rep := r.pair(left, right); rep.Err != nil {
		t.Fatal(rep.Err)
	}
	want := []string{"run", "chain_head", "run", "chain_head", "drift"}
	if !slices.Equal(sink.told, want) {
		t.Errorf("told %v, want %v", sink.told, want)
	}
	r.reconcile(left, right)
	if !slices.Equal(sink.told, want) {
		t.Errorf("the same comparison was told again: %v", sink.told)
	}
	st, err := state.Local(r.dir).Open(t.Context(), "users")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if rep := r.reconcile(left, right); rep.Err != nil {
		t.Errorf("held: %v", rep.Err)
	}
}

// Each sink that shows health is told once how the run went.
func TestHealthIsReported(t *testing.T) {
	r := newRig(t)
	sink, down := &receiver{}, &receiver{name: "down", post: func(int) (bool, error) { return false, errSink }}
	r.sinks = []pipeline.Sink{sink.sink(), down.sink()}
	good, bad := &script{name: "acme", pages: logPages(1, 10)}, &script{name: "bad", fail: errors.New("token s3cret"), pages: logPages(1, 1)}
	p := r.pipeline()
	rep := p.Run(t.Context(), []pipeline.Source{r.source(good), r.source(bad)})
	if err := p.ReportHealth(t.Context(), rep, nil); err != nil || len(sink.reports) != 1 {
		t.Fatalf("%d reports, %v", len(sink.reports), err)
	}
	h := sink.reports[0]
	problems := []string{"Sink down failed for source acme.", "Source bad failed.", "Sink down failed for source bad."}
	if !slices.Equal(h.Problems, problems) || h.Failed || len(h.Sources) != 2 || len(h.Sinks) != 4 || h.Took <= 0 {
		t.Errorf("got %+v", h)
	}
	if s := h.Sources[1]; !s.Failed || s.Lag >= 0 || h.Sources[0].Lag < 0 || h.Sources[0].Landed != 10 {
		t.Errorf("sources %+v", h.Sources)
	}
	if k := h.Sinks[1]; !k.Failed || k.Pending != 12 || k.Oldest <= 0 || h.Sinks[0].Sent.Accepted != 12 || h.Sinks[0].Pending != 0 {
		t.Errorf("sinks %+v", h.Sinks)
	}
}

// sinkFunc is a sink of one function.
type sinkFunc struct {
	name    string
	deliver func(context.Context, load.Batch) (load.Result, error)
}

func (s sinkFunc) Name() string { return s.name }

func (s sinkFunc) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	return s.deliver(ctx, b)
}

// A sink that comes to a segment when another has done with it shares it still.
func TestALateSinkSharesTheNewestSegment(t *testing.T) {
	r := newRig(t)
	first, second, done := &receiver{name: "first"}, &receiver{name: "second"}, make(chan struct{})
	r.sinks = []pipeline.Sink{
		{Sink: sinkFunc{"first", func(ctx context.Context, b load.Batch) (load.Result, error) {
			if b.To.Segment > 0 {
				defer close(done)
			}
			return first.sink().Deliver(ctx, b)
		}}},
		{Sink: sinkFunc{"second", func(ctx context.Context, b load.Batch) (load.Result, error) {
			<-done
			return second.sink().Deliver(ctx, b)
		}}},
	}
	reads := r.countReads()
	r.mustRun(&script{name: "acme", pages: logPages(1, 90)})
	if n := reads("acme"); n != 1 {
		t.Errorf("raw was read %d times, want once", n)
	}
	first.wantGot(t, 0, 90, false)
	second.wantGot(t, 0, 90, false)
}

// A sink of which all is filtered is told of its progress within a segment.
func TestLongRunsOfNothingAreMarked(t *testing.T) {
	r := newRig(t)
	sink := &receiver{}
	s := sink.sink()
	s.Shape = shapeFunc(func(*schema.Event) (*schema.Event, bool) { return nil, false })
	r.sinks = []pipeline.Sink{s}
	p := r.pipeline()
	p.Limits.SegmentRecords = 10_000
	rep := p.Run(t.Context(), []pipeline.Source{r.source(&script{name: "acme", pages: logPages(5, 500)})}).Sources[0]
	if rep.Failed() || rep.Sinks[0].Sent.Filtered != 2500 {
		t.Fatalf("got %+v", rep.Sinks)
	}
	if sink.marks < 4 { // two within, at the segment's end, at the end of all
		t.Errorf("%d marks for 2500 records that gave nothing", sink.marks)
	}
}

// A sink that kept the gaps of a segment, and failed then, is not told them
// again.
func TestGapsThatAreKeptAreNotToldAgain(t *testing.T) {
	r := newRig(t)
	gaps := 0
	r.sinks = []pipeline.Sink{{Sink: sinkFunc{"siem", func(_ context.Context, b load.Batch) (load.Result, error) {
		res := load.Result{Upto: b.From}
		for row, err := range b.Rows {
			if err != nil {
				return res, err
			}
			if row.Event == nil {
				continue
			}
			res.Counts.Sent.Accepted++
			if row.Event.ActivityName == "gap" {
				gaps++
				res.Upto = load.Position{Segment: row.At.Segment, Record: row.At.Record + 1}
				return res, errSink
			}
		}
		res.Upto = b.To
		return res, nil
	}}}}
	src := &script{name: "acme", pages: logPages(1, 5)}
	src.pages[0].Gaps = []schema.Gap{{From: day0, To: day0, Reason: "lost"}}
	wantError(t, r.run(src).Sinks[0].Err, errSink)
	r.mustRun(src)
	if gaps != 1 {
		t.Errorf("the gap was told %d times", gaps)
	}
}
