package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/state"
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
		{"from outside", errors.New("open \x1b[2J\u202e.json"), "idtrail: open  [2J .json\n", "{\"error\":\"open \\u001b[2J\u202e.json\",\"code\":1}"},
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

// TestHints: what commonly goes wrong comes with what to do about it, as the
// library says it, however deep it is wrapped.
func TestHints(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.StartTLS()
	defer server.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	proxy, err := url.Parse(closed.URL)
	if err != nil {
		t.Fatal(err)
	}
	call := func(tr *http.Transport, url string) error {
		res, err := (&http.Client{Transport: tr}).Get(url)
		if err == nil {
			err = res.Body.Close()
		}
		return err
	}
	trusting := server.Client().Transport.(*http.Transport).Clone()
	trusting.TLSClientConfig.ServerName = "elsewhere.example"
	_, noRight := os.ReadFile("/proc/1/mem/x")
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"refused":     {call(&http.Transport{}, closed.URL), "is the address right"},
		"proxy":       {call(&http.Transport{Proxy: http.ProxyURL(proxy)}, "https://acme.example"), "the proxy that HTTPS_PROXY"},
		"authority":   {call(&http.Transport{}, server.URL), "ca_file"},
		"other host":  {call(trusting, server.URL), "for another host"},
		"permission":  {fs.ErrPermission, "idtrail runs as user"},
		"disk":        {syscall.ENOSPC, "free space"},
		"read-only":   {syscall.EROFS, "mount it writable"},
		"newer state": {state.ErrNewer, "a later one"},
		"newer raw":   {segment.ErrNewer, "a later one"},
		"damaged":     {segment.ErrDamaged, "put back"},
		"lost":        {state.ErrLost, "another run goes on"},
		"held":        {state.ErrHeld, "wait until it is done"},
		"auth0":       {auth0.ErrCredentials, "idtrail check"},
		"scope":       {auth0.ErrScope, "dashboard"},
		"cognito":     {cognito.ErrDenied, "docs/SOURCES.md"},
		"said":        {fmt.Errorf("give user 7 the right (idtrail runs as that user): %w", fs.ErrPermission), ""},
		"unknown":     {noRight, ""},
	} {
		got := hintOf(fmt.Errorf("read source acme: %w", errors.Join(errors.New("x"), tt.err)))
		if tt.err == nil || !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: of %v got %q, want %q", name, tt.err, got, tt.want)
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
