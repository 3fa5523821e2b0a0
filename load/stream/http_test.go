package stream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/load/stream"
)

const secret = "s3cr3t-t0k3n"

func newClient(t *testing.T, o stream.ClientOptions) *http.Client {
	t.Helper()
	c, err := stream.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// post makes a call of which no answer is expected.
func post(t *testing.T, c *http.Client, url string) stream.Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return stream.Unanswered(t.Context(), err)
	}
	_ = resp.Body.Close()
	t.Errorf("%s: answered %d", url, resp.StatusCode)
	return stream.Answer{}
}

// secure is a server with TLS that keeps what it has to say to itself.
func secure(t *testing.T, conf *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.TLS = conf
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// talk answers every connection with a text and ends it.
func talk(t *testing.T, text string) (host string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-served })
	go func() { // ends when the listener is closed
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<16))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestUnanswered(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	ours := secure(t, nil)
	for name, test := range map[string]struct {
		url  string
		ca   []byte
		want stream.Outcome
		says string
	}{
		"nothing listens":         {url: closed.URL, want: stream.Busy, says: "connection refused"},
		"no such name":            {url: "https://receiver.invalid", want: stream.Busy, says: "name cannot be resolved"},
		"unknown signer":          {url: ours.URL, want: stream.Denied, says: "ca_file"},
		"another name":            {url: strings.Replace(ours.URL, "127.0.0.1", "localhost", 1), ca: pemOf(ours), want: stream.Denied, says: "another name"},
		"no TLS":                  {url: "https://" + talk(t, secret+"\r\n\r\n"), want: stream.Denied, says: "does not speak TLS"},
		"HTTP, where TLS belongs": {url: "https://" + talk(t, "HTTP/1.1 400 "+secret+"\r\n\r\n"), want: stream.Denied, says: "does not speak TLS"},
		"cut in TLS":              {url: "https://" + talk(t, ""), want: stream.Unknown, says: "cut"},
		"cut":                     {url: "http://" + talk(t, ""), want: stream.Unknown, says: "cut"},
		"no HTTP":                 {url: "http://" + talk(t, secret+" "+secret+"\r\n\r\n"), want: stream.Unknown, says: "cut"},
		"a bad status":            {url: "http://" + talk(t, "HTTP/1.1 "+secret+" no\r\n\r\n"), want: stream.Unknown, says: "cut"},
		"a bad header":            {url: "http://" + talk(t, "HTTP/1.1 202 Accepted\r\n"+secret+"\r\n\r\n"), want: stream.Unknown, says: "cut"},
		"a bad length":            {url: "http://" + talk(t, "HTTP/1.1 200 OK\r\nContent-Length: "+secret+"\r\n\r\n"), want: stream.Unknown, says: "cut"},
		"a bad encoding":          {url: "http://" + talk(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+secret+"\r\n\r\n"), want: stream.Unknown, says: "cut"},
		"wants a certificate": {
			url: secure(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert}).URL, ca: pemOf(ours), want: stream.Unknown, says: "certificate required",
		},
		"an old TLS": {
			url: secure(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).URL, ca: pemOf(ours), want: stream.Unknown, says: "protocol version",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := post(t, newClient(t, stream.ClientOptions{CAPEM: test.ca}), test.url)
			wantNone(t, got, test.want, test.says)
		})
	}
}

func wantNone(t *testing.T, got stream.Answer, want stream.Outcome, says string) {
	t.Helper()
	if got.Outcome != want || got.Err == nil || !strings.Contains(got.Err.Error(), says) {
		t.Errorf("got %+v, want outcome %v that says %q", got, want, says)
	}
	for _, form := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(form, got.Err); strings.Contains(text, secret) {
			t.Errorf("the error shows what was received: %s", text)
		}
	}
}

