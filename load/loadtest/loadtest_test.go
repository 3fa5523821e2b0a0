package loadtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/loadtest"
)

// siem is a sink as those are that post events in small requests.
type siem struct {
	kept   []string
	broken bool
}

func (*siem) Name() string { return "siem" }

func (s *siem) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	res := load.Result{Upto: b.From}
	var request []string
	for row, err := range b.Rows {
		if err != nil {
			return res, err
		}
		if row.Event != nil {
			request = append(request, loadtest.Key(row))
		}
		if len(request) < 7 {
			continue
		}
		if err := s.post(ctx, request); err != nil {
			return res, err
		}
		res.Counts.Events += int64(len(request))
		res.Upto, request = load.Position{Segment: row.At.Segment, Record: row.At.Record + 1}, nil
		if err := b.Keep(res); err != nil {
			return res, err
		}
		res.Counts = load.Counts{}
	}
	if err := s.post(ctx, request); err != nil {
		return res, err
	}
	res.Counts.Events += int64(len(request))
	res.Upto = b.To
	return res, nil
}

func (s *siem) post(ctx context.Context, request []string) error {
	if s.broken {
		return errors.New("503 Service Unavailable")
	}
	s.kept = append(s.kept, request...)
	return ctx.Err() // a cancelled request may have arrived
}

func TestRun(t *testing.T) {
	loadtest.Run(t, loadtest.Harness{
		Takes: func(r load.Row) bool { return r.Event != nil },
		Open: func(*testing.T) loadtest.Destination {
			s := &siem{}
			return loadtest.Destination{
				Sink:  s,
				Kept:  func(*testing.T) []string { return s.kept },
				Break: func(broken bool) { s.broken = broken },
			}
		},
	})
}

func TestFillIsWhole(t *testing.T) {
	var v struct {
		A string
		B *bool
		C []struct{ N int64 }
		D map[string]string
	}
	loadtest.Fill(&v, 1)
	if v.A == "" || v.B == nil || !*v.B || len(v.C) == 0 || v.C[0].N == 0 || len(v.D) == 0 {
		t.Errorf("got %+v", v)
	}
}
