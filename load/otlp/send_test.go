package otlp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/otlp"
	"github.com/idtrail/idtrail/load/stream"
)

// send sends three records through p.
func send(t *testing.T, ctx context.Context, p stream.Protocol) stream.Answer { //nolint:revive // the test comes first
	t.Helper()
	var body []byte
	for i := range int64(3) {
		e := loadtest.Event(i, sent)
		body, _, _ = p.Append(body, &e, sent)
	}
	return p.Send(ctx, stream.Request{Body: body, Entries: 3})
}

// wantQuiet checks that an error shows nothing it must not.
func wantQuiet(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

func TestStatuses(t *testing.T) {
	for status, want := range map[int]stream.Outcome{
		200: stream.Accepted, 204: stream.Accepted, 302: stream.Denied, 400: stream.Refused, 401: stream.Denied, 403: stream.Denied,
		404: stream.Denied, 405: stream.Denied, 407: stream.Denied, 413: stream.TooLarge, 415: stream.Denied, 418: stream.Denied,
		422: stream.Refused, 429: stream.Busy, 500: stream.Unknown, 501: stream.Denied, 502: stream.Unknown, 503: stream.Busy,
	} {
		server := fake.NewOTLP(fake.OTLPOptions{Fault: func(fake.OTLPCall) *fake.OTLPFault {
			return &fake.OTLPFault{Fault: fake.Fault{
				Status: status, Body: "you sent " + secret, Header: http.Header{"Location": {"https://evil.example/" + secret}},
			}}
		}})
		a := send(t, t.Context(), protocol(t, server))
		if a.Outcome != want || (a.Err == nil) != (want == stream.Accepted) {
			t.Errorf("%d: got outcome %v, error %v, want %v", status, a.Outcome, a.Err, want)
		}
		wantQuiet(t, a.Err)
		if n := len(server.Calls()); n != 1 {
			t.Errorf("%d: %d calls, want 1: retries and redirects are not the protocol's", status, n)
		}
	}
}

func TestWaitAsked(t *testing.T) {
	for status, want := range map[int]time.Duration{429: 7 * time.Second, 503: 7 * time.Second, 502: 7 * time.Second, 400: 0, 401: 0} {
		server := fake.NewOTLP(fake.OTLPOptions{Fault: func(fake.OTLPCall) *fake.OTLPFault {
			return &fake.OTLPFault{Fault: fake.Fault{Status: status, Header: http.Header{"Retry-After": {"7"}}}}
		}})
		if a := send(t, t.Context(), protocol(t, server)); a.Wait != want {
			t.Errorf("%d: got %v, want %v", status, a.Wait, want)
		}
	}
}

func TestPartialSuccess(t *testing.T) {
	for name, test := range map[string]struct {
		rejected int
		message  string
		lost     int
	}{
		"all taken":            {0, "", 0},
		"a warning":            {0, "this goes away: " + secret, 0},
		"one thrown away":      {1, "no room for " + secret, 1},
		"without a word":       {2, "", 2},
		"more than there were": {9, "?", 3},
		"fewer than none":      {-1, "?", 0},
	} {
		for _, inJSON := range []bool{false, true} {
			server := fake.NewOTLP(fake.OTLPOptions{JSON: inJSON, Partial: func(fake.OTLPCall) (int, string) { return test.rejected, test.message }})
			a := send(t, t.Context(), protocol(t, server))
			if a.Outcome != stream.Accepted || a.Lost != test.lost || (a.Err != nil) != (test.lost > 0) {
				t.Errorf("%s, JSON %v: got %+v, want lost %d", name, inJSON, a, test.lost)
			}
			wantQuiet(t, a.Err)
			if got := len(server.Records()); got != 3-test.lost {
				t.Errorf("%s: the receiver holds %d records", name, got)
			}
		}
	}
}

// TestStrangeSuccess: what a 200 says is believed even where its body cannot be
// read, but for a page that a web server shows everybody.
func TestStrangeSuccess(t *testing.T) {
	for name, test := range map[string]struct {
		kind, body string
		truncate   int
		want       stream.Outcome
	}{
		"no protobuf":      {"application/x-protobuf", "\x0a\xff", 0, stream.Accepted},
		"text":             {"text/plain", "OK", 0, stream.Accepted},
		"no type":          {"", "\x00\x01\x02", 0, stream.Accepted},
		"broken JSON":      {"application/json", `{"partialSuccess":{"rejectedLogRecords":`, 0, stream.Accepted},
		"other JSON":       {"application/json", `[]`, 0, stream.Accepted},
		"JSON with words":  {"application/json", `{"partialSuccess":{"rejectedLogRecords":"many"}}`, 0, stream.Accepted},
		"an unknown field": {"application/x-protobuf", "\x15\x01\x02\x03\x04\x22\x03abc", 0, stream.Accepted},
		"a cut-off body":   {"application/x-protobuf", "\x0a\x02\x08\x03", 2, stream.Accepted},
		"a web page":       {"text/html; charset=utf-8", "<html>" + secret, 0, stream.Denied},
	} {
		server := fake.NewOTLP(fake.OTLPOptions{Fault: func(fake.OTLPCall) *fake.OTLPFault {
			return &fake.OTLPFault{Fault: fake.Fault{
				Status: 200, Body: test.body, Truncate: test.truncate, Header: http.Header{"Content-Type": {test.kind}},
			}}
		}})
		a := send(t, t.Context(), protocol(t, server))
		if a.Outcome != test.want || a.Lost != 0 {
			t.Errorf("%s: got %+v, want outcome %v", name, a, test.want)
		}
		wantQuiet(t, a.Err)
	}
}

func TestNoAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		fault fake.OTLPFault
		want  stream.Outcome
		kept  int
	}{
		"request lost": {fake.OTLPFault{Fault: fake.Fault{Drop: true}}, stream.Unknown, 0},
		"answer lost":  {fake.OTLPFault{Fault: fake.Fault{Drop: true}, Kept: true}, stream.Unknown, 3},
		"hang":         {fake.OTLPFault{Fault: fake.Fault{Hang: true}}, stream.Unknown, 0},
		"kept, hang":   {fake.OTLPFault{Fault: fake.Fault{Hang: true}, Kept: true}, stream.Unknown, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := fake.NewOTLP(fake.OTLPOptions{Fault: func(fake.OTLPCall) *fake.OTLPFault { return &test.fault }})
			began := time.Now()
			a := send(t, t.Context(), protocol(t, server))
			if a.Outcome != test.want || a.Err == nil {
				t.Errorf("%s: got %+v, want outcome %v", name, a, test.want)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("%s: took %v", name, took)
			}
			if got := len(server.Records()); got != test.kept {
				t.Errorf("%s: the receiver holds %d records, want %d", name, got, test.kept)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewOTLP(fake.OTLPOptions{Fault: func(fake.OTLPCall) *fake.OTLPFault {
			return &fake.OTLPFault{Fault: fake.Fault{Hang: true}}
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a := send(t, ctx, protocol(t, server)); a.Outcome != stream.Unknown || !errors.Is(a.Err, context.DeadlineExceeded) {
			t.Errorf("got %+v", a)
		}
	})
}

// TestUnreachable calls addresses over a real network stack.
func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewTLSServer(fake.NewOTLP(fake.OTLPOptions{}))
	defer secure.Close()
	plain := httptest.NewServer(fake.NewOTLP(fake.OTLPOptions{}))
	defer plain.Close()
	for name, test := range map[string]struct {
		url  string
		want stream.Outcome
	}{
		"nothing listens":                 {closed.URL, stream.Busy},
		"TLS where no TLS is expected":    {strings.Replace(secure.URL, "https:", "http:", 1), stream.Refused},
		"a receiver without encryption":   {plain.URL, stream.Accepted},
		"a receiver below another prefix": {plain.URL + "/in/otlp", stream.Denied},
	} {
		p, err := otlp.NewProtocol(otlp.Options{URL: test.url, Headers: map[string]string{"X-Key": secret}, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a := send(t, t.Context(), p)
		if a.Outcome != test.want {
			t.Errorf("%s: got %+v, want outcome %v", name, a, test.want)
		}
		wantQuiet(t, a.Err)
	}
}

// TestTrust: a certificate of one's own.
func TestTrust(t *testing.T) {
	server := fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"X-Key": secret}})
	secure := httptest.NewTLSServer(server)
	defer secure.Close()
	p, err := otlp.NewProtocol(otlp.Options{URL: secure.URL, CAPEM: certificate(secure), Headers: map[string]string{"x-key": secret}})
	if err != nil {
		t.Fatal(err)
	}
	if a := send(t, t.Context(), p); a.Outcome != stream.Accepted || a.Err != nil {
		t.Errorf("got %+v", a)
	}
	if got := len(server.Records()); got != 3 {
		t.Errorf("the receiver holds %d records, want 3", got)
	}
}

// TestEcho: a server that is none of HTTP, and one that sends back what it got.
func TestEcho(t *testing.T) {
	for name, answer := range map[string]string{
		"no HTTP":         secret + "\r\n\r\n",
		"a bad length":    "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"a reason phrase": "HTTP/1.1 401 " + secret + "\r\nContent-Length: 0\r\n\r\n",
	} {
		raw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}))
		p, err := otlp.NewProtocol(otlp.Options{URL: raw.URL, Headers: map[string]string{"X-Key": secret}})
		if err != nil {
			t.Fatal(err)
		}
		a := send(t, t.Context(), p)
		if a.Err == nil || a.Outcome != stream.Unknown && a.Outcome != stream.Denied {
			t.Errorf("%s: got %+v", name, a)
		}
		wantQuiet(t, a.Err)
		raw.Close()
	}
}
