package main

import (
	"slices"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
)

// A gap that is a file is no use to anybody who is not told which.
func TestGapDetails(t *testing.T) {
	from := time.Date(2026, 11, 18, 21, 0, 0, 0, time.UTC)
	got := details(pipeline.Status{GapsTotal: 2, Gaps: []schema.Gap{
		{From: from, To: from.Add(time.Hour), Input: "AWSLogs/1.json.gz", Reason: "the file is missing"},
		{From: from, To: from.Add(time.Hour), Reason: "a span is lost"},
	}}, from)
	want := []string{
		"gap from 2026-11-18T21:00:00Z to 2026-11-18T22:00:00Z, AWSLogs/1.json.gz: the file is missing",
		"gap from 2026-11-18T21:00:00Z to 2026-11-18T22:00:00Z: a span is lost",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A record may say any year: what is too far off for a duration is a date.
func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 18, 21, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "never"},
		{now.Add(-59 * time.Second), "59s ago"},
		{now.Add(-25 * time.Hour), "25h00m ago"},
		{now.Add(-72 * time.Hour), "3d ago"},
		{now.Add(90 * time.Second), "in 1m30s"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "9999-12-31"},
		{time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), "0001-01-01"},
	} {
		if got := ago(tt.at, now); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.at, got, tt.want)
		}
	}
}
