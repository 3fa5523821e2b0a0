package notice_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/schema/ocsftest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2026, 11, 20, 8, 30, 0, 123_456_789, time.UTC)

func gap() schema.Gap {
	return schema.Gap{
		Source: "acme", Stream: "main", From: at.Add(-72 * time.Hour), To: at.Add(-48 * time.Hour),
		Reason: "the tenant's log retention passed the cursor", DeclaredAt: at, Segment: 12,
	}
}

func run() notice.RunFacts {
	return notice.RunFacts{
		Source: "acme", Kind: "auth0_logs", Identity: "acme.eu.auth0.com", Started: at.Add(-90 * time.Second), Ended: at,
		Read: 120, Landed: 100, Repeated: 15, Filtered: 5,
	}
}

func head() notice.HeadFacts {
	return notice.HeadFacts{
		Source: "acme", Kind: "auth0_logs", Identity: "acme.eu.auth0.com", Seq: 12, Header: strings.Repeat("ab", 32), Records: 4711, At: at,
	}
}

func drift() notice.DriftFacts {
	return notice.DriftFacts{
		Left: "acme_users", Right: "pool", LeftSnapshot: "20261120T080000Z", RightSnapshot: "20261120T081000Z", ComparedAt: at, Linked: 90,
	}
}

func with[T any](facts T, change func(*T)) T {
	change(&facts)
	return facts
}

func cases() map[string]schema.Event {
	return map[string]schema.Event{
		"gap":          notice.Gap(gap()),
		"gap_input":    notice.Gap(with(gap(), func(g *schema.Gap) { g.Stream, g.Input = "backfill", "a/b.json.gz" })),
		"run":          notice.Run(run()),
		"run_gaps":     notice.Run(with(run(), func(f *notice.RunFacts) { f.Gaps, f.Rejected = 2, 1 })),
		"run_rejected": notice.Run(with(run(), func(f *notice.RunFacts) { f.Landed, f.Rejected = 1, 3 })),
		"run_failed":   notice.Run(with(run(), func(f *notice.RunFacts) { f.Error = "read page of acme: status 503" })),
		"head":         notice.Head(head()),
		"drift_none":   notice.Drift(drift()),
		"drift": notice.Drift(with(drift(), func(f *notice.DriftFacts) {
			f.Findings, f.ByType = 3, map[string]int64{"missing_left": 1, "attribute": 2, "mfa": 0}
			f.BySeverity = map[string]int64{"low": 1, "medium": 2, "high": 0}
		})),
		"drift_high": notice.Drift(with(drift(), func(f *notice.DriftFacts) {
			f.Findings, f.BySeverity = 1, map[string]int64{"high": 1}
		})),
		"drift_failed": notice.Drift(with(drift(), func(f *notice.DriftFacts) {
			f.LeftSnapshot, f.RightSnapshot, f.Error = "", "", "snapshot is not complete"
		})),
	}
}

func TestGolden(t *testing.T) {
	for name, e := range cases() {
		t.Run(name, func(t *testing.T) {
			for _, problem := range ocsftest.Validate(e) {
				t.Error(problem)
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			if err := enc.Encode(e); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("event (-want +got)\n%s", diff)
			}
			if !notice.Is(&e) {
				t.Error("is no notice")
			}
		})
	}
}

// TestIDs: the same facts have one id; others, another.
func TestIDs(t *testing.T) {
	ids := map[string]string{}
	for name, e := range cases() {
		again := cases()[name]
		if schema.EventID(&e) != schema.EventID(&again) {
			t.Errorf("%s: the same facts have two ids", name)
		}
	}
	different := map[string]schema.Event{
		"gap":           notice.Gap(gap()),
		"gap, from":     notice.Gap(with(gap(), func(g *schema.Gap) { g.From = at })),
		"gap, to":       notice.Gap(with(gap(), func(g *schema.Gap) { g.To = at })),
		"gap, input":    notice.Gap(with(gap(), func(g *schema.Gap) { g.Input = "x" })),
		"gap, segment":  notice.Gap(with(gap(), func(g *schema.Gap) { g.Segment++ })),
		"gap, source":   notice.Gap(with(gap(), func(g *schema.Gap) { g.Source = "other" })),
		"run":           notice.Run(run()),
		"run, later":    notice.Run(with(run(), func(f *notice.RunFacts) { f.Started = at })),
		"run, other":    notice.Run(with(run(), func(f *notice.RunFacts) { f.Source = "other" })),
		"run, identity": notice.Run(with(run(), func(f *notice.RunFacts) { f.Identity = "other" })),
		"head":          notice.Head(head()),
		"head, next":    notice.Head(with(head(), func(f *notice.HeadFacts) { f.Seq++ })),
		"drift":         notice.Drift(drift()),
		"drift, left":   notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.LeftSnapshot = "20261121T080000Z" })),
		"drift, right":  notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.RightSnapshot = "20261121T080000Z" })),
		"drift, sides":  notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.Left, f.Right = f.Right, f.Left })),
		"drift, failed": notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.Error = "x" })),
		"failed, later": notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.Error, f.ComparedAt = "x", at.Add(time.Second) })),
	}
	for name, e := range different {
		id := schema.EventID(&e)
		if other, ok := ids[id]; ok {
			t.Errorf("%s and %s have one id", name, other)
		}
		ids[id] = name
	}
	if a, b := notice.Drift(drift()), notice.Drift(with(drift(), func(f *notice.DriftFacts) { f.ComparedAt = at.Add(time.Hour) })); a.Metadata.UID != b.Metadata.UID {
		t.Error("comparing the same snapshots again is told as something new")
	}
}

// TestLongErrors: whatever an error's text is, the event is one that receivers
// take.
func TestLongErrors(t *testing.T) {
	for name, text := range map[string]string{
		"long":          strings.Repeat("é", 5000),
		"odd":           "x" + strings.Repeat("日本", 5000),
		"invalid UTF-8": strings.Repeat("\xff\xfe", 400),
		"cut amid":      strings.Repeat("a", 496) + "日本語",
	} {
		f, d := run(), drift()
		f.Error, d.Error = text, text
		g := gap()
		g.Reason = text
		for _, e := range []schema.Event{notice.Run(f), notice.Drift(d), notice.Gap(g)} {
			for _, problem := range ocsftest.Validate(e) {
				t.Errorf("%s: %s", name, problem)
			}
			for _, s := range []string{e.StatusDetail, e.Unmapped["error"]} {
				if len(s) > 500 || !utf8.ValidString(s) {
					t.Errorf("%s: error text of %d bytes, valid %v", name, len(s), utf8.ValidString(s))
				}
			}
			if !utf8.ValidString(e.Message) || len(e.Message) > 1000 {
				t.Errorf("%s: message of %d bytes", name, len(e.Message))
			}
		}
	}
}

func TestIs(t *testing.T) {
	e := notice.Head(head())
	e.Metadata.Product.Name = "Auth0"
	if notice.Is(&e) {
		t.Error("a base event of another product is a notice")
	}
	if notice.Is(&schema.Event{ClassUID: schema.ClassAuthentication, Metadata: schema.Metadata{Product: schema.Product{Name: notice.Product}}}) {
		t.Error("an authentication is a notice")
	}
}
