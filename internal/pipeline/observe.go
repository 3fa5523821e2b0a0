package pipeline

import (
	"context"
	"errors"
	"net"

	"github.com/idtrail/idtrail/load/stream"
)

// The steps that an [Observer] is told of. A source's step begins once it is
// held; landing, deliveries and the checkpoint are within it, flushes within the
// delivery to a lake.
const (
	StepSource     = "source"
	StepLand       = "land"
	StepDeliver    = "deliver"
	StepFlush      = "flush"
	StepCheckpoint = "checkpoint"
	StepReconcile  = "reconcile"
)

// Step is a part of a run. Which names are set depends on what it is of.
type Step struct {
	// Name is one of the Step constants.
	Name         string
	Source, Sink string
	// Left and Right are the sources of a comparison.
	Left, Right string
}

// Count is a number that a step ended with, by a name of lower-case words.
type Count struct {
	Name string
	N    int64
}

// Observer is told what a run does while it does it, by several goroutines. It
// must not wait for anybody: the run waits for it.
type Observer interface {
	// Begin is told that a step begins. What is done in the step, is done in the
	// context returned; end is called once, when it is over, and not at all after a
	// panic.
	Begin(ctx context.Context, s Step) (context.Context, func(err error, counts ...Count))
}

// begin tells the observer of a step, if there is one.
func (p *Pipeline) begin(ctx context.Context, s Step) (within context.Context, end func(error, ...Count)) {
	if p.Observer == nil {
		return ctx, func(error, ...Count) {}
	}
	return p.Observer.Begin(ctx, s)
}

// counts of what was read and landed.
func (r *SourceReport) counts() []Count {
	return []Count{
		{"read", r.Read},
		{"landed", r.Landed},
		{"repeated", r.Repeated},
		{"filtered", r.Filtered},
		{"segments", r.Segments},
		{"gaps", r.Gaps},
		{"adopted", r.Adopted},
	}
}

// counts of what a sink was given, notices with it.
func (r *SinkReport) counts() []Count {
	if r.Notices == nil {
		return []Count{
			{"records", r.Records},
			{"rejected", r.Rejected},
			{"events", r.Events},
			{"users", r.Users},
			{"settings", r.Settings},
			{"objects", r.Objects},
			{"bytes", r.Bytes},
			{"pending", r.Pending.Records},
		}
	}
	sent := r.Sent
	sent.Add(r.Notices.Sent)
	return []Count{
		{"records", r.Records},
		{"accepted", sent.Accepted},
		{"refused", sent.Rejected},
		{"filtered", sent.Filtered},
		{"skipped", sent.Skipped},
		{"pending", r.Pending.Records},
	}
}

// counts of what a comparison found.
func (r *ReconcileReport) counts() []Count {
	if r.Summary == nil {
		return nil
	}
	return []Count{{"linked", r.Summary.Linked}, {"findings", r.Summary.Findings}}
}

// The classes of errors that [ErrorClass] tells apart. Those of a receiver are as
// of the errors of load/stream.
const (
	ClassStopped     = "stopped"
	ClassPanic       = "panic"
	ClassDenied      = "denied"
	ClassRefused     = "refused"
	ClassUnavailable = "unavailable"
	ClassTimeout     = "timeout"
	ClassNetwork     = "network"
	ClassOther       = "error"
)

// ErrorClass says in one word of ours what kind of error it is, for those who are
// not to see its text; "" for nil.
func ErrorClass(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return ClassStopped
	case errors.Is(err, ErrPanic):
		return ClassPanic
	case errors.Is(err, stream.ErrDenied):
		return ClassDenied
	case errors.Is(err, stream.ErrRefused):
		return ClassRefused
	case errors.Is(err, stream.ErrUnavailable):
		return ClassUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ClassTimeout
	case errors.As(err, new(*net.OpError)), errors.As(err, new(*net.DNSError)):
		return ClassNetwork
	default:
		return ClassOther
	}
}
