package splunk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/splunk"
	"github.com/idtrail/idtrail/load/stream"
)

// site is a sink, its collector and what a pipeline keeps between deliveries.
type site struct {
	hec  *fake.HEC
	sink *splunk.Sink
	rows []load.Row
	to   load.Position

	pos      load.Position
	note     string
	waiting  bool
	sent     load.Sent
	rejected int
}

// events of a site, sent in requests of tenth.
const (
	events = 40
	tenth  = 10
)

func newSite(t *testing.T, ack bool, o fake.HECOptions) *site {
	t.Helper()
	o.Tokens = map[string]fake.HECToken{token: {Ack: ack}}
	return siteAt(t, fake.NewHEC(o), ack, nil)
}

func siteAt(t *testing.T, hec *fake.HEC, ack bool, around func(http.RoundTripper) http.RoundTripper) *site {
	t.Helper()
	transport := fake.Transport(hec)
	if around != nil {
		transport = around(transport)
	}
	s := &site{hec: hec, pos: load.Position{Segment: 1}, to: load.Position{Segment: 2}}
	s.sink = newSink(t, func(o *splunk.Options) {
		o.Ack, o.Transport, o.Stream.MaxEntries = ack, transport, tenth
	})
	for _, r := range loadtest.Rows("acme", 1, 1) {
		if r.Event != nil {
			s.rows = append(s.rows, r)
		}
	}
	if len(s.rows) != events {
		t.Fatalf("%d rows, want %d", len(s.rows), events)
	}
	return s
}

// deliver does what a pipeline does in one run.
func (s *site) deliver(ctx context.Context) error {
	var rows []load.Row
	for _, r := range s.rows {
		if !r.At.Before(s.pos) {
			rows = append(rows, r)
		}
	}
	b := loadtest.Batch("acme", 1, 2, rows)
	b.From, b.To, b.Note = s.pos, s.to, s.note
	b.Keep = func(r load.Result) error { s.keep(r); return nil }
	res, err := s.sink.Deliver(ctx, b)
	s.keep(res)
	return err
}

func (s *site) keep(r load.Result) {
	s.pos, s.note, s.waiting = r.Upto, r.Note, r.Waiting
	s.sent.Add(r.Counts.Sent)
	s.rejected += len(r.Rejected)
}

func (s *site) done() bool { return s.pos == s.to && !s.waiting }

// held returns how many different events the collector holds, and how many more
// than once.
func (s *site) held(t *testing.T) (unique, twice int) {
	t.Helper()
	n := map[string]int{}
	for _, e := range s.hec.Events() {
		var body struct {
			ID string `json:"event_id"`
		}
		if err := json.Unmarshal(e.Event, &body); err != nil || body.ID == "" || e.Fields["event_id"] != body.ID {
			t.Fatalf("event_id %q, in fields %q: %v", body.ID, e.Fields["event_id"], err)
		}
		n[body.ID]++
	}
	for _, k := range n {
		twice += k - 1
	}
	return len(n), twice
}

func TestContract(t *testing.T) {
	for _, ack := range []bool{false, true} {
		t.Run(fmt.Sprintf("ack %v", ack), func(t *testing.T) {
			loadtest.Run(t, loadtest.Harness{
				Takes: func(r load.Row) bool { return r.Event != nil },
				Open:  func(t *testing.T) loadtest.Destination { t.Helper(); return destination(t, ack) },
			})
		})
	}
}

func destination(t *testing.T, ack bool) loadtest.Destination {
	t.Helper()
	hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {Ack: ack}}})
	return loadtest.Destination{
		Sink: newSink(t, func(o *splunk.Options) {
			o.Ack, o.Transport = ack, fake.Transport(hec)
			o.Stream = stream.Options{
				MaxEntries: 7, Attempts: 2, Wait: time.Millisecond, MaxWait: time.Millisecond,
				AckWait: time.Millisecond, AckTimeout: time.Millisecond,
			}
		}),
		Kept: func(t *testing.T) []string {
			t.Helper()
			var keys []string
			for _, e := range hec.Events() {
				var body struct {
					OCSF struct{ Metadata struct{ UID string } }
				}
				if err := json.Unmarshal(e.Event, &body); err != nil {
					t.Fatal(err)
				}
				keys = append(keys, "event "+body.OCSF.Metadata.UID)
			}
			return keys
		},
		Break: func(broken bool) {
			hec.SetFault(func(fake.Call) *fake.HECFault {
				if broken {
					return &fake.HECFault{Code: 9}
				}
				return nil
			})
		},
	}
}

