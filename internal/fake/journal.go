package fake

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// journal is the calls a server saw.
type journal struct {
	guard sync.Mutex
	calls []Call
	paths map[string]int
}

// Calls returns the calls so far, oldest first.
func (j *journal) Calls() []Call {
	j.guard.Lock()
	defer j.guard.Unlock()
	return slices.Clone(j.calls)
}

// Count returns how many calls a path has seen.
func (j *journal) Count(path string) int {
	j.guard.Lock()
	defer j.guard.Unlock()
	return j.paths[path]
}

// enter notes a call of a path, which may be less than the request's.
func (j *journal) enter(r *http.Request, path string, at time.Time) Call {
	j.guard.Lock()
	defer j.guard.Unlock()
	if j.paths == nil {
		j.paths = map[string]int{}
	}
	j.paths[path]++
	c := Call{
		N: len(j.calls) + 1, PathN: j.paths[path], Method: r.Method, Path: path, Query: r.URL.Query(), At: at,
		Agent: r.UserAgent(), Telemetry: r.Header.Get("Auth0-Client") != "",
	}
	j.calls = append(j.calls, c)
	return c
}

// answered notes the status that was sent.
func (j *journal) answered(c Call, status int) {
	j.guard.Lock()
	defer j.guard.Unlock()
	j.calls[c.N-1].Status = status
}
