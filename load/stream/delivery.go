package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

const (
	// keepEvery is how often a position is kept that moves without a request.
	keepEvery = 5 * time.Second
	// maxExtras is how much besides entries a body may stand for.
	maxExtras = 1000
)

// errStop ends a delivery that is not to go on, though nothing failed.
var errStop = errors.New("nothing more is sent for now")

// delivery is one call of Deliver. All of it happens on the goroutine of that
// call, but for the calls of the receiver: those go through jobs, one at a time.
// A body is built while another is in flight; whatever the answers demand
// (splitting, keeping) is done between two rows, or when both bodies are full.
type delivery struct {
	s     *Sink
	b     load.Batch
	ended func() error // why the delivery is to end at once

	jobs    chan job
	answers chan answer

	open, spare *body // being built; unused, nil while another is in flight
	skips       []span
	at          load.Position // of the last row: all before it was yielded
	extras      []extra       // what is to be counted once its record is done with
	maxBytes    int

	flight
	outcome
	ackState
}

// flight is the body being sent.
type flight struct {
	body   *body
	pieces []piece // of it, to be sent; the next one last
	room   []byte  // for pieces
	busy   bool    // an answer is to come
}

// extra is an event that is not sent.
type extra struct {
	at     load.Position
	sent   load.Sent
	reject *schema.Reject
}

func (s *Sink) newDelivery(ctx context.Context, b load.Batch) *delivery {
	d := &delivery{
		ended: ctx.Err, s: s, b: b, at: b.From, maxBytes: s.o.MaxBytes, jobs: make(chan job), answers: make(chan answer, 1),
	}
	d.open, _ = s.bodies.Get().(*body)
	d.spare, _ = s.bodies.Get().(*body)
	d.open.reset(s.frame)
	d.open.from = b.From
	d.ledger = ledger{upto: b.From, limit: b.From}
	d.doubtful = d.decode(b.Note)
	d.doubt = d.doubtful
	d.note, d.kept, d.asked = b.Note, s.o.Now(), s.o.Now()
	d.lastUpto = b.From
	return d
}

// run sends what rows has.
func (d *delivery) run(ctx context.Context) error {
	if err := d.resume(ctx); err != nil {
		return err
	}
	for row, err := range d.b.Rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return d.broken(ctx, err)
		}
		if err := d.row(ctx, &row); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.passed(ctx, d.b.To); err != nil {
		return err
	}
	return d.finish(ctx)
}

// finish sends what is left and waits for acknowledgements.
func (d *delivery) finish(ctx context.Context) error {
	if err := d.flush(ctx, d.at); err != nil {
		return err
	}
	if err := d.wait(); err != nil {
		return err
	}
	d.release()
	return d.await(ctx)
}

// broken sends the whole records that came before rows failed.
func (d *delivery) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if i := d.open.lastRecord(); i >= 0 && d.open.entries[i].at == d.at {
		d.open.entries = d.open.entries[:i] // more of the record may have been to come
	}
	if errSend := d.flush(ctx, d.at); errSend != nil {
		return errors.Join(err, errSend)
	}
	return errors.Join(err, d.wait())
}

// row takes the next row.
func (d *delivery) row(ctx context.Context, r *load.Row) error {
	if d.body != nil {
		select {
		case a := <-d.answers:
			if err := d.step(a); err != nil {
				return err
			}
		default:
		}
	}
	if r.At != d.at || r.Event == nil {
		if err := d.passed(ctx, r.At); err != nil {
			return err
		}
	}
	if r.Event == nil || d.skipped(r.At) {
		return nil
	}
	return d.event(ctx, r)
}

// passed says that every row before at was yielded.
func (d *delivery) passed(ctx context.Context, at load.Position) error {
	d.at = later(d.at, at)
	d.raise(d.at)
	for len(d.skips) > 0 && !d.at.Before(d.skips[0].from) {
		s := d.skips[0]
		if d.open.from.Before(s.from) {
			if err := d.flush(ctx, s.from); err != nil {
				return err
			}
		}
		if d.at.Before(s.to) {
			d.open.from = later(d.open.from, d.at)
			return nil
		}
		d.open.from = later(d.open.from, s.to)
		d.skips = d.skips[1:]
	}
	if len(d.open.entries) == 0 && d.body == nil {
		return d.move(d.at)
	}
	if len(d.extras) >= maxExtras {
		return d.flush(ctx, d.at)
	}
	return nil
}

// skipped says whether the record was accepted by a delivery before.
func (d *delivery) skipped(at load.Position) bool {
	return len(d.skips) > 0 && !at.Before(d.skips[0].from)
}

// move moves the position where there is nothing to send.
func (d *delivery) move(to load.Position) error {
	if !d.open.from.Before(to) {
		return nil
	}
	d.commit(d.open.from, to)
	d.open.from = to
	if len(d.delta.Rejected) < maxExtras && d.s.o.Now().Sub(d.kept) < keepEvery {
		return nil
	}
	return d.keep()
}

// event puts an event into the open body.
func (d *delivery) event(ctx context.Context, r *load.Row) error {
	again, unsure := d.sentBefore(r.At)
	if b := d.open; len(b.entries) > 0 && (again != b.again || unsure != b.unsure) {
		if err := d.flush(ctx, r.At); err != nil {
			return err
		}
	}
	d.open.again, d.open.unsure = again, unsure
	mark, err := d.encode(r)
	switch {
	case (err != nil || mark.Skip) && again != 0:
		return nil // was counted the first time
	case err != nil:
		d.extras = append(d.extras, extra{at: r.At, sent: load.Sent{Rejected: 1}, reject: d.reject(r.At, r.Event.Metadata.UID, "cannot be sent"+because(err))})
		return nil
	case mark.Skip:
		d.extras = append(d.extras, extra{at: r.At, sent: countOf(mark)})
		return nil
	case len(d.open.buf)+len(d.s.frame.Close) <= d.maxBytes && len(d.open.entries) <= d.s.o.MaxEntries:
		return nil
	}
	return d.cut(ctx)
}

