package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
)

func twoSources() *config.Config {
	return &config.Config{Sources: []config.Source{{Name: "a"}, {Name: "b"}}, Limits: config.Limits{Sources: 4}}
}

// TestTurns: one at a time for a source, side by side for two, and who is told to
// stop waits no longer.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(twoSources(), time.Now)
		var inA, mostA atomic.Int64
		began := time.Now()
		var work sync.WaitGroup
		hour := func() {
			mostA.Store(max(mostA.Load(), inA.Add(1)))
			time.Sleep(time.Hour)
			inA.Add(-1)
		}
		for range 2 {
			work.Go(func() {
				if err := turns.during(t.Context(), "a", hour); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one has it, the other waits
		work.Go(func() {
			if err := turns.during(t.Context(), "b", func() {}); err != nil || time.Since(began) > 0 {
				t.Errorf("b waited %v: %v", time.Since(began), err)
			}
		})
		work.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := turns.during(ctx, "a", func() { t.Error("done after it was told to stop") })
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
				t.Errorf("got %v after %v, want the deadline's, after a minute", err, time.Since(began))
			}
		})
		work.Wait()
		if mostA.Load() != 1 || time.Since(began) != 2*time.Hour {
			t.Errorf("got %d at a time in %v, want one, in 2h", mostA.Load(), time.Since(began))
		}
	})
}

// TestTurnsReportWhoHadNone: a source without a turn is in the report, failed.
func TestTurnsReportWhoHadNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newTurns(twoSources(), time.Now).run(ctx, nil, []pipeline.Source{{Name: "a", Kind: "x"}, {Name: "b"}})
	if r.Started.IsZero() || r.Ended.IsZero() {
		t.Errorf("got a run from %v to %v", r.Started, r.Ended)
	}
	for i, want := range []string{"a", "b"} {
		if got := r.Sources[i]; got.Source != want || !errors.Is(got.Err, context.Canceled) {
			t.Errorf("got %+v, want %s canceled", got, want)
		}
	}
}

// TestKeptSources: what holds a token is made once, until a run of it fails.
func TestKeptSources(t *testing.T) {
	t.Parallel()
	kept := newKeptSources()
	made := 0
	open := func(s config.Source) {
		t.Helper()
		if _, err := kept.source(s, func() (extract.Source, error) { made++; return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	logs := config.Source{Name: "logs", Auth0Logs: &config.Auth0Logs{}}
	files := config.Source{Name: "files", Archive: &config.Archive{}}
	for range 3 {
		open(logs)
	}
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
	open(files)
	open(files) // it looks into the state that is open
	if made != 3 {
		t.Errorf("made %d, want an archive for each run", made)
	}
	kept.drop(pipeline.Report{Sources: []pipeline.SourceReport{{Source: "logs"}}})
	open(logs)
	kept.drop(pipeline.Report{Sources: []pipeline.SourceReport{{Source: "logs", Err: errors.New("denied")}}})
	open(logs)
	if made != 4 {
		t.Errorf("made %d, want one more, after the failure", made)
	}
}
