package stream_test

import (
	"context"
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
		c := newCaller(each(uids("e", 25)...))
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
		c := newCaller(each(uids("e", 25)...))
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
