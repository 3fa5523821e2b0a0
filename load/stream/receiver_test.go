package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

var (
	errPoison  = errors.New("code 6")
	errFormat  = errors.New("no such form")
	errGateway = errors.New("no answer")
)

// receiver is a Protocol and the receiver behind it, in memory. An event is sent
// as its uid, padded to its message's length; the uid tells what becomes of it:
// "poison…" is refused, "bad…" cannot be encoded, "old…" is not sent, "fat…" is
// slimmed and "late…" restamped.
type receiver struct {
	packed int // requests that were packed ahead
	t      testing.TB
	// script says what becomes of the n-th call (from 0); without one it is
	// accepted. It may look at what is in it.
	script func(n int, uids []string) fate
	limit  int // bytes of a body that are too large; 0: none

	mu      sync.Mutex
	calls   []call
	stored  []string // in order, copies included
	maybe   map[string]int
	thrown  int // events of accepted requests that were thrown away
	sending int
}

// fate is what becomes of a request: what the sender is told, and whether the
// receiver has it.
type fate struct {
	stream.Answer
	kept bool
}

var accepted = fate{kept: true}

type call struct {
	uids   []string
	resend bool
	chnl   string
	answer stream.Answer
	at     time.Time
}

func (*receiver) Frame() stream.Frame { return stream.Frame{Open: "[", Separator: ",", Close: "]"} }

func (*receiver) Append(dst []byte, e *schema.Event, _ time.Time) ([]byte, stream.Mark, error) {
	uid := e.Metadata.UID
	switch {
	case strings.HasPrefix(uid, "bad"):
		return append(dst, "half of it"...), stream.Mark{}, errFormat
	case strings.HasPrefix(uid, "old"):
		return append(dst, "some of it"...), stream.Mark{TooOld: true, Skip: true}, nil
	}
	dst = append(dst, uid...)
	dst = append(dst, e.Message...)
	return dst, stream.Mark{Slimmed: strings.HasPrefix(uid, "fat"), TooOld: strings.HasPrefix(uid, "late")}, nil
}

// plain sends no more of an event than its uid.
type plain struct{ *receiver }

func (p plain) Append(dst []byte, e *schema.Event, at time.Time) ([]byte, stream.Mark, error) {
	return p.receiver.Append(dst, event(e.Metadata.UID, 0), at)
}

// Pack implements [stream.Packer]: what it makes is the body, whichever way.
func (r *receiver) Pack(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func (r *receiver) Send(ctx context.Context, q stream.Request) stream.Answer {
	uids := r.open(q)
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Packed != nil {
		r.packed++
		if !bytes.Equal(q.Packed, q.Body) {
			r.t.Errorf("packed is %.80q, the body %.80q", q.Packed, q.Body)
		}
	}
	if r.sending++; r.sending != 1 {
		r.t.Error("two requests at a time")
	}
	defer func() { r.sending-- }()
	f := r.judge(len(r.calls), uids, len(q.Body))
	if f.Outcome == stream.Accepted && ctx.Err() != nil {
		f = fate{Answer: stream.Answer{Outcome: stream.Unknown, Err: ctx.Err()}, kept: f.kept}
	}
	if f.Outcome == stream.Accepted || f.Outcome == stream.Unknown {
		for _, u := range uids {
			r.maybe[u]++
		}
	}
	if f.kept {
		r.stored = append(r.stored, uids[f.Lost:]...)
		r.thrown += f.Lost
	}
	r.calls = append(r.calls, call{uids, q.Resend, q.Channel, f.Answer, time.Now()})
	return f.Answer
}

func (r *receiver) open(q stream.Request) []string {
	body := string(q.Body)
	if !strings.HasPrefix(body, "[") || !strings.HasSuffix(body, "]") {
		r.t.Errorf("body %.40q is not framed", body)
	}
	var uids []string
	for e := range strings.SplitSeq(strings.Trim(body, "[]"), ",") {
		uid := strings.TrimRight(e, " ")
		if uid == "" || strings.Contains(uid, " ") {
			r.t.Errorf("entry %.40q is no event", e)
		}
		uids = append(uids, uid)
	}
	if len(uids) != q.Entries {
		r.t.Errorf("a request of %d events says %d", len(uids), q.Entries)
	}
	return uids
}

func (r *receiver) judge(n int, uids []string, size int) fate {
	f := accepted
	if r.script != nil {
		f = r.script(n, uids)
	}
	if f.Outcome != stream.Accepted {
		f.kept = f.kept && !slices.ContainsFunc(uids, poisonous)
		return f
	}
	if r.limit > 0 && size > r.limit {
		return fate{Answer: stream.Answer{Outcome: stream.TooLarge, Err: errors.New("413")}}
	}
	if slices.ContainsFunc(uids, poisonous) {
		return fate{Answer: stream.Answer{Outcome: stream.Refused, Err: errPoison}}
	}
	return f
}

func poisonous(uid string) bool { return strings.HasPrefix(uid, "poison") }

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	return &receiver{t: t, maybe: map[string]int{}}
}