// failure is what goes wrong with one call, and what may come of it.
type failure struct {
	fault fake.HECFault
	// fails: the run ends with this error; the next goes on.
	fails error
	// twice: the events of the request may be there twice. resent: they were
	// sent again.
	twice, resent bool
	// calls of event, if they are to be exactly so many.
	calls int
}

func status(n int) fake.HECFault {
	return fake.HECFault{Fault: fake.Fault{Status: n, Body: "<html>" + token, Header: http.Header{"Content-Type": {"text/html"}}}}
}

func code(n int) fake.HECFault { return fake.HECFault{Code: n} }

func taken(f fake.HECFault) fake.HECFault { f.Taken = true; return f }

func eventFailures() map[string]failure {
	lost, hang := fake.HECFault{Fault: fake.Fault{Drop: true}}, fake.HECFault{Fault: fake.Fault{Hang: true}}
	all := map[string]failure{
		"nothing":       {calls: 4},
		"request lost":  {fault: lost, resent: true, calls: 5},
		"answer lost":   {fault: taken(lost), resent: true, twice: true, calls: 5},
		"hang":          {fault: hang, resent: true, calls: 5},
		"hang, taken":   {fault: taken(hang), resent: true, twice: true, calls: 5},
		"504, taken":    {fault: taken(status(504)), resent: true, twice: true, calls: 5},
		"code 24":       {fault: taken(code(24)), calls: 4},
		"code 25":       {fault: taken(code(25)), calls: 4},
		"413":           {fault: status(413)},
		"503 with wait": {fault: fake.HECFault{Fault: fake.Fault{Status: 503, Header: http.Header{"Retry-After": {"60"}}}}, calls: 5},
	}
	for _, n := range []int{500, 502, 504} {
		all[fmt.Sprint("status ", n)] = failure{fault: status(n), resent: true, calls: 5}
	}
	all["code 8"] = failure{fault: code(8), resent: true, calls: 5}
	for _, n := range []int{408, 429, 503} {
		all[fmt.Sprint("status ", n)] = failure{fault: status(n), calls: 5}
	}
	for _, n := range []int{9, 18, 19, 20, 23, 26, 27} {
		all[fmt.Sprint("code ", n)] = failure{fault: code(n), calls: 5}
	}
	for _, n := range []int{5, 6, 12, 13, 15} {
		all[fmt.Sprint("code ", n)] = failure{fault: code(n)}
	}
	for _, n := range []int{300, 302, 400, 401, 402, 403, 404, 405, 407, 415, 501} {
		all[fmt.Sprint("status ", n)] = failure{fault: status(n), fails: stream.ErrDenied, calls: 5}
	}
	for _, n := range []int{1, 2, 3, 4, 7, 10, 11, 14, 16, 21, 22} {
		all[fmt.Sprint("code ", n)] = failure{fault: code(n), fails: stream.ErrDenied, calls: 5}
	}
	return all
}

// Whatever becomes of one request: nothing is lost, nothing is there twice but
// what had no answer, and the counters say so.
func TestFailureOfEvent(t *testing.T) {
	for _, ack := range []bool{false, true} {
		for name, f := range eventFailures() {
			t.Run(fmt.Sprintf("ack %v/%s", ack, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, ack, fake.HECOptions{})
					if name != "nothing" {
						s.hec.SetFault(fake.OnHEC(fake.HECEventPath, &f.fault, 2))
					}
					finish(t, s, f.fails)
					wantTruth(t, s, f, tenth)
					if got := s.hec.Count(fake.HECEventPath); f.calls != 0 && got != f.calls {
						t.Errorf("got %d calls, want %d", got, f.calls)
					}
					if ack && s.sent.Acknowledged != events {
						t.Errorf("acknowledged %d, want %d", s.sent.Acknowledged, events)
					}
				})
			})
		}
	}
}

