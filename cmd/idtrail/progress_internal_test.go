package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressIsOneLineAtFiveHertz(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	c := newConsole(&out, func() time.Time { return now })
	c.terminal = true
	after := func(d time.Duration, text string) string {
		out.Reset()
		now = now.Add(d)
		c.progress("%s", text)
		return out.String()
	}
	for _, tt := range []struct {
		after      time.Duration
		text, want string
	}{
		{0, "too early", ""},
		{900 * time.Millisecond, "too early", ""},
		{100 * time.Millisecond, "one", "one"},
		{199 * time.Millisecond, "too soon", ""},
		{time.Millisecond, "two", "\r\x1b[Ktwo"},
		{time.Second, "a\x1b[2Jb\nc", "\r\x1b[Ka [2Jb c"},
		{time.Second, strings.Repeat("ä", 200), "\r\x1b[K" + strings.Repeat("ä", 78) + "…"},
	} {
		if got := after(tt.after, tt.text); got != tt.want {
			t.Errorf("%v later, %q: got %q, want %q", tt.after, tt.text, got, tt.want)
		}
	}
	out.Reset()
	if _, err := c.Write([]byte("log\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "\r\x1b[Klog\n"; got != want {
		t.Errorf("a log line: got %q, want %q", got, want)
	}
	c.clear()
	if got := after(500*time.Millisecond, "new"); got != "" {
		t.Errorf("after clear: got %q, want a new delay", got)
	}
	c.silence()
	if got := after(time.Hour, "quiet"); got != "" {
		t.Errorf("silent: got %q, want nothing", got)
	}
}

func TestProgressIsSilentOffATerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	c := newConsole(&out, func() time.Time { now = now.Add(time.Minute); return now })
	for range 3 {
		c.progress("working")
	}
	c.clear()
	if out.Len() > 0 {
		t.Errorf("got %q, want nothing", out.String())
	}
}
