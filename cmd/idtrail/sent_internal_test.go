package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestSentRow(t *testing.T) {
	full := load.Sent{Accepted: 5000, Acknowledged: 4000, Resent: 3, TooOld: 20, Skipped: 10, Slimmed: 2, Rejected: 1, Filtered: 700}
	for _, tt := range []struct {
		name  string
		tally sentTally
		want  string
	}{
		{"nothing", runTally(pipeline.SinkReport{Sink: "hec", Notices: &pipeline.NoticeReport{}}), "s|hec|0|0|0|0|0|"},
		{
			"records and notices", runTally(pipeline.SinkReport{
				Sink: "hec", Tally: state.Tally{Events: 5711}, Sent: full,
				Pending: state.Pending{Records: 12, Oldest: noon.Add(-time.Hour)},
				Notices: &pipeline.NoticeReport{
					Given: 2, Sent: load.Sent{Accepted: 2, Resent: 1},
					Pending: state.PendingNotices{Kept: 1, Oldest: noon.Add(-2 * time.Hour)}, Lost: 4,
				},
				Err: errors.New("x"),
			}),
			"s|hec|5,713|5,002|700|1|13|failed, 4 notices forgotten, oldest landed 2h00m ago, 4,000 acknowledged, 4 resent, 20 too old, 10 skipped, 2 slimmed",
		},
		{"not due", runTally(pipeline.SinkReport{
			Sink: "dd", NotDue: true, Pending: state.Pending{Records: 1, Oldest: noon.Add(-time.Minute)}, Notices: &pipeline.NoticeReport{},
		}), "s|dd|0|0|0|0|1|not due, oldest landed 1m ago"},
		{"stopped", runTally(pipeline.SinkReport{
			Sink: "hec", Sent: load.Sent{Accepted: 7}, Notices: &pipeline.NoticeReport{}, Err: fmt.Errorf("send: %w", context.Canceled),
		}), "s|hec|0|7|0|0||stopped"},
		{"waiting", runTally(pipeline.SinkReport{Sink: "hec", Waiting: true, Notices: &pipeline.NoticeReport{}}), "s|hec|0|0|0|0|0|not all acknowledged yet"},
		{"status", statusTally(pipeline.SinkStatus{
			Sink:     "hec",
			Position: state.Position{Sent: state.Sent(full), LastSent: noon.Add(-time.Hour)},
			Notices:  &pipeline.NoticeStatus{Position: state.Position{Sent: state.Sent{Accepted: 1}, LastSent: noon.Add(-time.Minute), LastError: "y"}},
		}, noon), "s|hec|1m ago|5,001|700|1|0|failed, 4,000 acknowledged, 3 resent, 20 too old, 10 skipped, 2 slimmed"},
		{"never", statusTally(pipeline.SinkStatus{Sink: "hec", Notices: &pipeline.NoticeStatus{}}, noon), "s|hec|never|0|0|0|0|"},
	} {
		if got := strings.Join(sentRow("s", tt.tally, noon), "|"); got != tt.want {
			t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// TestSentColumns: what every run shows fits into 80 columns, with names as long
// as most are, and counts of millions.
func TestSentColumns(t *testing.T) {
	heading := []string{"SOURCE", "SINK", "EVENTS", "ACCEPTED", "FILTERED", "REFUSED", "PENDING", ""}
	row := sentRow("auth0_logs", sentTally{sink: "splunk", first: "9,999,999", sent: load.Sent{Accepted: 9_999_999, Filtered: 9_999_999}, pending: 9_999_999}, noon)
	width := 0
	for i, cell := range row {
		width += max(len(cell), len(heading[i])) + len(columnGap)
	}
	if width > 80 {
		t.Errorf("a row is %d columns wide, want at most 80", width)
	}
}

func TestStale(t *testing.T) {
	source := func(drained time.Duration, sinks ...pipeline.SinkStatus) sourceStatus {
		return sourceStatus{Status: pipeline.Status{Source: "acme", Known: true, LastDrain: noon.Add(-drained), Sinks: sinks}}
	}
	lagging := func(sink string, age time.Duration) pipeline.SinkStatus {
		return pipeline.SinkStatus{Sink: sink, Pending: state.Pending{Records: 1, Oldest: noon.Add(-age)}}
	}
	untold := pipeline.SinkStatus{Sink: "dd", Notices: &pipeline.NoticeStatus{Pending: state.PendingNotices{Kept: 1, Oldest: noon.Add(-time.Hour)}}}
	pace := paces(&config.Config{Sinks: []config.Sink{
		{Name: "lake", Every: time.Hour}, {Name: "hec", Stream: &config.Stream{}}, {Name: "dd", Stream: &config.Stream{Every: 15 * time.Minute}},
	}})
	for _, tt := range []struct {
		name   string
		status sourceStatus
		want   string
	}{
		{"all is well", source(time.Minute, lagging("hec", 29*time.Minute), lagging("lake", 89*time.Minute), lagging("dd", 44*time.Minute)), ""},
		{"not drained", source(time.Hour), "not read to the end within 30m: acme (1h00m ago)"},
		{"sink lags", source(time.Minute, lagging("hec", 31*time.Minute)), "landed and not delivered within 30m: acme for hec (31m ago)"},
		{"lake lags", source(time.Minute, lagging("lake", 91*time.Minute)), "landed and not delivered within 30m: acme for lake (1h31m ago)"},
		{"notices lag", source(time.Minute, untold), "landed and not delivered within 30m: acme for dd (1h00m ago)"},
		{"both", source(time.Hour, lagging("hec", time.Hour)), "not read to the end within 30m: acme (1h00m ago); landed and not delivered within 30m: acme for hec (1h00m ago)"},
		{"nothing pending", source(time.Minute, pipeline.SinkStatus{Sink: "hec", Pending: state.Pending{Segments: 1, Oldest: noon.Add(-time.Hour)}}), ""},
	} {
		err := stale([]sourceStatus{tt.status}, 30*time.Minute, noon, pace)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want || err != nil && exitCode(err) != exitPartly {
			t.Errorf("%s: got %q, exit code %d, want %q", tt.name, got, exitCode(err), tt.want)
		}
	}
}

func TestSinkDetails(t *testing.T) {
	failed := state.Position{LastError: "send 3 events: denied", LastErrorAt: noon.Add(-time.Minute)}
	got := sinkDetails(pipeline.SinkStatus{Sink: "hec", Position: failed, Notices: &pipeline.NoticeStatus{
		Position: state.Position{LastError: "send 1 events: denied", LastErrorAt: noon, Lost: 2},
	}}, noon)
	want := []string{
		"sink hec failed 1m ago: send 3 events: denied",
		"sink hec failed 0s ago: send 1 events: denied",
		"sink hec: 2 notices forgotten before it took them",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	if got := sinkDetails(pipeline.SinkStatus{Sink: "hec", Position: failed, Notices: &pipeline.NoticeStatus{Position: failed}}, noon); len(got) != 1 {
		t.Errorf("one failure of both shows as %q, want it once", got)
	}
	for r, want := range map[state.Reject]string{
		{Sink: "hec", Reject: schema.Reject{Segment: 4, Record: 2, Reason: "no"}}:                      "refused by hec: record 2 of segment 4: no",
		{Sink: "hec" + state.NoticeSuffix, Reject: schema.Reject{Segment: 0, Record: 7, Reason: "no"}}: "refused by hec: notice 7: no",
	} {
		if got := refusedLine(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRefusedIsStrict: that a receiver refused an event fails a strict run only.
func TestRefusedIsStrict(t *testing.T) {
	res := runResult{Report: pipeline.Report{Sources: []pipeline.SourceReport{{Source: "acme", Sinks: []pipeline.SinkReport{
		{Sink: "hec", Sent: load.Sent{Rejected: 1}, Notices: &pipeline.NoticeReport{Sent: load.Sent{Rejected: 1}}}, {Sink: "lake"},
	}}}}}
	if err := verdict(res, false); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if err := verdict(res, true); exitCode(err) != exitPartly || err.Error() != "2 events refused by a receiver" {
		t.Errorf("strict: got %v, want exit code 3 and how many", err)
	}
}

func TestHintsOfSinks(t *testing.T) {
	for err, want := range map[error]string{
		stream.ErrDenied: "this sink alone has stopped", stream.ErrRefused: "nothing is rejected for that", stream.ErrUnavailable: "the next run goes on",
	} {
		if got := hintOf(fmt.Errorf("deliver: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

func TestStart(t *testing.T) {
	at := noon.Add(-time.Hour)
	for _, tt := range []struct {
		start config.Start
		want  pipeline.Start
		words string
	}{
		{config.Start{Beginning: true}, pipeline.Start{}, "every event landed"},
		{config.Start{Now: true}, pipeline.Start{Now: true}, "what is landed after its first run"},
		{config.Start{Since: config.Since{Time: at}}, pipeline.Start{At: at}, "events since 2026-11-20T11:00:00Z"},
		{config.Start{Since: config.Since{Span: 18 * time.Hour}}, pipeline.Start{At: noon.Add(-18 * time.Hour)}, "events of the last 18h, since 2026-11-19 18:00"},
	} {
		if got := startOf(tt.start, noon); got != tt.want {
			t.Errorf("%+v: got %+v, want %+v", tt.start, got, tt.want)
		}
		if got := startWords(tt.start, noon); got != tt.words {
			t.Errorf("%+v: got %q, want %q", tt.start, got, tt.words)
		}
	}
}

// TestCheckWarnsOfTheWindow: a Datadog sink that begins before what Datadog
// places is told so, with what becomes of it.
func TestCheckWarnsOfTheWindow(t *testing.T) {
	for _, tt := range []struct {
		start  config.Start
		tooOld string
		want   string
	}{
		{config.Start{Since: config.Since{Span: 18 * time.Hour}}, config.TooOldRestamp, ""},
		{config.Start{Now: true}, config.TooOldSkip, ""},
		{config.Start{Beginning: true}, config.TooOldRestamp, "shown at the time they are sent at"},
		{config.Start{Since: config.Since{Span: 36 * time.Hour}}, config.TooOldSkip, "not sent (too_old: skip)"},
		{config.Start{Since: config.Since{Time: noon.Add(-48 * time.Hour)}}, config.TooOldSkip, "not sent (too_old: skip)"},
	} {
		k := &checker{a: &app{system: system{Now: func() time.Time { return noon }}}}
		k.start(config.Sink{Name: "dd", Stream: &config.Stream{Start: tt.start}, Datadog: &config.Datadog{TooOld: tt.tooOld}})
		warned := slices.IndexFunc(k.lines, func(l checked) bool { return l.State == checkWarning })
		if (warned >= 0) != (tt.want != "") || warned >= 0 && !strings.Contains(k.lines[warned].What, tt.want) {
			t.Errorf("%+v: got %+v, want a warning with %q", tt.start, k.lines, tt.want)
		}
	}
}

// TestCheckOfAnotherIntake: what stands in Datadog's place need not tell whether
// a key is valid. That is shown, and is no failure.
func TestCheckOfAnotherIntake(t *testing.T) {
	intake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v2/logs" {
			http.NotFound(w, r)
		}
	}))
	defer intake.Close()
	a := &app{system: system{Now: func() time.Time { return noon }}}
	for write, want := range map[bool]string{false: checkWarning, true: checkOK} {
		k := &checker{a: a, b: &builder{config: &config.Config{}, log: slog.New(slog.DiscardHandler), now: a.Now}, write: write}
		k.sink(t.Context(), config.Sink{
			Name: "dd", Kind: config.KindDatadog,
			Stream: &config.Stream{Start: config.Start{Now: true}}, Datadog: &config.Datadog{URL: intake.URL, APIKey: config.NewSecret("k")},
		}, nil)
		if len(k.lines) != 2 || k.lines[0].State != want || (k.lines[0].Hint != "") == write {
			t.Errorf("write %v: got %+v, want state %s", write, k.lines, want)
		}
	}
}
