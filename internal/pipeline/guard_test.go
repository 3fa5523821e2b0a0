package pipeline_test

import (
	"context"
	"testing"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
)

// fallingSink has a fault.
type fallingSink struct{}

func (fallingSink) Name() string { return "falling" }

func (fallingSink) Deliver(context.Context, load.Batch) (load.Result, error) {
	panic("planted")
}

// TestPanicStopsNoOther: a fault in one source or sink fails it, and the others
// go on; what it held is let go of.
func TestPanicStopsNoOther(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{{Sink: fallingSink{}}, r.parquetSink("lake")}
	bad := &script{name: "bad", identity: "bad", pages: logPages(1, 1), during: func(int) { panic("fault") }}
	good := &script{name: "acme", identity: "acme", pages: logPages(2, 10)}
	rep := r.pipeline().Run(t.Context(), []pipeline.Source{r.source(bad), r.source(good)})
	wantError(t, rep.Sources[0].Err, pipeline.ErrPanic)
	got := rep.Sources[1]
	if got.Err != nil || got.Landed != 20 || len(got.Sinks) != 2 {
		t.Fatalf("the other source: got %+v, want 20 landed for 2 sinks", got)
	}
	wantError(t, got.Sinks[0].Err, pipeline.ErrPanic)
	if got.Sinks[1].Err != nil || got.Sinks[1].Records != 20 {
		t.Errorf("the other sink: got %+v, want 20 records", got.Sinks[1])
	}
	bad.during = nil
	r.sinks = r.sinks[1:]
	r.mustRun(bad)
}
