package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// world is a random source and a random receiver.
type world struct {
	*rand.Rand
	rows   []load.Row
	given  []string
	cancel context.CancelFunc
	kills  bool
	// fan: a record may give several events, which may not fit into a request.
	fan bool
}

func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

// fill makes segments of records of no, one or several events each.
func (w *world) fill() {
	poison := 4
	for seg := range int64(1 + w.IntN(3)) {
		for rec := range int64(w.IntN(60)) {
			at := load.Position{Segment: 1 + seg, Record: rec}
			n := 1
			switch {
			case w.chance(10):
				n = 0
			case w.fan && w.chance(10):
				n = 2 + w.IntN(12)
			}
			for i := range n {
				uid := fmt.Sprintf("%s%d-%d#%d", w.kind(&poison), seg, rec, i)
				w.given = append(w.given, uid)
				w.rows = append(w.rows, load.Row{At: at, Event: event(uid, w.IntN(30))})
			}
			if w.chance(20) {
				w.rows = append(w.rows, load.Row{At: load.Position{Segment: 1 + seg, Record: rec + 1}})
			}
		}
	}
}

func (w *world) kind(poison *int) string {
	if *poison > 0 && w.chance(3) {
		*poison--
		return "poison"
	}
	return []string{"e", "e", "e", "e", "e", "e", "e", "bad", "old", "fat", "late"}[w.IntN(11)]
}

func (w *world) fate(_ int, uids []string) fate {
	switch {
	case w.chance(60):
		return accepted
	case w.chance(25):
		return told(stream.Busy)
	case w.chance(20):
		return lost(true)
	case w.chance(25):
		return lost(false)
	case w.chance(15) && len(uids) > 1:
		return told(stream.TooLarge)
	case w.chance(15):
		return told(stream.Denied)
	case w.chance(15) && len(uids) > 1:
		f := accepted
		f.Lost = 1 + w.IntN(len(uids)-1)
		return f
	case w.chance(20) && len(uids) > 1:
		return told(stream.Refused) // for no reason
	case w.chance(40):
		w.cancel()
		return accepted
	}
	return accepted
}

func good(uid string) bool {
	return !strings.HasPrefix(uid, "poison") && !strings.HasPrefix(uid, "bad") && !strings.HasPrefix(uid, "old")
}

// TestAnything: whatever happens, nothing is lost, the order is kept, and the
// counters say what the receiver knows.
func TestAnything(t *testing.T) {
	n := uint64(3000)
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { anything(t, seed) })
		})
		if t.Failed() {
			return
		}
	}
}

func anything(t *testing.T, seed uint64) {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1))}
	w.fan = w.chance(50)
	w.fill()
	w.kills = w.chance(30)
	r := newReceiver(t)
	r.script = w.fate
	if w.chance(30) {
		r.limit = 60 + w.IntN(100)
	}
	o := stream.Options{Name: "siem", MaxEntries: 1 + w.IntN(20), MaxBytes: 50 + w.IntN(300), Attempts: 1 + w.IntN(3)}
	s := stream.New(r, o)
	c := newCaller(w.rows)
	c.to.Segment = 5
	errKeep := errors.New("disk full")
	c.onKeep = func(int) error {
		if w.chance(3) {
			return errKeep
		}
		return nil
	}
	for run := 0; ; run++ {
		if run > 500 {
			t.Fatalf("not done after %d runs, at %v", run, c.upto)
		}
		var ctx context.Context
		ctx, w.cancel = context.WithCancel(t.Context())
		c.lose = w.kills && w.chance(50)
		err := c.deliver(ctx, s)
		w.cancel()
		if err == nil && c.upto == c.to {
			break
		}
		if err == nil && !c.lose {
			t.Fatalf("seed %d: upto %v without an error, calls %+v, note %s", seed, c.upto, r.calls, c.note)
		}
		known := errors.Is(err, stream.ErrUnavailable) || errors.Is(err, stream.ErrDenied) || errors.Is(err, context.Canceled) || errors.Is(err, errKeep)
		if err != nil && !known {
			t.Fatalf("got error %v", err)
		}
		time.Sleep(time.Minute)
	}
	w.check(t, r, c)
}

