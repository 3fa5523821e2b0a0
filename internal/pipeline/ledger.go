package pipeline

import (
	"sync"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// ledger remembers what the records gave that a sink was handed and has not kept
// yet, so that the counts move with the position, and nothing is mapped again
// for them. A sink may keep while it is handed more.
type ledger struct {
	mu sync.Mutex
	// frontier is behind the last record whose rows the sink was handed.
	frontier schema.Position
	kept     schema.Position
	runs     []given         // in landed order, none before kept
	rejected []schema.Reject // the newest, at most keptRejects
}

// given is what each of n records in a row gave. A gap stands as a record of its
// own behind the last, which is not counted as one.
type given struct {
	segment, first, n int64
	what              outcome
}

// outcome of one record.
type outcome struct {
	records, rejected, events, filtered int32
}

func (o outcome) tally(n int64) state.Tally {
	t := state.Tally{Records: n * int64(o.records), Rejected: n * int64(o.rejected), Events: n * int64(o.events)}
	t.FannedOut = t.Events - t.Mapped()
	return t
}

// add notes what the record at a place gave.
func (l *ledger) add(at schema.Position, what outcome, rejected []schema.Reject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.runs) - 1; n >= 0 && l.runs[n].segment == at.Segment && l.runs[n].first+l.runs[n].n == at.Record && l.runs[n].what == what {
		l.runs[n].n++
	} else {
		l.runs = append(l.runs, given{segment: at.Segment, first: at.Record, n: 1, what: what})
	}
	l.rejected = append(l.rejected, rejected...)
	if more := len(l.rejected) - keptRejects; more > 0 {
		l.rejected = l.rejected[more:]
	}
}

// advance says that the sink is handed everything before a place.
func (l *ledger) advance(to schema.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frontier = to
}

// taken is what a sink kept since it last did.
type taken struct {
	upto     schema.Position
	tally    state.Tally
	filtered int64
	rejected []schema.Reject
}

// take takes out what lies before upto. A sink cannot keep what it was not
// handed: whoever says that all of a batch is kept, means all there was of it.
func (l *ledger) take(upto schema.Position) taken {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frontier.Before(upto) {
		upto = l.frontier
	}
	if upto.Before(l.kept) {
		upto = l.kept
	}
	t := taken{upto: upto}
	done := 0
	for i := range l.runs {
		g := &l.runs[i]
		n := g.before(upto)
		t.tally.Add(g.what.tally(n))
		t.filtered += n * int64(g.what.filtered)
		g.first, g.n = g.first+n, g.n-n
		if g.n > 0 {
			break
		}
		done++
	}
	l.runs = l.runs[done:]
	for len(l.rejected) > 0 && place(l.rejected[0]).Before(upto) {
		t.rejected, l.rejected = append(t.rejected, l.rejected[0]), l.rejected[1:]
	}
	l.kept = upto
	return t
}

// before counts the records that lie before a place.
func (g *given) before(upto schema.Position) int64 {
	switch {
	case g.segment < upto.Segment:
		return g.n
	case g.segment > upto.Segment:
		return 0
	default:
		return min(max(upto.Record-g.first, 0), g.n)
	}
}

func place(r schema.Reject) schema.Position {
	return schema.Position{Segment: r.Segment, Record: r.Record}
}

// handed is behind the last record whose rows the sink was handed.
func (l *ledger) handed() schema.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frontier
}

// says is false for the Result of a delivery that failed before it could tell
// anything, its note included.
func says(res load.Result) bool {
	return res.Upto != load.Position{} || res.Note != "" || res.Waiting || res.Counts != load.Counts{} || len(res.Rejected) > 0
}
