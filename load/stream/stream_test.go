package stream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
)

func TestContract(t *testing.T) {
	loadtest.Run(t, loadtest.Harness{
		Takes: func(r load.Row) bool { return r.Event != nil },
		Open: func(t *testing.T) loadtest.Destination {
			r := newReceiver(t)
			broken := false
			r.script = func(int, []string) fate {
				if broken {
					return told(stream.Busy)
				}
				return accepted
			}
			return loadtest.Destination{
				Sink: stream.New(plain{r}, stream.Options{Name: "siem", MaxEntries: 7, Attempts: 2, Wait: time.Millisecond}),
				Kept: func(*testing.T) []string {
					var keys []string
					for _, u := range r.stored {
						keys = append(keys, "event "+u)
					}
					return keys
				},
				Break: func(b bool) { broken = b },
			}
		},
	})
}

// While a request is on its way, the next one is packed; the first goes out as it
// is. What is cut in two later is packed anew.
func TestPackedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.script = func(n int, _ []string) fate {
			time.Sleep(time.Second)
			if n == 3 {
				return told(stream.TooLarge)
			}
			return accepted
		}
		c := newCaller(each(uids(100)...))
		if err := c.deliver(t.Context(), stream.New(plain{r}, stream.Options{Name: "siem", MaxEntries: 10})); err != nil {
			t.Fatal(err)
		}
		if len(r.stored) != 100 || c.total.Sent.Accepted != 100 {
			t.Errorf("%d stored, %d accepted, want 100", len(r.stored), c.total.Sent.Accepted)
		}
		if r.packed < 5 || r.packed >= len(r.calls) {
			t.Errorf("%d of %d requests were packed ahead", r.packed, len(r.calls))
		}
	})
}
