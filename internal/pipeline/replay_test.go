package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// pickyMapper cannot map some records, until it is mended.
type pickyMapper struct {
	transform.Mapper
	odd    string
	mended bool
}

func (m *pickyMapper) Map(kind schema.Kind, line []byte, at time.Time) (transform.Result, error) {
	if !m.mended && bytes.Contains(line, []byte(m.odd)) {
		return transform.Result{}, fmt.Errorf("is odd: %w", transform.ErrUnmappable)
	}
	return m.Mapper.Map(kind, line, at)
}

var errDead = errors.New("the process is dead")

// dying is a rig whose process dies at a step: a call to a store, before or
// behind it, or a step of the protocol. From then on nothing it does has any
// effect.
type dying struct {
	*rig
	rawUnder, lakeUnder blob.Store
	n, at               atomic.Int64
}

func newDying(t *testing.T) *dying {
	t.Helper()
	d := &dying{rig: newRig(t)}
	d.rawUnder, d.lakeUnder = d.raw, d.lake
	hook := func(string, string) error { return d.step() }
	d.raw = &blobtest.Faulty{Store: d.rawUnder, Before: hook, After: hook}
	d.lake = &blobtest.Faulty{Store: d.lakeUnder, Before: hook, After: hook}
	return d
}

func (d *dying) step() error {
	if n, at := d.n.Add(1), d.at.Load(); at > 0 && n >= at {
		return errDead
	}
	return nil
}

// live counts from anew, and dies at a step; 0 never.
func (d *dying) live(at int64) {
	d.n.Store(0)
	d.at.Store(at)
}

// replayed is a rig with some odd records landed and flushed to two lakes, one
// in each day, and a receiver that was given the others.
func replayed(t *testing.T) (*dying, pipeline.Source, *pickyMapper, *receiver) {
	t.Helper()
	d := newDying(t)
	got := &receiver{}
	d.sinks = []pipeline.Sink{d.parquetSink("lake"), d.jsonSink(), got.sink()}
	src := &script{name: "acme", pages: logPages(5, 30)}
	m := &pickyMapper{odd: `"auth0|7"`}
	s := d.source(src)
	s.Mapper = m
	d.mustRunSource(s)
	src.pages = logPages(8, 30)
	d.clock.skip(2 * time.Hour)
	d.mustRunSource(s)
	m.mended = true
	return d, s, m, got
}

const oddOnes = 5 // of 240, one in 50 has user 7

func (d *dying) wantReplayed(got *receiver, atMost int) {
	d.t.Helper()
	d.live(0)
	d.wantEventsOnce(240)
	for _, layout := range []string{"rejected/", "rejected_json/"} {
		for info, err := range d.lakeUnder.List(d.t.Context(), layout, "") {
			d.t.Errorf("%s is still there, %v", info.Key, err)
		}
	}
	times := map[string]int{}
	for _, id := range got.got {
		times[id]++
	}
	if len(times) != 240 || len(got.got) > 240+atMost {
		d.t.Errorf("the receiver has %d records of 240, %d events", len(times), len(got.got))
	}
	s, err := d.pipeline().Status(d.t.Context(), []pipeline.Source{d.source(&script{name: "acme"})})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, k := range s[0].Sinks {
		if k.Tally.Rejected != 0 || k.Tally.Events != 240 || k.Tally.Records != 240 || k.Tally.FannedOut != 0 {
			d.t.Errorf("sink %s counts %+v, want 240 events and no reject", k.Sink, k.Tally)
		}
	}
	if len(s[0].Rejects) != 0 {
		d.t.Errorf("status still shows %d rejects", len(s[0].Rejects))
	}
}

