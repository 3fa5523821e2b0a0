package splunk_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load/splunk"
	"github.com/idtrail/idtrail/load/stream"
)

func TestOptions(t *testing.T) {
	const good = "https://splunk.example:8088"
	tests := map[string]struct {
		url, token, ca string
		ok             bool
	}{
		"host":              {url: good, ok: true},
		"path":              {url: good + "/services/collector", ok: true},
		"whole path":        {url: good + "/services/collector/event", ok: true},
		"behind a prefix":   {url: good + "/hec/services/collector/", ok: true},
		"plain, here":       {url: "http://127.0.0.1:8088", ok: true},
		"plain, here, v6":   {url: "http://[::1]:8088", ok: true},
		"plain, localhost":  {url: "http://localhost:8088", ok: true},
		"plain, elsewhere":  {url: "http://splunk.example:8088"},
		"no scheme":         {url: "splunk.example:8088"},
		"another scheme":    {url: "ftp://splunk.example"},
		"nothing":           {url: " "},
		"user and password": {url: "https://x:" + token + "@splunk.example"},
		"token in query":    {url: good + "?token=" + token},
		"odd and secret":    {url: "https://x:" + token + "@%zz"},
		"no token":          {url: good, token: "-"},
		"line end in token": {url: good, token: token + "\n"},
		"no certificate":    {url: good, ca: "nonsense"},
	}
	for name, tt := range tests {
		o := splunk.Options{URL: tt.url, Token: token, CAPEM: []byte(tt.ca)}
		if tt.token != "" {
			o.Token = strings.Trim(tt.token, "-")
		}
		_, err := splunk.New(o)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want ok %v", name, err, tt.ok)
		}
		wantNoToken(t, err)
	}
}

