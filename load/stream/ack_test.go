package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// acker is a receiver that says later what it stored: what it accepted is in its
// memory first, and lost with it.
type acker struct {
	*receiver
	channels int
	books    map[string]map[int64]*request // by channel and receipt
	after    time.Duration                 // from accepting to storing
	durable  map[string]int                // events stored, how often
	asks     []question
	// onAsk may fail a question, before or after it is answered.
	onAsk func(n int) (before, after error)
	given map[string]int // receipts said to be stored, by channel/receipt
	kills bool           // what was said may be forgotten
}

type request struct {
	uids  []string
	at    time.Time
	saved bool
	told  bool
}

type question struct {
	channel  string
	receipts []int64
	at       time.Time
}

func newAcker(t testing.TB, after time.Duration) *acker {
	t.Helper()
	return &acker{
		receiver: newReceiver(t), after: after,
		books: map[string]map[int64]*request{}, durable: map[string]int{}, given: map[string]int{},
	}
}

func (a *acker) Channel() string {
	a.channels++
	return fmt.Sprintf("ch%d", a.channels)
}

func (a *acker) Send(ctx context.Context, q stream.Request) stream.Answer {
	if q.Channel == "" {
		a.t.Error("a request without a channel")
	}
	before := len(a.stored)
	answer := a.receiver.Send(ctx, q)
	if uids := a.stored[before:]; len(uids) > 0 {
		book := a.books[q.Channel]
		if book == nil {
			book = map[int64]*request{}
			a.books[q.Channel] = book
		}
		answer.Receipt = int64(len(book))
		book[answer.Receipt] = &request{uids: slices.Clone(uids), at: time.Now()}
	}
	return answer
}

// index stores what is due.
func (a *acker) index() {
	for _, book := range a.books {
		for _, q := range book {
			if !q.saved && time.Since(q.at) >= a.after {
				q.saved = true
				for _, u := range q.uids {
					a.durable[u]++
				}
			}
		}
	}
}

// restart loses what is not stored, and begins to count receipts anew.
func (a *acker) restart() {
	a.index()
	a.books, a.given = map[string]map[int64]*request{}, map[string]int{}
}

func (a *acker) Ask(_ context.Context, channel string, receipts []int64) ([]int64, error) {
	a.index()
	a.asks = append(a.asks, question{channel, slices.Clone(receipts), time.Now()})
	for _, r := range receipts {
		if !a.kills && a.given[fmt.Sprint(channel, "/", r)] > 0 {
			a.t.Errorf("%s/%d is asked for after it was said to be stored", channel, r)
		}
	}
	var before, after error
	if a.onAsk != nil {
		before, after = a.onAsk(len(a.asks) - 1)
	}
	if before != nil {
		return nil, before
	}
	var stored []int64
	for _, r := range receipts {
		if q := a.books[channel][r]; q != nil && q.saved && !q.told {
			q.told = true
			stored = append(stored, r)
		}
	}
	if after != nil {
		return nil, after
	}
	for _, r := range stored {
		a.given[fmt.Sprint(channel, "/", r)]++
	}
	return stored, nil
}

func (c *caller) mustDeliver(t *testing.T, s *stream.Sink) {
	t.Helper()
	if err := c.deliver(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func TestAckAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, 0)
		c := newCaller(each(uids(25)...))
		begin := time.Now()
		c.mustDeliver(t, stream.New(a, small()))
		if c.upto != c.to || c.waiting || c.note != "" {
			t.Errorf("upto %v, waiting %v, note %s", c.upto, c.waiting, c.note)
		}
		if s := c.total.Sent; s.Accepted != 25 || s.Acknowledged != 25 || s.Resent != 0 {
			t.Errorf("counted %+v", s)
		}
		if len(a.calls) != 3 || len(a.asks) != 1 || time.Since(begin) > 0 {
			t.Errorf("%d requests, %d questions, took %v", len(a.calls), len(a.asks), time.Since(begin))
		}
	})
}

