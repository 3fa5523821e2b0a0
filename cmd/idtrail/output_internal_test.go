package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/internal/pipeline"
)

func TestPrintTable(t *testing.T) {
	for _, tt := range []struct {
		name string
		rows [][]string
		want string
	}{
		{"numbers to the right", [][]string{{"NAME", "COUNT"}, {"a", "1"}, {"bc", "12,345"}}, "NAME   COUNT\na          1\nbc    12,345\n"},
		{"a number among words", [][]string{{"X", "Y"}, {"1", "b"}, {"-", "c"}}, "X  Y\n1  b\n-  c\n"},
		{"short rows", [][]string{{"A", "B", "C"}, {"x"}, {"y", "", "z"}}, "A  B  C\nx\ny     z\n"},
		{"wide letters", [][]string{{"äöü", "B"}, {"x", "y"}}, "äöü  B\nx    y\n"},
		{"what moves the cursor", [][]string{{"A", "B"}, {"x\ty\n", "\x1b[2J\u202e"}}, "A     B\nx y    [2J\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (&app{system: system{Out: &out}}).printTable(tt.rows); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		line          string
		width, indent int
		want          string
	}{
		{"as it is", 0, 2, "as it is"},
		{"fits in it", 10, 2, "fits in it"},
		{"one two three four", 9, 2, "one two\n  three\n  four"},
		{"abcdefghijklmno", 6, 2, "abcdef\n  ghij\n  klmn\n  o"},
		{"ab cdefghijkl", 6, 5, "ab cde\n   fgh\n   ijk\n   l"},
		{"äöü ßäö", 4, 1, "äöü\n ßäö"},
	} {
		got := wrap(tt.line, tt.width, tt.indent)
		if got != tt.want {
			t.Errorf("%q to %d: got %q, want %q", tt.line, tt.width, got, tt.want)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if n := utf8.RuneCountInString(line); tt.width > 0 && n > tt.width {
				t.Errorf("%q to %d: got a line of %d", tt.line, tt.width, n)
			}
		}
	}
}

// TestDuring: who only waits for an answer shows a line too, after a second and
// until the work is done.
func TestDuring(t *testing.T) {
	for span, want := range map[time.Duration]bool{900 * time.Millisecond: false, 5 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			c := newConsole(&out, time.Now)
			c.terminal = true
			r := newRunProgress([]pipeline.Source{{Name: "acme"}, {Name: "pool"}}, time.Now)
			r.update(pipeline.Progress{Source: "pool", Stage: pipeline.StageLand, Records: 1234})
			c.during(r.line, func() { time.Sleep(span) })
			shown := strings.Contains(out.String(), "2s · acme: nothing yet · pool: 1,234 landed")
			if shown != want {
				t.Errorf("work of %v: shown %v, want %v: %q", span, shown, want, out.String())
			}
			if out.Len() > 0 && !strings.HasSuffix(out.String(), "\r\x1b[K") {
				t.Errorf("work of %v: the line was left: %q", span, out.String())
			}
		})
	}
}
