package pipeline_test

import (
	"os"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/pipeline"
)

// Killed anywhere, and with the state lost beside, a back-fill goes on with
// nothing lost, nothing doubled, and each gap declared once.
func TestBackfillKilled(t *testing.T) {
	for _, lose := range []bool{false, true} {
		steps, every := int64(2), int64(3)
		if testing.Short() {
			every = 17
		}
		for at := int64(1); at <= steps; at += every {
			d := newDying(t)
			d.sinks = []pipeline.Sink{d.parquetSink("lake")}
			p := newPast(200)
			p.lost = 20
			src := d.sinceMinute(p, 150)
			d.mustRunSource(src)
			d.live(0)
			if at == 1 {
				d.mustBackfill(src, span(0, 170))
				steps = d.n.Load()
				continue
			}
			d.live(at)
			_, _ = d.pipeline().Backfill(t.Context(), src, span(0, 170))
			d.live(0)
			if lose {
				if err := os.RemoveAll(d.dir); err != nil {
					t.Fatal(err)
				}
			}
			d.mustBackfill(src, span(0, 170))
			d.clock.skip(2 * time.Hour)
			d.mustRunSource(src)
			d.wantFilled(20, 200)
			if t.Failed() {
				t.Fatalf("killed at step %d of %d, state lost: %v", at, steps, lose)
			}
		}
	}
}

// wantFilled checks that raw and lake hold the records from..to-1 once each, and
// one gap.
func (d *dying) wantFilled(from, to int) {
	d.t.Helper()
	got := map[string]int{}
	for _, id := range d.landedIDs("acme") {
		got[id]++
	}
	for id, n := range got {
		if n != 1 {
			d.t.Errorf("%s landed %d times", id, n)
		}
	}
	if len(got) != to-from || len(d.events("lake")) != to-from {
		d.t.Errorf("%d records, %d events, want %d", len(got), len(d.events("lake")), to-from)
	}
	if _, n, err := d.state("acme").Gaps(d.t.Context(), 5); err != nil || n != 1 {
		d.t.Errorf("%d gaps, %v", n, err)
	}
	d.wantWholeOf("lake")
}