func (w *world) check(t *testing.T, r *receiver, c *caller) {
	copies, order := r.copies()
	var due []string
	bad, old := 0, 0
	for _, u := range w.given {
		switch {
		case strings.HasPrefix(u, "old"):
			old++
		case good(u):
			due = append(due, u)
		default:
			bad++
		}
	}
	missing := 0
	for _, u := range due {
		if copies[u] == 0 {
			missing++
		}
	}
	if missing > r.thrown {
		t.Errorf("%d events are lost, the receiver threw away %d", missing, r.thrown)
	}
	stay := slices.DeleteFunc(slices.Clone(due), func(u string) bool { return copies[u] == 0 })
	if r.thrown == 0 && !slices.Equal(order, stay) {
		t.Errorf("order is\n%v, want\n%v", order, stay)
	}
	sent := c.total.Sent
	if got := sent.Accepted + sent.Skipped + sent.Rejected; got != int64(len(w.given)) {
		t.Errorf("%+v: %d are done with, want %d", sent, got, len(w.given))
	}
	if sent.Skipped != int64(old) {
		t.Errorf("skipped %d, want %d", sent.Skipped, old)
	}
	if r.thrown == 0 && (sent.Rejected != int64(bad) || len(c.rejected) != bad) {
		t.Errorf("rejected %d, %d rejects, want %d", sent.Rejected, len(c.rejected), bad)
	}
	if c.total.Events != sent.Accepted {
		t.Errorf("events %d, accepted %d", c.total.Events, sent.Accepted)
	}
	if c.note != "" || c.waiting {
		t.Errorf("left note %q, waiting %v", c.note, c.waiting)
	}
	again := 0
	for _, n := range r.maybe {
		again += n - 1
	}
	got, want := sent.Resent, int64(again)
	// A kill leaves no word of what was in flight. Of a record that was sent in
	// part, all counts as sent, and poison that was not decided on as well.
	if got < want && !w.kills || got > want+int64(bad) && !w.fan {
		t.Errorf("resent %d, want %d", got, want)
	}
}

// TestAnythingAcknowledged: the same with a receiver that stores late, forgets
// what it had not stored, and whose answers to questions get lost.
func TestAnythingAcknowledged(t *testing.T) {
	n := uint64(2000)
	if testing.Short() {
		n = 200
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { anythingAcknowledged(t, seed) })
		})
		if t.Failed() {
			return
		}
	}
}

func anythingAcknowledged(t *testing.T, seed uint64) {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 2))}
	w.fan = w.chance(50)
	w.kills = w.chance(30)
	w.fill()
	a := newAcker(t, time.Duration(w.IntN(60))*time.Second)
	a.kills = w.kills
	a.script = func(n int, uids []string) fate {
		f := w.fate(n, uids)
		f.Lost = 0
		return f
	}
	a.onAsk = func(int) (before, after error) {
		switch {
		case w.chance(10):
			return errGateway, nil
		case w.chance(10):
			return nil, errGateway
		case w.chance(3):
			a.restart()
		}
		return nil, nil
	}
	s := stream.New(a, stream.Options{Name: "siem", MaxEntries: 1 + w.IntN(20), Attempts: 1 + w.IntN(3)})
	c := newCaller(w.rows)
	c.to.Segment = 5
	c.onKeep = func(int) error {
		if w.kills && w.chance(2) {
			return errors.New("disk full")
		}
		return nil
	}
	for run := 0; c.upto != c.to; run++ {
		if run > 1000 {
			t.Fatalf("not done after %d runs, at %v, note %s", run, c.upto, c.note)
		}
		var ctx context.Context
		ctx, w.cancel = context.WithCancel(t.Context())
		c.lose = w.kills && w.chance(50)
		if err := c.deliver(ctx, s); err == nil && !c.lose && c.upto != c.to && !c.waiting {
			t.Fatalf("upto %v, no error, and nothing to wait for", c.upto)
		}
		w.cancel()
		if w.chance(10) {
			a.restart()
		}
		time.Sleep(time.Duration(w.IntN(200)) * time.Second)
	}
	w.checkAcknowledged(t, a, c)
}

func (w *world) checkAcknowledged(t *testing.T, a *acker, c *caller) {
	for _, u := range w.given {
		if good(u) && a.durable[u] == 0 {
			t.Errorf("%s is lost", u)
		}
	}
	s := c.total.Sent
	if got := s.Accepted + s.Skipped + s.Rejected; got != int64(len(w.given)) || int64(len(c.rejected)) != s.Rejected {
		t.Errorf("%+v: %d are done with, want %d; %d rejects", s, got, len(w.given), len(c.rejected))
	}
	if s.Acknowledged != s.Accepted {
		t.Errorf("%d acknowledged of %d accepted", s.Acknowledged, s.Accepted)
	}
	if c.note != "" {
		t.Errorf("left note %s", c.note)
	}
	again := 0
	for _, n := range a.maybe {
		again += n - 1
	}
	if !w.kills && s.Resent < int64(again) {
		t.Errorf("resent %d, want %d", s.Resent, again)
	}
}