func TestReplayOfRejects(t *testing.T) {
	d, src, _, got := replayed(t)
	if n := len(got.got); n != 240-oddOnes {
		t.Fatalf("the receiver got %d, want all but %d", n, oddOnes)
	}
	rep, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{DryRun: true})
	if err != nil || rep.Sinks[0].Flushes != 2 || rep.Sinks[0].Rejected != oddOnes || rep.Sinks[0].Changed != 0 {
		t.Fatalf("dry: %+v, %v", rep, err)
	}
	rep, err = d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{})
	if err != nil || rep.Given != oddOnes || rep.Sinks[0].Changed != 2 || rep.Sinks[1].Fits != oddOnes {
		t.Fatalf("got %+v, %v", rep, err)
	}
	d.wantReplayed(got, 0)
	if again, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil || again.Sinks[0].Flushes != 0 || again.Given != 0 {
		t.Errorf("a second replay: %+v, %v", again, err)
	}
	d.wantReplayed(got, 0)
}

func TestReplayOfARange(t *testing.T) {
	d, src, _, got := replayed(t)
	before := len(got.got)
	rep, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{From: day0.AddDate(1, 0, 0)})
	if err != nil || rep.Sinks[0].Flushes != 0 || len(got.got) != before {
		t.Errorf("a year later: %+v, %v", rep, err)
	}
	if rep, err = d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{From: day0, To: day0.AddDate(0, 0, 1)}); err != nil || rep.Sinks[0].Changed != 2 {
		t.Errorf("that day: %+v, %v", rep, err)
	}
}

// A sink that begins after a replay is given everything by itself, once.
func TestALateSinkIsNotGivenAgain(t *testing.T) {
	d, src, _, _ := replayed(t)
	if _, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil {
		t.Fatal(err)
	}
	late := &receiver{name: "late"}
	d.sinks = append(d.sinks, late.sink())
	d.mustRunSource(src)
	d.mustRunSource(src)
	if len(late.got) != 240 {
		t.Errorf("the late sink got %d, want 240", len(late.got))
	}
}

// Whatever is killed when: a later run and a replay finish it, with nothing
// doubled in the lake. A receiver may be given what was in flight twice.
func TestReplayKilled(t *testing.T) {
	for _, lose := range []bool{false, true} {
		steps := int64(1)
		every := int64(3)
		if testing.Short() {
			every = 23
		}
		for at := int64(1); at <= steps; at += every {
			d, src, _, got := replayed(t)
			if at == 1 {
				d.live(0)
				if _, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil {
					t.Fatal(err)
				}
				steps = d.n.Load()
				continue
			}
			d.live(at)
			_, _ = d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{})
			d.live(0)
			if lose {
				if err := os.RemoveAll(d.dir); err != nil {
					t.Fatal(err)
				}
				got.got = nil // given everything again
			}
			d.mustRunSource(src)
			if _, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil {
				t.Fatalf("step %d of %d: %v", at, steps, err)
			}
			d.wantReplayed(got, 2*oddOnes)
			d.wantWhole()
			if t.Failed() {
				t.Fatalf("killed at step %d of %d, state lost: %v", at, steps, lose)
			}
		}
	}
}

// wantWhole checks that every object of the lake's tables is in a record, as the
// record says.
func (d *dying) wantWhole() {
	d.t.Helper()
	d.wantWholeOf("lake", "json")
}

func (d *dying) wantWholeOf(sinks ...string) {
	d.t.Helper()
	reader := lake.Open(d.lakeUnder)
	known := map[string]bool{}
	for _, sink := range sinks {
		for r, err := range reader.Flushes(d.t.Context(), sink, "acme") {
			if err != nil || r.State != lake.StateCompleted {
				d.t.Fatalf("flush %d of %s is %s, %v", r.From, sink, r.State, err)
			}
			for _, o := range r.Objects {
				known[o.Key] = !o.Pruned
			}
		}
	}
	for info, err := range reader.Objects(d.t.Context(), "acme") {
		if err != nil {
			d.t.Fatal(err)
		}
		if !known[info.Key] {
			d.t.Errorf("%s is in no record", info.Key)
		}
		delete(known, info.Key)
	}
	for key, there := range known {
		if there {
			d.t.Errorf("%s is missing", key)
		}
	}
}