// TestAckLater: it comes after the delivery has ended; the next one asks first,
// and sends nothing again.
func TestAckLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, time.Minute)
		c := newCaller(each(uids(25)...))
		begin := time.Now()
		c.mustDeliver(t, stream.New(a, small()))
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("waited %v, want 30s", took)
		}
		if c.upto != (load.Position{Segment: 1}) || !c.waiting || c.total.Sent.Accepted != 25 || c.total.Sent.Acknowledged != 0 {
			t.Fatalf("upto %v, waiting %v, counted %+v", c.upto, c.waiting, c.total.Sent)
		}
		pauses := []time.Duration{}
		for i := 1; i < len(a.asks); i++ {
			pauses = append(pauses, a.asks[i].at.Sub(a.asks[i-1].at))
		}
		if want := []time.Duration{1e9, 2e9, 4e9, 8e9, 10e9, 5e9}; !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		time.Sleep(time.Minute)
		asked := len(a.asks)
		c.mustDeliver(t, stream.New(a, small()))
		if c.upto != c.to || c.waiting || c.note != "" || len(a.calls) != 3 || len(a.asks) != asked+1 {
			t.Errorf("upto %v, waiting %v, note %s, %d requests, %d questions", c.upto, c.waiting, c.note, len(a.calls), len(a.asks)-asked)
		}
		if q := a.asks[asked]; q.channel != "ch1" || !slices.Equal(q.receipts, []int64{0, 1, 2}) {
			t.Errorf("asked %+v", q)
		}
		if s := c.total.Sent; s.Accepted != 25 || s.Acknowledged != 25 || s.Resent != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestAckBeforeRows: what is acknowledged before the first row comes is kept at
// once, by the note: the position moves over rows that were yielded only. Killed
// then, it was sent again, though no receiver says twice that it has it.
func TestAckBeforeRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, time.Minute)
		c := newCaller(each(uids(25)...))
		s := stream.New(a, small())
		c.mustDeliver(t, s)
		time.Sleep(time.Minute)
		b := c.batch()
		errKilled := errors.New("killed")
		b.Rows = func(yield func(load.Row, error) bool) { yield(load.Row{}, errKilled) }
		if _, err := s.Deliver(t.Context(), b); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if c.upto != b.From || c.note == b.Note || c.total.Sent.Acknowledged != 25 {
			t.Errorf("upto %v, note %s, counted %+v", c.upto, c.note, c.total.Sent)
		}
		c.mustDeliver(t, s)
		if len(a.calls) != 3 || c.upto != c.to || c.note != "" || c.total.Sent.Acknowledged != 25 {
			t.Errorf("%d requests, upto %v, note %s, counted %+v", len(a.calls), c.upto, c.note, c.total.Sent)
		}
	})
}

// TestAckAnswerLost: what is said once only, and not heard, is never said again:
// it is sent again after AckTimeout, on a new channel, and not before.
func TestAckAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, 0)
		a.onAsk = func(n int) (before, after error) {
			if n == 0 {
				return nil, errGateway
			}
			return nil, nil
		}
		c := newCaller(each(uids(25)...))
		s := stream.New(a, small())
		for run := range 2 { // at 0 and 150 s, 30 s each
			c.mustDeliver(t, s)
			if c.upto == c.to || len(a.calls) != 3 {
				t.Fatalf("run %d: upto %v, %d requests", run, c.upto, len(a.calls))
			}
			time.Sleep(2 * time.Minute)
		}
		c.mustDeliver(t, s)
		if len(a.calls) != 6 || c.upto != c.to || c.note != "" {
			t.Fatalf("%d requests, upto %v, note %s", len(a.calls), c.upto, c.note)
		}
		for i, q := range a.calls[3:] {
			if !q.resend || q.chnl == a.calls[0].chnl || !slices.Equal(q.uids, a.calls[i].uids) {
				t.Errorf("sent again: %+v", q)
			}
		}
		if s := c.total.Sent; s.Accepted != 25 || s.Acknowledged != 25 || s.Resent != 25 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestAckReused: a receiver that restarted amid a delivery gives its receipts
// anew. What it says of them then is not said of the older requests.
func TestAckReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, time.Second)
		a.script = func(n int, _ []string) fate {
			if n == 2 {
				a.restart()
			}
			return accepted
		}
		c := newCaller(each(uids(40)...))
		c.mustDeliver(t, stream.New(a, small()))
		if s := c.total.Sent; s.Acknowledged != 20 || !c.waiting || c.upto != (load.Position{Segment: 1}) {
			t.Errorf("counted %+v, waiting %v, upto %v: the first two requests are lost", s, c.waiting, c.upto)
		}
		if a.calls[3].chnl == a.calls[2].chnl {
			t.Error("the channel is used on")
		}
		time.Sleep(5 * time.Minute)
		c.mustDeliver(t, stream.New(a, small()))
		if len(a.durable) != 40 || len(a.calls) != 6 || c.upto != c.to {
			t.Errorf("%d are stored with %d requests, upto %v", len(a.durable), len(a.calls), c.upto)
		}
		if s := c.total.Sent; s.Accepted != 40 || s.Acknowledged != 40 || s.Resent != 20 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestAckOutOfOrder: what is stored behind something that is not is noted, and
