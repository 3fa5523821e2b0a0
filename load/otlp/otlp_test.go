package otlp_test

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/otlp"
)

func certificate(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestSink(t *testing.T) {
	loadtest.Run(t, loadtest.Harness{
		Takes: func(r load.Row) bool { return r.Event != nil },
		Open: func(t *testing.T) loadtest.Destination {
			server := fake.NewOTLP(fake.OTLPOptions{})
			return loadtest.Destination{
				Sink: open(t, server),
				Kept: func(*testing.T) []string {
					var keys []string
					for _, rec := range server.Records() {
						uid := rec.Body.(map[string]any)["metadata"].(map[string]any)["uid"].(string)
						keys = append(keys, "event "+uid)
					}
					return keys
				},
				Break: func(broken bool) {
					server.SetFault(func(fake.OTLPCall) *fake.OTLPFault {
						if !broken {
							return nil
						}
						return &fake.OTLPFault{Fault: fake.Fault{Status: 503}}
					})
				},
			}
		},
	})
}

// open makes a sink on a receiver in this process, that packs few events into a
// request and waits for moments only.
func open(t *testing.T, server *fake.OTLP) *otlp.Sink {
	t.Helper()
	o := otlp.Options{
		Name: "col", URL: "https://otel.example:4318", Headers: map[string]string{"Authorization": "Bearer " + secret},
		Transport: fake.Transport(server), Now: time.Now,
	}
	o.Stream.MaxEntries, o.Stream.Wait, o.Stream.MaxWait = 7, time.Millisecond, time.Millisecond
	s, err := otlp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		options otlp.Options
		want    string
	}{
		"no url":                {otlp.Options{}, "not of the form"},
		"a password":            {otlp.Options{URL: "https://user:" + secret + "@otel.example"}, "a user or a password"},
		"plain http":            {otlp.Options{URL: "http://otel.example:4318"}, "use https"},
		"a header's name":       {otlp.Options{URL: "https://otel.example", Headers: map[string]string{"A B": secret}}, "no name of a header"},
		"a header's value":      {otlp.Options{URL: "https://otel.example", Headers: map[string]string{"X-Key": secret + "\r\nX: y"}}, "line break"},
		"a header of ours":      {otlp.Options{URL: "https://otel.example", Headers: map[string]string{"content-type": secret}}, "by idtrail itself"},
		"no certificates in it": {otlp.Options{URL: "https://otel.example", CAPEM: []byte(secret)}, "no certificate"},
	} {
		test.options.Name = "col"
		_, err := otlp.New(test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "sink col") {
			t.Errorf("%s: got error %v, want %q in it", name, err, test.want)
		}
		wantQuiet(t, err)
	}
}

func TestURL(t *testing.T) {
	for url, path := range map[string]string{
		"https://otel.example":                  "/v1/logs",
		"https://otel.example:4318/":            "/v1/logs",
		"https://otel.example/v1/logs":          "/v1/logs",
		"https://otel.example/api/default":      "/api/default/v1/logs",
		"https://otel.example/api/v1/logs":      "/api/v1/logs",
		"http://localhost:4318/":                "/v1/logs",
		"http://127.9.9.9/":                     "/v1/logs",
		"http://[::1]:4318":                     "/v1/logs",
		"https://otel.example/in?token=in_path": "/in/v1/logs",
	} {
		server := fake.NewOTLP(fake.OTLPOptions{Path: path})
		s, err := otlp.New(otlp.Options{Name: "col", URL: url, Transport: fake.Transport(server)})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := s.Check(t.Context(), true); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestCheck(t *testing.T) {
	server := fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"Authorization": "Bearer " + secret}})
	if err := open(t, server).Check(t.Context(), false); err != nil {
		t.Errorf("check: %v", err)
	}
	if calls := server.Calls(); len(calls) != 1 || calls[0].Records != 0 || len(server.Records()) != 0 {
		t.Errorf("check made the calls %+v", calls)
	}
	other := fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"Authorization": "Bearer of another"}})
	err := open(t, other).Check(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "otel.example:4318") {
		t.Errorf("check with a wrong key: %v", err)
	}
	wantQuiet(t, err)
}
