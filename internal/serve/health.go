package serve

import (
	"encoding/json"
	"net/http"
	"time"
)

// grace is how much later than at the second next time it is due a job may have
// ended, beside what its last good run took.
const grace = 5 * time.Minute

// Health is what /healthz answers.
type Health struct {
	// Status is "ok", "late" where some job is, or "stopping".
	Status  string      `json:"status"`
	Started time.Time   `json:"started"`
	Jobs    []JobHealth `json:"jobs"`
}

// JobHealth is how a job gets on.
type JobHealth struct {
	Job      string `json:"job"`
	Schedule string `json:"schedule"`
	Zone     string `json:"zone"`
	// Late says that no run ended well, or partly so, since LateAfter.
	Late      bool      `json:"late"`
	LateAfter time.Time `json:"late_after,omitzero"`
	Running   bool      `json:"running"`
	Next      time.Time `json:"next,omitzero"`
	// LastResult and LastEnd are of the last run; LastGood is when one last ended
	// done, partly, or held by another process that does the same.
	LastResult Result    `json:"last_result,omitempty"`
	LastEnd    time.Time `json:"last_end,omitzero"`
	LastGood   time.Time `json:"last_good,omitzero"`
	// Runs since the service started, and times it was due while it still ran.
	Runs    int64 `json:"runs"`
	Skipped int64 `json:"skipped"`
}

// Health says how the jobs get on now.
func (s *Service) Health() Health {
	now := s.o.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Health{Status: "ok", Started: s.started, Jobs: make([]JobHealth, len(s.jobs))}
	for i, j := range s.jobs {
		h.Jobs[i] = j.health(s.started, now)
		if h.Jobs[i].Late {
			h.Status = "late"
		}
	}
	if s.stopping {
		h.Status = "stopping"
	}
	return h
}

// health of a job; the service's lock is held.
func (j *job) health(started, now time.Time) JobHealth {
	h := j.seen
	since := h.LastGood
	if since.IsZero() {
		since = started
	}
	h.Next = j.Schedule.Next(now).UTC()
	if second := j.Schedule.Next(j.Schedule.Next(since)); !second.IsZero() {
		h.LateAfter = second.Add(grace + j.took).UTC()
		h.Late = now.After(h.LateAfter)
	}
	return h
}

// Handler answers /livez, /healthz and /metrics.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // whoever asked has gone
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		h := s.Health()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if h.Status != "ok" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(h) // whoever asked has gone
	})
	mux.Handle("GET /metrics", s.o.Metrics.Handler())
	return mux
}
