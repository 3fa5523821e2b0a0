package fake_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/fake"
)

const guid = "0f5c2a10-94a1-4a0c-8a3e-0123456789ab"

// post sends to a collector and returns status and body.
func post(t *testing.T, h http.Handler, path, body string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Splunk token")
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestHECIsStrict(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"event":"a"}`)
	_ = z.Close()
	const channel = "X-Splunk-Request-Channel"
	tests := map[string]struct {
		body   string
		header []string
		status int
		says   string
		taken  int
	}{
		"one event":            {`{"event":"a"}`, nil, 200, `"code":0`, 1},
		"two without anything": {`{"event":"a"}{"event":{"b":1},"time":1795179600.123}`, nil, 200, `"code":0`, 2},
		"gzip":                 {packed.String(), []string{"Content-Encoding", "gzip"}, 200, `"code":0`, 1},
		"no gzip":              {`{"event":"a"}`, []string{"Content-Encoding", "gzip"}, 400, `"code":6`, 0},
		"zstd":                 {`{"event":"a"}`, []string{"Content-Encoding", "zstd"}, 415, "<html>", 0},
		"too large":            {`{"event":"` + strings.Repeat("a", 1000) + `"}`, nil, 413, "<html>", 0},
		"no token":             {`{"event":"a"}`, []string{"Authorization", ""}, 401, `"code":2`, 0},
		"bearer":               {`{"event":"a"}`, []string{"Authorization", "Bearer token"}, 401, `"code":3`, 0},
		"another token":        {`{"event":"a"}`, []string{"Authorization", "Splunk x"}, 403, `"code":4`, 0},
		"disabled token":       {`{"event":"a"}`, []string{"Authorization", "Splunk disabled"}, 403, `"code":1`, 0},
		"nothing":              {"\n", nil, 400, `"code":5`, 0},
		"an array":             {`[{"event":"a"}]`, nil, 400, `"code":6`, 0},
		"cut off":              {`{"event":"a"}{"event":`, nil, 400, `"code":6,"invalid-event-number":1`, 0},
		"time in exponents":    {`{"event":"a","time":1.7e9}`, nil, 400, `"code":6`, 0},
		"another index":        {`{"event":"a","index":"x"}`, nil, 400, `"code":7`, 0},
		"no event":             {`{"event":"a"}{"time":1}`, nil, 400, `"code":12,"invalid-event-number":1`, 0},
		"blank event":          {`{"event":""}`, nil, 400, `"code":13,"invalid-event-number":0`, 0},
		"nested field":         {`{"event":"a","fields":{"a":{"b":"c"}}}`, nil, 400, `"code":15`, 0},
		"ack, no channel":      {`{"event":"a"}`, []string{"Authorization", "Splunk ack"}, 400, `"code":10`, 0},
		"ack, odd channel":     {`{"event":"a"}`, []string{"Authorization", "Splunk ack", channel, "x"}, 400, `"code":11`, 0},
		"ack":                  {`{"event":"a"}`, []string{"Authorization", "Splunk ack", channel, guid}, 200, `"ackId":0`, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := fake.NewHEC(fake.HECOptions{MaxContent: 500, Tokens: map[string]fake.HECToken{
				"token": {Indexes: []string{"main"}}, "ack": {Ack: true}, "disabled": {Disabled: true},
			}})
			status, body := post(t, h, fake.HECEventPath, tt.body, tt.header...)
			if status != tt.status || !strings.Contains(body, tt.says) || h.Taken() != tt.taken || len(h.Events()) != tt.taken {
				t.Errorf("got %d %s and %d taken, want %d with %s and %d taken", status, body, h.Taken(), tt.status, tt.says, tt.taken)
			}
		})
	}
}

func TestHECAcknowledges(t *testing.T) {
	now := time.Unix(0, 0)
	h := fake.NewHEC(fake.HECOptions{
		Tokens:   map[string]fake.HECToken{"token": {Ack: true}, "none": {}},
		AckPolls: 1, AckAfter: time.Minute, Now: func() time.Time { return now },
	})
	send := func() (int, string) {
		return post(t, h, fake.HECEventPath, `{"event":"a"}`, "X-Splunk-Request-Channel", guid)
	}
	ask := func() string {
		_, body := post(t, h, fake.HECAckPath, `{"acks":[0,1]}`, "X-Splunk-Request-Channel", guid)
		return body
	}
	send()
	now = now.Add(30 * time.Second)
	if _, body := send(); !strings.Contains(body, `"ackId":1`) {
		t.Errorf("got %s, want the second id to be 1", body)
	}
	var got []string
	for range 2 {
		got = append(got, ask())
		now = now.Add(30 * time.Second)
	}
	got = append(got, ask(), ask())
	h.Restart()
	got = append(got, ask())
	want := []string{
		`{"acks":{"0":false,"1":false}}`, // too early
		`{"acks":{"0":true,"1":false}}`,
		`{"acks":{"0":false,"1":true}}`, // true once only
		`{"acks":{"0":false,"1":false}}`,
		`{"acks":{"0":false,"1":false}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got)\n%s", diff)
	}
	if _, body := send(); !strings.Contains(body, `"ackId":0`) {
		t.Errorf("got %s, want ids from 0 after a restart", body)
	}
	if status, body := post(t, h, fake.HECAckPath, `{"acks":[0]}`, "Authorization", "Splunk none"); status != 400 || !strings.Contains(body, `"code":14`) {
		t.Errorf("token without acknowledgement: got %d %s", status, body)
	}
}

func TestHECFaults(t *testing.T) {
	h := fake.NewHEC(fake.HECOptions{})
	c := &http.Client{Transport: fake.Transport(h)}
	for name, tt := range map[string]struct {
		fault  fake.HECFault
		status int // 0 for no answer
		taken  int
	}{
		"request lost": {fake.HECFault{Fault: fake.Fault{Drop: true}}, 0, 0},
		"answer lost":  {fake.HECFault{Fault: fake.Fault{Drop: true}, Taken: true}, 0, 1},
		"status":       {fake.HECFault{Fault: fake.Fault{Status: 504}}, 504, 0},
		"code":         {fake.HECFault{Code: 26}, 429, 0},
		"code, taken":  {fake.HECFault{Code: 24, Taken: true}, 200, 1},
	} {
		before := h.Taken()
		h.SetFault(func(fake.Call) *fake.HECFault { return &tt.fault })
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hec"+fake.HECEventPath, strings.NewReader(`{"event":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Splunk token")
		status := 0
		if res, err := c.Do(r); err == nil {
			status = res.StatusCode
			_ = res.Body.Close()
		}
		if got := h.Taken() - before; status != tt.status || got != tt.taken {
			t.Errorf("%s: got %d and %d taken, want %d and %d", name, status, got, tt.status, tt.taken)
		}
	}
	if got := h.Count(fake.HECEventPath); got != 5 || len(h.Calls()) != 5 {
		t.Errorf("got %d calls, want 5", got)
	}
}
