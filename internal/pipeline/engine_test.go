package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
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
	once     bool // says once only that it stored something
}

// records are the uids of what it got of records.
func (w *wire) records() (uids []string) {
	for _, id := range w.got {
		if strings.HasPrefix(id, "900") {
			uids = append(uids, id)
		}
	}
	return uids
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
		key := fmt.Sprint(channel, r)
		if !w.stored[key] {
			continue
		}
		stored = append(stored, r)
		if w.once {
			w.stored[key] = false
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
			(&receiver{name: "siem", got: w.records()}).wantGot(t, 0, 300, false)
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

// mortal is a sink that dies behind what it first keeps in a run: nothing it
// does afterwards is known to anybody.
type mortal struct {
	*stream.Sink
	dying, dead bool
}

var errKilled = errors.New("killed")

func (m *mortal) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	if !m.dying {
		return m.Sink.Deliver(ctx, b)
	}
	keep := b.Keep
	b.Keep = func(res load.Result) error {
		if m.dead {
			return errKilled
		}
		m.dead = true
		return keep(res)
	}
	_, err := m.Sink.Deliver(ctx, b)
	return load.Result{}, errors.Join(err, errKilled)
}

// What is acknowledged at the begin of a run, before a record is read, is not
// sent again when the run is killed right behind it: a receiver says once only
// that it has it. Keeping it moves a position over nothing that was not handed
// out, and the note told of it no more.
func TestKilledBehindAnAcknowledgement(t *testing.T) {
	r := newRig(t)
	w := &wire{open: map[string]bool{}, stored: map[string]bool{}, once: true}
	sink := &mortal{Sink: stream.New(ackWire{w}, stream.Options{Name: "siem", MaxBytes: 700, AckWait: time.Millisecond, Now: r.clock.Now})}
	r.sinks = []pipeline.Sink{{Sink: sink}}
	src := &script{name: "acme", pages: logPages(1, 100)}
	r.mustRun(src)
	for k := range w.open {
		w.stored[k] = true
	}
	clear(w.open)
	sink.dying = true
	rep := r.pipeline().Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
	if !rep.Failed() || !sink.dead {
		t.Fatalf("was not killed: %+v", rep.Sinks)
	}
	sink.dying = false
	r.clock.skip(time.Hour) // what nobody ever acknowledges would be sent again
	r.mustRun(src)
	(&receiver{name: "siem", got: w.records()}).wantGot(t, 0, 100, false)
	st := r.siemStatus(src)
	wantLoop(t, "records", st.Tally, st.Sent)
	if st.Sent.Acknowledged != 100 || st.Sent.Resent != 0 || st.Pending.Records != 0 {
		t.Errorf("sent %+v, pending %+v", st.Sent, st.Pending)
	}
}
