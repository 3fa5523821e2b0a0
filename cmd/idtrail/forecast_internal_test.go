package main

import (
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/config"
)

func TestForecast(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	day := config.Since{Span: 24 * time.Hour}
	tests := []struct {
		source config.Source
		want   []string
	}{
		{config.Source{CognitoUsers: &config.CognitoUsers{}}, []string{"at most 2,160,000 an hour in 36,000 calls, so a million takes 28 minutes"}},
		{config.Source{CognitoUsers: &config.CognitoUsers{Rate: 1, MFA: config.MFA{Groups: []string{"a"}}}}, []string{"216,000 an hour", "each member of the 1 group in mfa"}},
		{config.Source{Auth0Users: &config.Auth0Users{Roles: true}}, []string{"one export of all users", "every 100 members", "300,000 an hour in 3,000 calls"}},
		{config.Source{Auth0Users: &config.Auth0Users{}}, []string{"a snapshot is one export of all users"}},
		{config.Source{CloudTrailLookup: &config.CloudTrailLookup{Since: day}}, []string{"begins at 2026-11-19T12:00:00Z", "in each region at most 180,000 an hour"}},
		{config.Source{CloudTrailTrail: &config.CloudTrailTrail{Since: day}}, []string{"begins at 2026-11-19T12:00:00Z"}},
		{config.Source{Auth0Logs: &config.Auth0Logs{Since: day, Rate: 0.5}}, []string{"begins at 2026-11-19T12:00:00Z", "at most 180,000 an hour in 1,800 calls, so a million takes 6 hours"}},
	}
	for _, tt := range tests {
		got := forecastOf(tt.source, now)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("got %q, want %q in it", got, want)
			}
		}
	}
	if got := forecastOf(config.Source{Archive: &config.Archive{}}, now); got != "" {
		t.Errorf("an archive: got %q, want nothing", got)
	}
}

// TestFigures: what a check saw, for as long as a first run goes back.
func TestFigures(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	since := config.Since{Span: 10 * day}
	k := &checker{a: &app{system: system{Now: func() time.Time { return now }}}, b: &builder{config: &config.Config{
		Limits: config.Limits{SegmentRecords: 10_000}, Sinks: []config.Sink{{}, {}, {Stream: &config.Stream{}}},
	}}}
	for name, tt := range map[string]struct {
		source config.Source
		volume extract.Volume
		want   forecast
		words  string
	}{
		"logs": {
			config.Source{Auth0Logs: &config.Auth0Logs{Since: since, Rate: 2}},
			extract.Volume{Records: 3000, Span: day},
			forecast{Records: 30_000, Calls: 300, Seconds: 150, Segments: 3, Objects: 22},
			"about 30,000 records, 300 calls, 3 minutes; 3 segments and 22 objects of the lake to write",
		},
		"logs of a plan that keeps a day": {
			config.Source{Auth0Logs: &config.Auth0Logs{Since: since, Retention: day, Rate: 2}},
			extract.Volume{Records: 3000, Span: day},
			forecast{Records: 3000, Calls: 30, Seconds: 15, Segments: 1, Objects: 4},
			"about 3,000 records, 30 calls, 1 minute; 1 segment and 4 objects of the lake to write",
		},
		"logs of a young tenant": {
			config.Source{Auth0Logs: &config.Auth0Logs{Since: since, Rate: 2}},
			extract.Volume{Records: 3000, Span: day, Oldest: now.Add(-12 * time.Hour)},
			forecast{Records: 1500, Calls: 15, Seconds: 7.5, Segments: 1, Objects: 4},
			"about 1,500 records, 15 calls, 1 minute; 1 segment and 4 objects of the lake to write",
		},
		"pool": {
			config.Source{CognitoUsers: &config.CognitoUsers{}},
			extract.Volume{Records: 1_000_000},
			forecast{Records: 1_000_000, Calls: 16_667, Seconds: 1666.7, Segments: 100, Objects: 4},
			"about 1,000,000 records, 16,667 calls, 28 minutes; 100 segments and 4 objects of the lake to write",
		},
		"trail": {
			config.Source{CloudTrailTrail: &config.CloudTrailTrail{Since: since}},
			extract.Volume{Objects: 288, Bytes: 1 << 20, Span: day},
			forecast{Files: 2880, Bytes: 10 << 20, Calls: 2880},
			"about 2,880 files of 10.0 MiB",
		},
	} {
		got := k.figures(tt.source, []extract.Finding{{}, {Volume: &tt.volume}})
		if got != tt.want || got.words() != tt.words {
			t.Errorf("%s: got %+v, %q, want %+v, %q", name, got, got.words(), tt.want, tt.words)
		}
	}
	if got := k.figures(config.Source{Name: "x"}, []extract.Finding{{}}); got != (forecast{source: "x"}) {
		t.Errorf("of nothing: got %+v", got)
	}
}

// TestDayOfPuts counts runs by schedules, and writes to S3 only where it writes
// there.
func TestDayOfPuts(t *testing.T) {
	const text = `
timezone: UTC
state: {STATE}
lake: {LAKE}
sources:
  - {name: a, kind: archive, format: auth0_logs, path: ./a}
  - {name: b, kind: archive, format: auth0_users, path: ./b}
sinks: [{name: lake, kind: parquet, every: 6h}]
jobs:
  audit: {sources: [a], schedule: "*/10 * * * *"}
  nightly: {sources: [b], schedule: "0 3 * * *"}
`
	for _, tt := range []struct {
		state, lake string
		puts        int64
	}{
		{"./state", "./lake", 0},
		// audit: 144 segments and checkpoints, 5 flushes; nightly one of each.
		{"./state", "s3://acme-lake/lake", 144*2 + 5*3 + 2 + 3},
		{"s3://acme-state/state", "s3://acme-lake/lake", 144*(2+4) + 5*3 + 6 + 3},
	} {
		c, err := config.Parse([]byte(strings.NewReplacer("{STATE}", tt.state, "{LAKE}", tt.lake).Replace(text)), "x", config.Options{
			Dir: "/etc", Env: func(name string) (string, bool) { return "/home/idtrail", name == "HOME" },
		})
		if err != nil {
			t.Fatal(err)
		}
		k := &checker{a: &app{system: system{Now: func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }}}}
		puts, runs := k.dayOfPuts(c)
		if puts != tt.puts || runs != "job audit, 144 runs, job nightly, 1 run" {
			t.Errorf("%s, %s: got %d PUTs of %q, want %d", tt.state, tt.lake, puts, runs, tt.puts)
		}
	}
}
