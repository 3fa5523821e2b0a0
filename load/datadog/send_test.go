package datadog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/stream"
)

// silent fails the test if an error holds the key.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, form := range []string{"%v", "%+v", "%#v"} {
		if strings.Contains(fmt.Sprintf(form, err), secretKey) {
			t.Errorf("the error holds the key: %v", err)
		}
	}
}

const body = `[{"message":"a <b> & \u2028 ü"}]`

// The body goes out as it is, compressed once, with the key in its header.
func TestRequest(t *testing.T) {
	var got *http.Request
	var sent []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		got = r
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"": "/api/v2/logs", "/": "/api/v2/logs", "/insert/datadog": "/insert/datadog/api/v2/logs", "/p/api/v2/logs": "/p/api/v2/logs",
	} {
		o := options()
		o.Site, o.URL = "", server.URL+path
		answer := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1})
		if answer != (stream.Answer{}) {
			t.Fatalf("got %+v", answer)
		}
		if got.Method != http.MethodPost || got.URL.String() != want {
			t.Errorf("%s: got %s %s, want %s", path, got.Method, got.URL, want)
		}
	}
	for name, want := range map[string]string{
		"Dd-Api-Key": secretKey, "Content-Type": "application/json", "Content-Encoding": "gzip",
	} {
		if value := got.Header.Values(name); len(value) != 1 || value[0] != want {
			t.Errorf("%s: got %q, want %q", name, value, want)
		}
	}
	if !strings.HasPrefix(got.UserAgent(), "idtrail ") {
		t.Errorf("got user agent %q", got.UserAgent())
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	if plain, _ := io.ReadAll(unpacked); string(plain) != body {
		t.Errorf("got body %q, want %q", plain, body)
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[int]stream.Outcome{
		202: stream.Accepted, 400: stream.Refused, 413: stream.TooLarge,
		301: stream.Denied, 308: stream.Denied, 401: stream.Denied, 402: stream.Denied, 403: stream.Denied,
		404: stream.Denied, 405: stream.Denied, 407: stream.Denied, 415: stream.Denied, 501: stream.Denied,
		408: stream.Busy, 429: stream.Busy, 503: stream.Busy, 500: stream.Unknown, 520: stream.Unknown,
	} {
		calls := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("X-RateLimit-Reset", "7")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<html>%s is not JSON", r.Header.Get("Dd-Api-Key"))
		}))
		o := options()
		o.Site, o.URL = "", server.URL
		got := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1})
		server.Close()
		if got.Outcome != want || (got.Err == nil) != (want == stream.Accepted) {
			t.Errorf("%d: got %+v, want %v", status, got, want)
		}
		if wait := map[bool]time.Duration{true: 7 * time.Second}[want == stream.Busy || want == stream.Unknown]; got.Wait != wait {
			t.Errorf("%d: got wait %v, want %v", status, got.Wait, wait)
		}
		if calls != 1 {
			t.Errorf("%d: %d calls for one request", status, calls)
		}
		if want == stream.Denied && status != 407 && !strings.Contains(got.Err.Error(), "sink dd") {
			t.Errorf("%d: %v does not say where to look", status, got.Err)
		}
		silent(t, got.Err)
	}
}

