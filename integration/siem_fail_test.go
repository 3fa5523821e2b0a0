package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

// TestSIEMFaults does harm to one request to each receiver. All comes to be
// delivered in the same run, and what is there twice is what is counted so.
func TestSIEMFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault harness.Fault
		// twice: the receiver has the request twice. doubt: idtrail cannot know
		// that it has not.
		twice, doubt bool
	}{
		{name: "request lost", fault: harness.Fault{Lose: true}, doubt: true},
		{name: "answer lost", fault: harness.Fault{LoseAnswer: true}, twice: true, doubt: true},
		{name: "busy", fault: harness.Fault{Status: 503, Body: `{"text":"Server is busy","code":9}`}},
		{name: "too many", fault: harness.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}}},
	}
	for _, receiver := range receivers() {
		for _, test := range tests {
			t.Run(receiver+" "+test.name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, deskOptions{logs: 300})
				ch := openChannel(t, receiver, "")
				ch.onCall(1, &test.fault)
				r, out := d.run(t, d.env, d.config(t, ch.config), 0)
				d.wantNoSecrets(t, out)
				harmed := int64(ch.entries(t, ch.calls()[0]))
				repeated := int64(wantEvents(t, ch.events(t), d.landed(t)))
				sent, errs := r.sent(ch.sink)
				if len(errs) > 0 || sent.Sent.Rejected != 0 || sent.Pending.Records != 0 {
					t.Errorf("%+v, errors %v", sent, errs)
				}
				want := int64(0)
				if test.doubt {
					want = harmed
				}
				if sent.Sent.Resent != want {
					t.Errorf("resent %d, want %d", sent.Sent.Resent, want)
				}
				if test.twice != (repeated == harmed) || repeated > harmed {
					t.Errorf("%d events are there twice, of %d", repeated, harmed)
				}
			})
		}
	}
}

// TestSIEMDenied is refused by a receiver that wants another token, and one that
// wants another key. That sink fails and says so without the secret, though the
// receiver's answer holds it; the others go on; and once it is put right all is
// delivered.
func TestSIEMDenied(t *testing.T) {
	t.Parallel()
	const wrong = "99999999-8888-7777-6666-wrong0000000"
	tests := []struct {
		name, receiver string
		env            []string
		fault          *harness.Fault
		status         int
	}{
		{"token", harness.HECAck, []string{"HEC_TOKEN=" + wrong}, nil, 401},
		{"no key", prismReceiver, nil, &harness.Fault{Alter: map[string]string{"Dd-Api-Key": ""}}, 401},
		{"key", prismReceiver, nil, &harness.Fault{Alter: map[string]string{"Prefer": "code=403"}}, 403},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, deskOptions{logs: 300})
			d.secrets = append(d.secrets, wrong)
			ch := openChannel(t, test.receiver, "")
			other := openChannel(t, harness.OTLP, "")
			config := d.config(t, ch.config, other.config)
			ch.proxy.SetFault(func(harness.Call) *harness.Fault { return test.fault })
			failed, out := d.run(t, append(d.env, test.env...), config, 3, "--log-level", "debug")
			d.wantNoSecrets(t, out)
			sent, errs := failed.sent(ch.sink)
			if len(errs) != 1 || !strings.Contains(errs[0], fmt.Sprint(test.status)) || sent.Sent.Accepted != 0 || sent.Pending.Records == 0 {
				t.Errorf("denied: %+v, errors %q", sent, errs)
			}
			if calls := ch.calls(); len(calls) != 1 || calls[0].Received != test.status {
				t.Errorf("%d calls, want 1 that was answered %d", len(calls), test.status)
			}
			status := harness.Idtrail(t, d.env, "status", "-c", config)
			d.wantNoSecrets(t, status)
			ch.proxy.SetFault(nil)
			d.run(t, d.env, config, 0)
			landed := d.landed(t)
			if repeated := wantEvents(t, ch.events(t), landed) + wantEvents(t, other.events(t), landed); repeated != 0 {
				t.Errorf("%d events are there twice", repeated)
			}
		})
	}
}

