package integration_test

import (
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

// TestDatadog sends to the collector's receiver for Datadog. It keeps the
// message, the time and the tags of a log, and the metrics of a run.
func TestDatadog(t *testing.T) {
	t.Parallel()
	for _, tooOld := range []string{"restamp", "skip"} {
		t.Run(tooOld, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, deskOptions{logs: 600, days: 2})
			c := harness.StartCollector(t)
			p := harness.NewProxy(t, c.URL(harness.Datadog), false)
			r, _ := d.run(t, d.env, d.config(t, datadogSink(p.URL, ", too_old: "+tooOld)), 0)
			c.Stop(t)
			sent, errs := r.sent("dd")
			if len(errs) > 0 || sent.Sent.TooOld < 100 || sent.Sent.Rejected+sent.Sent.Resent != 0 {
				t.Errorf("%+v, errors %v", sent, errs)
			}
			kept := c.Logs(t, harness.Datadog)
			sentEvents := datadogEvents(t, p.Calls("/api/v2/logs"))
			if len(kept) != len(sentEvents) {
				t.Fatalf("the receiver has %d logs, want %d", len(kept), len(sentEvents))
			}
			late := int64(0)
			for i, l := range kept {
				isLate := strings.Contains(text(l.Attributes["ddtags"]), "late:true")
				if isLate {
					late++
				}
				if on := l.Time.Equal(sentEvents[i].time); on == isLate || l.Attributes["ddsource"] != "idtrail" || text(l.Body) == "" {
					t.Errorf("log %d is at %s (late: %v), the event at %s: %v", i, l.Time, isLate, sentEvents[i].time, l)
				}
			}
			landed := d.landed(t)
			skipped := int64(0)
			if tooOld == "skip" {
				skipped = sent.Sent.TooOld
			}
			if late != sent.Sent.TooOld-skipped || sent.Sent.Skipped != skipped || landedOnly(sentEvents) != int64(len(landed))-skipped {
				t.Errorf("%d late; sent %d of %d landed; %+v", late, landedOnly(sentEvents), len(landed), sent)
			}
			if names := c.Metrics(t, harness.Datadog); len(names) < 3 {
				t.Errorf("metrics: %v", names)
			}
		})
	}
}