// Whatever becomes of a question for acknowledgements: only what may not be
// stored is sent again.
func TestFailureOfAck(t *testing.T) {
	lost, hang := fake.HECFault{Fault: fake.Fault{Drop: true}}, fake.HECFault{Fault: fake.Fault{Hang: true}}
	all := map[string]failure{
		"request lost": {fault: lost},
		// It says only once that a request is stored.
		"answer lost": {fault: taken(lost), resent: true, twice: true},
		"hang":        {fault: hang},
		"hang, taken": {fault: taken(hang), resent: true, twice: true},
		"cut off":     {fault: fake.HECFault{Fault: fake.Fault{Truncate: 10}, Taken: true}, resent: true, twice: true},
		"code 11":     {fault: code(11)},
	}
	for _, n := range []int{408, 413, 429, 500, 502, 503, 504} {
		all[fmt.Sprint("status ", n)] = failure{fault: status(n)}
	}
	for _, n := range []int{302, 401, 403, 404, 405, 415} {
		all[fmt.Sprint("status ", n)] = failure{fault: status(n), fails: stream.ErrDenied}
	}
	for _, n := range []int{1, 2, 3, 4, 10, 14} {
		all[fmt.Sprint("code ", n)] = failure{fault: code(n), fails: stream.ErrDenied}
	}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, true, fake.HECOptions{})
				s.hec.SetFault(fake.OnHEC(fake.HECAckPath, &f.fault, 1))
				finish(t, s, f.fails)
				wantTruth(t, s, f, events)
				if s.sent.Acknowledged != events {
					t.Errorf("acknowledged %d, want %d", s.sent.Acknowledged, events)
				}
				want := 4
				if f.resent {
					want = 8
				}
				if got := s.hec.Count(fake.HECEventPath); got != want {
					t.Errorf("got %d calls, want %d", got, want)
				}
			})
		})
	}
}

// finish delivers until all is done, three minutes between the runs.
func finish(t *testing.T, s *site, fails error) {
	t.Helper()
	for run := 1; ; run++ {
		err := s.deliver(t.Context())
		switch {
		case run == 1 && fails != nil:
			if !errors.Is(err, fails) {
				t.Errorf("got error %v, want %v", err, fails)
			}
			wantNoToken(t, err, s.note)
		case err != nil:
			t.Errorf("run %d: %v", run, err)
		}
		if s.done() {
			return
		}
		if run == 6 {
			t.Fatalf("not done after %d runs: at %v, waiting %v", run, s.pos, s.waiting)
		}
		time.Sleep(3 * time.Minute)
	}
}

func wantTruth(t *testing.T, s *site, f failure, n int) {
	t.Helper()
	unique, twice := s.held(t)
	wantTwice, wantResent := 0, 0
	if f.twice {
		wantTwice = n
	}
	if f.resent {
		wantResent = n
	}
	if unique != events || twice != wantTwice {
		t.Errorf("%d events are there, %d of them twice; want %d and %d", unique, twice, events, wantTwice)
	}
	if s.sent.Accepted != events || s.sent.Resent != int64(wantResent) || s.sent.Rejected != 0 || s.rejected != 0 {
		t.Errorf("counted %+v, want %d accepted and %d resent", s.sent, events, wantResent)
	}
}

// An event that the collector refuses is found, and nothing else is lost.
func TestPoison(t *testing.T) {
	for _, n := range []int{6, 12, 13, 15} {
		for _, halfway := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, false, fake.HECOptions{Halfway: halfway})
				poison := s.rows[17].Event.Metadata.UID
				s.hec.SetToken(token, fake.HECToken{Refuse: func(e fake.HECEvent) int {
					if bytes.Contains(e.Event, []byte(`"uid":"`+poison+`"`)) {
						return n
					}
					return 0
				}})
				if err := s.deliver(t.Context()); err != nil || !s.done() {
					t.Fatalf("code %d: %v at %v", n, err, s.pos)
				}
				if unique, twice := s.held(t); unique != events-1 || !halfway && twice != 0 {
					t.Errorf("code %d: %d events are there, %d twice", n, unique, twice)
				}
				if s.sent.Accepted != events-1 || s.sent.Rejected != 1 || s.rejected != 1 {
					t.Errorf("code %d: counted %+v, %d rejected", n, s.sent, s.rejected)
				}
			})
		}
	}
}

// A collector that takes less at once than max_request is sent less at once.
func TestSmallerCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, false, fake.HECOptions{MaxContent: 20_000})
		if err := s.deliver(t.Context()); err != nil || !s.done() {
			t.Fatalf("%v at %v", err, s.pos)
		}
		if unique, twice := s.held(t); unique != events || twice != 0 || s.sent.Accepted != events {
			t.Errorf("%d events are there, %d twice, counted %+v", unique, twice, s.sent)
		}
	})
}

