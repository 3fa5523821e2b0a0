package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// void takes everything at once.
type void struct{}

func (void) Frame() stream.Frame { return stream.Frame{Open: "[", Separator: ",", Close: "]"} }

func (void) Append(dst []byte, e *schema.Event, _ time.Time) ([]byte, stream.Mark, error) {
	return append(dst, e.RawData...), stream.Mark{}, nil
}

func (void) Send(context.Context, stream.Request) stream.Answer { return stream.Answer{} }

// BenchmarkPacking is what a delivery costs beside encoding and sending.
func BenchmarkPacking(b *testing.B) {
	const n = 100_000
	events := make([]schema.Event, 1000)
	for i := range events {
		events[i] = loadtest.Event(int64(i), time.Unix(1_800_000_000, 0))
	}
	s := stream.New(void{}, stream.Options{})
	batch := load.Batch{
		To: load.Position{Record: n},
		Rows: func(yield func(load.Row, error) bool) {
			for i := range n {
				if !yield(load.Row{At: load.Position{Record: int64(i)}, Event: &events[i%len(events)]}, nil) {
					return
				}
			}
		},
		Keep: func(load.Result) error { return nil },
	}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := s.Deliver(b.Context(), batch); err != nil || res.Upto != batch.To {
			b.Fatal(res.Upto, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
