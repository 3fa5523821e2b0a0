package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// hooks are a watcher, a chat, a pager and a collector of a script: whatever is
// posted to. Their address holds the planted secret, which no output may show.
type hooks struct {
	mu     sync.Mutex
	deny   bool
	bodies map[string][]string
}

type hookKey struct{}

// setUpHooks serves them, and puts their address into the environment.
func setUpHooks(env *testscript.Env) {
	h := &hooks{bodies: map[string][]string{}}
	env.Values[hookKey{}] = h
	server := httptest.NewServer(h)
	env.Defer(server.CloseClientConnections)
	env.Setenv("HOOK_URL", server.URL+"/"+planted)
	env.Setenv("HOOK_HOST", server.URL)
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/"+planted)
	if h.deny {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "no %s", r.URL)
		return
	}
	h.bodies[path] = append(h.bodies[path], string(body))
}

// hook speaks with the script's hooks:
//
//	hook fine|deny        how they answer from now on
//	hook took PATH N      want that so much was posted to a path below the address
//	hook said PATH TEXT   want the text in what was posted there last
func hook(ts *testscript.TestScript, _ bool, args []string) {
	h, _ := ts.Value(hookKey{}).(*hooks)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch verb := strings.Join(args[:1], ""); {
	case (verb == "fine" || verb == "deny") && len(args) == 1:
		h.deny = verb == "deny"
	case verb == "took" && len(args) == 3:
		want(ts, "posted to "+args[1], strconv.Itoa(len(h.bodies[args[1]])), args[2])
	case verb == "said" && len(args) > 2:
		last, text := "", strings.Join(args[2:], " ")
		if all := h.bodies[args[1]]; len(all) > 0 {
			last = all[len(all)-1]
		}
		if !strings.Contains(last, text) {
			ts.Fatalf("posted to %s: got %s, want %s", args[1], last, text)
		}
	default:
		ts.Fatalf("usage: hook fine|deny, took PATH N, said PATH TEXT")
	}
}
