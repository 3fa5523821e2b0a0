package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

// A receiver that refuses this many events before it has accepted any, or every
// one of a request of so many, is not fed poison: it is not the receiver the
// sink is made for.
const (
	refusedAtOnce  = 5
	refusedRequest = 20
)

// outcome is what became of the rows so far.
type outcome struct {
	ledger
	// doubt: records before it may have been sent, as far as they are not in the
	// ledger; doubtful: what of that was so before this delivery.
	doubt, doubtful load.Position

	done load.Position // end of what the ledger knows of the body in flight

	record outcomes // of the record in flight, until all of it is done
	held   outcomes // rejects not decided on, see span.held
	delta  load.Result

	refused                   int  // before anything was accepted
	accepted                  bool // anything, by this delivery
	refusedHere, acceptedHere int  // of the body in flight

	kept     time.Time // when Keep was called last
	lastUpto load.Position
	note     string
}

// outcomes of some events.
type outcomes struct {
	sent     load.Sent
	rejects  []schema.Reject
	events   int64 // accepted, be it again
	refused  int64
	receipts []int64
	channel  string
	lost     bool // receipts are missing: they cannot be asked for
	held     bool
}

func (o *outcome) count(r outcomes) {
	o.delta.Counts.Sent.Add(r.sent)
	o.delta.Rejected = append(o.delta.Rejected, r.rejects...)
}

func countOf(m Mark) (s load.Sent) {
	if m.TooOld {
		s.TooOld = 1
	}
	switch {
	case m.Skip:
		s.Skipped = 1
	case m.Slimmed:
		s.Slimmed = 1
	}
	return s
}

// accept takes note of an accepted piece.
func (d *delivery) accept(p piece, a answer) error {
	d.pop(p)
	n, lost := int64(p.len()), int64(min(max(a.Lost, 0), p.len()))
	r := &d.record
	r.events += n - lost
	if d.body.again == 0 {
		r.sent.Accepted += n - lost
		for _, e := range d.body.entries[p.lo:p.hi] {
			r.sent.Add(countOf(e.mark))
		}
	}
	if lost > 0 {
		reason := fmt.Sprintf("the receiver threw away %d of the %d events from here on, without saying which%s", lost, n, because(a.Err))
		d.turnDown(d.body.entries[p.lo], lost, reason)
	}
	if lost == n {
		if err := d.guard(p.len(), a.Err); err != nil {
			return err
		}
	} else {
		d.accepted, r.held = true, false
		d.acceptedHere += p.len()
		d.release()
	}
	d.receipt(a)
	d.settlePiece(p, true)
	return d.keep()
}

// refuse looks for what the receiver refuses in a piece; an event alone becomes
// a reject.
func (d *delivery) refuse(p piece, a answer) error {
	if p.len() > 1 {
		if a.Outcome == TooLarge {
			d.maxBytes = min(d.maxBytes, d.body.size(p, d.s.frame)/2)
		} else {
			d.pieces[len(d.pieces)-1].faulty = true
		}
		return nil
	}
	p.first = false // what else is refused is not known
	d.pop(p)
	reason := "refused by the receiver"
	if a.Outcome == TooLarge {
		reason = "too large for the receiver"
	}
	d.turnDown(d.body.entries[p.lo], 1, reason+because(a.Err))
	if err := d.guard(1, a.Err); err != nil {
		return err
	}
	d.settlePiece(p, false)
	return nil
}

// turnDown notes n events from e on as rejected. Of those sent again, some were
// rejected the first time already, and the others are accepted no more.
func (d *delivery) turnDown(e entry, n int64, reason string) {
	r := &d.record
	before := r.refused
	r.refused += n
	if d.body.again != 0 {
		n = min(n, max(0, r.refused-max(before, d.refusedAt(e.at))))
		r.sent.Accepted -= n
	}
	if n > 0 {
		r.sent.Rejected += n
		r.rejects = append(r.rejects, *d.reject(e.at, e.uid, reason))
	}
}

// guard counts refused events and says when they are too many to be poison.
func (d *delivery) guard(n int, err error) error {
	d.record.held = !d.accepted || d.acceptedHere == 0
	d.refusedHere += n
	if d.accepted {
		return nil
	}
	if d.refused += n; d.refused < refusedAtOnce {
		return nil
	}
	return refusesAll(err)
}

