package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/idtrail/idtrail/integration/harness"
)

// channel is one way out of idtrail: a sink, and the receiver behind it, with
// a proxy in between.
type channel struct {
	// sink is its name in the config and in reports.
	sink string
	// path of the calls that carry events.
	path  string
	proxy *harness.Proxy
	// config is the sink's.
	config string
	// events stops the receiver and returns what it has.
	events func(t *testing.T) []siemEvent
}

// openChannel starts a receiver and a proxy before it.
func openChannel(t *testing.T, receiver, more string) *channel {
	t.Helper()
	if receiver == prismReceiver {
		p := harness.StartPrism(t)
		ch := &channel{sink: "dd", path: "/api/v2/logs", proxy: p, config: datadogSink(p.URL, more)}
		ch.events = func(t *testing.T) []siemEvent { t.Helper(); return datadogEvents(t, p.Calls(ch.path)) }
		return ch
	}
	c := harness.StartCollector(t)
	p := harness.NewProxy(t, c.URL(receiver), false)
	ch := &channel{proxy: p}
	switch receiver {
	case harness.OTLP:
		ch.sink, ch.path, ch.config = "otlp", "/v1/logs", otlpSink(p.URL, more)
		ch.events = func(t *testing.T) []siemEvent { t.Helper(); c.Stop(t); return otlpEvents(t, c) }
	case harness.HECAck:
		more = ", ack: on, ack_wait: 10s" + more
		fallthrough
	default:
		ch.sink, ch.path, ch.config = "hec", "/services/collector/event", hecSink(p.URL, more)
		ch.events = func(t *testing.T) []siemEvent { t.Helper(); c.Stop(t); return hecEvents(t, c, receiver) }
	}
	return ch
}

// prismReceiver is Datadog's API as Prism serves it.
const prismReceiver = "prism"

// receivers are all that a sink sends to.
func receivers() []string {
	return []string{harness.HEC, harness.HECAck, harness.OTLP, prismReceiver}
}

// calls are those that carry events.
func (ch *channel) calls() []harness.Call { return ch.proxy.Calls(ch.path) }

// onCall lets f judge the nth call that carries events from now on, and lets all
// others pass.
func (ch *channel) onCall(n int, f *harness.Fault) {
	n += len(ch.calls())
	ch.proxy.SetFault(func(call harness.Call) *harness.Fault {
		if call.Path == ch.path && call.PathN == n {
			return f
		}
		return nil
	})
}

// entries is how many events a call carries.
func (ch *channel) entries(t *testing.T, call harness.Call) int {
	t.Helper()
	switch ch.sink {
	case "dd":
		var logs []json.RawMessage
		if err := json.Unmarshal(call.Body, &logs); err != nil {
			t.Fatal(err)
		}
		return len(logs)
	case "otlp":
		var req logspb.LogsData // what a request is on the wire
		if err := proto.Unmarshal(call.Body, &req); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range req.GetResourceLogs() {
			for _, s := range r.GetScopeLogs() {
				n += len(s.GetLogRecords())
			}
		}
		return n
	default:
		n := 0
		d := json.NewDecoder(bytes.NewReader(call.Body))
		for {
			var event json.RawMessage
			if err := d.Decode(&event); errors.Is(err, io.EOF) {
				return n
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
}

// largest is the most events that any call carried.
func (ch *channel) largest(t *testing.T) int {
	t.Helper()
	most := 0
	for _, call := range ch.calls() {
		most = max(most, ch.entries(t, call))
	}
	return most
}

// TestSIEMKilled kills idtrail while it sends, again and again. What the last
// run leaves is complete; what is there twice is, for each kill, no more than
// the one request that was under way, if the receiver had it.
func TestSIEMKilled(t *testing.T) {
	t.Parallel()
	for _, receiver := range receivers() {
		t.Run(receiver, func(t *testing.T) {
			t.Parallel()
			testSIEMKilled(t, receiver)
		})
	}
}

func testSIEMKilled(t *testing.T, receiver string) {
	t.Helper()
	logs, more := 4000, ""
	if strings.HasPrefix(receiver, harness.HEC) {
		logs, more = 2500, ", max_request: 700KB"
	}
	d := newDesk(t, deskOptions{logs: logs})
	ch := openChannel(t, receiver, more)
	config := d.config(t, ch.config)
	// The receiver has the request or has not when idtrail is killed waiting for
	// its answer.
	kills := []*harness.Fault{{Hang: true}, {Hang: true, LoseAnswer: true}, {Hang: true, LoseAnswer: true}}
	received := 0
	for i, fault := range kills {
		if fault.LoseAnswer {
			received++
		}
		n := 1 + rand.IntN(2)
		ch.onCall(n, fault)
		before := len(ch.calls())
		t.Logf("kill %d at call %d, received: %v", i, before+n, fault.LoseAnswer)
		harness.KillIdtrail(t, func() bool {
			calls := ch.calls()
			return len(calls) >= before+n && (!fault.LoseAnswer || calls[before+n-1].Received != 0)
		}, d.env, "run", "-c", config)
	}
	if receiver != harness.HECAck {
		// At any moment. An acknowledgement is given once: whoever is killed with
		// one in hand has to wait for 300 s, and the test would.
		wait := time.Duration(rand.IntN(40)) * time.Millisecond
		ch.onCall(2, &harness.Fault{Hang: true})
		before, began := len(ch.calls()), time.Time{}
		harness.KillIdtrail(t, func() bool {
			if began.IsZero() && len(ch.calls()) > before {
				began = time.Now()
			}
			return !began.IsZero() && time.Since(began) >= wait
		}, d.env, "run", "-c", config)
		received++
	}
	ch.proxy.SetFault(nil)
	r, out := d.run(t, d.env, config, 0)
	d.wantNoSecrets(t, out)
	if sent, errs := r.sent(ch.sink); len(errs) > 0 || sent.Pending.Records != 0 {
		t.Errorf("last run: %+v, errors %v", sent, errs)
	}
	got := ch.events(t)
	repeated := wantEvents(t, got, d.landed(t))
	if most := received * ch.largest(t); repeated > most {
		t.Errorf("%d events are there twice, want at most %d: %d requests of at most %d", repeated, most, received, ch.largest(t))
	}
	t.Logf("%d events twice, in %d calls", repeated, len(ch.calls()))
}
