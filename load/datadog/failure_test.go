package datadog_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// aRequest is how many events the tests put into a request.
const aRequest = 10

// eventRows are events alone, as sinks that stream are given them: n of one
// segment.
func eventRows(n int) []load.Row {
	var rows []load.Row
	for i := range n {
		e := loadtest.Event(int64(i), now.Add(-time.Duration(n-i)*time.Second))
		rows = append(rows, load.Row{At: load.Position{Segment: 1, Record: int64(i)}, Day: e.TimeDT.Format(time.DateOnly), Event: &e})
	}
	return rows
}

func ids(rows []load.Row) (list []string) {
	for _, r := range rows {
		list = append(list, schema.EventID(r.Event))
	}
	return list
}

// site is a sink in a bubble of time, and the intake it sends to.
type site struct {
	sink  *datadog.Sink
	d     *fake.Datadog
	upto  load.Position
	sent  load.Sent
	note  string
	rejs  []schema.Reject
	after []load.Row // not delivered yet
}

func newSite(t *testing.T, rows []load.Row) *site {
	t.Helper()
	begin := time.Now()
	clock := func() time.Time { return now.Add(time.Since(begin)) }
	d := fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey, Now: clock})
	o := options()
	o.Now, o.Transport, o.Stream.MaxEntries = clock, fake.Transport(d), aRequest
	s, err := datadog.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &site{sink: s, d: d, upto: load.Position{Segment: 1}, after: rows}
}

// deliver does what the pipeline does.
func (s *site) deliver(t *testing.T) error {
	t.Helper()
	b := loadtest.Batch("acme", 1, 2, s.after)
	b.From, b.Note = s.upto, s.note
	take := func(r load.Result) error {
		s.upto, s.note = r.Upto, r.Note
		s.sent.Add(r.Counts.Sent)
		s.rejs = append(s.rejs, r.Rejected...)
		return nil
	}
	b.Keep = take
	res, err := s.sink.Deliver(t.Context(), b)
	_ = take(res)
	s.after = slices.DeleteFunc(slices.Clone(s.after), func(r load.Row) bool { return r.At.Before(s.upto) })
	silent(t, err)
	return err
}

func (s *site) taken() (list []string) {
	for _, l := range s.d.Logs() {
		list = append(list, l.EventID)
	}
	return list
}

func firsts(list []string) (once []string) {
	seen := map[string]bool{}
	for _, id := range list {
		if !seen[id] {
			once = append(once, id)
		}
		seen[id] = true
	}
	return once
}

// A fault of the matrix: what it does to one call, and what follows from it.
type matrixFault struct {
	name        string
	lost, fault *fake.Fault
	denied      bool // the run ends, and another does the rest
	calls       int  // more than without it
	atMost      bool // or less
	doubles     int  // logs that are there twice then
	resent      int64
}

func matrix() []matrixFault {
	status := func(n int) *fake.Fault { return &fake.Fault{Status: n, Body: `{"errors":["` + secretKey + `"]}`} }
	faults := []matrixFault{
		{name: "request lost", lost: &fake.Fault{Drop: true}, calls: 1, resent: aRequest},
		{name: "answer lost", fault: &fake.Fault{Drop: true}, calls: 1, doubles: aRequest, resent: aRequest},
		{name: "answer cut", fault: &fake.Fault{Truncate: 1}},
		{name: "request hangs", lost: &fake.Fault{Hang: true}, calls: 1, resent: aRequest},
		{name: "answer hangs", fault: &fake.Fault{Hang: true}, calls: 1, doubles: aRequest, resent: aRequest},
		{name: "202 that is not JSON", fault: &fake.Fault{Status: 202, Body: "<html>"}},
		{name: "202 without a body", fault: &fake.Fault{Status: 202}},
		{name: "429 with a reset", lost: &fake.Fault{Status: 429, ResetIn: 40 * time.Second}, calls: 1},
		// Once refused, one of the ten is looked for; there is none. Once too
		// large, requests stay half as large.
		{name: "400", lost: status(400), calls: 5, atMost: true},
		{name: "413", lost: status(413), calls: 9, atMost: true},
	}
	for _, n := range []int{401, 403, 404, 301} {
		faults = append(faults, matrixFault{name: fmt.Sprint(n), lost: status(n), denied: true, calls: 1})
	}
	for _, n := range []int{408, 429, 503} {
		faults = append(faults, matrixFault{name: fmt.Sprint(n), lost: status(n), calls: 1})
	}
	for _, n := range []int{500, 502, 504, 520} {
		faults = append(faults,
			matrixFault{name: fmt.Sprint(n), lost: status(n), calls: 1, resent: aRequest},
			matrixFault{name: fmt.Sprint(n, " when taken"), fault: status(n), calls: 1, doubles: aRequest, resent: aRequest})
	}
	return faults
}