// landed says that the body in flight is done with.
func (d *delivery) landed() error {
	if d.refusedHere >= refusedRequest && d.refusedHere == len(d.body.entries) {
		return refusesAll(nil)
	}
	if !d.accepted || d.refusedHere == 0 {
		return nil
	}
	d.release()
	return d.keep()
}

func refusesAll(err error) error {
	if err == nil {
		return ErrRefused
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (d *delivery) reject(at load.Position, uid, reason string) *schema.Reject {
	return &schema.Reject{
		Source: d.b.Source, Segment: at.Segment, Record: at.Record, ID: uid,
		Reason: reason, Mapping: int32(d.b.Mapping), //nolint:gosec // a small number
	}
}

// pop takes the piece off. A half of something faulty that is accepted leaves the
// fault in the other half.
func (d *delivery) pop(p piece) {
	d.pieces = d.pieces[:len(d.pieces)-1]
	if p.first && len(d.pieces) > 0 {
		d.pieces[len(d.pieces)-1].faulty = true
	}
}

// behind is a position behind the records of the piece.
func (d *delivery) behind(p piece) load.Position {
	to, whole := d.body.end(p)
	if !whole {
		to.Record++
	}
	return to
}

// settlePiece puts the piece into the ledger, once its last record is whole.
func (d *delivery) settlePiece(p piece, accepted bool) {
	to, whole := d.body.end(p)
	if whole {
		d.commit(d.done, to)
		return
	}
	if accepted {
		d.doubt = later(d.doubt, d.behind(p))
	}
}

// commit puts the range, and what became of its events, into the ledger.
func (d *delivery) commit(from, to load.Position) {
	r := d.record
	d.record, d.done = outcomes{}, to
	for len(d.extras) > 0 && d.extras[0].at.Before(to) {
		e := d.extras[0]
		d.extras = d.extras[1:]
		r.sent.Add(e.sent)
		if e.reject != nil {
			r.rejects = append(r.rejects, *e.reject)
		}
	}
	s := span{from: from, to: to, channel: r.channel, receipts: r.receipts, events: r.events, refused: r.refused, held: r.held}
	if s.pending() {
		s.at = d.s.o.Now()
	}
	if r.lost {
		s.channel = ""
	}
	if r.held {
		d.held.sent.Add(r.sent)
		d.held.rejects = append(d.held.rejects, r.rejects...)
	} else {
		d.count(r)
	}
	d.add(s)
}

// release makes what is held rejects.
func (d *delivery) release() {
	d.count(d.held)
	d.held = outcomes{}
	d.ledger.release()
}

// result is what happened since Keep was called last.
func (d *delivery) result() load.Result {
	r := d.delta
	r.Upto, r.Note, r.Waiting = d.upto, d.ledger.encode(d.doubt), d.waiting()
	r.Counts.Events = r.Counts.Sent.Accepted
	return r
}

// keep tells the caller what is kept so far.
func (d *delivery) keep() error {
	if d.b.Keep == nil {
		return nil
	}
	r := d.result()
	if err := d.b.Keep(r); err != nil {
		return &keepError{err}
	}
	d.delta = load.Result{}
	d.kept, d.lastUpto, d.note = d.s.o.Now(), r.Upto, r.Note
	return nil
}

// keepError is a failure of Keep: it is not asked again.
type keepError struct{ err error }

func (e *keepError) Error() string { return "keep what was delivered: " + e.err.Error() }
func (e *keepError) Unwrap() error { return e.err }

// end returns what Deliver does. What an error leaves behind is kept first: it
// must not depend on what the caller does with the result of a failure.
func (d *delivery) end(err error) (load.Result, error) {
	if d.busy {
		// Its context has ended, so this is the last; step says what is known.
		if errLast := d.step(<-d.answers); !errors.Is(errLast, d.ended()) {
			err = errors.Join(err, errLast)
		}
	}
	d.drop()
	if errors.Is(err, errStop) {
		err = nil
	}
	var failed *keepError
	if err != nil && !errors.As(err, &failed) && d.news() {
		if errKeep := d.keep(); errKeep != nil {
			err = errors.Join(err, errKeep)
		}
	}
	return d.result(), err
}

// news says whether there is something to be kept.
func (d *delivery) news() bool {
	r := d.result()
	return r.Upto != d.lastUpto || r.Note != d.note || r.Counts != load.Counts{} || len(r.Rejected) > 0
}