// What a request is: one call, to the right path, with what HEC reads.
func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(z); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"text":"Success","code":0,"ackId":7}`))}, nil
	})
	for _, url := range []string{"https://h:1/p", "https://h:1/p/services/collector", "https://h:1/p/services/collector/event/1.0/"} {
		for _, ack := range []bool{false, true} {
			s := newSink(t, func(o *splunk.Options) { o.URL, o.Ack, o.Transport = url, ack, transport })
			r := stream.Request{Body: []byte(`{"event":"a"}`), Entries: 1}
			if ack {
				r.Channel = "c"
			}
			a := s.Protocol().Send(t.Context(), r)
			if a.Outcome != stream.Accepted || a.Err != nil || ack && a.Receipt != 7 {
				t.Errorf("got %+v", a)
			}
			if got.URL.String() != "https://h:1/p/services/collector/event" || string(body) != `{"event":"a"}` {
				t.Errorf("%s: sent %s to %s", url, body, got.URL)
			}
			if got.Method != http.MethodPost || got.Header.Get("Authorization") != "Splunk "+token || got.Header.Get("X-Splunk-Request-Channel") != r.Channel {
				t.Errorf("sent %s with %v", got.Method, got.Header)
			}
		}
	}
}

func TestChannels(t *testing.T) {
	p, ok := newSink(t, func(o *splunk.Options) { o.Ack = true }).Protocol().(stream.Acknowledger)
	if !ok {
		t.Fatal("with ack, it acknowledges nothing")
	}
	a, b := p.Channel(), p.Channel()
	if a == b || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a) {
		t.Errorf("got channels %s and %s, want two random GUIDs", a, b)
	}
	if _, ok := newSink(t, nil).Protocol().(stream.Acknowledger); ok {
		t.Error("without ack, it waits for acknowledgements")
	}
}

// What an answer says, and which wait it asks for. None of it is shown, for
// each echoes the token.
func TestAnswers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]struct {
		status  int
		body    string
		header  [2]string
		outcome stream.Outcome
		wait    time.Duration
		says    string
	}{
		"success":                    {status: 200, body: `{"text":"Success","code":0}`, outcome: stream.Accepted},
		"no body":                    {status: 200, outcome: stream.Accepted},
		"fluent-bit":                 {status: 200, body: `{"text":"Success","code":200}`, outcome: stream.Accepted},
		"nearly full":                {status: 200, body: `{"code":24}`, outcome: stream.Accepted, wait: time.Second},
		"acknowledgements so":        {status: 200, body: `{"code":25}`, outcome: stream.Accepted, wait: time.Second},
		"a web page":                 {status: 200, header: [2]string{"Content-Type", "text/html; charset=utf-8"}, outcome: stream.Denied, says: "web page"},
		"seconds":                    {status: 503, header: [2]string{"Retry-After", "17"}, outcome: stream.Busy, wait: 17 * time.Second},
		"a date":                     {status: 429, body: `{"code":26}`, header: [2]string{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat)}, outcome: stream.Busy, wait: time.Minute, says: "code 26"},
		"a past date":                {status: 503, header: [2]string{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat)}, outcome: stream.Busy},
		"negative":                   {status: 503, header: [2]string{"Retry-After", "-5"}, outcome: stream.Busy},
		"nonsense":                   {status: 503, header: [2]string{"Retry-After", token}, outcome: stream.Busy},
		"denied, echoed":             {status: 401, body: "invalid token " + token, outcome: stream.Denied, says: "check token"},
		"denied, with a code":        {status: 403, body: `{"text":"` + token + `","code":4}`, outcome: stream.Denied, says: "invalid token"},
		"index":                      {status: 400, body: `{"code":7}`, outcome: stream.Denied, says: "set index"},
		"code as text":               {status: 400, body: `{"text":"x","code":"` + token + `"}`, outcome: stream.Denied},
		"an unknown code":            {status: 400, body: `{"code":99}`, outcome: stream.Refused, says: "code 99"},
		"poison":                     {status: 400, body: `{"code":15,"invalid-event-number":3}`, outcome: stream.Refused, says: "indexed fields"},
		"not the collector":          {status: 400, body: "<html>plain HTTP request sent to HTTPS port", outcome: stream.Denied, says: "https"},
		"too large":                  {status: 413, body: "<html>", outcome: stream.TooLarge, says: "max_request"},
		"no gzip":                    {status: 415, outcome: stream.Denied, says: "gzip"},
		"elsewhere":                  {status: 307, header: [2]string{"Location", "https://elsewhere.example/" + token}, outcome: stream.Denied, says: "set url"},
		"its own trouble":            {status: 500, body: `{"code":8}`, outcome: stream.Unknown},
		"a gateway":                  {status: 504, outcome: stream.Unknown},
		"shutting down":              {status: 503, body: `{"code":23}`, outcome: stream.Busy, says: "shutting down"},
		"a status nobody knows":      {status: 799, body: token, outcome: stream.Unknown},
		"a code with another status": {status: 503, body: `{"code":4}`, outcome: stream.Busy},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			calls := 0
			s := newSink(t, func(o *splunk.Options) {
				o.Now = func() time.Time { return now }
				o.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
					calls++
					h := http.Header{}
					if tt.header[0] != "" {
						h.Set(tt.header[0], tt.header[1])
					}
					return &http.Response{StatusCode: tt.status, Status: token, Header: h, Body: io.NopCloser(strings.NewReader(tt.body))}, nil
				})
			})
			a := s.Protocol().Send(t.Context(), stream.Request{Body: []byte("{}"), Entries: 1})
			if a.Outcome != tt.outcome || a.Wait != tt.wait || (a.Err == nil) != (a.Outcome == stream.Accepted) {
				t.Errorf("got %+v, want outcome %v and wait %v", a, tt.outcome, tt.wait)
			}
			if !strings.Contains(fmt.Sprint(a.Err), tt.says) {
				t.Errorf("got %v, want it to say %q", a.Err, tt.says)
			}
			if calls != 1 {
				t.Errorf("%d calls, want 1: who calls Send tries again", calls)
			}
			wantNoToken(t, a.Err)
		})
	}
}

// Every code is explained.
func TestEveryCodeIsExplained(t *testing.T) {
	for n := range 28 {
		hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {}}})
		hec.SetFault(func(fake.Call) *fake.HECFault { return &fake.HECFault{Code: n} })
		s := newSink(t, func(o *splunk.Options) { o.Transport = fake.Transport(hec) })
		a := s.Protocol().Send(t.Context(), stream.Request{Body: []byte(`{"event":"a"}`), Entries: 1})
		if a.Outcome == stream.Accepted {
			continue
		}
		if !strings.Contains(a.Err.Error(), fmt.Sprintf("code %d (", n)) {
			t.Errorf("code %d: got %v", n, a.Err)
		}
	}
}

// With acknowledgement, an answer of which the receipt cannot be read is none.
func TestReceiptLost(t *testing.T) {
	hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {Ack: true}}})
	hec.SetFault(func(fake.Call) *fake.HECFault {
		return &fake.HECFault{Fault: fake.Fault{Truncate: 12}, Taken: true}
	})
	s := newSink(t, func(o *splunk.Options) { o.Ack, o.Transport = true, fake.Transport(hec) })
	p, _ := s.Protocol().(stream.Acknowledger)
	a := p.Send(t.Context(), stream.Request{Body: []byte(`{"event":"a"}`), Entries: 1, Channel: p.Channel()})
	if a.Outcome != stream.Unknown || hec.Taken() != 1 {
		t.Errorf("got %+v", a)
	}
}

// Without an answer there is none, in our own words, and to who asks for
// acknowledgements a receiver that is not trusted has denied them.
func TestNoAnswer(t *testing.T) {
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+token+"\r\n\r\n")
		_ = c.Close()
	}))
	t.Cleanup(odd.Close)
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tests := map[string]struct {
		url, says string
		want      stream.Outcome
	}{
		"not HTTP":      {odd.URL, "cut", stream.Unknown},
		"unknown issue": {tls.URL, "ca_file", stream.Denied},
		"nobody there":  {closed.URL, "refused", stream.Busy},
	}
	for name, tt := range tests {
		s := newSink(t, func(o *splunk.Options) { o.URL, o.Ack = tt.url, true })
		p, _ := s.Protocol().(stream.Acknowledger)
		a := p.Send(t.Context(), stream.Request{Body: []byte("{}"), Entries: 1})
		_, err := p.Ask(t.Context(), p.Channel(), []int64{0})
		if a.Outcome != tt.want || errors.Is(err, stream.ErrDenied) != (tt.want == stream.Denied) {
			t.Errorf("%s: got %+v, want outcome %v; asked, %v", name, a, tt.want, err)
		}
		for _, err := range []error{a.Err, err, s.Check(t.Context(), false)} {
			if !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("%s: got %v, want it to say %q", name, err, tt.says)
			}
			wantNoToken(t, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	hec := fake.NewHEC(fake.HECOptions{})
	s := newSink(t, func(o *splunk.Options) { o.Transport = fake.Transport(hec) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := s.Protocol().Send(ctx, stream.Request{Body: []byte("{}"), Entries: 1})
	if a.Outcome != stream.Unknown || !errors.Is(a.Err, context.Canceled) {
		t.Errorf("got %+v", a)
	}
}

func TestCAFile(t *testing.T) {
	hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {}}})
	server := httptest.NewTLSServer(hec)
	t.Cleanup(server.Close)
	s := newSink(t, func(o *splunk.Options) {
		o.URL = server.URL
		o.CAPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	})
	if err := s.Check(t.Context(), true); err != nil || hec.Taken() != 1 {
		t.Errorf("got %v and %d events", err, hec.Taken())
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		ack   bool
		token fake.HECToken
		fault func(fake.Call) *fake.HECFault
		write bool
		says  string // "" for no error
		taken int
	}{
		"good":                   {},
		"good, with ack":         {ack: true, token: fake.HECToken{Ack: true}},
		"good, written":          {write: true, taken: 1},
		"good, with ack, too":    {ack: true, token: fake.HECToken{Ack: true}, write: true, taken: 1},
		"token is disabled":      {token: fake.HECToken{Disabled: true}, says: "enable the token"},
		"token has ack":          {token: fake.HECToken{Ack: true}, write: true, says: "set ack: on"},
		"token has none":         {ack: true, says: "set ack: off"},
		"index not allowed":      {token: fake.HECToken{Indexes: []string{"main"}}, write: true, says: "set index"},
		"index, nothing written": {token: fake.HECToken{Indexes: []string{"main"}}},
		"unhealthy":              {fault: fake.OnHEC(fake.HECHealthPath, &fake.HECFault{Code: 18}), says: "queues are full"},
		"no collector":           {fault: fake.OnHEC(fake.HECHealthPath, &fake.HECFault{Fault: fake.Fault{Status: 404}}), says: "no collector at that path"},
		"bad token":              {fault: fake.OnHEC(fake.HECEventPath, &fake.HECFault{Code: 4}), says: "check token"},
		"token echoed":           {fault: fake.OnHEC(fake.HECEventPath, &fake.HECFault{Fault: fake.Fault{Status: 401, Body: token}}), says: "check token"},
		"no answer":              {fault: fake.OnHEC(fake.HECHealthPath, &fake.HECFault{Fault: fake.Fault{Drop: true}}), says: "cut"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: tt.token}, Fault: tt.fault})
			s := newSink(t, func(o *splunk.Options) { o.Ack, o.Index, o.Transport = tt.ack, "identity", fake.Transport(hec) })
			err := s.Check(t.Context(), tt.write)
			if (err != nil) != (tt.says != "") || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			wantNoToken(t, err)
			if hec.Taken() != tt.taken {
				t.Errorf("%d events were stored, want %d", hec.Taken(), tt.taken)
			}
			for _, e := range hec.Events() {
				if e.Sourcetype != splunk.SourcetypeSelf || !strings.Contains(string(e.Event), `"activity":"check"`) {
					t.Errorf("stored %+v", e)
				}
			}
		})
	}
}
