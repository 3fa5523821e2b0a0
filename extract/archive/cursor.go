package archive

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// cursor is where a reading goes on.
type cursor struct {
	// Key and Version name the file read last, Record how many of its records
	// are read, Done that this was all of them. Which files were finished before
	// it, the ledger knows.
	Key     string `json:"key,omitempty"`
	Version string `json:"version,omitempty"`
	Record  int64  `json:"record,omitempty"`
	Done    bool   `json:"done,omitempty"`
	// Drained says that everything was read, and that it was to be read once.
	Drained bool `json:"drained,omitempty"`
	// Snapshot is the one at hand, Issued the newest that was begun.
	Snapshot *snapshot `json:"snapshot,omitempty"`
	Issued   *issued   `json:"issued,omitempty"`
	// Set names, by a hash, the files that form the snapshot at hand together;
	// Missed says that one of them could not be read on this pass.
	Set    string `json:"set,omitempty"`
	Missed bool   `json:"missed,omitempty"`
}

// snapshot is the state of one: Users and Unparsed count the records of its
// files that are finished.
type snapshot struct {
	ID       string    `json:"id"`
	Begin    time.Time `json:"begin"`
	Users    int64     `json:"users"`
	Unparsed int64     `json:"unparsed,omitempty"`
	// Faulty says that the end of a file was missing, Over that it is complete.
	Faulty bool `json:"faulty,omitempty"`
	Over   bool `json:"over,omitempty"`
}

// issued is the newest snapshot begun, and how many began in its second.
type issued struct {
	Begin time.Time `json:"begin"`
	N     int       `json:"n"`
}

func parseCursor(from extract.Cursor) (cursor, error) {
	var c cursor
	if from == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(from), &c); err != nil {
		return c, fmt.Errorf("the cursor %.100q is not one of an archive: %w", string(from), err)
	}
	if c.Record < 0 || c.Snapshot != nil && c.Snapshot.ID == "" {
		return c, fmt.Errorf("the cursor %.100q is not one of an archive", string(from))
	}
	return c, nil
}

func (c cursor) encode() (extract.Cursor, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write cursor: %w", err)
	}
	return extract.Cursor(b), nil
}

// page is the snapshot as its pages show it.
func (s *snapshot) page() *schema.Snapshot {
	if s == nil {
		return nil
	}
	p := &schema.Snapshot{ID: s.ID, Begin: s.Begin, Complete: s.Over}
	if s.Over {
		// Files tell one instant only: when they were written.
		p.End = s.Begin
		p.Counts = map[string]int64{"users": s.Users}
		if s.Unparsed > 0 {
			p.Counts["unparsed"] = s.Unparsed
		}
	}
	return p
}