func TestWaitAsked(t *testing.T) {
	for name, test := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":        {http.Header{}, 0},
		"reset":       {http.Header{"X-Ratelimit-Reset": {"12"}, "Retry-After": {"99"}}, 12 * time.Second},
		"retry after": {http.Header{"Retry-After": {"3"}}, 3 * time.Second},
		"nonsense":    {http.Header{"X-Ratelimit-Reset": {"soon"}, "Retry-After": {"-4"}}, 0},
		"overflow":    {http.Header{"X-Ratelimit-Reset": {"99999999999999999999"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey, Lost: func(fake.Call) *fake.Fault {
				return &fake.Fault{Status: http.StatusTooManyRequests, Header: test.header}
			}})
			o := options()
			o.Transport = fake.Transport(d)
			got := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1})
			if got.Outcome != stream.Busy || got.Wait != test.want {
				t.Errorf("got %+v, want wait %v", got, test.want)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	raw := func(answer string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 1<<16))
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}
		}()
		return "http://" + l.Addr().String()
	}
	secure := httptest.NewUnstartedServer(fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	secure.StartTLS()
	defer secure.Close()
	for name, test := range map[string]struct {
		url  string
		want stream.Outcome
		text string
	}{
		"refused":           {"http://" + closed.Addr().String(), stream.Busy, "connection refused"},
		"odd status":        {raw("HTTP/1.1 " + secretKey + " no\r\n\r\n"), stream.Unknown, "cut"},
		"accepted, cut off": {raw("HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"), stream.Accepted, ""},
		"unknown signer":    {secure.URL, stream.Denied, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Site, o.URL = "", test.url
			got := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1})
			if got.Outcome != test.want || (got.Err == nil) != (test.text == "") {
				t.Fatalf("got %+v, want %v", got, test.want)
			}
			if got.Err != nil && !strings.Contains(got.Err.Error(), test.text) {
				t.Errorf("got %v, want %q in it", got.Err, test.text)
			}
			silent(t, got.Err)
		})
	}
	t.Run("signer in the CA file", func(t *testing.T) {
		o := options()
		o.Site, o.URL = "", secure.URL
		o.CAPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
		if got := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1}); got.Outcome != stream.Accepted {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHangAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey, Lost: func(fake.Call) *fake.Fault { return &fake.Fault{Hang: true} }})
		o := options()
		o.Transport, o.Timeout = fake.Transport(d), 20*time.Second
		begin := time.Now()
		got := protocol(t, o).Send(t.Context(), stream.Request{Body: []byte(body), Entries: 1})
		if took := time.Since(begin); got.Outcome != stream.Unknown || took != o.Timeout {
			t.Errorf("got %+v after %v", got, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got = protocol(t, o).Send(ctx, stream.Request{Body: []byte(body), Entries: 1})
		if !errors.Is(got.Err, context.DeadlineExceeded) || got.Outcome != stream.Unknown {
			t.Errorf("got %+v, want %v", got, context.DeadlineExceeded)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*datadog.Options)
		text   string
	}{
		"no place":          {func(o *datadog.Options) { o.Site = "" }, "either a site or a url"},
		"two places":        {func(o *datadog.Options) { o.URL = "https://a" }, "either a site or a url"},
		"unknown site":      {func(o *datadog.Options) { o.Site = "app.datadoghq.eu" }, "none of datadoghq.com"},
		"plain http":        {func(o *datadog.Options) { o.Site, o.URL = "", "http://10.0.0.1" }, "loopback"},
		"user in url":       {func(o *datadog.Options) { o.Site, o.URL = "", "https://u:"+secretKey+"@a" }, "a user"},
		"key in url":        {func(o *datadog.Options) { o.Site, o.URL = "", "https://a?k="+secretKey }, "a query"},
		"unreadable url":    {func(o *datadog.Options) { o.Site, o.URL = "", "https://"+secretKey+"\x7f" }, "of the form"},
		"no key":            {func(o *datadog.Options) { o.APIKey = " \n" }, "api_key is empty"},
		"two keys":          {func(o *datadog.Options) { o.APIKey = secretKey + "\n" + secretKey }, "no key has"},
		"key with umlaut":   {func(o *datadog.Options) { o.APIKey = secretKey + "ü" }, "no key has"},
		"no certificate":    {func(o *datadog.Options) { o.CAPEM = []byte("x") }, "no certificate"},
		"tag of no key":     {func(o *datadog.Options) { o.Tags = map[string]string{"1a": "b"} }, "begin with a letter"},
		"tag key and colon": {func(o *datadog.Options) { o.Tags = map[string]string{"a:b": "b"} }, "no colon"},
		"too_old":           {func(o *datadog.Options) { o.TooOld = "drop" }, "too_old"},
	} {
		o := options()
		test.change(&o)
		_, err := datadog.New(o)
		if err == nil || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), "sink dd") {
			t.Errorf("%s: got %v, want %q in it", name, err, test.text)
		}
		silent(t, err)
	}
}

func TestSites(t *testing.T) {
	for _, site := range datadog.Sites() {
		o := options()
		o.Site, o.APIKey = site, secretKey+"\n"
		s, err := datadog.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := datadog.LogsURL(s), "https://http-intake.logs."+site+"/api/v2/logs"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := datadog.APIURL(s), "https://api."+site; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if len(datadog.Sites()) < 9 {
		t.Errorf("got sites %v", datadog.Sites())
	}
}