// Each call of a delivery fails once, in each way. Nothing is lost, what is there
// twice is no more than the one request and bears the same ids, calls are as
// many as it takes, and the counters say so.
func TestFailureMatrix(t *testing.T) {
	const requests = 4
	for _, f := range matrix() {
		for n := 1; n <= requests; n++ {
			t.Run(fmt.Sprintf("%s, call %d", f.name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { failOnce(t, f, n) })
			})
		}
	}
}

func failOnce(t *testing.T, f matrixFault, call int) {
	t.Helper()
	rows := eventRows(4 * aRequest)
	want := ids(rows)
	s := newSite(t, rows)
	if f.lost != nil {
		s.d.SetLost(fake.OnCalls(fake.DatadogLogsPath, f.lost, call))
	}
	if f.fault != nil {
		s.d.SetFault(fake.OnCalls(fake.DatadogLogsPath, f.fault, call))
	}
	err := s.deliver(t)
	if errors.Is(err, stream.ErrDenied) != f.denied || (err != nil) != f.denied {
		t.Fatalf("got %v, denied %v", err, f.denied)
	}
	if f.denied {
		if got, want := s.upto, (load.Position{Segment: 1, Record: int64(call-1) * aRequest}); got != want {
			t.Errorf("denied at call %d: upto %v, want %v", call, got, want)
		}
		if err := s.deliver(t); err != nil {
			t.Fatal(err)
		}
	}
	got := s.taken()
	if diff := cmp.Diff(want, firsts(got)); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	if doubles := len(got) - len(want); doubles != f.doubles {
		t.Errorf("%d logs are there twice, want %d", doubles, f.doubles)
	}
	if calls, most := s.d.Count(fake.DatadogLogsPath), len(want)/aRequest+f.calls; calls > most || calls < most && !f.atMost {
		t.Errorf("%d calls, want %d", calls, most)
	}
	if want := (load.Sent{Accepted: int64(len(want)), Resent: f.resent}); s.sent != want {
		t.Errorf("counts %+v, want %+v", s.sent, want)
	}
	if s.upto != (load.Position{Segment: 2}) || len(s.rejs) != 0 {
		t.Errorf("upto %v, rejected %+v", s.upto, s.rejs)
	}
}

// A receiver that is down for longer than a run waits: the run ends with an
// error, and the next goes on.
func TestDown(t *testing.T) {
	for _, f := range []*fake.Fault{{Drop: true}, {Status: 503}, {Status: 500}, {Status: 429, ResetIn: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			rows := eventRows(25)
			s := newSite(t, rows)
			s.d.SetLost(always(f))
			err := s.deliver(t)
			if !errors.Is(err, stream.ErrUnavailable) || s.upto != (load.Position{Segment: 1}) || s.sent.Accepted != 0 {
				t.Fatalf("got %v, upto %v, %+v", err, s.upto, s.sent)
			}
			if calls := s.d.Count(fake.DatadogLogsPath); calls > 6 || f.ResetIn > 0 && calls != 1 {
				t.Errorf("%+v: %d calls", f, calls)
			}
			s.d.SetLost(nil)
			if err := s.deliver(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ids(rows), s.taken()); diff != "" || s.sent.Accepted != 25 {
				t.Errorf("%+v (-want +got)\n%s", s.sent, diff)
			}
		})
	}
}

// A log the intake refuses is found among the others and becomes a reject.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := eventRows(30)
		poison := schema.EventID(rows[17].Event)
		s := newSite(t, rows)
		s.d.SetRefuse(func(l fake.DatadogLog) bool { return l.EventID == poison })
		if err := s.deliver(t); err != nil {
			t.Fatal(err)
		}
		want := slices.Delete(ids(rows), 17, 18)
		if diff := cmp.Diff(want, s.taken()); diff != "" {
			t.Errorf("taken (-want +got)\n%s", diff)
		}
		if len(s.rejs) != 1 || s.rejs[0].Record != 17 || s.sent != (load.Sent{Accepted: 29, Rejected: 1}) {
			t.Errorf("rejected %+v, %+v", s.rejs, s.sent)
		}
		if calls := s.d.Count(fake.DatadogLogsPath); calls > 3+2*4 {
			t.Errorf("%d calls to find one log of ten", calls)
		}
	})
}

