package harness_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
)

// post sends a body and returns status and answer, without blanks; 0 if there
// was none. The headers are pairs of name and value.
func post(t *testing.T, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.ReplaceAll(strings.TrimSpace(string(answer)), " ", "")
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	hecPath = "/services/collector/event"
	ackPath = "/services/collector/ack"
	channel = "6b1f4c2e-0000-4000-8000-000000000001"
)

// TestCollector shows what the collector's receivers keep, and survives that it
// is stopped and started.
func TestCollector(t *testing.T) {
	t.Parallel()
	c := harness.StartCollector(t)
	event := `{"time":1795179600.123,"host":"h","sourcetype":"st","event":{"n":7,"deep":{"s":"x"}},"fields":{"event_id":"e1"}}`
	want := func(name string, status int, answer string) {
		t.Helper()
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	status, answer := post(t, c.URL(harness.HEC)+hecPath, packed(t, event+event), "Content-Encoding", "gzip", "Authorization", "Splunk any")
	want("two events in one body", status, answer)
	if status, answer = post(t, c.URL(harness.HEC)+hecPath, `{"event":"`+strings.Repeat("x", 1_000_000)+`"}`); status != http.StatusBadRequest {
		t.Errorf("beyond the limit: %d %s", status, answer)
	}
	auth := []string{"Authorization", "Splunk " + harness.HECToken, "X-Splunk-Request-Channel", channel}
	if status, _ = post(t, c.URL(harness.HECAck)+hecPath, event, "Authorization", "Splunk wrong"); status != http.StatusUnauthorized {
		t.Errorf("wrong token: %d", status)
	}
	status, answer = post(t, c.URL(harness.HECAck)+hecPath, event, auth...)
	want("with acknowledgement", status, answer)
	if answer != `{"text":"Success","code":0,"ackId":1}` {
		t.Errorf("answer = %s", answer)
	}
	for _, stored := range []string{"true", "false"} { // it is told once
		if _, answer = post(t, c.URL(harness.HECAck)+ackPath, `{"acks":[1]}`, auth...); answer != `{"acks":{"1":`+stored+`}}` {
			t.Errorf("acknowledged: %s, want %s", answer, stored)
		}
	}
	c.Stop(t)
	c.Restart(t)
	status, answer = post(t, c.URL(harness.HECAck)+hecPath, event, auth...)
	want("after a restart", status, answer)
	if !strings.Contains(answer, `"ackId":1`) {
		t.Errorf("answer = %s, want the first id again", answer)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	log := fmt.Sprintf(`[{"message":"{}","timestamp":%d,"service":"s","hostname":"h"}]`, now.UnixMilli())
	if status, answer = post(t, c.URL(harness.Datadog)+"/api/v2/logs", log, "DD-API-KEY", "k"); status != http.StatusAccepted {
		t.Errorf("Datadog: %d %s", status, answer)
	}
	otlp := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1795179600123000000","body":{"arrayValue":{"values":[{"intValue":"5"},{"boolValue":true},{}]}}}]}]}]}`
	status, answer = post(t, c.URL(harness.OTLP)+"/v1/logs", otlp)
	want("OTLP", status, answer)
	c.Stop(t)
	wantLogs(t, c, map[string][]string{
		harness.HEC:     {"2026-11-20T13:00:00.123Z map[deep:map[s:x] n:7] e1", "2026-11-20T13:00:00.123Z map[deep:map[s:x] n:7] e1"},
		harness.HECAck:  {"2026-11-20T13:00:00.123Z map[deep:map[s:x] n:7] e1", "2026-11-20T13:00:00.123Z map[deep:map[s:x] n:7] e1"},
		harness.Datadog: {now.Format(stamp) + " {} <nil>"},
		harness.OTLP:    {"2026-11-20T13:00:00.123Z [5 true <nil>] <nil>"},
	})
}

const stamp = "2006-01-02T15:04:05.000Z"

func wantLogs(t *testing.T, c *harness.Collector, want map[string][]string) {
	t.Helper()
	for receiver, lines := range want {
		logs := c.Logs(t, receiver)
		if len(logs) != len(lines) {
			t.Errorf("%s has %d logs, want %d: %v", receiver, len(logs), len(lines), logs)
			continue
		}
		for i, l := range logs {
			if got := fmt.Sprint(l.Time.Format(stamp), " ", l.Body, " ", l.Attributes["event_id"]); got != lines[i] {
				t.Errorf("%s: %s, want %s", receiver, got, lines[i])
			}
		}
	}
}

// TestPrism shows what Datadog's description of its API refuses.
func TestPrism(t *testing.T) {
	t.Parallel()
	p := harness.StartPrism(t)
	const logs, check, series = "/api/v2/logs", "/api/v1/check_run", "/api/v2/series"
	tests := []struct {
		name, path, body, key string
		want                  int
	}{
		{"a log", logs, `[{"message":"x","timestamp":1,"evt":{"name":"a"}}]`, "k", 202},
		{"a log without a key", logs, `[{"message":"x"}]`, "", 401},
		{"a log without a message", logs, `[{"ddsource":"x"}]`, "k", 400},
		{"a log with odd tags", logs, `[{"message":"x","ddtags":["a:b"]}]`, "k", 400},
		{"a check", check, `[{"check":"x","host_name":"h","status":0,"tags":["a:b"]}]`, "k", 202},
		{"a check without tags", check, `[{"check":"x","host_name":"h","status":0}]`, "k", 400},
		{"an unknown status", check, `[{"check":"x","host_name":"h","status":4,"tags":[]}]`, "k", 400},
		{"a metric", series, `{"series":[{"metric":"a.b","type":3,"points":[{"timestamp":1636629071,"value":0.7}]}]}`, "k", 202},
		{"a metric of no type", series, `{"series":[{"metric":"a.b","type":9,"points":[]}]}`, "k", 400},
		{"an unknown call", "/api/v2/events", `{}`, "k", 404},
	}
	for _, test := range tests {
		headers := []string{"Content-Encoding", "gzip"}
		if test.key != "" {
			headers = append(headers, "DD-API-KEY", test.key)
		}
		if got, answer := post(t, p.URL+test.path, packed(t, test.body), headers...); got != test.want {
			t.Errorf("%s: %d, want %d: %s", test.name, got, test.want, answer)
		}
	}
	for _, status := range []int{408, 413, 429, 503} { // as the description words them
		p.SetFault(func(harness.Call) *harness.Fault {
			return &harness.Fault{Alter: map[string]string{"Prefer": fmt.Sprint("code=", status)}}
		})
		if got, answer := post(t, p.URL+logs, `[{"message":"x"}]`, "DD-API-KEY", "k"); got != status || !strings.HasPrefix(answer, `{"errors":[{`) {
			t.Errorf("asked for %d: %d %s", status, got, answer)
		}
	}
	if calls := p.Calls(logs); len(calls) != 8 || calls[3].PathN != 4 || calls[0].Received != 202 || string(calls[0].Body) != tests[0].body {
		t.Errorf("the proxy kept %+v", calls)
	}
}

// TestProxy shows that the harm a proxy does is the harm it was told to do.
func TestProxy(t *testing.T) {
	t.Parallel()
	c := harness.StartCollector(t)
	p := harness.NewProxy(t, c.URL(harness.HEC), false)
	tests := []struct {
		name                 string
		fault                *harness.Fault
		told, received, kept int
	}{
		{"none", nil, 200, 200, 1},
		{"request lost", &harness.Fault{Lose: true}, 0, 0, 0},
		{"answer lost", &harness.Fault{LoseAnswer: true}, 0, 200, 1},
		{"status", &harness.Fault{Status: 503, Body: "busy"}, 503, 0, 0},
	}
	total := 0
	for i, test := range tests {
		p.SetFault(func(harness.Call) *harness.Fault { return test.fault })
		told, _ := post(t, p.URL+hecPath, packed(t, `{"event":"x"}`), "Content-Encoding", "gzip")
		call := p.Calls(hecPath)[i]
		if told != test.told || call.Told != test.told || call.Received != test.received {
			t.Errorf("%s: told %d, call %+v", test.name, told, call)
		}
		total += test.kept
	}
	c.Stop(t)
	if got := len(c.Logs(t, harness.HEC)); got != total {
		t.Errorf("the receiver has %d events, want %d", got, total)
	}
}
