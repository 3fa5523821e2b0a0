package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idtrail/idtrail/internal/fake"
)

// receivers are what a script's sinks send to.
type receivers struct {
	hec     *fake.HEC
	datadog *fake.Datadog
	otlp    *fake.OTLP
}

// The secrets the receivers want. All hold the planted one, which no output may
// show.
const (
	hecToken = planted + "-hec"
	ddKey    = planted + "-dd"
	otlpAuth = "Bearer " + planted + "-otlp"
)

// setUpReceivers serves them, and puts into the environment where, and their
// secrets.
func setUpReceivers(env *testscript.Env) {
	r := &receivers{
		hec:     fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{hecToken: {}}}),
		datadog: fake.NewDatadog(fake.DatadogOptions{APIKey: ddKey}),
		otlp:    fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"Authorization": otlpAuth}}),
	}
	env.Values[receivers{}] = r
	for name, handler := range map[string]http.Handler{"HEC_URL": r.hec, "DD_URL": r.datadog, "OTLP_URL": r.otlp} {
		server := httptest.NewServer(handler)
		env.Defer(server.CloseClientConnections)
		env.Setenv(name, server.URL)
	}
	env.Setenv("SPLUNK_TOKEN", hecToken)
	env.Setenv("DD_API_KEY", ddKey)
	env.Setenv("OTLP_TOKEN", otlpAuth)
	env.Setenv("PSEUDONYM_KEY", planted+planted)
}

// receiver speaks with the script's receivers:
//
//	receiver hec|dd|otlp fine      it answers as it should
//	receiver hec|dd|otlp away      it is down for longer than a run waits
//	receiver hec|dd|otlp deny      it takes no key, and says the key it was shown
//	receiver hec refuse TEXT       it refuses events that hold the text
//	receiver hec acks never|now    its token has acknowledgement, given then
//	receiver hec|dd|otlp took N    want that it has so many events, none twice
//	receiver hec|dd|otlp holds|lacks TEXT  want that in what it has, or not
//	receiver dd checks N           want so many service checks
//	receiver hec|dd|otlp calls N   want that it was called so often
//	receiver same                  want that all have the same events
func receiver(ts *testscript.TestScript, _ bool, args []string) {
	r, _ := ts.Value(receivers{}).(*receivers)
	if len(args) == 1 && args[0] == "same" {
		r.same(ts)
		return
	}
	if len(args) < 2 {
		ts.Fatalf("usage: receiver NAME VERB ARGS…")
	}
	name, text := args[0], strings.Join(args[2:], " ")
	switch args[1] {
	case "fine", "away", "deny":
		r.set(ts, name, args[1])
	case "refuse":
		r.hec.SetToken(hecToken, fake.HECToken{Refuse: func(e fake.HECEvent) int {
			if bytes.Contains(e.Event, []byte(text)) {
				return 6
			}
			return 0
		}})
	case "acks":
		r.hec.SetToken(hecToken, fake.HECToken{Ack: true})
		r.hec.SetAcks(0, map[string]time.Duration{"never": 24 * time.Hour}[text])
	case "took":
		ids := r.ids(ts, name)
		want(ts, name+" took", strconv.Itoa(len(ids)), text)
		want(ts, name+" took of different ones", strconv.Itoa(len(slices.Compact(slices.Sorted(slices.Values(ids))))), text)
	case "holds", "lacks":
		want(ts, name+" holds "+text, strconv.FormatBool(strings.Contains(r.text(ts, name), text)), strconv.FormatBool(args[1] == "holds"))
	case "checks":
		want(ts, "service checks", strconv.Itoa(len(r.datadog.Checks())), text)
	case "calls":
		want(ts, "calls of "+name, strconv.Itoa(r.calls(ts, name)), text)
	default:
		ts.Fatalf("unknown verb %s", args[1])
	}
}

func want(ts *testscript.TestScript, what, got, want string) {
	if got != want {
		ts.Fatalf("%s: got %s, want %s", what, got, want)
	}
}

func (r *receivers) set(ts *testscript.TestScript, name, mood string) {
	var fault *fake.Fault
	switch mood {
	case "away":
		fault = &fake.Fault{Status: http.StatusServiceUnavailable, ResetIn: 10 * time.Minute, RetryAfter: true, Header: http.Header{"Retry-After": {"600"}}}
	case "deny":
		fault = &fake.Fault{Status: http.StatusForbidden, Body: fmt.Sprintf("no key %s, %s or %s", hecToken, ddKey, otlpAuth)}
	}
	switch name {
	case "hec":
		r.hec.SetFault(func(fake.Call) *fake.HECFault {
			if fault == nil {
				return nil
			}
			return &fake.HECFault{Fault: *fault}
		})
	case "dd":
		r.datadog.SetLost(func(fake.Call) *fake.Fault { return fault })
	case "otlp":
		r.otlp.SetFault(func(fake.OTLPCall) *fake.OTLPFault {
			if fault == nil {
				return nil
			}
			return &fake.OTLPFault{Fault: *fault}
		})
	default:
		ts.Fatalf("there is no receiver %s", name)
	}
}

// ids are the event ids a receiver has, in its order.
func (r *receivers) ids(ts *testscript.TestScript, name string) []string {
	var ids []string
	switch name {
	case "hec":
		for _, e := range r.hec.Events() {
			ids = append(ids, e.Fields["event_id"])
		}
	case "dd":
		for _, l := range r.datadog.Logs() {
			ids = append(ids, l.EventID)
		}
	case "otlp":
		for _, rec := range r.otlp.Records() {
			ids = append(ids, fmt.Sprint(rec.Attributes["log.record.uid"]))
		}
	default:
		ts.Fatalf("there is no receiver %s", name)
	}
	return ids
}

func (r *receivers) text(ts *testscript.TestScript, name string) string {
	var b strings.Builder
	switch name {
	case "hec":
		for _, e := range r.hec.Events() {
			fmt.Fprintf(&b, "%s %s %s %s\n", e.Host, e.Index, e.Sourcetype, e.Event)
		}
	case "dd":
		for _, l := range r.datadog.Logs() {
			fmt.Fprintf(&b, "%s\n", l.Body)
		}
	case "otlp":
		for _, rec := range r.otlp.Records() {
			fmt.Fprintf(&b, "%v %v\n", rec.Body, rec.Attributes)
		}
	default:
		ts.Fatalf("there is no receiver %s", name)
	}
	return b.String()
}

func (r *receivers) calls(ts *testscript.TestScript, name string) int {
	switch name {
	case "hec":
		return len(r.hec.Calls())
	case "dd":
		return len(r.datadog.Calls())
	case "otlp":
		return len(r.otlp.Calls())
	}
	ts.Fatalf("there is no receiver %s", name)
	return 0
}

func (r *receivers) same(ts *testscript.TestScript) {
	sets := map[string]string{}
	for _, name := range []string{"hec", "dd", "otlp"} {
		ids := slices.Sorted(slices.Values(r.ids(ts, name)))
		if len(ids) == 0 || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			ts.Fatalf("%s has %d events, some of them twice, or none", name, len(ids))
		}
		sets[strings.Join(ids, " ")] = name
	}
	if len(sets) != 1 {
		ts.Fatalf("the receivers hold different events: %v", slices.Collect(maps.Values(sets)))
	}
}
