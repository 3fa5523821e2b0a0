package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/load"
)

const (
	// maxPending requests may wait for their acknowledgement.
	maxPending = 1000
	// askEvery is how often is asked between requests.
	askEvery = 5 * time.Second
	// Between the questions at the end of a delivery, pauses grow.
	firstPause, maxPause = time.Second, 10 * time.Second
)

// ackState is what a delivery knows of acknowledgements; zero without an
// [Acknowledger].
type ackState struct {
	channel string
	// last is the last receipt of the channel: they grow, unless the receiver
	// has forgotten the channel.
	last    int64
	used    bool // there is a last
	asked   time.Time
	resends []span // to be sent again
	crossed int    // how many of them lie behind
}

// resume takes up what deliveries before left: it asks for what was not
// acknowledged, and divides the records of the note into those to skip and
// those to send again.
func (d *delivery) resume(ctx context.Context) error {
	if d.s.acks == nil {
		d.trust()
	} else {
		d.channel = d.s.acks.Channel()
		if err := d.askFirst(ctx); err != nil {
			return err
		}
		d.expire(d.s.o.Now().Add(-d.s.o.AckTimeout))
	}
	for _, s := range d.spans {
		if s.again {
			d.resends = append(d.resends, s)
		} else {
			d.skips = append(d.skips, s)
		}
	}
	return nil
}

// askFirst asks for all that deliveries before sent. Where no answer can be had,
// it fails: sending again what may be stored, for want of one, would never end.
func (d *delivery) askFirst(ctx context.Context) error {
	answered := false
	err := d.poll(ctx, true, func(err error) bool { answered = err == nil; return answered })
	if answered {
		return nil
	}
	return err
}

// await waits for acknowledgements at the end.
func (d *delivery) await(ctx context.Context) error {
	return d.poll(ctx, false, func(error) bool { return len(d.asks(false)) == 0 })
}

// askBetween asks from time to time, and waits where too much is waited for.
func (d *delivery) askBetween(ctx context.Context) error {
	if d.s.acks == nil {
		return nil
	}
	full := func() bool { return d.pending() >= maxPending }
	if full() {
		err := d.poll(ctx, false, func(error) bool { return !full() })
		if err == nil && full() {
			err = errStop
		}
		return err
	}
	if d.s.o.Now().Sub(d.asked) < askEvery {
		return nil
	}
	if err := d.askAll(ctx, false); fatal(ctx, err) {
		return err
	}
	return nil
}

// poll asks until done says so of the last answer's error, or AckWait has
// passed. It returns an error if the last question was not answered.
func (d *delivery) poll(ctx context.Context, all bool, done func(error) bool) error {
	pause, left := firstPause, d.s.o.AckWait
	for len(d.asks(all)) > 0 {
		err := d.askAll(ctx, all)
		if fatal(ctx, err) {
			return err
		}
		if done(err) {
			return nil
		}
		if left <= 0 {
			return err
		}
		if !sleep(ctx, min(pause, left)) {
			return ctx.Err()
		}
		left -= pause
		pause = min(2*pause, maxPause)
	}
	return nil
}

func fatal(ctx context.Context, err error) bool {
	var failed *keepError
	return err != nil && (ctx.Err() != nil || errors.Is(err, ErrDenied) || errors.As(err, &failed))
}

// askAll asks for every receipt once, and keeps what is stored: what a receiver
// says once only must not be lost.
func (d *delivery) askAll(ctx context.Context, all bool) (err error) {
	d.asked = d.s.o.Now()
	for _, q := range d.asks(all) {
		d.jobs <- job{ask: &q}
		a := <-d.answers
		if a.Err != nil {
			err = fmt.Errorf("ask for acknowledgements: %w", unavailable(a.Err))
		}
		if len(a.stored) > 0 {
			d.delta.Counts.Sent.Acknowledged += d.acknowledge(q.channel, a.stored)
			if errKeep := d.keep(); errKeep != nil {
				return errKeep
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

func unavailable(err error) error {
	if errors.Is(err, ErrDenied) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// receipt takes an accepted request's receipt. One that does not grow comes from
// a receiver that began anew: whoever asked it for the older ones would be told
// of other requests than he meant.
func (d *delivery) receipt(a answer) {
	if d.s.acks == nil {
		return
	}
	r := &d.record
	restarted := d.used && a.Receipt <= d.last
	if restarted {
		d.forget(d.channel)
		r.lost = r.lost || len(r.receipts) > 0
	}
	r.channel, r.receipts = d.channel, append(r.receipts, a.Receipt)
	d.last, d.used = a.Receipt, true
	if restarted {
		d.channel, d.used = d.s.acks.Channel(), false
	}
}

// sentBefore says whether the record was accepted before and is to be sent again
// (and with which span, counted from 1), and whether the receiver may have it.
func (d *delivery) sentBefore(at load.Position) (again int, unsure bool) {
	for len(d.resends) > 0 && !at.Before(d.resends[0].to) {
		d.resends = d.resends[1:]
		d.crossed++
	}
	if len(d.resends) > 0 && !at.Before(d.resends[0].from) {
		return d.crossed + 1, true
	}
	return 0, at.Before(d.doubtful)
}

// trust takes for stored what a delivery before wanted to be acknowledged, now
// that the sink is not to wait for that any more.
func (d *delivery) trust() {
	for i := range d.spans {
		d.spans[i].receipts = nil
	}
	d.advance()
}
