package fake_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

var ddNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ddCall is a call as a client makes it; its zero value is a good one.
type ddCall struct {
	method, path, key, encoding, kind, body string
}

func (c ddCall) do(t *testing.T, d *fake.Datadog) int {
	t.Helper()
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.method, http.MethodPost)
	def(&c.path, fake.DatadogLogsPath)
	def(&c.key, "key")
	def(&c.kind, "application/json")
	var b bytes.Buffer
	var w io.WriteCloser
	switch c.encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	}
	if w != nil {
		_, _ = io.WriteString(w, c.body)
		_ = w.Close()
	} else {
		b.WriteString(c.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), c.method, "http://datadog"+c.path, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", c.kind)
	req.Header.Set("Content-Encoding", strings.TrimPrefix(c.encoding, "bad "))
	if c.key != "none" {
		req.Header.Set("DD-API-KEY", c.key)
	}
	resp, err := fake.Transport(d).RoundTrip(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestDatadogStrict(t *testing.T) {
	log := func(n int) string { return `{"message":"` + strings.Repeat("x", n) + `"}` }
	list := func(n, size int) string { return "[" + strings.TrimSuffix(strings.Repeat(log(size)+",", n), ",") + "]" }
	check := func(at time.Time) string {
		return fmt.Sprintf(`[{"check":"c","host_name":"h","status":0,"tags":[],"timestamp":%d}]`, at.Unix())
	}
	point := func(at time.Time) string {
		return fmt.Sprintf(`{"series":[{"metric":"m","type":3,"points":[{"timestamp":%d,"value":1}]}]}`, at.Unix())
	}
	for name, test := range map[string]struct {
		call         ddCall
		status, logs int
	}{
		"one log":         {ddCall{body: log(1)}, 202, 1},
		"list":            {ddCall{body: list(1000, 1)}, 202, 1000},
		"empty list":      {ddCall{body: "[]"}, 202, 0},
		"gzip":            {ddCall{body: list(3, 9), encoding: "gzip"}, 202, 3},
		"deflate":         {ddCall{body: list(3, 9), encoding: "deflate"}, 202, 3},
		"no gzip":         {ddCall{body: list(3, 9), encoding: "bad gzip"}, 400, 0},
		"zstd":            {ddCall{body: list(3, 9), encoding: "bad zstd"}, 400, 0},
		"too many":        {ddCall{body: list(1001, 1)}, 400, 0},
		"5 MB":            {ddCall{body: list(5, 1_000_000)}, 413, 0},
		"5 MB packed":     {ddCall{body: list(5, 1_000_000), encoding: "gzip"}, 413, 0},
		"5.3 MB packed":   {ddCall{body: list(6, 1_000_000), encoding: "gzip"}, 413, 0},
		"just under 5 MB": {ddCall{body: list(5, 999_900), encoding: "gzip"}, 202, 5},
		"no JSON":         {ddCall{body: "{"}, 400, 0},
		"no message":      {ddCall{body: `[{"message":"a"},{}]`}, 400, 0},
		"text":            {ddCall{body: log(1), kind: "text/plain"}, 400, 0},
		"no key":          {ddCall{body: log(1), key: "none"}, 401, 0},
		"wrong key":       {ddCall{body: log(1), key: "x"}, 403, 0},
		"get":             {ddCall{method: http.MethodGet}, 405, 0},
		"elsewhere":       {ddCall{path: "/api/v1/input", body: log(1)}, 404, 0},
		"valid":           {ddCall{method: http.MethodGet, path: fake.DatadogValidatePath}, 200, 0},
		"not valid":       {ddCall{method: http.MethodGet, path: fake.DatadogValidatePath, key: "x"}, 403, 0},
		"check":           {ddCall{path: fake.DatadogCheckPath, body: check(ddNow)}, 202, 0},
		"old check":       {ddCall{path: fake.DatadogCheckPath, body: check(ddNow.Add(-11 * time.Minute))}, 400, 0},
		"half a check":    {ddCall{path: fake.DatadogCheckPath, body: `[{"check":"c","status":0,"tags":[]}]`}, 400, 0},
		"odd status":      {ddCall{path: fake.DatadogCheckPath, body: `[{"check":"c","host_name":"","status":4,"tags":[]}]`}, 400, 0},
		"metric":          {ddCall{path: fake.DatadogSeriesPath, body: point(ddNow), encoding: "gzip"}, 202, 0},
		"old metric":      {ddCall{path: fake.DatadogSeriesPath, body: point(ddNow.Add(-61 * time.Minute))}, 400, 0},
		"early metric":    {ddCall{path: fake.DatadogSeriesPath, body: point(ddNow.Add(11 * time.Minute))}, 400, 0},
		"large metrics":   {ddCall{path: fake.DatadogSeriesPath, body: point(ddNow) + strings.Repeat(" ", 512_000)}, 413, 0},
		"no metric":       {ddCall{path: fake.DatadogSeriesPath, body: `{}`}, 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := fake.NewDatadog(fake.DatadogOptions{Now: func() time.Time { return ddNow }})
			if got := test.call.do(t, d); got != test.status {
				t.Errorf("got %d, want %d", got, test.status)
			}
			if len(d.Logs()) != test.logs || d.Taken() != test.logs {
				t.Errorf("took %d logs, want %d", len(d.Logs()), test.logs)
			}
			if calls := d.Calls(); len(calls) != 1 || calls[0].Status != test.status {
				t.Errorf("got calls %+v", calls)
			}
		})
	}
}

// What Datadog does in silence is seen here.
func TestDatadogSilence(t *testing.T) {
	for name, test := range map[string]struct {
		log                  string
		truncated, misplaced bool
	}{
		"ordinary":    {`{"message":"a"}`, false, false},
		"1 MB":        {`{"message":"` + strings.Repeat("a", 999_986) + `"}`, false, false},
		"over 1 MB":   {`{"message":"` + strings.Repeat("a", 999_987) + `"}`, true, false},
		"18 h":        {fmt.Sprintf(`{"message":"a","timestamp":%d}`, ddNow.Add(-18*time.Hour).UnixMilli()), false, false},
		"over 18 h":   {fmt.Sprintf(`{"message":"a","timestamp":%d}`, ddNow.Add(-18*time.Hour).UnixMilli()-1), false, true},
		"2 h ahead":   {fmt.Sprintf(`{"message":"a","timestamp":%q}`, ddNow.Add(2*time.Hour).Format(time.RFC3339)), false, false},
		"more ahead":  {fmt.Sprintf(`{"message":"a","timestamp":%q}`, ddNow.Add(3*time.Hour).Format(time.RFC3339)), false, true},
		"no time":     {`{"message":"a","timestamp":"yesterday"}`, false, false},
		"another one": {`{"message":"a","event_time":"2020-01-01T00:00:00Z"}`, false, false},
	} {
		d := fake.NewDatadog(fake.DatadogOptions{Now: func() time.Time { return ddNow }})
		if got := (ddCall{body: "[" + test.log + "]"}).do(t, d); got != 202 {
			t.Fatalf("%s: got %d", name, got)
		}
		if l := d.Logs()[0]; l.Truncated != test.truncated || l.Misplaced != test.misplaced {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}

func TestDatadogFaults(t *testing.T) {
	for name, test := range map[string]struct {
		lost, fault  *fake.Fault
		status, logs int
	}{
		"request lost":  {lost: &fake.Fault{Drop: true}, status: 0, logs: 0},
		"answer lost":   {fault: &fake.Fault{Drop: true}, status: 0, logs: 1},
		"busy":          {lost: &fake.Fault{Status: 503}, status: 503, logs: 0},
		"late failure":  {fault: &fake.Fault{Status: 500}, status: 500, logs: 1},
		"limited":       {lost: &fake.Fault{Status: 429, ResetIn: time.Minute}, status: 429, logs: 0},
		"no JSON":       {fault: &fake.Fault{Status: 202, Body: "<html>"}, status: 202, logs: 1},
		"lost and late": {lost: &fake.Fault{}, fault: &fake.Fault{Drop: true}, status: 503, logs: 0},
	} {
		d := fake.NewDatadog(fake.DatadogOptions{
			Lost: func(fake.Call) *fake.Fault { return test.lost }, Fault: func(fake.Call) *fake.Fault { return test.fault },
		})
		if got := (ddCall{body: `{"message":"a"}`}).do(t, d); got != test.status || d.Taken() != test.logs {
			t.Errorf("%s: got %d and %d logs, want %d and %d", name, got, d.Taken(), test.status, test.logs)
		}
	}
	under := fake.NewDatadog(fake.DatadogOptions{Prefix: "/p", Forget: true})
	if got := (ddCall{body: `{"message":"a"}`, path: "/p" + fake.DatadogLogsPath}).do(t, under); got != 202 || under.Taken() != 1 || len(under.Logs()) != 0 {
		t.Errorf("below a prefix: got %d", got)
	}
	if got := (ddCall{body: `{"message":"a"}`}).do(t, under); got != 404 {
		t.Errorf("outside of the prefix: got %d", got)
	}
}
