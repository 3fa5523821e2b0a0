package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/idtrail/idtrail/load"
)

// What ended a delivery; [errors.Is] tells.
var (
	// ErrDenied: the receiver takes nothing before the configuration is changed,
	// here or there. Nothing is rejected, and nothing lost.
	ErrDenied = errors.New("denied by the receiver: check the key or token, the address and the rights this sink is configured with")
	// ErrUnavailable: the receiver could not be reached or was too busy, for
	// longer than is waited for it. The next run goes on from there.
	ErrUnavailable = errors.New("receiver unavailable")
	// ErrRefused: the receiver refuses whatever it is sent. More likely than that
	// every event is malformed is that the configuration is wrong: nothing is
	// rejected.
	ErrRefused = errors.New("receiver refuses every event, so none is rejected: check that address and format of this sink fit it")
)

// Sink delivers events through a [Protocol]. Several deliveries may go on at
// once, each of another source; they take turns at the receiver.
type Sink struct {
	p     Protocol
	acks  Acknowledger // p, if it is one
	pack  Packer       // the same
	frame Frame
	o     Options

	appending sync.Mutex
	calling   chan struct{} // holds one token: whoever has it may call Send or Ask
	bodies    sync.Pool
}

var _ load.Sink = (*Sink)(nil)

// New returns a sink that speaks p.
func New(p Protocol, o Options) *Sink {
	o.setDefaults()
	s := &Sink{p: p, frame: p.Frame(), o: o, calling: make(chan struct{}, 1)}
	s.acks, _ = p.(Acknowledger)
	s.pack, _ = p.(Packer)
	s.bodies.New = func() any { return new(body) }
	return s
}

// Name is the sink's name in the config.
func (s *Sink) Name() string { return s.o.Name }

// Deliver sends the events of the batch in their order, at least once, and calls
// b.Keep from the goroutine it is called on, after each accepted request and
// before the next is sent: a kill leaves one request in doubt, at most. It
// returns within moments of the end of ctx.
//
// Without an error, all is kept, or Result.Waiting says that acknowledgements
// are missing. An error is one of rows or Keep, the end of ctx, or wraps
// [ErrDenied], [ErrRefused] or [ErrUnavailable].
func (s *Sink) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	d := s.newDelivery(ctx, b)
	var calls sync.WaitGroup
	// One goroutine calls the receiver while this one builds the next request.
	calls.Go(func() { s.serve(ctx, d.jobs, d.answers) })
	defer func() {
		cancel()
		close(d.jobs)
		calls.Wait()
		s.putBack(d.open, d.spare, d.body)
	}()
	err := d.run(ctx)
	if err != nil {
		cancel()
	}
	return d.end(err)
}

func (s *Sink) putBack(bodies ...*body) {
	for _, b := range bodies {
		if b != nil {
			b.reset(s.frame)
			s.bodies.Put(b)
		}
	}
}
