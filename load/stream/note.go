package stream

import (
	"encoding/json"
	"time"

	"github.com/idtrail/idtrail/load"
)

// A note is what a delivery leaves for the next one: which records behind the
// position were sent, and what to ask for them. It is written after every
// request, so it is short: arrays, not objects.
type note struct {
	Version int `json:"v"`
	// Doubt: records before it may have been sent; their request had no answer.
	Doubt *place `json:"doubt,omitempty"`
	// Stored ranges, each from, to.
	Stored [][2]place `json:"stored,omitempty"`
	// Sent are requests not acknowledged yet.
	Sent []sentNote `json:"sent,omitempty"`
}

const noteVersion = 1

// place is a position: segment, record.
type place [2]int64

func placeOf(p load.Position) place     { return place{p.Segment, p.Record} }
func (p place) position() load.Position { return load.Position{Segment: p[0], Record: p[1]} }
func (p place) valid() bool             { return p[0] >= 0 && p[1] >= 0 }
func (p place) before(q place) bool     { return p.position().Before(q.position()) }
func validRange(from, to place) bool    { return from.valid() && from.before(to) }
func later(p, q load.Position) load.Position {
	if p.Before(q) {
		return q
	}
	return p
}

// sentNote is the requests of one channel.
type sentNote struct {
	Channel  string        `json:"ch"`
	Requests []requestNote `json:"rq"`
}

type requestNote struct {
	From     place   `json:"f"`
	To       place   `json:"t"`
	At       int64   `json:"at"` // epoch milliseconds
	Events   int64   `json:"n"`
	Refused  int64   `json:"x,omitempty"`
	Receipts []int64 `json:"r"`
}

// encode returns the note, "" where there is nothing to say.
func (l *ledger) encode(doubt load.Position) string {
	n := note{Version: noteVersion}
	if l.upto.Before(doubt) {
		p := placeOf(doubt)
		n.Doubt = &p
	}
	channels := map[string]int{}
	for i := range l.spans {
		switch s := &l.spans[i]; {
		case s.pending():
			at, ok := channels[s.channel]
			if !ok {
				at = len(n.Sent)
				channels[s.channel] = at
				n.Sent = append(n.Sent, sentNote{Channel: s.channel})
			}
			n.Sent[at].Requests = append(n.Sent[at].Requests, requestNote{
				From: placeOf(s.from), To: placeOf(s.to), At: s.at.UnixMilli(), Events: s.events, Refused: s.refused, Receipts: s.receipts,
			})
		case s.stored():
			n.Stored = append(n.Stored, [2]place{placeOf(s.from), placeOf(s.to)})
		}
	}
	if n.Doubt == nil && n.Stored == nil && n.Sent == nil {
		return ""
	}
	text, err := json.Marshal(n)
	if err != nil {
		panic("stream: a note cannot be encoded: " + err.Error()) // it holds numbers and a channel's name
	}
	return string(text)
}

// decode reads a note into the ledger and returns its doubt. One that is no note
// of ours, or of a later version, counts as none: then what it told of is sent
// again. What lies before the position is done with.
func (l *ledger) decode(text string) (doubt load.Position) {
	var n note
	if text == "" || json.Unmarshal([]byte(text), &n) != nil || n.Version != noteVersion {
		return load.Position{}
	}
	spans, ok := n.spans()
	if !ok || !l.restore(spans) {
		return load.Position{}
	}
	if n.Doubt != nil {
		doubt = n.Doubt.position()
	}
	return doubt
}

// spans returns what the note tells of; false if it cannot be.
func (n *note) spans() (spans []span, ok bool) {
	for _, s := range n.Stored {
		if !validRange(s[0], s[1]) {
			return nil, false
		}
		spans = append(spans, span{from: s[0].position(), to: s[1].position()})
	}
	for _, ch := range n.Sent {
		for _, r := range ch.Requests {
			if !validRange(r.From, r.To) || len(r.Receipts) == 0 || r.Events < 0 {
				return nil, false
			}
			spans = append(spans, span{
				from: r.From.position(), to: r.To.position(), channel: ch.Channel, receipts: r.Receipts,
				at: time.UnixMilli(r.At), events: r.Events, refused: r.Refused,
			})
		}
	}
	return spans, true
}
