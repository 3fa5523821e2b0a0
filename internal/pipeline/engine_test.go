package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// wire is a receiver behind the engine that real sinks share. It stores what it
// accepted only when it is asked for it in a later delivery.
type wire struct {
	got      []string
	channels int
	open     map[string]bool // receipts accepted in this delivery
	stored   map[string]bool
}

func (*wire) Append(dst []byte, e *schema.Event, _ time.Time) ([]byte, stream.Mark, error) {
	return append(append(dst, e.Metadata.UID...), '\n'), stream.Mark{}, nil
}

func (*wire) Frame() stream.Frame { return stream.Frame{} }

func (w *wire) Send(_ context.Context, r stream.Request) stream.Answer {
	w.got = append(w.got, strings.Fields(string(r.Body))...)
	receipt := int64(len(w.open) + len(w.stored))
	w.open[fmt.Sprint(r.Channel, receipt)] = true
	return stream.Answer{Receipt: receipt}
}

// ackWire acknowledges.
type ackWire struct{ *wire }

func (w ackWire) Channel() string {
	w.channels++
	return fmt.Sprintf("channel-%d-", w.channels)
}

func (w ackWire) Ask(_ context.Context, channel string, receipts []int64) ([]int64, error) {
	var stored []int64
	for _, r := range receipts {
		if w.stored[fmt.Sprint(channel, r)] {
			stored = append(stored, r)
		}
	}
	return stored, nil
}

// The engine of the real sinks, cut by the budget in each run: with and without
// acknowledgements, each event arrives once, and the accounts add up.
func TestTheEngineIsCutByTheBudget(t *testing.T) {
	for _, acks := range []bool{false, true} {
		t.Run(fmt.Sprintf("acks %v", acks), func(t *testing.T) {
			r := newRig(t)
			w := &wire{open: map[string]bool{}, stored: map[string]bool{}}
			o := stream.Options{Name: "siem", MaxBytes: 700, AckWait: time.Millisecond, Now: r.clock.Now}
			sink := stream.New(w, o)
			if acks {
				sink = stream.New(ackWire{w}, o)
			}
			r.sinks = []pipeline.Sink{{Sink: sink}}
			src := &script{name: "acme", pages: logPages(3, 100)}
			runs := 0
			for ; r.pendingOf(src) > 0 || runs == 0; runs++ {
				for k := range w.open {
					w.stored[k] = true
				}
				clear(w.open)
				p := r.pipeline()
				p.Limits.Deliver = 250 * time.Millisecond // of a clock that moves each time it is asked
				rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
				if rep.Failed() || runs > 50 {
					t.Fatalf("run %d: %+v", runs, rep.Sinks)
				}
			}
			var records []string
			for _, id := range w.got {
				if strings.HasPrefix(id, "900") {
					records = append(records, id)
				}
			}
			(&receiver{name: "siem", got: records}).wantGot(t, 0, 300, false)
			st := r.siemStatus(src)
			wantLoop(t, "records", st.Tally, st.Sent)
			if !acks { // else the last run's notice waits
				wantLoop(t, "notices", st.Notices.Tally, st.Notices.Sent)
			}
			if runs < 3 || acks && st.Sent.Acknowledged != 300 || st.Sent.Resent != 0 {
				t.Errorf("%d runs, sent %+v", runs, st.Sent)
			}
		})
	}
}

func (r *rig) pendingOf(src *script) int64 {
	r.t.Helper()
	all, err := r.pipeline().Status(r.t.Context(), []pipeline.Source{r.source(src)})
	if err != nil {
		r.t.Fatal(err)
	}
	if !all[0].Known {
		return 0
	}
	return all[0].Sinks[0].Pending.Records
}
