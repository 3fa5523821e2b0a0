package stream

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/idtrail/idtrail/load"
)

// span is a range of records, From to before To, that is done with but for its
// acknowledgement.
type span struct {
	from, to load.Position
	// channel and receipts name the requests it was accepted with; no receipts:
	// it is stored. With receipts and no channel, nobody can be asked any more.
	channel  string
	receipts []int64
	at       time.Time // when it was sent
	events   int64     // accepted with it
	refused  int64     // that are rejects
	// held: its events were refused, and whether they are rejected for it is not
	// decided.
	held bool
	// again: it was never acknowledged, and is to be sent again.
	again bool
}

func (s *span) stored() bool  { return len(s.receipts) == 0 && !s.held }
func (s *span) pending() bool { return len(s.receipts) > 0 }

// ledger is what was sent of the records from upto on. Its spans are in order
// and do not overlap; between them may be records that were not sent.
type ledger struct {
	upto  load.Position // all before it is kept
	limit load.Position // upto does not move beyond it: all rows before it were yielded
	spans []span
}

// add puts in s, which takes the place of spans that were to be sent again.
func (l *ledger) add(s span) {
	if !s.from.Before(s.to) {
		return
	}
	if len(l.spans) == 0 && s.stored() && s.from == l.upto {
		l.upto = s.to
		return
	}
	l.clear(s)
	i := sort.Search(len(l.spans), func(i int) bool { return !l.spans[i].from.Before(s.from) })
	l.spans = slices.Insert(l.spans, i, s)
	l.advance()
}

// clear takes what is to be sent again out of sent's range, because it was.
func (l *ledger) clear(sent span) {
	rest := l.spans[:0:0]
	for _, s := range l.spans {
		if !s.again || !s.from.Before(sent.to) || !sent.from.Before(s.to) {
			rest = append(rest, s)
			continue
		}
		// What was not reached yet keeps its receipts.
		if sent.to.Before(s.to) {
			s.from, s.events, s.refused = sent.to, max(0, s.events-sent.events), max(0, s.refused-sent.refused)
			rest = append(rest, s)
		}
	}
	l.spans = rest
}

// raise lets upto move on to a place. A caller can move its position over what it
// handed out only: what was acknowledged before its rows came stays in the note.
func (l *ledger) raise(to load.Position) {
	l.limit = to
	if len(l.spans) > 0 && l.spans[0].stored() {
		l.advance()
	}
}

// advance moves upto over what is stored without a break, and joins stored spans
// that touch, so that there are never many.
func (l *ledger) advance() {
	for len(l.spans) > 0 && l.spans[0].stored() && !l.upto.Before(l.spans[0].from) && l.upto.Before(l.limit) {
		if l.limit.Before(l.spans[0].to) {
			l.spans[0].from, l.upto = l.limit, l.limit
			break
		}
		if l.upto.Before(l.spans[0].to) {
			l.upto = l.spans[0].to
		}
		l.spans = l.spans[1:]
	}
	joined := l.spans[:0]
	for _, s := range l.spans {
		if last := len(joined) - 1; last >= 0 && joined[last].stored() && s.stored() && joined[last].to == s.from {
			joined[last].to = s.to
			continue
		}
		joined = append(joined, s)
	}
	clear(l.spans[len(joined):])
	l.spans = joined
}

// release decides that what is held is rejected.
func (l *ledger) release() {
	for i := range l.spans {
		l.spans[i].held = false
	}
	l.advance()
}

// drop takes out what is held: it is to be delivered once more.
func (l *ledger) drop() {
	l.spans = slices.DeleteFunc(l.spans, func(s span) bool { return s.held })
}

// acknowledge takes receipts that are stored and returns how many events are so
// with them.
func (l *ledger) acknowledge(channel string, receipts []int64) (events int64) {
	for i := range l.spans {
		s := &l.spans[i]
		if s.channel != channel || !s.pending() {
			continue
		}
		s.receipts = slices.DeleteFunc(s.receipts, func(r int64) bool { return slices.Contains(receipts, r) })
		if !s.pending() {
			events += s.events
			s.again = false
		}
	}
	l.advance()
	return events
}

// refusedAt returns how many events were refused when what is to be sent again at
// that place was sent first.
func (l *ledger) refusedAt(at load.Position) int64 {
	for i := range l.spans {
		if s := &l.spans[i]; s.again && !at.Before(s.from) && at.Before(s.to) {
			return s.refused
		}
	}
	return 0
}

// forget makes the receipts of a channel unaskable.
func (l *ledger) forget(channel string) {
	for i := range l.spans {
		if l.spans[i].channel == channel {
			l.spans[i].channel = ""
		}
	}
}

// expire marks what was sent before t and not acknowledged to be sent again.
func (l *ledger) expire(t time.Time) {
	for i := range l.spans {
		if s := &l.spans[i]; s.pending() && !s.at.After(t) {
			s.again = true
		}
	}
}

// pending counts the receipts that are waited for.
func (l *ledger) pending() (n int) {
	for i := range l.spans {
		if !l.spans[i].again {
			n += len(l.spans[i].receipts)
		}
	}
	return n
}

// waiting says whether anything is not acknowledged yet.
func (l *ledger) waiting() bool {
	return slices.ContainsFunc(l.spans, func(s span) bool { return s.pending() })
}

// asks returns what is to be asked for, by channel, oldest first. All: also what
// is to be sent again.
func (l *ledger) asks(all bool) []ask {
	var asks []ask
	for _, s := range l.spans {
		if !s.pending() || s.channel == "" || s.again && !all {
			continue
		}
		i := slices.IndexFunc(asks, func(a ask) bool { return a.channel == s.channel })
		if i < 0 {
			i, asks = len(asks), append(asks, ask{channel: s.channel})
		}
		asks[i].receipts = append(asks[i].receipts, s.receipts...)
	}
	return asks
}

// ask is one question to an [Acknowledger].
type ask struct {
	channel  string
	receipts []int64
}

// restore takes the spans of a note; false if they overlap.
func (l *ledger) restore(spans []span) bool {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from.Segment, b.from.Segment), cmp.Compare(a.from.Record, b.from.Record))
	})
	for i := 1; i < len(spans); i++ {
		if spans[i].from.Before(spans[i-1].to) {
			return false
		}
	}
	for _, s := range spans {
		s.from = later(s.from, l.upto)
		if s.from.Before(s.to) {
			l.spans = append(l.spans, s)
		}
	}
	l.advance()
	return true
}
