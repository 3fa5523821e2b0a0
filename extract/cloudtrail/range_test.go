package cloudtrail_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/fake"
)

func TestLookupRange(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: clock})
	var want []string
	for i := range 96 {
		before := time.Duration(i)*time.Hour + time.Minute
		id := "e-" + before.String()
		ct.Add(time.Time{}, event(id, "iam.amazonaws.com", "eu-west-1", before))
		if i >= 24 && i < 48 {
			want = append(want, id)
		}
	}
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}, Now: clock})
	r := read(t.Context(), src, src.Range(noon.Add(-48*time.Hour), noon.Add(-24*time.Hour)))
	if r.err != nil || len(r.gaps) > 0 {
		t.Fatalf("gaps %v, error %v", r.gaps, r.err)
	}
	wantIDs(t, "span", r.ids, want)
	for i := range r.pages {
		if again := read(t.Context(), src, r.pages[i].Next); again.err != nil || len(again.ids) > len(want) {
			t.Errorf("behind page %d: %d ids, error %v", i, len(again.ids), again.err)
		}
	}
}

func TestLookupRangeBeyondHorizon(t *testing.T) {
	day := 24 * time.Hour
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam", "sts"}})
	r := read(t.Context(), src, src.Range(noon.Add(-100*day), noon.Add(-80*day)))
	if r.err != nil || len(r.gaps) != 1 || !r.gaps[0].From.Equal(noon.Add(-100*day)) || !r.gaps[0].To.Equal(noon.Add(-90*day)) {
		t.Errorf("gaps %v, error %v; want one of ten days", r.gaps, r.err)
	}
	if again := read(t.Context(), src, r.pages[0].Next); again.err != nil || len(again.gaps) > 0 {
		t.Errorf("again: gaps %v, error %v", again.gaps, again.err)
	}
	lost := read(t.Context(), src, src.Range(noon.Add(-100*day), noon.Add(-95*day)))
	if lost.err != nil || len(lost.gaps) != 1 || !lost.gaps[0].To.Equal(noon.Add(-95*day)) {
		t.Errorf("all lost: gaps %v, error %v", lost.gaps, lost.err)
	}
}

func TestLookupSkip(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	spread(ct, 30, "iam.amazonaws.com", "eu-west-1", 10*time.Hour)
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
	r := read(t.Context(), src, src.Range(noon.Add(-10*time.Hour), noon.Add(-5*time.Hour)))
	reached, err := src.Reached(r.next)
	if err != nil || !reached.Equal(noon.Add(-5*time.Hour)) {
		t.Fatalf("reached %v, %v", reached, err)
	}
	skipped, err := src.Skip(r.next)
	if err != nil || len(skipped.Gaps) != 1 || !skipped.Gaps[0].From.Equal(reached) {
		t.Fatalf("%+v, %v", skipped, err)
	}
	if to, err := src.Reached(skipped.Next); err != nil || !to.Equal(skipped.Gaps[0].To) {
		t.Errorf("reached %v, %v, want %v", to, err, skipped.Gaps[0].To)
	}
	if _, err := src.Skip(src.Start(noon)); err == nil {
		t.Error("skipped before anything was read")
	}
}

// A span of a trail is read by itself; the ordinary reading passes over its
// files, and over nothing else.
func TestTrailRange(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Hours = 30
	write(t, b)
	f := follow(t, m, cloudtrail.TrailOptions{EventSources: []string{"all"}})
	f.now = dawn.Add(40 * time.Hour)
	start := f.next
	f.next = trail(t, m, f.opts).Range(dawn.Add(4*time.Hour), dawn.Add(8*time.Hour))
	first := f.run()
	if first.err != nil || len(first.gaps) > 0 || len(first.ids) == 0 {
		t.Fatalf("span: %d ids, gaps %v, error %v", len(first.ids), first.gaps, first.err)
	}
	again := f.run()
	if again.err != nil || again.all != 0 || len(again.gaps) > 0 {
		t.Errorf("again: %d records, gaps %v, error %v", again.all, again.gaps, again.err)
	}
	f.next = start
	rest := f.run()
	if rest.err != nil || len(rest.gaps) > 0 {
		t.Fatalf("rest: gaps %v, error %v", rest.gaps, rest.err)
	}
	both := append(slices.Clone(first.ids), rest.ids...)
	slices.Sort(both)
	if n := len(both); n != len(slices.Compact(both)) {
		t.Errorf("%d ids of %d were read twice", n-len(slices.Compact(both)), n)
	}
	if len(first.ids) >= len(rest.ids) {
		t.Errorf("the span of 4 in 30 hours has %d ids, the rest %d", len(first.ids), len(rest.ids))
	}
}

func TestTrailSkip(t *testing.T) {
	src := trail(t, blobtest.NewMemory(), cloudtrail.TrailOptions{})
	_, err := src.Skip(src.Start(noon))
	if err == nil || errors.Is(err, cloudtrail.ErrUnread) {
		t.Errorf("a bucket that cannot be read was skipped: %v", err)
	}
	key := "AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/19/123456789012_CloudTrail_eu-west-1_20261119T0505Z_abc.json.gz"
	skipped, err := src.Skip(extract.Cursor(`{"since":"2026-01-01T00:00:00Z","upto":"2026-11-19T06:00:00Z","unread":["` + key + `"]}`))
	if err != nil || len(skipped.Gaps) != 1 || skipped.Gaps[0].Input != key || skipped.Gaps[0].To.Hour() != 5 {
		t.Fatalf("%+v, %v", skipped, err)
	}
	if at, err := src.Reached(skipped.Next); err != nil || at.Hour() != 6 {
		t.Errorf("reached %v, %v", at, err)
	}
}