// encode appends the event to the open body.
func (d *delivery) encode(r *load.Row) (Mark, error) {
	b := d.open
	before := len(b.buf)
	if len(b.entries) > 0 {
		b.buf = append(b.buf, d.s.frame.Separator...)
	}
	start := len(b.buf)
	d.s.appending.Lock()
	buf, mark, err := d.s.p.Append(b.buf, r.Event, d.s.o.Now())
	d.s.appending.Unlock()
	if err != nil || mark.Skip {
		b.buf = b.buf[:before]
		return mark, err
	}
	b.buf = buf
	b.entries = append(b.entries, entry{start: start, end: len(buf), at: r.At, uid: r.Event.Metadata.UID, mark: mark})
	return mark, nil
}

// cut sends the open body without what made it too large: its last record, or
// where it has but that one, its last entry.
func (d *delivery) cut(ctx context.Context) error {
	b := d.open
	i := b.lastRecord()
	partial := i == 0
	if partial {
		i = len(b.entries) - 1
	}
	if i == 0 {
		return nil // alone, and too large: the receiver may take it
	}
	d.packAhead(i)
	if err := d.wait(); err != nil {
		return err
	}
	next, again, unsure := d.spare, b.again, b.unsure
	next.reset(d.s.frame)
	b.moveTo(next, i, d.s.frame)
	at := next.entries[0].at
	if err := d.launch(ctx, at, partial); err != nil {
		return err
	}
	next.from, next.again, next.unsure = at, again, unsure
	if partial {
		next.from = b.from // b settles nothing: it has part of one record
	}
	d.open = next
	return nil
}

// flush sends the open body, which ends before to, and begins another.
func (d *delivery) flush(ctx context.Context, to load.Position) error {
	d.packAhead(len(d.open.entries))
	if err := d.wait(); err != nil {
		return err
	}
	if len(d.open.entries) == 0 {
		return d.move(to)
	}
	next := d.spare
	next.reset(d.s.frame)
	if err := d.launch(ctx, to, false); err != nil {
		return err
	}
	next.from = to
	d.open = next
	return nil
}

// packAhead packs the first n entries of the open body while the one in flight
// keeps its receiver busy. Where none is, or its answer is there, the body goes
// out at once, and is packed while the next is built.
func (d *delivery) packAhead(n int) {
	b := d.open
	if d.s.pack == nil || n == 0 || d.body == nil || len(d.answers) > 0 {
		return
	}
	b.packed = d.s.pack.Pack(b.buf[:b.entries[n-1].end], []byte(d.s.frame.Close))
}

// launch puts the open body in flight.
func (d *delivery) launch(ctx context.Context, to load.Position, partial bool) error {
	if err := d.askBetween(ctx); err != nil {
		return err
	}
	d.body, d.spare = d.open, nil
	d.body.to, d.body.partial = to, partial
	d.pieces = append(d.pieces[:0], piece{hi: len(d.body.entries), unsure: d.body.unsure})
	d.refusedHere, d.acceptedHere = 0, 0
	d.done = d.body.from
	return d.next()
}

// wait waits until nothing is in flight.
func (d *delivery) wait() error {
	for d.body != nil {
		if err := d.step(<-d.answers); err != nil {
			return err
		}
	}
	return nil
}

// next sends the next piece, or lands the body where there is none.
func (d *delivery) next() error {
	f := d.s.frame
	for len(d.pieces) > 0 {
		p := &d.pieces[len(d.pieces)-1]
		if p.len() > 1 && (p.faulty || d.body.size(*p, f) > d.maxBytes) {
			d.halve()
			continue
		}
		var framed []byte
		framed, d.room = d.body.frame(*p, f, d.room)
		d.busy = true
		r := Request{Body: framed, Entries: p.len(), Channel: d.channel, Resend: p.unsure}
		if p.len() == len(d.body.entries) {
			r.Packed = d.body.packed
		}
		d.jobs <- job{request: r, entries: int64(p.len())}
		return nil
	}
	if err := d.landed(); err != nil {
		return err
	}
	d.spare, d.body = d.body, nil
	return nil
}

// halve puts the two halves of the next piece in its place.
func (d *delivery) halve() {
	last := len(d.pieces) - 1
	first, second := d.body.split(d.pieces[last])
	first.first = d.pieces[last].faulty
	d.pieces = append(d.pieces[:last], second, first)
}

// step does what an answer demands.
func (d *delivery) step(a answer) error {
	d.busy = false
	p := &d.pieces[len(d.pieces)-1]
	d.delta.Counts.Sent.Resent += a.resent
	p.unsure = a.unsure
	if a.unsure && a.Outcome != Accepted {
		d.doubt = later(d.doubt, d.behind(*p))
	}
	err := d.judge(*p, a)
	if d.ended() != nil && (err == nil || a.Outcome == Busy || a.Outcome == Unknown) {
		err = d.ended()
	}
	if err != nil {
		return err
	}
	return d.next()
}

func (d *delivery) judge(p piece, a answer) error {
	switch a.Outcome {
	case Accepted:
		return d.accept(p, a)
	case TooLarge, Refused:
		return d.refuse(p, a)
	case Denied:
		return a.why(p.len(), ErrDenied)
	case Busy, Unknown:
		return a.why(p.len(), ErrUnavailable)
	default:
		return fmt.Errorf("send %d events: unknown outcome %d: %w", p.len(), a.Outcome, ErrUnavailable)
	}
}
