package serve_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/internal/serve"
)

// clock is the bubble's, which may be set as a machine's is: timers know nothing
// of that.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) set(by time.Duration) { c.ahead.Add(int64(by)) }

// clocked is a service that goes by such a clock.
func clocked(jobs ...serve.Job) (*clock, *serve.Service) {
	var c clock
	o := options(jobs...)
	o.Now = c.now
	return &c, serve.New(o)
}

// counted is a job that counts its runs.
func counted(name string, schedule serve.Schedule) (serve.Job, *atomic.Int64) {
	var runs atomic.Int64
	return serve.Job{Name: name, Schedule: schedule, Run: func(context.Context) serve.Result {
		runs.Add(1)
		return serve.Done
	}}, &runs
}

// TestSleepingMachine: timers stand still while a machine sleeps, and what came
// due meanwhile runs when it wakes, once, not as much later as it slept.
func TestSleepingMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nightly, nights := counted("nightly", mustParse(t, "0 3 * * *", time.UTC))
		every, spans := counted("every", mustParse(t, "@every 2h", time.UTC))
		c, s := clocked(nightly, every)
		stop := start(t, s) // at midnight
		until(time.Now().Add(time.Hour))
		c.set(30 * time.Hour) // closed at 1, opened at 7 of the next day
		until(time.Now().Add(time.Minute))
		if nights.Load() != 1 || spans.Load() != 1 {
			t.Errorf("a minute after it woke: got %d and %d runs, want one of each", nights.Load(), spans.Load())
		}
		until(time.Now().Add(20 * time.Hour)) // past 3 at night
		if nights.Load() != 2 || spans.Load() != 11 {
			t.Errorf("a night later: got %d and %d runs, want 2 and 11", nights.Load(), spans.Load())
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestClockSetBack: a machine that started with a clock years ahead does not
// wait for years, and what runs every few minutes does so through an hour that
// comes again.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				often, runs := counted("often", mustParse(t, "*/5 * * * *", time.UTC))
				every, spans := counted("every", mustParse(t, "@every 5m", time.UTC))
				c, s := clocked(often, every)
				stop := start(t, s)
				until(time.Now().Add(62 * time.Minute)) // each ran 12 times
				c.set(-back)
				until(time.Now().Add(time.Minute))
				for _, j := range s.Health().Jobs {
					if j.LateAfter.After(c.now().Add(time.Hour)) {
						t.Errorf("%s is late after %v only, and it is %v", j.Job, j.LateAfter, c.now())
					}
				}
				until(time.Now().Add(29 * time.Minute))
				// A span begins anew when it is noticed.
				if runs.Load() != 18 || spans.Load() != 17 {
					t.Errorf("got %d and %d runs, want 18 and 17", runs.Load(), spans.Load())
				}
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