// copies returns how often each event is stored, and the events in the order of
// their first arrival.
func (r *receiver) copies() (map[string]int, []string) {
	n, order := map[string]int{}, []string(nil)
	for _, u := range r.stored {
		if n[u]++; n[u] == 1 {
			order = append(order, u)
		}
	}
	return n, order
}

func told(o stream.Outcome) fate {
	return fate{Answer: stream.Answer{Outcome: o, Err: fmt.Errorf("outcome %d", o)}}
}

// lost is an answer that was lost on its way, or (not kept) a request.
func lost(kept bool) fate {
	return fate{Answer: stream.Answer{Outcome: stream.Unknown, Err: errGateway}, kept: kept}
}

// rows makes a record of each group of uids; a group may be empty.
func rows(groups ...[]string) []load.Row {
	var rows []load.Row
	for i, g := range groups {
		at := load.Position{Segment: 1, Record: int64(i)}
		for _, uid := range g {
			rows = append(rows, load.Row{At: at, Event: event(uid, 0)})
		}
		if len(g) == 0 {
			rows = append(rows, load.Row{At: at})
		}
	}
	return rows
}

// each makes a record of each uid.
func each(uids ...string) []load.Row {
	groups := make([][]string, len(uids))
	for i, u := range uids {
		groups[i] = []string{u}
	}
	return rows(groups...)
}

func event(uid string, pad int) *schema.Event {
	return &schema.Event{Metadata: schema.Metadata{UID: uid}, Message: strings.Repeat(" ", pad)}
}

func uids(n int) []string {
	u := make([]string, n)
	for i := range u {
		u[i] = fmt.Sprintf("e%03d", i)
	}
	return u
}

// caller does what the pipeline does: it keeps the position and the note, and
// hands over what lies behind the position.
type caller struct {
	upto, to load.Position
	note     string
	rows     []load.Row
	total    load.Counts
	rejected []schema.Reject
	waiting  bool
	keeps    int
	// onKeep may fail a Keep, before it is done.
	onKeep func(n int) error
	lose   bool // what Deliver returns, as a kill does
}

func newCaller(rows []load.Row) *caller {
	to := load.Position{Segment: 2}
	return &caller{upto: load.Position{Segment: 1}, to: to, rows: rows}
}

func (c *caller) apply(r load.Result) {
	c.upto, c.note, c.waiting = r.Upto, r.Note, r.Waiting
	c.total.Add(r.Counts)
	c.rejected = append(c.rejected, r.Rejected...)
}

func (c *caller) batch() load.Batch {
	from := c.upto
	return load.Batch{
		Source: "acme", From: c.upto, To: c.to, Mapping: 3, Note: c.note,
		Rows: func(yield func(load.Row, error) bool) {
			for _, r := range c.rows {
				if !r.At.Before(from) && !yield(r, nil) {
					return
				}
			}
		},
		Keep: func(r load.Result) error {
			c.keeps++
			if c.onKeep != nil {
				if err := c.onKeep(c.keeps); err != nil {
					return err
				}
			}
			c.apply(r)
			return nil
		},
	}
}

func (c *caller) deliver(ctx context.Context, s *stream.Sink) error {
	res, err := s.Deliver(ctx, c.batch())
	if !c.lose {
		c.apply(res)
	}
	return err
}

func small() stream.Options {
	return stream.Options{Name: "siem", MaxEntries: 10, Attempts: 3, Wait: time.Second}
}