// TestSIEMTooLarge sends requests that are larger than the receiver takes: it
// says so as Splunk does, or as the collector does, which is as it refuses what
// is no JSON.
func TestSIEMTooLarge(t *testing.T) {
	t.Parallel()
	const limit = 900_000
	tests := map[string]func(harness.Call) *harness.Fault{
		"413": func(call harness.Call) *harness.Fault {
			if len(call.Body) <= limit {
				return nil
			}
			return &harness.Fault{Status: http.StatusRequestEntityTooLarge, Body: "<html><body><h1>Content too large</h1></body></html>"}
		},
		"400": nil, // the collector's own, at 1 MB
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, deskOptions{logs: 1200})
			ch := openChannel(t, harness.HEC, ", max_request: 4MB")
			ch.proxy.SetFault(fault)
			r, _ := d.run(t, d.env, d.config(t, ch.config), 0)
			sent, errs := r.sent(ch.sink)
			if len(errs) > 0 || sent.Sent.Rejected+sent.Sent.Resent+sent.Sent.Slimmed != 0 || sent.Pending.Records != 0 {
				t.Errorf("%+v, errors %v", sent, errs)
			}
			refused := 0
			for _, call := range ch.calls() {
				if call.Told/100 == 4 {
					refused++
				}
			}
			if refused == 0 {
				t.Errorf("none of %d requests was too large", len(ch.calls()))
			}
			if repeated := wantEvents(t, ch.events(t), d.landed(t)); repeated != 0 {
				t.Errorf("%d events are there twice", repeated)
			}
		})
	}
}

// TestSIEMPoison has a receiver refuse one event for good, whatever comes with
// it. It is found, counted and left out; all others are delivered.
func TestSIEMPoison(t *testing.T) {
	t.Parallel()
	for _, receiver := range []string{harness.HEC, prismReceiver} {
		t.Run(receiver, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, deskOptions{logs: 300})
			ch := openChannel(t, receiver, "")
			// A first run, to the lake only, tells what the ids are.
			d.run(t, d.env, d.config(t), 0)
			landed := d.landed(t)
			var poison string
			for poison = range landed {
				break
			}
			ch.proxy.SetFault(func(call harness.Call) *harness.Fault {
				if strings.Contains(string(call.Body), poison) {
					return &harness.Fault{Status: http.StatusBadRequest, Body: `{"text":"Invalid data format","code":6}`}
				}
				return nil
			})
			r, _ := d.run(t, d.env, d.config(t, ch.config), 0)
			if sent, errs := r.sent(ch.sink); len(errs) > 0 || sent.Sent.Rejected != 1 || sent.Sent.Resent != 0 || sent.Pending.Records != 0 {
				t.Errorf("%+v, errors %v", sent, errs)
			}
			delete(landed, poison)
			if repeated := wantEvents(t, ch.events(t), landed); repeated != 0 {
				t.Errorf("%d events are there twice", repeated)
			}
		})
	}
}

// TestSIEMCheck asks check about receivers that are as they should be, and about
// ones that are not.
func TestSIEMCheck(t *testing.T) {
	t.Parallel()
	d := newDesk(t, deskOptions{logs: 300})
	c := harness.StartCollector(t)
	prism := harness.StartPrism(t)
	config := d.config(t, hecSink(c.URL(harness.HECAck), ", ack: on"), otlpSink(c.URL(harness.OTLP), ""), datadogSink(prism.URL, ""))
	if out := harness.Idtrail(t, d.env, "check", "--write", "-c", config); out.Code != 0 {
		t.Errorf("exit code %d\n%s\n%s", out.Code, out.Stdout, out.Stderr)
	}
	prism.SetFault(func(harness.Call) *harness.Fault {
		return &harness.Fault{Alter: map[string]string{"Dd-Api-Key": ""}}
	})
	wrong := append(d.env, "HEC_TOKEN=99999999-wrong")
	out := harness.Idtrail(t, wrong, "check", "--write", "-c", config)
	for _, sink := range []string{"hec", "dd"} {
		if !strings.Contains(out.Stdout+out.Stderr, sink) {
			t.Errorf("nothing is said of %s", sink)
		}
	}
	if out.Code == 0 || strings.Contains(out.Stdout+out.Stderr, "99999999-wrong") {
		t.Errorf("exit code %d\n%s\n%s", out.Code, out.Stdout, out.Stderr)
	}
	d.wantNoSecrets(t, out)
}