// What is too old, too large or neither is counted as what it is.
func TestMarksAreCounted(t *testing.T) {
	for _, mode := range []datadog.TooOld{datadog.Restamp, datadog.Skip} {
		synctest.Test(t, func(t *testing.T) {
			rows := eventRows(20)
			for _, i := range []int{0, 3, 9} {
				rows[i].Event.Time -= (30 * 24 * time.Hour).Milliseconds()
			}
			rows[5].Event.RawData = string(make([]byte, 2_000_000))
			rows[6].Event.Metadata.UID = string(make([]byte, 2_000_000))
			s := newSite(t, rows)
			o := options()
			o.TooOld, o.Transport = mode, fake.Transport(s.d)
			sink, err := datadog.New(o)
			if err != nil {
				t.Fatal(err)
			}
			s.sink = sink
			if err := s.deliver(t); err != nil {
				t.Fatal(err)
			}
			want := load.Sent{Accepted: 19, TooOld: 3, Slimmed: 1, Rejected: 1}
			if mode == datadog.Skip {
				want.Accepted, want.Skipped = 16, 3
			}
			if s.sent != want || len(s.rejs) != 1 || s.rejs[0].Record != 6 {
				t.Errorf("%s: got %+v, rejected %d, want %+v", mode, s.sent, len(s.rejs), want)
			}
			for _, l := range s.d.Logs() {
				if l.Truncated || l.Misplaced {
					t.Errorf("%s: %s was cut off or placed at another time", mode, l.EventID)
				}
			}
			if got := int64(len(s.d.Logs())); got != want.Accepted {
				t.Errorf("%s: %d logs, want %d", mode, got, want.Accepted)
			}
		})
	}
}

// Bodies stay below what the intake takes, however large the logs are.
func TestBodiesFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := eventRows(2500)
		for i := range 40 {
			rows[i*9].Event.RawData = string(slices.Repeat([]byte{'x'}, 900_000))
		}
		s := newSite(t, rows)
		o := options()
		o.Transport = fake.Transport(s.d)
		sink, err := datadog.New(o)
		if err != nil {
			t.Fatal(err)
		}
		s.sink = sink
		if err := s.deliver(t); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ids(rows), s.taken()); diff != "" {
			t.Errorf("taken (-want +got)\n%s", diff)
		}
		for _, c := range s.d.Calls() {
			if c.Status != http.StatusAccepted {
				t.Errorf("call %d was answered %d", c.N, c.Status)
			}
		}
	})
}

func TestKit(t *testing.T) {
	loadtest.Run(t, loadtest.Harness{
		Takes: func(r load.Row) bool { return r.Event != nil },
		Open: func(t *testing.T) loadtest.Destination {
			// Shortly after the kit's events.
			clock := func() time.Time { return time.Date(2026, 1, 3, 4, 0, 0, 0, time.UTC) }
			d := fake.NewDatadog(fake.DatadogOptions{APIKey: secretKey, Now: clock})
			o := options()
			o.Now, o.Transport = clock, fake.Transport(d)
			o.Stream = stream.Options{MaxEntries: 7, Attempts: 2, Wait: time.Microsecond, MaxWait: time.Microsecond}
			s, err := datadog.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return loadtest.Destination{
				Sink: s,
				Kept: func(*testing.T) []string { return keysOf(d.Logs()) },
				Break: func(broken bool) {
					d.SetLost(map[bool]func(fake.Call) *fake.Fault{true: always(&fake.Fault{Drop: true})}[broken])
				},
			}
		},
	})
}

// keysOf names the logs as the kit does.
func keysOf(logs []fake.DatadogLog) (keys []string) {
	for _, l := range logs {
		var e schema.Event
		e.Metadata.UID = gjson.GetBytes(l.Body, "ocsf.metadata.uid").String()
		keys = append(keys, loadtest.EventKey(e))
	}
	return keys
}
