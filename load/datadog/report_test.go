package datadog_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/datadog"
)

// open returns a sink and the intake it sends to.
func open(t *testing.T, change func(*datadog.Options)) (*datadog.Sink, *fake.Datadog) {
	t.Helper()
	o := options()
	if change != nil {
		change(&o)
	}
	d := fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey, Now: o.Now})
	if o.Transport == nil {
		o.Transport = fake.Transport(d)
	}
	s, err := datadog.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func health() load.Health {
	return load.Health{
		At: now, Took: 90 * time.Second, Problems: []string{"Source acme was not read to its end.", "Sink hec failed."},
		Sources: []load.SourceHealth{
			{Source: "acme", Kind: "auth0_logs", Read: 10, Landed: 9, Rejected: 1, Gaps: 2, Lag: time.Minute},
			{Source: "pool", Kind: "cognito_users", Lag: -1, Failed: true},
		},
		Sinks: []load.SinkHealth{{
			Source: "acme", Sink: "dd", Pending: 7, Oldest: time.Hour,
			Sent: load.Sent{Accepted: 8, Acknowledged: 1, Resent: 2, TooOld: 3, Skipped: 4, Slimmed: 5, Rejected: 6, Filtered: 9},
		}},
	}
}

func TestReport(t *testing.T) {
	s, d := open(t, nil)
	if err := s.Report(t.Context(), health()); err != nil {
		t.Fatal(err)
	}
	checks := d.Checks()
	if len(checks) != 1 || d.Count(fake.DatadogCheckPath) != 1 || d.Count(fake.DatadogSeriesPath) != 1 {
		t.Fatalf("got %d checks in %d calls, metrics in %d", len(checks), d.Count(fake.DatadogCheckPath), d.Count(fake.DatadogSeriesPath))
	}
	tags := []string{"service:idtrail", "env:prod_eu", "team:identity"}
	want := fake.DatadogCheck{
		Check: "idtrail.run", Host: new("idtrail"), Status: new(1), Timestamp: now.Unix(),
		Message: "Source acme was not read to its end. Sink hec failed.", Tags: tags,
	}
	if diff := cmp.Diff(want, checks[0]); diff != "" {
		t.Errorf("check (-want +got)\n%s", diff)
	}
	acme, pool, sink := " idtrail_source:acme kind:auth0_logs", " idtrail_source:pool kind:cognito_users", " idtrail_source:acme sink:dd"
	wantMetrics := []string{
		"idtrail.run.duration 3 second 90", "idtrail.run.problems 3  2",
		"idtrail.source.read 1  10" + acme, "idtrail.source.landed 1  9" + acme, "idtrail.source.rejected 1  1" + acme,
		"idtrail.source.gaps 1  2" + acme, "idtrail.source.failed 3  0" + acme, "idtrail.source.lag 3 second 60" + acme,
		"idtrail.source.read 1  0" + pool, "idtrail.source.landed 1  0" + pool, "idtrail.source.rejected 1  0" + pool,
		"idtrail.source.gaps 1  0" + pool, "idtrail.source.failed 3  1" + pool,
		"idtrail.sink.accepted 1  8" + sink, "idtrail.sink.acknowledged 1  1" + sink, "idtrail.sink.resent 1  2" + sink,
		"idtrail.sink.too_old 1  3" + sink, "idtrail.sink.skipped 1  4" + sink, "idtrail.sink.slimmed 1  5" + sink,
		"idtrail.sink.rejected 1  6" + sink, "idtrail.sink.filtered 1  9" + sink, "idtrail.sink.pending 3  7" + sink,
		"idtrail.sink.oldest_pending 3 second 3600" + sink, "idtrail.sink.failed 3  0" + sink,
	}
	var got []string
	for _, m := range d.Series() {
		if !slices.Equal(m.Tags[:3], tags) || len(m.Points) != 1 || m.Points[0].Timestamp != now.Unix() {
			t.Errorf("got %+v", m)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s %v %s", m.Metric, m.Type, m.Unit, *m.Points[0].Value, strings.Join(m.Tags[3:], " "))))
	}
	if diff := cmp.Diff(wantMetrics, got); diff != "" {
		t.Errorf("metrics (-want +got)\n%s", diff)
	}
}

func TestReportStates(t *testing.T) {
	for want, h := range []load.Health{
		{}, {Problems: []string{strings.Repeat("ü", 4000)}}, {Failed: true, Problems: []string{"No lease."}},
	} {
		s, d := open(t, nil)
		if err := s.Report(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if got := d.Checks()[0]; *got.Status != want || len(got.Message) > 500 {
			t.Errorf("%+v: got %+v, want %d", h, got, want)
		}
	}
	s, d := open(t, func(o *datadog.Options) { o.Health = false })
	if err := s.Report(t.Context(), health()); err != nil || len(d.Calls()) != 0 {
		t.Errorf("without health: %v, %d calls", err, len(d.Calls()))
	}
}

// Many sources do not fit one request.
func TestReportLimits(t *testing.T) {
	h := health()
	for i := range 1000 {
		h.Sinks = append(h.Sinks, load.SinkHealth{Source: strings.Repeat("s", 150) + fmt.Sprint(i), Sink: "dd"})
	}
	s, d := open(t, nil)
	if err := s.Report(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if got, want := len(d.Series()), 24+11*1000; got != want {
		t.Errorf("got %d metrics, want %d", got, want)
	}
}

// What fails is said, without a key, and the one call does not depend on the
// other. Nothing is tried again.
func TestReportFails(t *testing.T) {
	for _, path := range []string{fake.DatadogCheckPath, fake.DatadogSeriesPath} {
		for _, fault := range []fake.Fault{{Status: 403, Body: secretKey}, {Status: 500}, {Drop: true}} {
			s, d := open(t, nil)
			d.SetLost(fake.OnCalls(path, &fault, 1))
			err := s.Report(t.Context(), health())
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %+v: got %v", path, fault, err)
			}
			silent(t, err)
			if d.Count(fake.DatadogCheckPath) != 1 || d.Count(fake.DatadogSeriesPath) != 1 {
				t.Errorf("%s: %d and %d calls", path, d.Count(fake.DatadogCheckPath), d.Count(fake.DatadogSeriesPath))
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(*datadog.Options)
		lost       func(fake.Call) *fake.Fault
		write      bool
		text       string // "" for no error
		unproven   bool
		logs, keys int
	}{
		"good":          {keys: 1},
		"good, written": {write: true, logs: 1, keys: 1},
		"bad key":       {change: func(o *datadog.Options) { o.APIKey += "x" }, write: true, text: "api_key of sink dd", keys: 1},
		"site or key":   {change: func(o *datadog.Options) { o.APIKey += "x" }, text: "of another site than datadoghq.eu", keys: 1},
		"limited":       {lost: always(&fake.Fault{Status: 429, ResetIn: time.Minute}), text: "429", keys: 1},
		"down":          {lost: always(&fake.Fault{Drop: true}), text: "cut", keys: 1},
		"intake denies": {
			lost:  fake.OnCalls(fake.DatadogLogsPath, &fake.Fault{Status: 403, Body: secretKey}, 1),
			write: true, text: "send a log", keys: 1,
		},
		"a pipeline": {
			change: atURL, lost: fake.OnCalls(fake.DatadogValidatePath, &fake.Fault{Status: 404}, 1), text: "checks no keys", unproven: true, keys: 1,
		},
		"a pipeline that has no use for no logs": {change: atURL, lost: onlyIntake(400), text: "checks no keys", unproven: true, keys: 1},
		"a web server":                           {change: atURL, lost: onlyIntake(404), text: "look at site or url", keys: 1},
		"a pipeline of another key":              {change: atURL, lost: onlyIntake(403), text: "api_key of sink dd", keys: 1},
		"a pipeline, written": {
			change: atURL, lost: fake.OnCalls(fake.DatadogValidatePath, &fake.Fault{Status: 404}, 1), write: true, logs: 1, keys: 1,
		},
		"no API": {lost: fake.OnCalls(fake.DatadogValidatePath, &fake.Fault{Status: 404}, 1), write: true, text: "look at site", keys: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := open(t, test.change)
			d.SetLost(test.lost)
			err := s.Check(t.Context(), test.write)
			if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %q in it", err, test.text)
			}
			if errors.Is(err, load.ErrUnproven) != test.unproven {
				t.Errorf("got %v, unproven %v", err, test.unproven)
			}
			silent(t, err)
			if got := d.Count(fake.DatadogValidatePath); got != test.keys {
				t.Errorf("the key was checked %d times", got)
			}
			logs := d.Logs()
			if len(logs) != test.logs {
				t.Fatalf("got %d logs, want %d", len(logs), test.logs)
			}
			if len(logs) > 0 && gjson.GetBytes(logs[0].Body, "evt.name").String() != "check" {
				t.Errorf("got %s", logs[0].Body)
			}
		})
	}
}

// onlyIntake answers what is sent to the intake, and knows nothing else.
func onlyIntake(status int) func(fake.Call) *fake.Fault {
	return func(c fake.Call) *fake.Fault {
		if c.Path != fake.DatadogLogsPath {
			return &fake.Fault{Status: http.StatusMethodNotAllowed}
		}
		return &fake.Fault{Status: status}
	}
}

func atURL(o *datadog.Options) { o.Site, o.URL = "", "https://pipeline.example" }

func always(f *fake.Fault) func(fake.Call) *fake.Fault {
	return func(fake.Call) *fake.Fault { return f }
}