// Behind a proxy that does not let it through, the receiver has nothing, and
// nobody is shown the proxy's words.
func TestProxy(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	answers := func(status string) string {
		return "http://" + talk(t, "HTTP/1.1 "+status+" "+secret+"\r\nContent-Length: 0\r\n\r\n")
	}
	for name, test := range map[string]struct {
		proxy string
		want  stream.Outcome
		says  string
	}{
		"not there":        {closed.URL, stream.Busy, "HTTPS_PROXY"},
		"wants a password": {answers("407"), stream.Denied, "password"},
		"forbids":          {answers("403"), stream.Denied, "answered 403"},
		"odd":              {answers("400"), stream.Denied, "answered 400"},
		"overloaded":       {answers("503"), stream.Busy, "answered 503"},
		"reaches nobody":   {answers("502"), stream.Busy, "answered 502"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, stream.ClientOptions{})
			at, err := url.Parse(test.proxy)
			if err != nil {
				t.Fatal(err)
			}
			c.Transport.(*http.Transport).Proxy = http.ProxyURL(at) // the environment is read once a process
			wantNone(t, post(t, c, "https://receiver.invalid"), test.want, test.says)
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What hangs is given up after the time that is configured, or with the caller.
func TestGivenUp(t *testing.T) {
	hang := roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	for timeout, want := range map[time.Duration]time.Duration{0: stream.DefaultTimeout, 5 * time.Second: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			got := post(t, newClient(t, stream.ClientOptions{Transport: hang, Timeout: timeout}), "https://receiver.invalid")
			wantNone(t, got, stream.Unknown, "in time")
			if took := time.Since(begin); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := stream.Unanswered(ctx, errors.New(secret)); got.Outcome != stream.Unknown || !errors.Is(got.Err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
}

// The certificates of ca_file come beside the system's, over HTTP/2 too.
func TestTrust(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c := newClient(t, stream.ClientOptions{CAPEM: pemOf(server)})
	resp, err := c.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer stream.Drain(resp.Body)
	if resp.ProtoMajor != 2 {
		t.Errorf("spoke %s", resp.Proto)
	}
	want, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	want.AppendCertsFromPEM(pemOf(server))
	if got := c.Transport.(*http.Transport).TLSClientConfig.RootCAs; !got.Equal(want) {
		t.Error("does not trust the system's certificates and this one")
	}
	if _, err := stream.NewClient(stream.ClientOptions{CAPEM: []byte(secret)}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v for no certificate", err)
	}
}

func TestNoRedirect(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	resp, err := newClient(t, stream.ClientOptions{}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer stream.Drain(resp.Body)
	if resp.StatusCode != http.StatusTemporaryRedirect || calls != 1 {
		t.Errorf("got %d after %d calls", resp.StatusCode, calls)
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://receiver.example":         "",
		"https://receiver.example:8088/a":  "",
		"https://receiver.example/?a=b":    "",
		"http://localhost:4318":            "",
		"http://LOCALHOST":                 "",
		"http://127.9.9.9":                 "",
		"http://[::1]:80/":                 "",
		"":                                 "of the form",
		"receiver.example:8088":            "of the form",
		"https://":                         "of the form",
		"https://:8088":                    "of the form",
		"/" + secret:                       "of the form",
		"https://[::1/" + secret:           "of the form",
		"https://" + secret + "\x7f":       "of the form",
		"https://u:" + secret + "@a":       "a user",
		"https://a/#" + secret:             "fragment",
		"grpc://receiver.example":          "neither",
		"http://receiver.example":          "use https",
		"http://10.0.0.1":                  "use https",
		"http://localhost.evil.example":    "use https",
		"http://127.0.0.1.evil.example:80": "use https",
	} {
		u, err := stream.ParseURL(text)
		if want == "" && (err != nil || u.Hostname() == "") {
			t.Errorf("%q: got %v", text, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	for want, list := range map[stream.Outcome][]int{
		stream.Accepted: {200, 202, 204, 299},
		stream.Refused:  {400, 422},
		stream.TooLarge: {413},
		stream.Busy:     {408, 425, 429, 503},
		stream.Unknown:  {500, 502, 504, 507, 520, 529, 599, 799},
		stream.Denied:   {100, 199, 300, 301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415, 418, 431, 501, 505},
	} {
		for _, status := range list {
			if got := stream.OutcomeOf(status); got != want {
				t.Errorf("%d: got %v, want %v", status, got, want)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-3": 0, "soon": 0, secret: 0, "1.5": 0,
		"99999999999999999999": (1<<31 - 1) * time.Second, "-99999999999999999999": 0,
		"Fri, 20 Nov 2026 12:01:30 GMT": 90 * time.Second, "Fri, 20 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := stream.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestCompress(t *testing.T) {
	var c stream.Compressor
	first := c.Compress([]byte("a body"))
	for want, parts := range map[string][][]byte{"": nil, "head and body": {[]byte("head"), nil, []byte(" and body")}} {
		r, err := gzip.NewReader(bytes.NewReader(c.Compress(parts...)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	}
	if !bytes.Equal(first, c.Compress([]byte("a body"))) {
		t.Error("what was compressed before was written over")
	}
}
