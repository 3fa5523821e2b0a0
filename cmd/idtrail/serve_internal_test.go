package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/serve"
)

// TestRenewal: a vault is asked at the start and after failures only, and one
// that does not answer takes nothing away.
func TestRenewal(t *testing.T) {
	asked, value, away := 0, "first", error(nil)
	fetch := map[string]config.Fetch{config.SchemeSSM: func(context.Context, string) (string, error) {
		asked++
		return value, away
	}}
	text := "state: s\nlake: l\nconnections: {acme: {auth0: a.eu.auth0.com, client_id: c, client_secret: \"${ssm:/x}\"}}\n" +
		"sources: [{name: acme, kind: auth0_logs, connection: acme}]\n"
	c, err := config.Parse([]byte(text), "test", config.Options{
		Dir: t.TempDir(), Env: func(string) (string, bool) { return "", false }, Fetch: fetch,
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := &builder{config: c, log: slog.New(slog.NewTextHandler(&log, nil)), kept: newKeptSources()}
	r := &renewal{fetch: func() map[string]config.Fetch { return fetch }, b: b}
	fine := pipeline.Report{Sources: []pipeline.SourceReport{{Source: "acme", Sinks: []pipeline.SinkReport{{Sink: "lake"}}}}}
	sink := pipeline.Report{Sources: []pipeline.SourceReport{{Source: "acme", Sinks: []pipeline.SinkReport{{Sink: "dd", Err: errors.New("403")}}}}}
	source := pipeline.Report{Sources: []pipeline.SourceReport{{Source: "acme", Err: errors.New("401")}}}
	steps := []struct {
		name   string
		report pipeline.Report
		err    error
		value  string
		away   error
		asked  int
		want   string
	}{
		{"nothing failed", fine, nil, "second", nil, 1, "first"},
		{"a sink", sink, nil, "second", nil, 2, "second"},
		{"it went well", fine, nil, "third", nil, 2, "second"},
		{"a source, and no vault", source, nil, "fourth", errors.New("away"), 3, "second"},
		{"the vault is back", fine, nil, "fourth", nil, 4, "fourth"},
		{"the run", pipeline.Report{}, errors.New("no lake"), "fifth", nil, 5, "fifth"},
	}
	for _, s := range steps {
		value, away = s.value, s.away
		r.saw(s.report, s.err)
		got := r.builder(t.Context())
		if secret := got.config.Connections["acme"].Auth0.ClientSecret.Reveal(); secret != s.want || asked != s.asked {
			t.Errorf("%s: got %q after %d calls, want %q after %d", s.name, secret, asked, s.want, s.asked)
		}
		if got.kept != b.kept {
			t.Errorf("%s: it forgot the sources kept", s.name)
		}
	}
	if !strings.Contains(log.String(), "those of before are used") || strings.Contains(log.String(), "fourth") {
		t.Errorf("log: %s", log.String())
	}
}

// TestJudge: of what another process does nobody is warned every five minutes.
func TestJudge(t *testing.T) {
	one := func(s pipeline.SourceReport) runResult {
		return runResult{Report: pipeline.Report{Sources: []pipeline.SourceReport{s}}}
	}
	for name, tt := range map[string]struct {
		res  runResult
		want serve.Result
		warn bool
	}{
		"done":   {one(pipeline.SourceReport{Source: "acme"}), serve.Done, false},
		"held":   {one(pipeline.SourceReport{Source: "acme", Held: true}), serve.Held, false},
		"failed": {one(pipeline.SourceReport{Source: "acme", Err: errors.New("no")}), serve.Failed, true},
	} {
		var log bytes.Buffer
		a := &app{log: slog.New(slog.NewTextHandler(&log, nil))}
		if got := a.judge(config.Job{Name: "audit"}, tt.res); got != tt.want || (log.Len() > 0) != tt.warn {
			t.Errorf("%s: got %s and log %q, want %s", name, got, log.String(), tt.want)
		}
	}
}
