package otlp_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
)

// The matrix delivers so many events, in requests of 7: of 7, 7, 7, 7, 7 and 5.
const (
	matrixEvents   = 40
	matrixRequests = 6
)

// TestFailureMatrix lets one thing go wrong with the second request, in each of
// the ways there are. Whatever it is, nothing is lost, nothing is sent twice but
// what may have been taken, and the counts say so.
func TestFailureMatrix(t *testing.T) {
	status := func(n int) fake.OTLPFault { return fake.OTLPFault{Fault: fake.Fault{Status: n}} }
	for name, test := range map[string]struct {
		fault fake.OTLPFault
		// calls in all, records held in all, and what is counted as sent again.
		calls, held int
		resent      int64
		// ends is how the delivery ends that met the fault; the next one goes on.
		ends error
	}{
		"request lost":          {fault: fake.OTLPFault{Fault: fake.Fault{Drop: true}}, calls: 7, held: 40, resent: 7},
		"answer lost":           {fault: fake.OTLPFault{Fault: fake.Fault{Drop: true}, Kept: true}, calls: 7, held: 47, resent: 7},
		"hangs":                 {fault: fake.OTLPFault{Fault: fake.Fault{Hang: true}}, calls: 7, held: 40, resent: 7},
		"takes it, and hangs":   {fault: fake.OTLPFault{Fault: fake.Fault{Hang: true}, Kept: true}, calls: 7, held: 47, resent: 7},
		"answer cut off":        {fault: fake.OTLPFault{Fault: fake.Fault{Status: 200, Body: "xx", Truncate: 1}, Kept: true}, calls: 6, held: 40},
		"408":                   {fault: status(408), calls: 7, held: 40},
		"429":                   {fault: status(429), calls: 7, held: 40},
		"503":                   {fault: status(503), calls: 7, held: 40},
		"500":                   {fault: status(500), calls: 7, held: 40, resent: 7},
		"502":                   {fault: status(502), calls: 7, held: 40, resent: 7},
		"504":                   {fault: status(504), calls: 7, held: 40, resent: 7},
		"504, and it was taken": {fault: fake.OTLPFault{Fault: fake.Fault{Status: 504}, Kept: true}, calls: 7, held: 47, resent: 7},
		"307":                   {fault: status(307), calls: 7, held: 40, ends: stream.ErrDenied},
		"401":                   {fault: status(401), calls: 7, held: 40, ends: stream.ErrDenied},
		"403":                   {fault: status(403), calls: 7, held: 40, ends: stream.ErrDenied},
		"404":                   {fault: status(404), calls: 7, held: 40, ends: stream.ErrDenied},
		"405":                   {fault: status(405), calls: 7, held: 40, ends: stream.ErrDenied},
		"415":                   {fault: status(415), calls: 7, held: 40, ends: stream.ErrDenied},
		"a web page": {
			fault: fake.OTLPFault{Fault: fake.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}}},
			calls: 7, held: 40, ends: stream.ErrDenied,
		},
		"429 for an hour": {
			fault: fake.OTLPFault{Fault: fake.Fault{Status: 429, ResetIn: time.Hour, RetryAfter: true}},
			calls: 7, held: 40, ends: stream.ErrUnavailable,
		},
		"400 once": {fault: status(400), calls: 10, held: 40}, // 7, then 3, 2, 1 and 1 in its place
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := fake.NewOTLP(fake.OTLPOptions{Fault: func(c fake.OTLPCall) *fake.OTLPFault {
					if c.N != 2 {
						return nil
					}
					return &test.fault
				}})
				sent := deliverAll(t, server, test.ends)
				if calls := len(server.Calls()); calls != test.calls {
					t.Errorf("%d calls, want %d", calls, test.calls)
				}
				wantHeld(t, server, test.held, matrixEvents)
				if want := (load.Sent{Accepted: matrixEvents, Resent: test.resent}); sent != want {
					t.Errorf("counted %+v, want %+v", sent, want)
				}
			})
		})
	}
}

