package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

const (
	eventPath     = "/services/collector/event"
	ackPath       = "/services/collector/ack"
	channelHeader = "X-Splunk-Request-Channel"
)

// notYet answers what was asked for with false, as an indexer does that has not
// stored it yet; the receiver is not asked.
func notYet(t *testing.T, call harness.Call) *harness.Fault {
	t.Helper()
	var asked struct{ Acks []int64 }
	if err := json.Unmarshal(call.Body, &asked); err != nil {
		t.Errorf("asked for acknowledgement with %s", call.Body)
	}
	answers := make([]string, len(asked.Acks))
	for i, id := range asked.Acks {
		answers[i] = fmt.Sprintf(`"%d":false`, id)
	}
	return &harness.Fault{Status: 200, Body: `{"acks":{` + strings.Join(answers, ",") + `}}`}
}

// wantChannels wants every call to name a channel, all posts of a run the same,
// and returns the names in order.
func wantChannels(t *testing.T, p *harness.Proxy) []string {
	t.Helper()
	var names []string
	for _, call := range p.Calls("") {
		name := call.Header.Get(channelHeader)
		if name == "" && call.Method == http.MethodPost {
			t.Errorf("call %d to %s names no channel", call.N, call.Path)
		}
		if call.Path == eventPath && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return names
}

// TestSIEMAcknowledged sends to a receiver that acknowledges: at once, or late
// within the run.
func TestSIEMAcknowledged(t *testing.T) {
	t.Parallel()
	for _, late := range []int{0, 2} {
		t.Run(fmt.Sprintf("after %d questions", late), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, deskOptions{logs: 300})
			ch := openChannel(t, harness.HECAck, "")
			ch.proxy.SetFault(func(call harness.Call) *harness.Fault {
				if call.Path == ackPath && call.PathN <= late {
					return notYet(t, call)
				}
				return nil
			})
			r, _ := d.run(t, d.env, d.config(t, ch.config), 0)
			sent, errs := r.sent(ch.sink)
			if len(errs) > 0 || sent.Sent.Acknowledged != sent.Sent.Accepted || sent.Sent.Resent != 0 || sent.Pending.Records != 0 {
				t.Errorf("%+v, errors %v", sent, errs)
			}
			if asked := len(ch.proxy.Calls(ackPath)); asked <= late {
				t.Errorf("asked %d times", asked)
			}
			if names := wantChannels(t, ch.proxy); len(names) == 0 {
				t.Error("nothing was sent")
			}
			if repeated := wantEvents(t, ch.events(t), d.landed(t)); repeated != 0 {
				t.Errorf("%d events are there twice", repeated)
			}
		})
	}
}

// TestSIEMAcknowledgedLater ends a run before the receiver acknowledges. That is
// no failure; the next run asks for the same, and sends nothing again.
func TestSIEMAcknowledgedLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t, deskOptions{logs: 300})
	ch := openChannel(t, harness.HECAck, "")
	config := d.config(t, strings.Replace(ch.config, "ack_wait: 10s", "ack_wait: 1s", 1))
	ch.proxy.SetFault(func(call harness.Call) *harness.Fault {
		if call.Path == ackPath {
			return notYet(t, call)
		}
		return nil
	})
	first, _ := d.run(t, d.env, config, 0)
	sent, errs := first.sent(ch.sink)
	if len(errs) > 0 || sent.Sent.Acknowledged != 0 || sent.Pending.Records == 0 {
		t.Errorf("not acknowledged yet: %+v, errors %v", sent, errs)
	}
	before := landedOnly(callEvents(t, ch))
	ch.proxy.SetFault(nil)
	second, _ := d.run(t, d.env, config, 0)
	if sent, errs = second.sent(ch.sink); len(errs) > 0 || sent.Sent.Acknowledged == 0 || sent.Sent.Resent != 0 || sent.Pending.Records != 0 {
		t.Errorf("acknowledged in the next run: %+v, errors %v", sent, errs)
	}
	if after := landedOnly(callEvents(t, ch)); before != after {
		t.Errorf("%d events were sent, and then %d more", before, after-before)
	}
	if repeated := wantEvents(t, ch.events(t), d.landed(t)); repeated != 0 {
		t.Errorf("%d events are there twice", repeated)
	}
}