// Acknowledgements that come after ack_wait are asked for by the next run.
func TestAckAfterTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, fake.HECOptions{AckAfter: time.Minute, AckPolls: 2})
		start := time.Now()
		if err := s.deliver(t.Context()); err != nil || !s.waiting || s.pos == s.to || s.note == "" {
			t.Fatalf("got %v, waiting %v at %v with note %q", err, s.waiting, s.pos, s.note)
		}
		if took := time.Since(start); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("waited %v, want 30s", took)
		}
		if s.sent.Accepted != events || s.sent.Acknowledged != 0 {
			t.Errorf("counted %+v", s.sent)
		}
		time.Sleep(time.Minute)
		calls := len(s.hec.Calls())
		if err := s.deliver(t.Context()); err != nil || !s.done() {
			t.Fatalf("got %v, waiting %v at %v", err, s.waiting, s.pos)
		}
		if first := s.hec.Calls()[calls]; first.Path != fake.HECAckPath {
			t.Errorf("the next run begins with %s, want to ask first", first.Path)
		}
		if got := s.hec.Count(fake.HECEventPath); got != 4 || s.sent.Resent != 0 || s.sent.Acknowledged != events {
			t.Errorf("%d requests, counted %+v: nothing was to be sent again", got, s.sent)
		}
	})
}

// What is never acknowledged is sent again after 300 s, not before, and on a new
// channel.
func TestNeverAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, true, fake.HECOptions{AckAfter: 24 * time.Hour})
		for range 4 { // at 0, 70, 140, 210 s
			if err := s.deliver(t.Context()); err != nil || s.done() {
				t.Fatalf("got %v, done %v", err, s.done())
			}
			if got := s.hec.Count(fake.HECEventPath); got != 4 {
				t.Fatalf("%d requests, want 4: it is too early to send again", got)
			}
			time.Sleep(40 * time.Second)
		}
		time.Sleep(time.Minute)
		s.hec.SetAcks(0, 0)
		s.hec.Crash()
		if err := s.deliver(t.Context()); err != nil || !s.done() {
			t.Fatalf("got %v at %v", err, s.pos)
		}
		if unique, _ := s.held(t); unique != events || s.hec.Count(fake.HECEventPath) != 8 {
			t.Errorf("%d events are there after %d requests", unique, s.hec.Count(fake.HECEventPath))
		}
		if s.sent.Accepted != events || s.sent.Resent != events || s.sent.Acknowledged != events {
			t.Errorf("counted %+v", s.sent)
		}
	})
}

// A collector that is restarted amid a delivery counts from 0 again: that what
// was sent after it is stored says nothing of what was sent before.
func TestRestartAmid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {Ack: true}}})
		calls := 0
		s := siteAt(t, hec, true, func(inner http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/event") {
					if calls++; calls == 3 {
						hec.Crash()
					}
				}
				return inner.RoundTrip(r)
			})
		})
		finish(t, s, nil)
		unique, _ := s.held(t)
		if unique != events || s.sent.Acknowledged != events || s.sent.Resent < 2*tenth {
			t.Errorf("%d events are there, counted %+v: what the restart lost was to be sent again", unique, s.sent)
		}
		channels := map[string]bool{}
		for _, e := range hec.Events() {
			channels[e.Channel] = true
		}
		if len(channels) < 2 {
			t.Error("sent again on the same channel")
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// With acknowledgement on, and a token that has none, nothing is ever stored for
// sure: that is said at once.
func TestAckMisconfigured(t *testing.T) {
	for name, tt := range map[string]struct {
		sink, token bool
		says        string
	}{
		"token has none": {true, false, "set ack: off"},
		"token has it":   {false, true, "set ack: on"},
	} {
		hec := fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{token: {Ack: tt.token}}})
		s := siteAt(t, hec, tt.sink, nil)
		err := s.deliver(t.Context())
		if !errors.Is(err, stream.ErrDenied) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
		if s.pos != (load.Position{Segment: 1}) || s.rejected != 0 {
			t.Errorf("%s: at %v with %d rejected", name, s.pos, s.rejected)
		}
		if got := hec.Count(fake.HECEventPath); got != 1 {
			t.Errorf("%s: %d requests, want 1", name, got)
		}
	}
}

// The same events give the same requests: what is sent again is the same.
func TestRequestsAreTheSame(t *testing.T) {
	var bodies [2][]string
	for i := range bodies {
		s := newSite(t, false, fake.HECOptions{})
		if err := s.deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range s.hec.Events() {
			bodies[i] = append(bodies[i], string(e.Event))
		}
	}
	if diff := cmp.Diff(bodies[0], bodies[1]); diff != "" || slices.Contains(bodies[0], "") {
		t.Error(diff)
	}
}

func wantNoToken(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range append(texts, fmt.Sprint(err), fmt.Sprintf("%+v", err)) {
		if strings.Contains(text, token) {
			t.Errorf("the token stands in %q", text)
		}
	}
}
