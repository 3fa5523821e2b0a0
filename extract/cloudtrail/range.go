package cloudtrail

import (
	"errors"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// trailLate is how long behind an event its file may be delivered, and the
// digest that lists the file: a span of events is read so much longer. Files
// that were read before are passed over, so that this costs little.
const trailLate = 3 * time.Hour

// Range returns the cursor that reads what happened from from until to.
func (l *Lookup) Range(from, to time.Time) extract.Cursor {
	return lookupCursor{Since: from.UTC().Truncate(time.Second), Until: to.UTC().Truncate(time.Second)}.encode()
}

// Range returns the cursor that reads what was delivered from from until some
// hours after to, which is when all of the span should be there.
func (t *Trail) Range(from, to time.Time) extract.Cursor {
	return trailCursor{Since: from.UTC().Truncate(time.Second), Until: to.UTC().Truncate(time.Second).Add(trailLate)}.encode()
}

// Skip passes over one window of the service that is furthest behind.
func (l *Lookup) Skip(c extract.Cursor) (extract.Skipped, error) {
	cur, err := parseLookupCursor(c)
	if err != nil {
		return extract.Skipped{}, err
	}
	region, source, last := cur.last()
	if last == nil {
		return extract.Skipped{}, errors.New("nothing was read yet: begin later, with since")
	}
	from := last.To
	to := from.Add(l.opts.Window)
	if to.After(l.opts.Now().Add(-l.opts.Settle)) {
		return extract.Skipped{}, errors.New("the cursor is at the newest events: there is nothing behind them to go on with")
	}
	last.To, last.Floor = to, to
	return extract.Skipped{Next: cur.encode(), Gaps: []schema.Gap{{
		Source: l.opts.Name, From: from, To: to, Reason: "skipped: events of " + source + " in " + region + " could not be looked up",
	}}}, nil
}

// Reached is until when the service is read that is furthest behind.
func (l *Lookup) Reached(c extract.Cursor) (time.Time, error) {
	cur, err := parseLookupCursor(c)
	if err != nil {
		return time.Time{}, err
	}
	if _, _, last := cur.last(); last != nil {
		return last.To, nil
	}
	return cur.Since, nil
}

// last is the mark of the service that is furthest behind; nil if there is none.
func (c *lookupCursor) last() (region, source string, last *sourceMark) {
	for r, mark := range c.Regions {
		for s, m := range mark.Sources {
			earlier := last == nil || m.To.Before(last.To)
			if earlier || m.To.Equal(last.To) && r+" "+s < region+" "+source {
				region, source, last = r, s, m
			}
		}
	}
	return region, source, last
}

// Skip gives up the files that could not be read. A listing that fails cannot be
// passed over.
func (t *Trail) Skip(c extract.Cursor) (extract.Skipped, error) {
	cur, err := parseTrailCursor(c)
	if err != nil {
		return extract.Skipped{}, err
	}
	if len(cur.Unread) == 0 {
		return extract.Skipped{}, errors.New("no single file is in the way: the bucket itself cannot be read; look at its policy and at the error")
	}
	var gaps []schema.Gap
	for _, key := range cur.Unread {
		at := fileStamp(key)
		gaps = append(gaps, schema.Gap{
			Source: t.opts.Name, From: at.Add(-trailLate), To: at, Input: key, Reason: "skipped: the file could not be read",
		})
	}
	cur.GivenUp = append(cur.GivenUp, cur.Unread...)
	cur.GivenUp = cur.GivenUp[max(len(cur.GivenUp)-maxUnread, 0):]
	cur.Unread = nil
	return extract.Skipped{Next: cur.encode(), Gaps: gaps}, nil
}

// Reached is until when all files, by their names, were read.
func (t *Trail) Reached(c extract.Cursor) (time.Time, error) {
	cur, err := parseTrailCursor(c)
	if err != nil {
		return time.Time{}, err
	}
	return latest(cur.Since, cur.Upto), nil
}
