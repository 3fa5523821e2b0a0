package cloudtrail

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// lookupCursor is where a lookup goes on.
type lookupCursor struct {
	// Since is where the first run began: nothing earlier is ever asked for.
	Since   time.Time              `json:"since,omitzero"`
	Regions map[string]*regionMark `json:"regions,omitempty"`
	// Until ends the reading of a span; zero reads on for ever.
	Until time.Time `json:"until,omitzero"`
}

// regionMark is how far a region is read. Drained is until when all of it was,
// by the last run that came to its end.
type regionMark struct {
	Sources map[string]*sourceMark `json:"sources"`
	Drained time.Time              `json:"drained,omitzero"`
}

// sourceMark is how far the events of one service are read: all before To, as
// far as they were there by then. Reread is when the last daily second reading
// was over, Back how far the one at hand has come.
type sourceMark struct {
	To     time.Time `json:"to"`
	Reread time.Time `json:"reread,omitzero"`
	Back   time.Time `json:"back,omitzero"`
	// Floor is behind what was skipped: nothing earlier is read again.
	Floor time.Time `json:"floor,omitzero"`
}

func parseLookupCursor(from extract.Cursor) (lookupCursor, error) {
	var c lookupCursor
	if err := parseCursor(from, &c); err != nil {
		return c, err
	}
	for region, mark := range c.Regions {
		if mark == nil {
			return c, fmt.Errorf("read cursor: region %s is null", region)
		}
		for source, m := range mark.Sources {
			if m == nil || m.To.IsZero() {
				return c, fmt.Errorf("read cursor: %s in %s has no time", source, region)
			}
		}
	}
	return c, nil
}

func (c lookupCursor) encode() extract.Cursor { return encodeCursor(c) }

// mark returns a region's mark, made if there is none.
func (c *lookupCursor) mark(region string) *regionMark {
	if c.Regions == nil {
		c.Regions = map[string]*regionMark{}
	}
	m := c.Regions[region]
	if m == nil {
		m = &regionMark{}
		c.Regions[region] = m
	}
	if m.Sources == nil {
		m.Sources = map[string]*sourceMark{}
	}
	return m
}

// trailCursor is where the reading of a trail goes on. Which files are
// finished, the ledger knows.
type trailCursor struct {
	// Since is where the first run began: nothing delivered earlier is read.
	Since time.Time `json:"since,omitzero"`
	// Upto is until when, by the time in their names, all files were listed and
	// read; Proven the same of digests.
	Upto   time.Time `json:"upto,omitzero"`
	Proven time.Time `json:"proven,omitzero"`
	// Deep is when older folders were last listed again.
	Deep time.Time `json:"deep,omitzero"`
	// Key and Version name the file at hand, Record how many of its records are
	// read; empty between files.
	Key     string `json:"key,omitempty"`
	Version string `json:"version,omitempty"`
	Record  int64  `json:"record,omitempty"`
	// Behind are folders that appeared with files older than Upto, and how far
	// they are read.
	Behind map[string]time.Time `json:"behind,omitempty"`
	// Unread are files behind Upto that could not be read and are tried again.
	Unread []string `json:"unread,omitempty"`
	// GivenUp are files that were skipped: that they cannot be read is no news.
	GivenUp []string `json:"given_up,omitempty"`
	// Until ends the reading of a span: what was delivered then or later is not
	// of it. Zero reads on for ever.
	Until time.Time `json:"until,omitzero"`
}

func parseTrailCursor(from extract.Cursor) (trailCursor, error) {
	var c trailCursor
	if err := parseCursor(from, &c); err != nil {
		return c, err
	}
	if c.Record < 0 || c.Record > 0 && c.Key == "" {
		return c, errors.New("read cursor: its record is of no file")
	}
	return c, nil
}

func (c trailCursor) encode() extract.Cursor { return encodeCursor(c) }

func parseCursor(from extract.Cursor, into any) error {
	if from == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(from), into); err != nil {
		return fmt.Errorf("read cursor: %w", err)
	}
	return nil
}

func encodeCursor(c any) extract.Cursor {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings, numbers, and times within year 9999
	}
	return extract.Cursor(text)
}