// TestSIEMKilledAcknowledged kills idtrail after it was told that what the run
// before sent is stored, which no receiver says twice, while it sends what is
// new. Only that is sent again.
func TestSIEMKilledAcknowledged(t *testing.T) {
	t.Parallel()
	d := newDesk(t, deskOptions{logs: 300})
	ch := openChannel(t, harness.HECAck, "")
	config := d.config(t, strings.Replace(ch.config, "ack_wait: 10s", "ack_wait: 1s", 1))
	unstored := func(call harness.Call) *harness.Fault {
		if call.Path == ackPath {
			return notYet(t, call)
		}
		return nil
	}
	ch.proxy.SetFault(unstored)
	d.run(t, d.env, config, 0)
	d.addLogs(t, 300)
	before, asked := len(ch.calls()), len(ch.proxy.Calls(ackPath))
	ch.onCall(1, &harness.Fault{Hang: true})
	harness.KillIdtrail(t, func() bool { return len(ch.calls()) > before }, d.env, "run", "-c", config)
	if len(ch.proxy.Calls(ackPath)) == asked {
		t.Error("the first request went out before the old ones were asked for")
	}
	ch.proxy.SetFault(nil)
	r, _ := d.run(t, d.env, config, 0)
	if sent, errs := r.sent(ch.sink); len(errs) > 0 || sent.Pending.Records != 0 {
		t.Errorf("last run: %+v, errors %v", sent, errs)
	}
	if repeated := wantEvents(t, ch.events(t), d.landed(t)); repeated != 0 {
		t.Errorf("%d events are there twice", repeated)
	}
}

// callEvents are the events in all calls to a Splunk receiver.
func callEvents(t *testing.T, ch *channel) []siemEvent {
	t.Helper()
	var all []siemEvent
	for _, call := range ch.calls() {
		d := json.NewDecoder(strings.NewReader(string(call.Body)))
		for d.More() {
			var envelope struct{ Event struct{ OCSF map[string]any } }
			if err := d.Decode(&envelope); err != nil {
				t.Fatal(err)
			}
			all = append(all, siemEvent{ocsf: envelope.Event.OCSF})
		}
	}
	return all
}

// TestSIEMReceiverRestarted restarts the receiver before it was asked whether
// it stored what it was sent: it has forgotten, and gives the same ids to what
// comes next. No channel is used again, so what is acknowledged then cannot pass
// for what was sent before; and within the time that an indexer may take, nothing
// is sent again.
func TestSIEMReceiverRestarted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, deskOptions{logs: 300})
	c := harness.StartCollector(t)
	p := harness.NewProxy(t, c.URL(harness.HECAck), false)
	config := d.config(t, hecSink(p.URL, ", ack: on, ack_wait: 1s"))
	p.SetFault(func(call harness.Call) *harness.Fault {
		if call.Path == ackPath {
			return notYet(t, call)
		}
		return nil
	})
	d.run(t, d.env, config, 0)
	c.Stop(t)
	c.Restart(t)
	p.SetFault(nil)
	first := wantChannels(t, p)
	second, _ := d.run(t, d.env, config, 0)
	sent, errs := second.sent("hec")
	if len(errs) > 0 || sent.Sent.Acknowledged != 0 || sent.Sent.Resent != 0 || sent.Pending.Records == 0 {
		t.Errorf("after the restart: %+v, errors %v", sent, errs)
	}
	for _, name := range wantChannels(t, p)[len(first):] {
		for _, before := range first {
			if name == before {
				t.Errorf("channel %s is used again", name)
			}
		}
	}
	c.Stop(t)
	if repeated := wantEvents(t, hecEvents(t, c, harness.HECAck), d.landed(t)); repeated != 0 {
		t.Errorf("%d events are there twice", repeated)
	}
}
