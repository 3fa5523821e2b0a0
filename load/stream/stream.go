// Package stream delivers events to receivers that take them over HTTP: it packs
// them into requests, sends one while it builds the next, backs off, splits what
// is too large, finds the one event a receiver refuses, waits for
// acknowledgements, and counts all of it.
//
// What is particular to a receiver, the form of an event and the meaning of an
// answer, is a [Protocol]; load/datadog, load/splunk and load/otlp have one
// each. What they have in common of HTTP is here, too: the client, what no answer
// means, and what a status does where the receiver has no rule of its own. It
// knows no vendor, keeps no position (its caller does) and filters nothing.
package stream

import (
	"context"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Protocol is what is particular to a receiver. A [Sink] may deliver several
// sources at once, but never calls Append twice at a time, nor two of Send and
// Ask: a Protocol may keep a scratch buffer for each of the two sides. Frame
// returns the same always.
type Protocol interface {
	// Append appends e, encoded as one entry, to dst and returns it with what
	// was done to the event. e is shared and must not be changed. An error says
	// that this event can never be sent (it becomes a reject); dst is then
	// ignored.
	Append(dst []byte, e *schema.Event, now time.Time) ([]byte, Mark, error)
	// Frame is what a body consists of beside its entries.
	Frame() Frame
	// Send posts one body, once, and says what became of it: retries are the
	// caller's.
	Send(ctx context.Context, r Request) Answer
}

// Packer is a [Protocol] whose bodies can be made ready to be sent, compressed
// that is, before it is their turn: while another is on its way.
type Packer interface {
	Protocol
	// Pack returns the parts of a framed body, one behind the other, as Send
	// posts them. It is called from any goroutine. The result is the request's
	// own, and is not changed after.
	Pack(parts ...[]byte) []byte
}

// Acknowledger is a [Protocol] whose receiver says later, when asked, that what
// it accepted is stored.
type Acknowledger interface {
	Protocol
	// Channel makes the name of a new channel; each delivery uses one.
	Channel() string
	// Ask returns which of the receipts, all of one channel, are stored. A
	// receipt not returned is not stored yet, or lost, or unknown. A receiver may
	// say of a receipt only once that it is stored.
	Ask(ctx context.Context, channel string, receipts []int64) (stored []int64, err error)
}

// Mark is what Append did to an event.
type Mark struct {
	// Slimmed: the raw record was left out for size. TooOld: outside of the
	// receiver's window of time. Skip: not sent for that reason; nothing was
	// appended.
	Slimmed, TooOld, Skip bool
}

// Frame is what a body consists of beside its entries.
type Frame struct {
	Open, Separator, Close string
}

// Request is one body.
type Request struct {
	Body    []byte // framed, not compressed; valid until Send returns
	Entries int
	// Packed is the body as a [Packer] made it, nil if that is left to Send.
	Packed []byte
	// Channel is where an [Acknowledger] is to send it; else "".
	Channel string
	// Resend says that the receiver may have it already.
	Resend bool
}

// Outcome of a request.
type Outcome int

// What a receiver's answer may mean.
const (
	// Accepted: it has the entries (less Answer.Lost of them).
	Accepted Outcome = iota
	// Busy: it has none of them; send the same again, later.
	Busy
	// Unknown: it may have them: no answer, a cut connection, a gateway's
	// failure. Send the same again.
	Unknown
	// TooLarge: it has none; send less at once.
	TooLarge
	// Refused: something in the body is wrong; find it.
	Refused
	// Denied: nothing will be taken before somebody changes the configuration:
	// a bad key, a wrong path, an unknown index.
	Denied
)

// Answer is what became of a request.
type Answer struct {
	Outcome Outcome
	// Err explains every Outcome but Accepted, and is nil for Accepted unless
	// Lost. It holds no secret and no text a receiver may have echoed one in.
	Err error
	// Wait is how long the receiver asked to be left alone; 0 if it did not. With
	// Accepted: slow down.
	Wait time.Duration
	// Receipt is what to ask an [Acknowledger] for.
	Receipt int64
	// Lost is how many entries of an accepted body the receiver says it threw
	// away, without saying which.
	Lost int
}

// Options of a [Sink]. Zero values take the defaults.
type Options struct {
	// Name of the sink in the config.
	Name string
	// MaxBytes of a body before compression (1 MB) and MaxEntries in it (1000).
	MaxBytes, MaxEntries int
	// Attempts for one request (6), the first wait (1 s), which doubles up to
	// MaxWait (30 s), with jitter. A receiver that asks for a longer wait than
	// MaxAsked (2 min) is left to the next run.
	Attempts      int
	Wait, MaxWait time.Duration
	MaxAsked      time.Duration
	// AckWait is how long a delivery waits at its end for acknowledgements (30
	// s), AckTimeout after how long what was not acknowledged is sent again (300
	// s).
	AckWait, AckTimeout time.Duration
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

const (
	defaultMaxBytes   = 1_000_000
	defaultMaxEntries = 1000
)

func (o *Options) setDefaults() {
	setDefault(&o.MaxBytes, defaultMaxBytes)
	setDefault(&o.MaxEntries, defaultMaxEntries)
	setDefault(&o.Attempts, 6)
	setDefault(&o.Wait, time.Second)
	setDefault(&o.MaxWait, 30*time.Second)
	setDefault(&o.MaxAsked, 2*time.Minute)
	setDefault(&o.AckWait, 30*time.Second)
	setDefault(&o.AckTimeout, ackTimeout)
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the clock where none is handed in
	}
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
