package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// faultIn is how many calls there are to a fault, about.
const faultIn = 14

// fault is what goes wrong with a call; nil for most of them.
func (w *world) fault() *fake.Fault {
	if !w.rough.Load() || !w.chance.one(faultIn) {
		return nil
	}
	w.tally.add("faults of vendors and receivers", 1)
	switch w.chance.n(8) {
	case 0:
		return fake.TooMany(time.Second, w.chance.one(2))
	case 1:
		return &fake.Fault{Status: pick(w.chance, []int{500, 502, 503, 504})}
	case 2, 3:
		return &fake.Fault{Drop: true}
	case 4, 5:
		return &fake.Fault{Truncate: 1 + w.chance.n(2000)}
	case 6:
		return &fake.Fault{Slow: w.chance.within(time.Second)}
	}
	if w.chance.one(10) {
		return &fake.Fault{Hang: true}
	}
	return &fake.Fault{Status: 429}
}

func (w *world) vendorFault(fake.Call) *fake.Fault { return w.fault() }

func (w *world) cognitoFault(fake.Call) *fake.Fault {
	f := w.fault()
	if f != nil && f.Status != 0 {
		return fake.CognitoFault(400, "TooManyRequestsException")
	}
	return f
}

func (w *world) trailFault(fake.TrailCall) *fake.Fault {
	f := w.fault()
	if f != nil && f.Status != 0 {
		return fake.Throttled()
	}
	return f
}

func (w *world) hecFault(sink string) func(fake.Call) *fake.HECFault {
	return func(fake.Call) *fake.HECFault {
		f := w.fault()
		if f == nil {
			return nil
		}
		// What never arrived has no answer that could be spoilt.
		h := &fake.HECFault{Fault: *f, Taken: f.Truncate > 0 || f.Slow > 0 || w.chance.one(2)}
		if h.Taken {
			w.sent[sink].lost()
		}
		return h
	}
}

func (w *world) datadogLost(fake.Call) *fake.Fault {
	f := w.fault()
	if f != nil && (f.Truncate > 0 || f.Slow > 0) {
		return &fake.Fault{Drop: true}
	}
	return f
}

func (w *world) datadogAnswerLost(fake.Call) *fake.Fault {
	f := w.fault()
	if f != nil {
		w.sent["dd"].lost()
	}
	return f
}

// sent counts what a receiver was sent, and what may be there twice.
type sent struct {
	mu sync.Mutex
	// largest request, in events; answers that were lost of requests that may
	// have been taken; kills while it may have been sent to; and what was drawn
	// from it by a state that was lost.
	largest, answers, kills, forgotten int
}

func (s *sent) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
}

// mayRepeat is how many events may be there twice: of each source the requests
// in flight (one of events, one of notices), for each kill.
func (s *sent) mayRepeat(sources int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (s.answers+s.kills*sources)*s.largest + s.forgotten
}

// counted notes how many events each request has.
func (w *world) counted(sink string, h http.Handler) http.Handler {
	s := &sent{}
	w.sent[sink] = s
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			n := eventsIn(r.Header.Get("Content-Encoding"), body)
			s.mu.Lock()
			s.largest = max(s.largest, n)
			s.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(rw, r)
	})
}

func eventsIn(encoding string, body []byte) int {
	if encoding == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return 0
		}
		if body, err = io.ReadAll(z); err != nil {
			return 0
		}
	}
	return strings.Count(string(body), `"event_id":`)
}
