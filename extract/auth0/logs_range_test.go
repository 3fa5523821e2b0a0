package auth0_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/fake"
)

// A span is read whole, far beyond what a search returns, and nothing behind it;
// from each of its pages it goes on and ends.
func TestRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC().Truncate(time.Second)
		all := series(3000, now)
		x := newTenant(all, fake.Auth0Options{Retention: 30 * 24 * time.Hour})
		from, to := now.Add(-2500*time.Minute), now.Add(-500*time.Minute)
		pages := x.mustRead(t, x.logs(t).Range(from, to))
		sameIDs(t, idsIn(pages), idsOf(all[500:2500]))
		if gaps := gapsIn(pages); gaps != nil {
			t.Errorf("gaps %v", gaps)
		}
		for _, i := range []int{0, 7, len(pages) - 1} {
			rest := x.mustRead(t, pages[i].Next)
			ids := idsIn(rest)
			if n := len(ids); n > 0 && ids[n-1] != idsOf(all)[2499] {
				t.Errorf("behind page %d it ends with %s", i, ids[n-1])
			}
		}
	})
}

// What of a span is kept no longer is a gap, once.
func TestRangeBeyondRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC().Truncate(time.Second)
		all := series(7200, now) // five days
		x := newTenant(all, fake.Auth0Options{Retention: 2 * 24 * time.Hour})
		x.opts.Retention = 2 * 24 * time.Hour
		from, kept, to := now.Add(-4*24*time.Hour), now.Add(-2*24*time.Hour), now.Add(-24*time.Hour)
		pages := x.mustRead(t, x.logs(t).Range(from, to))
		gaps := gapsIn(pages)
		if len(gaps) != 1 || !gaps[0].From.Equal(from) || gaps[0].To.Sub(kept).Abs() > time.Minute {
			t.Fatalf("gaps %v, want one from %v until %v", gaps, from, kept)
		}
		if again := gapsIn(x.mustRead(t, pages[0].Next)); again != nil {
			t.Errorf("declared again: %v", again)
		}
		lost := x.mustRead(t, x.logs(t).Range(from, now.Add(-3*24*time.Hour)))
		if gaps := gapsIn(lost); len(gaps) != 1 || !gaps[0].To.Equal(now.Add(-3*24*time.Hour)) || len(idsIn(lost)) != 0 {
			t.Errorf("all lost: gaps %v, %d records", gaps, len(idsIn(lost)))
		}
	})
}

func TestSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC().Truncate(time.Second)
		x := newTenant(series(300, now), fake.Auth0Options{})
		src := x.logs(t)
		stuck := x.mustRead(t, "")[0].Next
		at, err := src.Reached(stuck)
		if err != nil || at.IsZero() {
			t.Fatal(at, err)
		}
		skipped, err := src.Skip(stuck)
		if err != nil || len(skipped.Gaps) != 1 || !skipped.Gaps[0].From.Equal(at) || !skipped.Gaps[0].To.Equal(at.Add(time.Minute)) {
			t.Fatalf("%+v, %v", skipped, err)
		}
		behind := idsIn(x.mustRead(t, skipped.Next))
		if len(behind) == 0 || behind[0] < idsOf(series(300, now))[100] {
			t.Errorf("goes on at %v", behind[:min(1, len(behind))])
		}
		if _, err := src.Skip(src.Start(now)); err == nil {
			t.Error("the newest records were skipped")
		}
		if _, err := src.Skip(extract.Cursor("{")); err == nil {
			t.Error("nonsense was skipped")
		}
	})
}