// not sent again with it. New rows go on meanwhile.
func TestAckOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, 0)
		a.kills = true // it says one thing that is not heard
		c := newCaller(each(uids(30)...))
		c.to = load.Position{Segment: 1, Record: 25}
		all := c.rows
		c.rows = all[:25]
		c.mustDeliver(t, stream.New(&forgetful{acker: a, lost: 1}, small()))
		if !c.waiting || c.upto != (load.Position{Segment: 1, Record: 10}) || c.total.Sent.Acknowledged != 15 {
			t.Fatalf("waiting %v, upto %v, counted %+v", c.waiting, c.upto, c.total.Sent)
		}
		c.rows, c.to = all, load.Position{Segment: 1, Record: 30}
		c.mustDeliver(t, stream.New(a, small()))
		if last := a.calls[3]; len(a.calls) != 4 || len(last.uids) != 5 || last.resend {
			t.Errorf("new rows were sent with %+v", a.calls[3:])
		}
		time.Sleep(5 * time.Minute)
		c.mustDeliver(t, stream.New(a, small()))
		if last := a.calls[4]; len(a.calls) != 5 || len(last.uids) != 10 || !last.resend || c.upto != c.to {
			t.Errorf("upto %v, sent again: %+v", c.upto, a.calls[4:])
		}
		if s := c.total.Sent; s.Accepted != 30 || s.Acknowledged != 30 || s.Resent != 10 {
			t.Errorf("counted %+v", s)
		}
	})
}

// forgetful never says that one receipt is stored.
type forgetful struct {
	*acker
	lost int64
}

func (f *forgetful) Ask(ctx context.Context, channel string, receipts []int64) ([]int64, error) {
	stored, err := f.acker.Ask(ctx, channel, receipts)
	return slices.DeleteFunc(stored, func(r int64) bool { return r == f.lost }), err
}

// TestAckPending: so much is sent ahead of the acknowledgements, and no more.
func TestAckPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, time.Hour)
		c := newCaller(each(uids(1100)...))
		o := small()
		o.MaxEntries = 1
		c.mustDeliver(t, stream.New(a, o))
		if !c.waiting || len(a.calls) != 1000 || len(c.note) > 1<<20 {
			t.Errorf("waiting %v, %d requests, a note of %d bytes", c.waiting, len(a.calls), len(c.note))
		}
	})
}

// TestAckUnanswered: questions that are never answered are no silent wait.
func TestAckUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, 0)
		a.onAsk = func(int) (before, after error) { return errGateway, nil }
		c := newCaller(each(uids(25)...))
		if err := c.deliver(t.Context(), stream.New(a, small())); !errors.Is(err, stream.ErrUnavailable) || !c.waiting {
			t.Errorf("got %v, waiting %v", err, c.waiting)
		}
		time.Sleep(time.Hour)
		if err := c.deliver(t.Context(), stream.New(a, small())); !errors.Is(err, stream.ErrUnavailable) || len(a.calls) != 3 {
			t.Errorf("got %v after %d requests: what may be stored is not sent again before it can be asked for", err, len(a.calls))
		}
		a.onAsk = func(int) (before, after error) { return stream.ErrDenied, nil }
		if err := c.deliver(t.Context(), stream.New(a, small())); !errors.Is(err, stream.ErrDenied) {
			t.Errorf("got %v", err)
		}
	})
}

// TestAckOff: who no longer wants acknowledgements takes the answer for good.
func TestAckOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcker(t, time.Hour)
		c := newCaller(each(uids(25)...))
		c.mustDeliver(t, stream.New(a, small()))
		c.mustDeliver(t, stream.New(a.receiver, small()))
		if c.upto != c.to || c.note != "" || len(a.calls) != 3 {
			t.Errorf("upto %v, note %s, %d requests", c.upto, c.note, len(a.calls))
		}
	})
}
