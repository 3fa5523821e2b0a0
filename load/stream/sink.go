package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/idtrail/idtrail/load"
)

// What ended a delivery; [errors.Is] tells.
var (
	// ErrDenied: the receiver takes nothing before its or our configuration is
	// changed.
	ErrDenied = errors.New("denied by the receiver")
	// ErrUnavailable: the receiver could not be reached or was too busy, for
	// longer than is waited for it. The next run tries again.
	ErrUnavailable = errors.New("receiver unavailable")
	// ErrRefused: the receiver refuses everything it is sent as malformed. Nothing
	// is rejected then: more likely the configuration is wrong.
	ErrRefused = errors.New("receiver refuses everything")
)

// Sink delivers events through a [Protocol]. Several deliveries may go on at
// once, each of another source.
type Sink struct {
	p Protocol
	o Options
}

var _ load.Sink = (*Sink)(nil)

// New returns a sink that speaks p.
func New(p Protocol, o Options) *Sink {
	o.setDefaults()
	return &Sink{p: p, o: o}
}

// Name is the sink's name in the config.
func (s *Sink) Name() string { return s.o.Name }

// Deliver sends the events of the batch in their order.
func (s *Sink) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	res := load.Result{Upto: b.From}
	f := s.p.Frame()
	body, n := []byte(f.Open), 0
	flush := func(to load.Position) error {
		if n > 0 {
			a := s.p.Send(ctx, Request{Body: append(body, f.Close...), Entries: n})
			if a.Outcome != Accepted {
				return fmt.Errorf("send %d events: %w: %w", n, ErrUnavailable, a.Err)
			}
		}
		res.Upto = to
		res.Counts.Events += int64(n)
		res.Counts.Sent.Accepted += int64(n)
		body, n = append(body[:0], f.Open...), 0
		return nil
	}
	for row, err := range b.Rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return res, err
		}
		if row.Event == nil {
			continue
		}
		if n == s.o.MaxEntries || len(body) > s.o.MaxBytes/2 {
			if err := flush(row.At); err != nil {
				return res, err
			}
		}
		if n > 0 {
			body = append(body, f.Separator...)
		}
		if body, _, err = s.p.Append(body, row.Event, s.o.Now()); err != nil {
			return res, err
		}
		n++
	}
	if err := ctx.Err(); err != nil {
		return res, err
	}
	return res, flush(b.To)
}
