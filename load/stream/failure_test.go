package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// outcomes of one request of the failure matrix, and what it must lead to.
type outcome struct {
	fate   fate
	once   int   // calls more than without it, when it happens once
	resent int64 // events counted so then
	ends   error // of a delivery it happens to once
	stops  error // of one it happens to for ever
	runs   int   // calls for it, when it happens for ever
}

func outcomes() map[string]outcome {
	return map[string]outcome{
		"busy":         {fate: told(stream.Busy), once: 1, stops: stream.ErrUnavailable, runs: 3},
		"request lost": {fate: lost(false), once: 1, resent: 10, stops: stream.ErrUnavailable, runs: 3},
		"answer lost":  {fate: lost(true), once: 1, resent: 10, stops: stream.ErrUnavailable, runs: 3},
		"denied":       {fate: told(stream.Denied), once: 1, ends: stream.ErrDenied, stops: stream.ErrDenied, runs: 1},
		// Halves are sent instead.
		"too large": {fate: told(stream.TooLarge), once: 2},
		"refused":   {fate: told(stream.Refused), once: -1},
	}
}

// TestFailureMatrix: each outcome, of the first, a middle and the last request,
// once and for ever.
func TestFailureMatrix(t *testing.T) {
	all := uids(50) // 5 requests
	for name, o := range outcomes() {
		for _, at := range []int{0, 2, 4} {
			t.Run(fmt.Sprintf("%s/%d once", name, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { happensOnce(t, o, at, all) })
			})
			if o.stops != nil {
				t.Run(fmt.Sprintf("%s/%d for ever", name, at), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { happensForEver(t, o, at, all) })
				})
			}
		}
	}
}

func happensOnce(t *testing.T, o outcome, at int, all []string) {
	r := newReceiver(t)
	r.script = func(n int, _ []string) fate {
		if n == at {
			return o.fate
		}
		return accepted
	}
	s, c := stream.New(r, small()), newCaller(each(all...))
	err := c.deliver(t.Context(), s)
	if !errors.Is(err, o.ends) {
		t.Errorf("got error %v, want %v", err, o.ends)
	}
	if err != nil {
		if want := (load.Position{Segment: 1, Record: int64(10 * at)}); c.upto != want {
			t.Errorf("upto %v, want %v", c.upto, want)
		}
		c.mustDeliver(t, s)
	}
	if _, order := r.copies(); !slices.Equal(order, all) {
		t.Errorf("stored %v", order)
	}
	if s := c.total.Sent; s.Accepted != 50 || s.Resent != o.resent || s.Rejected != 0 || c.upto != c.to {
		t.Errorf("counted %+v at %v", s, c.upto)
	}
	if o.once >= 0 && o.fate.Outcome != stream.TooLarge && len(r.calls) != 5+o.once {
		t.Errorf("%d calls, want %d", len(r.calls), 5+o.once)
	}
	for i, q := range r.calls {
		if want := o.resent > 0 && i == at+1; q.resend != want {
			t.Errorf("call %d: marked as sent again: %v, want %v", i, q.resend, want)
		}
	}
}

func happensForEver(t *testing.T, o outcome, at int, all []string) {
	r := newReceiver(t)
	broken := true
	r.script = func(n int, _ []string) fate {
		if broken && n >= at {
			return o.fate
		}
		return accepted
	}
	s, c := stream.New(r, small()), newCaller(each(all...))
	if err := c.deliver(t.Context(), s); !errors.Is(err, o.stops) {
		t.Errorf("got error %v, want %v", err, o.stops)
	}
	if want := (load.Position{Segment: 1, Record: int64(10 * at)}); c.upto != want {
		t.Errorf("upto %v, want %v", c.upto, want)
	}
	if len(r.calls) != at+o.runs {
		t.Errorf("%d calls, want %d", len(r.calls), at+o.runs)
	}
	broken = false
	c.mustDeliver(t, s)
	if _, order := r.copies(); !slices.Equal(order, all) {
		t.Errorf("stored %v", order)
	}
	copies := 0
	for _, n := range r.maybe {
		copies += n - 1
	}
	if s := c.total.Sent; s.Accepted != 50 || s.Resent != int64(copies) {
		t.Errorf("counted %+v, want %d resent", s, copies)
	}
	if len(r.calls) != at+o.runs+5-at {
		t.Errorf("%d calls, want %d", len(r.calls), at+o.runs+5-at)
	}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		waits := []time.Duration{0, 20 * time.Second, 0, 0, 0}
		r.script = func(n int, _ []string) fate {
			f := told(stream.Busy)
			f.Wait = waits[n]
			return f
		}
		s := stream.New(r, stream.Options{Attempts: 5, Wait: 4 * time.Second, MaxWait: 10 * time.Second})
		if err := newCaller(each("e")).deliver(t.Context(), s); !errors.Is(err, stream.ErrUnavailable) || errors.Is(err, stream.ErrDenied) {
			t.Errorf("got error %v", err)
		}
		bounds := [][2]time.Duration{{2e9, 4e9}, {20e9, 21e9}, {5e9, 10e9}, {5e9, 10e9}}
		for i, b := range bounds {
			if d := r.calls[i+1].at.Sub(r.calls[i].at); d < b[0] || d > b[1] {
				t.Errorf("wait %d: %v, want %v to %v", i, d, b[0], b[1])
			}
		}
	})
}

