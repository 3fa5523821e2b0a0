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
