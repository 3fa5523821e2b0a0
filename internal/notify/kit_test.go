package notify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/load/stream"
)

// secret stands in every address, and no error may hold it.
const secret = "t0ken-5ecret-77"

// receiver is a chat, a watcher or anything else that is posted to.
type receiver struct {
	*httptest.Server
	status int

	mu    sync.Mutex
	calls []call
}

type call struct {
	method, path, query string
	header              http.Header
	body                string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{q.Method, q.URL.Path, q.URL.RawQuery, q.Header, string(body)})
	if r.status/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(r.status)
	// A receiver that says too much: nothing of it may show.
	_, _ = io.WriteString(w, "you called "+q.URL.String()+" with "+q.Header.Get("Authorization"))
}

func (r *receiver) url() string { return r.URL + "/services/" + secret + "?sig=" + secret }

func client(t *testing.T) *http.Client {
	t.Helper()
	c, err := stream.NewClient(stream.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// silent wants an error that shows nothing of the address.
func silent(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), secret) || strings.Contains(e.Error(), "you called") {
			t.Errorf("the error shows what it should not: %v", e)
		}
	}
}

// noon is when tests happen.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// chat is a sender that remembers what it was given.
type chat struct {
	err error

	mu       sync.Mutex
	messages []notify.Message
}

func (c *chat) Send(_ context.Context, m notify.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.messages = append(c.messages, m)
	return nil
}

// said is what was sent since it was last asked, one line each.
func (c *chat) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, m := range c.messages {
		for _, n := range m.News {
			lines = append(lines, string(n.Kind)+" "+n.Of+" "+n.State)
		}
		lines = append(lines, "--")
	}
	c.messages = nil
	return strings.Join(lines, "\n")
}
