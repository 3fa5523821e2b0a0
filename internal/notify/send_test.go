package notify_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/notify"
)

// hostile is what a stranger may have brought into a text.
const hostile = "<!channel> <@U1> @everyone [click](https://evil.example/) http://evil.example www.evil.example **b** `x`\x1b[31m\r\nBcc: x@evil.example\u202e"

func message() notify.Message {
	return notify.Message{
		Title: "idtrail: trouble: 1 new",
		Lines: []string{"FAILURE: source acme failed: " + notify.Plain("odd & "+hostile) + ". To do: see the log"},
		News: []notify.News{{
			Kind: notify.Failure, Of: "source/acme", State: notify.IsNew, Since: noon, Text: notify.Plain("source acme failed: " + hostile), Do: "see the log",
		}},
		From: "s3://acme-idtrail/lake", At: noon,
	}
}

// senders are those that post.
func senders(t *testing.T, url string) map[string]notify.Sender {
	t.Helper()
	c := client(t)
	return map[string]notify.Sender{
		"slack":   notify.Slack{URL: url, Client: c},
		"teams":   notify.Teams{URL: url, Client: c},
		"webhook": notify.Webhook{URL: url, Authorization: "Bearer " + secret, Client: c},
	}
}

var update = flag.Bool("update", false, "write the golden files")

// TestForms: what each receiver is sent, to the letter.
func TestForms(t *testing.T) {
	for _, kind := range []string{"slack", "teams", "webhook"} {
		t.Run(kind, func(t *testing.T) {
			r := newReceiver(t)
			if kind == "teams" {
				r.status = http.StatusAccepted
			}
			if err := senders(t, r.url())[kind].Send(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
			got := r.calls[0]
			if got.method != http.MethodPost || got.path != "/services/"+secret || got.query != "sig="+secret || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
				t.Errorf("got %s %s?%s as %s", got.method, got.path, got.query, got.header.Get("Content-Type"))
			}
			if want := map[string]string{"webhook": "Bearer " + secret}[kind]; got.header.Get("Authorization") != want {
				t.Errorf("got authorization %q, want %q", got.header.Get("Authorization"), want)
			}
			var body any
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(body, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, kind+".json", string(text)+"\n")
			harmless(t, got.body)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// harmless wants nothing in a body that a chat makes something of.
func harmless(t *testing.T, body string) {
	t.Helper()
	for _, bad := range []string{"<!", "<@", "\\u003c!", "\\u003c@", "@everyone", "@channel", "](", "http://evil", "https://evil", "www.evil", "**", "\\u001b", "\u202e"} {
		if strings.Contains(body, bad) {
			t.Errorf("the body holds %q:\n%s", bad, body)
		}
	}
}

// TestAnswers: what a receiver says is judged by its status, followed nowhere, and
// shown to nobody.
func TestAnswers(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 202: "", 204: "",
		302: "answered 302 Found, which is not followed", 307: "answered 307",
		400: "answered 400 Bad Request", 401: "answered 401 Unauthorized: is its address still right?",
		404: "answered 404 Not Found: is its address still right?", 410: "answered 410 Gone: is", 429: "answered 429", 500: "answered 500", 503: "answered 503",
	} {
		r := newReceiver(t)
		r.status = status
		for kind, s := range senders(t, r.url()) {
			r.calls = nil
			err := s.Send(t.Context(), message())
			silent(t, err)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, %d: got %v, want %q", kind, status, err, want)
			}
			if len(r.calls) != 1 {
				t.Errorf("%s, %d: got %d calls, want 1", kind, status, len(r.calls))
			}
		}
	}
}

// TestNoAnswer: nobody there, and somebody who hangs.
func TestNoAnswer(t *testing.T) {
	closed := newReceiver(t)
	closed.Close()
	for kind, s := range senders(t, closed.url()) {
		err := s.Send(t.Context(), message())
		silent(t, err)
		if err == nil || !strings.Contains(err.Error(), "no connection to the receiver") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
	hangs := newReceiver(t)
	hangs.mu.Lock() // it reads and never answers
	defer hangs.mu.Unlock()
	for kind, s := range senders(t, hangs.url()) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := s.Send(ctx, message())
		cancel()
		silent(t, err)
		if err == nil {
			t.Errorf("%s: got no error of a receiver that hangs", kind)
		}
	}
	hangs.CloseClientConnections()
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"as it is, ünïcode and all": "as it is, ünïcode and all",
		"two\r\nlines\tand a tab":   "two  lines and a tab",
		"\x1b[31mred\x00\u202e":     "[31mred",
		"a@b.example <c>":           "a(at)b.example (c)",
		"[x](https://e.example)":    "[x] (https[:]//e.example)",
		strings.Repeat("ä", 400):    strings.Repeat("ä", 299) + "…",
	} {
		if got := notify.Plain(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	for _, tt := range []struct {
		name        string
		start, fail bool
		failed      bool
		want        string
	}{
		{"well", true, true, false, "/services/" + secret + "/start /services/" + secret},
		{"badly", true, true, true, "/services/" + secret + "/start /services/" + secret + "/fail"},
		{"without a start", false, true, true, "/services/" + secret + "/fail"},
		{"without a failure", false, false, true, ""},
		{"a plain one", false, false, false, "/services/" + secret},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t)
			h := notify.Heartbeat{URL: r.url(), Start: tt.start, Fail: tt.fail, Client: client(t)}
			if err := h.Begun(t.Context()); err != nil {
				t.Error(err)
			}
			if err := h.Ended(t.Context(), tt.failed, "partly: 1 gap declared"); err != nil {
				t.Error(err)
			}
			var paths []string
			for _, c := range r.calls {
				paths = append(paths, c.path)
				if c.query != "sig="+secret {
					t.Errorf("got query %q", c.query)
				}
			}
			if got := strings.Join(paths, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if n := len(r.calls); n > 0 && r.calls[n-1].body != "partly: 1 gap declared" {
				t.Errorf("got body %q", r.calls[n-1].body)
			}
		})
	}
	r := newReceiver(t)
	r.status = http.StatusNotFound
	err := notify.Heartbeat{URL: r.url(), Client: client(t)}.Ended(t.Context(), false, "")
	silent(t, err)
	if err == nil || err.Error() != "ping heartbeat: the receiver answered 404 Not Found: is its address still right?" {
		t.Errorf("got %v", err)
	}
}
