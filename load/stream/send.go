package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// job is one thing to call the receiver for: a request, or with ask set a
// question.
type job struct {
	request Request
	entries int64
	ask     *ask
}

// answer is what became of a job.
type answer struct {
	Answer
	// unsure: the receiver may have the entries, though it did not say so.
	unsure bool
	// resent counts entries, for each time that the receiver may have got
	// another copy of them.
	resent int64

	stored []int64 // of an ask
}

// serve does the jobs, one by one, until there are no more.
func (s *Sink) serve(ctx context.Context, jobs <-chan job, answers chan<- answer) {
	var slow *time.Timer // what the receiver asked for with its last answer
	for j := range jobs {
		if j.ask != nil {
			answers <- s.ask(ctx, *j.ask)
			continue
		}
		if slow != nil {
			waitFor(ctx, slow)
			slow = nil
		}
		a := s.send(ctx, j)
		if a.Outcome == Accepted && a.Wait > 0 {
			slow = time.NewTimer(min(a.Wait, s.o.MaxAsked))
		}
		answers <- a
	}
	if slow != nil {
		slow.Stop()
	}
}

// send posts a request until the receiver says what it thinks of it, or it is
// not worth waiting for that any longer.
func (s *Sink) send(ctx context.Context, j job) (a answer) {
	a.unsure = j.request.Resend
	for attempt := 1; ; attempt++ {
		j.request.Resend = a.unsure
		if a.Answer = s.post(ctx, j.request); a.Outcome == Accepted || a.Outcome == Unknown {
			if a.unsure {
				a.resent += j.entries
			}
			a.unsure = true
		}
		if a.Outcome != Busy && a.Outcome != Unknown {
			return a
		}
		if attempt >= s.o.Attempts || a.Wait > s.o.MaxAsked || !sleep(ctx, s.backoff(attempt, a.Wait)) {
			return a
		}
	}
}

// post makes one call, when it is this delivery's turn.
func (s *Sink) post(ctx context.Context, r Request) Answer {
	if err := s.turn(ctx); err != nil {
		return Answer{Outcome: Busy, Err: err}
	}
	defer func() { <-s.calling }()
	return s.p.Send(ctx, r)
}

func (s *Sink) ask(ctx context.Context, q ask) (a answer) {
	if a.Err = s.turn(ctx); a.Err != nil {
		return a
	}
	defer func() { <-s.calling }()
	a.stored, a.Err = s.acks.Ask(ctx, q.channel, q.receipts)
	return a
}

func (s *Sink) turn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.calling <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff is how long to wait after the n-th attempt: half of it by chance, so
// that many senders do not come back at once; and never less than asked for.
func (s *Sink) backoff(n int, asked time.Duration) time.Duration {
	d := s.o.Wait
	for ; n > 1 && d < s.o.MaxWait; n-- {
		d *= 2
	}
	d = min(d, s.o.MaxWait)
	d = d/2 + jitter(d/2)
	if asked > d {
		return asked + jitter(min(asked/10, time.Second))
	}
	return d
}

func jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most) + 1)) //nolint:gosec // chance, no secret
}

// sleep says whether d passed before the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	return waitFor(ctx, time.NewTimer(d))
}

func waitFor(ctx context.Context, t *time.Timer) bool {
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// why words an outcome that ends a delivery.
func (a answer) why(entries int, sentinel error) error {
	if a.Err == nil {
		return fmt.Errorf("send %d events: %w", entries, sentinel)
	}
	return fmt.Errorf("send %d events: %w: %w", entries, sentinel, a.Err)
}
