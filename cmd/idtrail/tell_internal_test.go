package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// toldConfig has two who are told: of everything, and of one source alone.
const toldConfig = `state: state
lake: lake
connections:
  acme: {auth0: acme.eu.auth0.com, client_id: id, client_secret: "${env:SECRET}"}
sources:
  - {name: acme, kind: auth0_logs, connection: acme}
  - {name: left, kind: archive, format: auth0_users, path: in/left}
  - {name: right, kind: archive, format: cognito_users, path: in/right}
sinks:
  - {name: lake, kind: parquet, every: 1h}
  - {name: dd, kind: datadog, api_key: "${env:SECRET}", site: datadoghq.eu}
reconcile: [{left: left, right: right}]
jobs:
  audit: {sources: [acme]}
  nightly: {sources: [left, right], reconcile: true}
notify:
  - {name: all, kind: slack, url: "${env:HOOK}", stale_after: 2h, drift_above: {high: 1, missing_left: 0, findings: 100}}
  - {name: some, kind: slack, url: "${env:HOOK}", on: [failure], sources: [left]}
`

func toldOf(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(toldConfig), "t.yaml", config.Options{Dir: t.TempDir(), Env: func(name string) (string, bool) {
		return map[string]string{"SECRET": "value-of-16-characters-and-more", "HOOK": "https://hooks.example/x"}[name], true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seen is a sight as text: what is wrong, and what was looked at and is well.
func seen(s notify.Sight) []string {
	var lines []string
	wrong := map[string]bool{}
	for _, t := range s.Troubles {
		wrong[string(t.Kind)+" "+t.Of] = true
		lines = append(lines, string(t.Kind)+" "+t.Of+" "+t.Mark+": "+t.Text)
	}
	for kind, all := range s.Looked {
		for _, of := range all {
			if name := string(kind) + " " + of; !wrong[name] {
				lines = append(lines, name+" well")
			}
		}
	}
	for source, g := range s.Gaps {
		lines = append(lines, fmt.Sprintf("gaps %s %d, %d new: %s", source, g.Total, g.New, g.Text))
	}
	slices.Sort(lines)
	return lines
}

// TestSight: what a run's result and the states say is wrong, for each target.
func TestSight(t *testing.T) {
	c, now := toldOf(t), time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	job, _ := c.Job("audit")
	v := &view{
		c: c, now: now, job: task{Job: job, parts: []config.Job{job}},
		res: runResult{Report: pipeline.Report{Sources: []pipeline.SourceReport{
			{Source: "acme", Run: state.Run{Gaps: 1}, Sinks: []pipeline.SinkReport{
				{Sink: "lake"},
				{Sink: "dd", Err: fmt.Errorf("deliver: %w", stream.ErrDenied)},
			}},
			{Source: "left", Err: errors.New("no such file")},
			{Source: "right", Held: true},
		}}, Reconciled: []pipeline.ReconcileReport{{
			Left: "left", Right: "right",
			Summary: &reconcile.Summary{Findings: 7, BySeverity: map[reconcile.Severity]int64{"high": 2}, ByType: map[reconcile.Type]int64{"missing_left": 0}},
		}}},
		standing: map[string]pipeline.Status{"acme": {
			Known: true, GapsTotal: 3, LastDrain: now.Add(-3 * time.Hour),
			Gaps: []schema.Gap{{From: now.Add(-time.Hour), To: now, Reason: "retention"}},
			Sinks: []pipeline.SinkStatus{
				{Sink: "lake", Pending: state.Pending{Records: 1, Oldest: now.Add(-150 * time.Minute)}},
				{Sink: "dd", Pending: state.Pending{Records: 1, Oldest: now.Add(-150 * time.Minute)}},
			},
		}},
		drained: map[string]time.Time{"acme": now.Add(-3 * time.Hour), "left": now.Add(-time.Hour), "right": {}},
	}
	first := map[string]time.Time{"acme": now, "left": now, "right": now.Add(-5 * time.Hour)}
	if diff := cmp.Diff([]string{
		"drift pair/left/right/findings well",
		"drift pair/left/right/high : left and right differ: 2 findings (high), and more than 1 is too many",
		"drift pair/left/right/missing_left well",
		"failure job/audit well",
		"failure pair/left/right well",
		"failure sink/acme/dd denied: sink dd for source acme failed: deliver: " + stream.ErrDenied.Error(),
		"failure sink/acme/lake well",
		"failure source/acme well",
		"failure source/left : source left failed: no such file",
		"gaps acme 3, 1 new: source acme: records were lost before they could be read, 3 gaps in all; the newest; from 2026-03-02T11:00:00Z to 2026-03-02T12:00:00Z: retention",
		"stale sink/acme/dd : something of source acme waits for sink dd longer than 2h: since 2026-03-02 09:30:00 UTC",
		"stale sink/acme/lake well", // its pace is an hour
		"stale source/acme : source acme was not read to its end within 2h: 3h00m ago",
		"stale source/left well",
		"stale source/right : source right was not read to its end within 2h: never",
	}, seen(v.sight("all", first))); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"failure job/audit well", "failure pair/left/right well", "failure source/left : source left failed: no such file",
	}, seen(v.sight("some", first))); diff != "" {
		t.Errorf("some (-want +got):\n%s", diff)
	}
	s := v.sight("all", first)
	for _, trouble := range s.Troubles {
		if !slices.Contains(s.Known, trouble.Of) || trouble.Do == "" {
			t.Errorf("%s %s: not known, or nothing to do about it", trouble.Kind, trouble.Of)
		}
	}
}

// TestNotSeen: what was stopped, held, or not due is not judged.
func TestNotSeen(t *testing.T) {
	c := toldOf(t)
	v := &view{c: c, res: runResult{
		Report: pipeline.Report{Sources: []pipeline.SourceReport{
			{Source: "acme", Err: context.Canceled},
			{Source: "left", Held: true},
			{Source: "right", Sinks: []pipeline.SinkReport{{Sink: "dd", NotDue: true}}},
		}},
		Reconciled: []pipeline.ReconcileReport{{Left: "left", Right: "right", Err: context.Canceled}},
	}}
	if diff := cmp.Diff([]string{"failure source/right well"}, seen(v.sight("all", nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDriftLimitsAreFindings: the config's names are those of the findings.
func TestDriftLimitsAreFindings(t *testing.T) {
	want := []string{string(reconcile.SeverityHigh), string(reconcile.SeverityMedium), string(reconcile.SeverityLow)}
	for _, typ := range reconcile.Types() {
		want = append(want, string(typ))
	}
	want = append(want, config.AllFindings)
	if got := config.DriftLimits(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStatusTells: a status tells of what is stale, once, and when it is not any
// more; who never ran is stale from the first look on.
func TestStatusTells(t *testing.T) {
	var posts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts.Add(1) }))
	defer server.Close()
	dir := t.TempDir()
	c, err := config.Parse([]byte(`{state: state, lake: lake, sources: [{name: trail, kind: archive, format: cloudtrail, path: trail}], notify: [{name: ops, kind: webhook, url: "${env:HOOK}", stale_after: 2h}]}`),
		"t.yaml", config.Options{Dir: dir, Env: func(string) (string, bool) { return server.URL, true }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }}
	for _, tt := range []struct {
		later   time.Duration
		drained bool
		want    int64
	}{{0, false, 0}, {3 * time.Hour, false, 1}, {time.Hour, false, 1}, {time.Hour, true, 2}, {time.Hour, true, 2}} {
		now = now.Add(tt.later)
		s := sourceStatus{Status: pipeline.Status{Source: "trail"}}
		if tt.drained {
			s.Known, s.LastDrain = true, now
		}
		if err := b.tellStatus(t.Context(), []sourceStatus{s}); err != nil {
			t.Fatal(err)
		}
		if got := posts.Load(); got != tt.want {
			t.Errorf("after %v: got %d messages, want %d", tt.later, got, tt.want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "state", "notify", "told.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what was told: got %v, %v", info, err)
	}
}