// TestLeftAlone: a wait longer than MaxAsked is for the next run.
func TestLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.script = func(int, []string) fate {
			f := told(stream.Busy)
			f.Wait = time.Hour
			return f
		}
		begin := time.Now()
		err := newCaller(each("e")).deliver(t.Context(), stream.New(r, small()))
		if !errors.Is(err, stream.ErrUnavailable) || len(r.calls) != 1 || time.Since(begin) != 0 {
			t.Errorf("got %v after %d calls and %v", err, len(r.calls), time.Since(begin))
		}
	})
}

func TestSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.script = func(int, []string) fate {
			f := accepted
			f.Wait = 3 * time.Second
			return f
		}
		begin := time.Now()
		newCaller(each(uids(30)...)).mustDeliver(t, stream.New(r, small()))
		if took := time.Since(begin); took != 6*time.Second {
			t.Errorf("took %v, want 6s: a pause between requests, none behind the last", took)
		}
	})
}

func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		all := uids(30)
		all[13] = "poison"
		c := newCaller(each(all...))
		c.mustDeliver(t, stream.New(r, small()))
		if want := slices.Delete(slices.Clone(all), 13, 14); !slices.Equal(r.stored, want) {
			t.Errorf("stored %v", r.stored)
		}
		if len(c.rejected) != 1 {
			t.Fatalf("rejects %+v", c.rejected)
		}
		got := c.rejected[0]
		if got.Source != "acme" || got.Segment != 1 || got.Record != 13 || got.ID != "poison" || got.Mapping != 3 ||
			!strings.Contains(got.Reason, "code 6") || got.RawData != "" {
			t.Errorf("reject %+v", got)
		}
		if s := c.total.Sent; s.Accepted != 29 || s.Rejected != 1 || s.Resent != 0 {
			t.Errorf("counted %+v", s)
		}
		// 10 | 10 refused, 5 refused, 2, 1+1+1 or fewer, 5 | 10
		if len(r.calls) > 9 {
			t.Errorf("%d calls", len(r.calls))
		}
	})
}

// TestRefusesAll: a receiver that takes nothing is no reason to reject the trail.
func TestRefusesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		broken := true
		r.script = func(n int, _ []string) fate {
			if broken && n != 0 {
				return told(stream.Refused)
			}
			return accepted
		}
		o := small()
		o.MaxEntries = 20
		s, c := stream.New(r, o), newCaller(each(uids(60)...))
		for range 2 { // after something was accepted, and before
			err := c.deliver(t.Context(), s)
			if !errors.Is(err, stream.ErrRefused) || len(c.rejected) != 0 || c.total.Sent.Rejected != 0 {
				t.Fatalf("got %v, %d rejects, counted %+v", err, len(c.rejected), c.total.Sent)
			}
			if want := (load.Position{Segment: 1, Record: 20}); c.upto != want {
				t.Errorf("upto %v, want %v", c.upto, want)
			}
		}
		broken = false
		c.mustDeliver(t, s)
		if s := c.total.Sent; s.Accepted != 60 || s.Rejected != 0 || c.note != "" {
			t.Errorf("counted %+v, note %s", s, c.note)
		}
	})
}

// TestCancelAtEveryCall: it returns at once, with what was kept, and the next
// delivery goes on from there.
func TestCancelAtEveryCall(t *testing.T) {
	all := uids(50)
	for at := range 5 {
		for _, f := range []fate{accepted, told(stream.Busy), lost(true), told(stream.Refused), told(stream.TooLarge), told(stream.Denied)} {
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r.script = func(n int, _ []string) fate {
					if n == at {
						cancel()
						return f
					}
					return accepted
				}
				s, c := stream.New(r, small()), newCaller(each(all...))
				begin := time.Now()
				err := c.deliver(ctx, s)
				if !errors.Is(err, context.Canceled) && !errors.Is(err, stream.ErrDenied) {
					t.Errorf("call %d, outcome %d: got %v", at, f.Outcome, err)
				}
				if time.Since(begin) != 0 || len(r.calls) != at+1 {
					t.Errorf("call %d, outcome %d: took %v, %d calls", at, f.Outcome, time.Since(begin), len(r.calls))
				}
				c.mustDeliver(t, s)
				if _, order := r.copies(); !slices.Equal(order, all) || c.total.Sent.Accepted != 50 {
					t.Errorf("call %d, outcome %d: stored %v, counted %+v", at, f.Outcome, order, c.total.Sent)
				}
			})
		}
	}
}

// TestKeptBeforeTheNext: a kill leaves one request in doubt.
func TestKeptBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		c := newCaller(each(uids(50)...))
		r.script = func(n int, _ []string) fate {
			if want := (load.Position{Segment: 1, Record: int64(10 * n)}); c.upto != want {
				t.Errorf("call %d: kept up to %v, want %v", n, c.upto, want)
			}
			return accepted
		}
		c.mustDeliver(t, stream.New(r, small()))
	})
}

// TestForeignNote: a note that is none of ours counts as none.
func TestForeignNote(t *testing.T) {
	for _, n := range []string{"{", "[]", `{"v":2}`, `{"v":1,"stored":[[[1,5],[1,2]]]}`, `{"v":1,"stored":[[[1,0],[1,9]],[[1,5],[1,20]]]}`, `{"v":1,"sent":[{"ch":"x","rq":[{"f":[1,0],"t":[1,3],"at":1,"n":3}]}]}`} {
		synctest.Test(t, func(t *testing.T) {
			r := newReceiver(t)
			c := newCaller(each(uids(20)...))
			c.note = n
			c.mustDeliver(t, stream.New(r, small()))
			if len(r.stored) != 20 || c.note != "" {
				t.Errorf("%s: stored %d, left %s", n, len(r.stored), c.note)
			}
		})
	}
}
