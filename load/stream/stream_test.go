package stream_test

import (
	"testing"
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
