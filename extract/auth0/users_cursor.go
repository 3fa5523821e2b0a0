package auth0

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// The phases of a snapshot, beside the sections of settings, which come first.
const (
	phaseMembers = "members"
	phaseUsers   = "users"
	phaseDone    = "done"
)

// usersCursor is where a snapshot goes on. It is stored as JSON.
type usersCursor struct {
	Snapshot string    `json:"snapshot"`
	Started  time.Time `json:"started"`
	// Newest is the newest name of a snapshot; "" where that is Snapshot.
	Newest string `json:"newest,omitempty"`
	// Job is the export job; its file is read to its end, whoever goes on.
	Job string `json:"job,omitempty"`
	// Phase is the section of settings that comes next, one of the phase*
	// constants behind them; place is where its list goes on.
	Phase string `json:"phase"`
	place
	// Settings counts what was given of them.
	Settings int64 `json:"settings,omitempty"`
	// Users counts the lines of the export that were given; Mark is a hash of
	// them, so that a file that is not the same is found out.
	Users int64  `json:"users,omitempty"`
	Mark  string `json:"mark,omitempty"`
}

// parseUsersCursor reads a stored cursor. "" gives the zero cursor.
func parseUsersCursor(text extract.Cursor) (usersCursor, error) {
	var c usersCursor
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return usersCursor{}, fmt.Errorf("read cursor: %w", err)
	}
	if c.Snapshot == "" || c.Phase == "" || c.Started.IsZero() || c.Users < 0 || c.Page < 0 {
		return usersCursor{}, errors.New(`read cursor: it needs "snapshot", "started" and "phase"`)
	}
	if c.Phase != phaseDone && !plainID(c.Job) {
		return usersCursor{}, errors.New("read cursor: it names no job")
	}
	return c, nil
}

func (c usersCursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of strings, numbers and a time within year 9999
	}
	return string(text)
}

// following names a snapshot that begins now, other than all before it.
func (c usersCursor) following(now time.Time) usersCursor {
	id, newest := extract.NameSnapshot(now, cmp.Or(c.Newest, c.Snapshot))
	if newest == id {
		newest = ""
	}
	return usersCursor{Snapshot: id, Started: now, Newest: newest}
}