// deliverAll delivers the matrix's events: in one go, or, where the first one is
// to end with an error, in two.
func deliverAll(t *testing.T, server *fake.OTLP, ends error) load.Sent {
	t.Helper()
	sink, rows := open(t, server), matrixRows()
	b := loadtest.Batch("acme", 1, 2, rows)
	res, err := sink.Deliver(t.Context(), b)
	if !errors.Is(err, ends) {
		t.Fatalf("got error %v, want %v", err, ends)
	}
	wantQuiet(t, err)
	sent := res.Counts.Sent
	if ends == nil {
		if res.Upto != b.To {
			t.Errorf("upto %v, want %v", res.Upto, b.To)
		}
		return sent
	}
	if want := rows[7].At; res.Upto != want {
		t.Errorf("upto %v, want %v: the first request was taken, the second was not", res.Upto, want)
	}
	var rest []load.Row
	for _, r := range rows {
		if !r.At.Before(res.Upto) {
			rest = append(rest, r)
		}
	}
	again := loadtest.Batch("acme", 1, 2, rest)
	again.From, again.Note = res.Upto, res.Note
	res, err = sink.Deliver(t.Context(), again)
	if err != nil || res.Upto != b.To {
		t.Errorf("the next delivery: upto %v, error %v", res.Upto, err)
	}
	sent.Add(res.Counts.Sent)
	return sent
}

// matrixRows are one event a record.
func matrixRows() []load.Row {
	rows := make([]load.Row, matrixEvents)
	for i := range rows {
		e := loadtest.Event(int64(i), sent)
		rows[i] = load.Row{At: load.Position{Segment: 1, Record: int64(i)}, Event: &e}
	}
	return rows
}

func wantHeld(t *testing.T, server *fake.OTLP, records, events int) {
	t.Helper()
	ids := map[any]bool{}
	for _, rec := range server.Records() {
		ids[rec.Attributes["log.record.uid"]] = true
	}
	if n := len(server.Records()); n != records || len(ids) != events {
		t.Errorf("the receiver holds %d records with %d ids, want %d with %d", n, len(ids), records, events)
	}
}

// TestTooLarge: a receiver that takes less than we send gets less.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewOTLP(fake.OTLPOptions{MaxBody: 13_000}) // three events
		sent := deliverAll(t, server, nil)
		wantHeld(t, server, matrixEvents, matrixEvents)
		if want := (load.Sent{Accepted: matrixEvents}); sent != want {
			t.Errorf("counted %+v, want %+v", sent, want)
		}
	})
}

// TestPoison: one event that the receiver refuses is found, and it alone given up.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := matrixRows()[17].Event.Metadata.UID
		server := fake.NewOTLP(fake.OTLPOptions{Poison: func(r fake.OTLPRecord) bool {
			return r.Body.(map[string]any)["metadata"].(map[string]any)["uid"] == poison
		}})
		res, err := open(t, server).Deliver(t.Context(), loadtest.Batch("acme", 1, 2, matrixRows()))
		if err != nil || len(res.Rejected) != 1 || res.Rejected[0].ID != poison {
			t.Fatalf("got rejects %+v, error %v, want %s alone", res.Rejected, err, poison)
		}
		wantHeld(t, server, matrixEvents-1, matrixEvents-1)
		if want := (load.Sent{Accepted: matrixEvents - 1, Rejected: 1}); res.Counts.Sent != want {
			t.Errorf("counted %+v, want %+v", res.Counts.Sent, want)
		}
		if calls := len(server.Calls()); calls > matrixRequests+2*3 {
			t.Errorf("%d calls to find one of 7", calls)
		}
	})
}

// TestThrownAway: what the receiver says it did not keep is counted, and shown.
func TestThrownAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewOTLP(fake.OTLPOptions{Partial: func(c fake.OTLPCall) (int, string) {
			if c.N == 2 {
				return 2, secret
			}
			return 0, "this goes away soon"
		}})
		res, err := open(t, server).Deliver(t.Context(), loadtest.Batch("acme", 1, 2, matrixRows()))
		if err != nil || len(res.Rejected) != 1 {
			t.Fatalf("got rejects %+v, error %v", res.Rejected, err)
		}
		wantQuiet(t, errors.New(res.Rejected[0].Reason))
		if want := (load.Sent{Accepted: matrixEvents - 2, Rejected: 2}); res.Counts.Sent != want {
			t.Errorf("counted %+v, want %+v", res.Counts.Sent, want)
		}
		if calls := len(server.Calls()); calls != matrixRequests {
			t.Errorf("%d calls, want %d: a partial success is not sent again", calls, matrixRequests)
		}
	})
}
