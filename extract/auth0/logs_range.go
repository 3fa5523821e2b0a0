package auth0

import (
	"errors"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// skipSpan is how far a skip moves: enough to pass over a page of most tenants.
const skipSpan = time.Minute

// Range returns the cursor that reads the records made from from until to. The
// checkpoint reading takes a made-up position, so a span is read as whole as
// any other: the search by date would end after 1,000 records.
func (l *Logs) Range(from, to time.Time) extract.Cursor {
	id := SyntheticID(from)
	return extract.Cursor(cursor{From: id, Start: id, Until: to.UTC().Truncate(time.Second)}.String())
}

// Skip passes over the minute behind the last record read; the overlap does not
// go back into it.
func (l *Logs) Skip(c extract.Cursor) (extract.Skipped, error) {
	cur, err := parseCursor(c)
	if err != nil {
		return extract.Skipped{}, err
	}
	at, ok := IDTime(cur.From)
	if !ok {
		return extract.Skipped{}, errors.New("the cursor's log_id bears no time: name a later log_id to go on behind")
	}
	if at.After(l.opts.Now().Add(-skipSpan)) {
		return extract.Skipped{}, errors.New("the cursor is at the newest records: there is nothing behind them to go on with")
	}
	cur.From = SyntheticID(at.Add(skipSpan))
	cur.Start = cur.From
	return extract.Skipped{Next: extract.Cursor(cur.String()), Gaps: []schema.Gap{{
		Source: l.opts.Name, From: at, To: at.Add(skipSpan), Reason: "skipped: the tenant's log could not be read there",
	}}}, nil
}

// Reached is the second of the last record read.
func (l *Logs) Reached(c extract.Cursor) (time.Time, error) {
	cur, err := parseCursor(c)
	if err != nil {
		return time.Time{}, err
	}
	at, _ := IDTime(cur.From)
	return at, nil
}

// within are the records of the span that is read.
func (r *run) within(records []schema.Raw) []schema.Raw {
	if r.cur.Until.IsZero() {
		return records
	}
	kept := records[:0]
	for _, rec := range records {
		if !r.cur.beyond(rec.ID) {
			kept = append(kept, rec)
		}
	}
	return kept
}
