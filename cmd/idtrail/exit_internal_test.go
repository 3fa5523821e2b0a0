package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/internal/config"
)

func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fmt.Errorf("load: %w", &config.Error{}), 2},
		{fmt.Errorf("load: %w", config.ErrNotFound), 2},
		{usage("", "x"), 2},
		{fmt.Errorf("run: %w", exitQuietly(exitPartly, "x")), 3},
		{exitQuietly(exitHeld, "x"), 4},
		{fmt.Errorf("read: %w", context.Canceled), 130},
		{withHint(context.Canceled, "h"), 130},
		{errInterrupted, 130},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name       string
		err        error
		text, json string
	}{
		{"plain", errors.New("read page: cut"), "idtrail: read page: cut\n", `{"error":"read page: cut","code":1}`},
		{"hint", usage("do this", "wrong %s", "flag"), "idtrail: wrong flag\n  do this\n", `{"error":"wrong flag","hint":"do this","code":2}`},
		{"quiet", exitQuietly(exitHeld, "held"), "", `{"error":"held","code":4}`},
		{"none", nil, "", ""},
	} {
		for asJSON, want := range map[bool]string{false: tt.text, true: tt.json} {
			var out bytes.Buffer
			report(&out, tt.err, asJSON)
			if got := out.String(); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("%s, json %v: got %q, want %q", tt.name, asJSON, got, want)
			}
		}
	}
}

// Every verb shows how it is called, in lines of a readable length.
func TestHelp(t *testing.T) {
	for _, verb := range append(allVerbs(), helpCommand()) {
		if !strings.HasPrefix(verb.Example, "  ") || verb.Short == "" || verb.Long == "" {
			t.Errorf("%s: got example %q, summary %q and text %q, want all", verb.CommandPath(), verb.Example, verb.Short, verb.Long)
		}
		for line := range strings.Lines(verb.Long + "\n" + verb.Example + "\n" + verb.UsageString()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, " \n")); n > helpWidth {
				t.Errorf("%s: line of %d characters: %s", verb.CommandPath(), n, line)
			}
		}
	}
}

// TestInterrupted: a run that is told to stop says so by its exit code,
// whatever error the stopping caused.
func TestInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	text := "{state: state, lake: lake, sources: [{name: trail, kind: archive, format: cloudtrail, path: trail}]}"
	got := run(ctx, []string{"check"}, system{
		In: strings.NewReader(""), Out: &out, Err: &errOut, Now: time.Now,
		Env: func(name string) (string, bool) { return text, name == config.EnvText },
	})
	if got != exitInterrupted || !strings.Contains(errOut.String(), "interrupted") {
		t.Errorf("got exit code %d and %q, want 130 and that it was interrupted", got, errOut.String())
	}
}

// TestFullOutput: a result that could not be written is a failure.
func TestFullOutput(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"completion", "bash"}} {
		var errOut bytes.Buffer
		got := run(t.Context(), args, system{
			In: strings.NewReader(""), Out: full{}, Err: &errOut, Now: time.Now,
			Env: func(string) (string, bool) { return "", false },
		})
		if got != exitFailed || !strings.Contains(errOut.String(), "no space") {
			t.Errorf("%v: got exit code %d and %q, want 1 and the reason", args, got, errOut.String())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

var _ io.Writer = full{}
