package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// A log_id of today: "900", the UTC time to the second, and a tail whose layout
// differs. Only idPrefix and the time are read, and only as a position; the ids
// themselves are compared byte by byte.
const (
	idPrefix = "900"
	idTime   = "20060102150405"
	idLength = 56
	// maxID bounds what is taken for an id: nothing longer goes into a URL.
	maxID = 256
)

// cursor is where logs go on. It is stored as JSON.
type cursor struct {
	// From is the last log_id read, or a made-up one.
	From string `json:"from"`
	// Start is where the first run began: an overlap never goes before it.
	Start string `json:"start,omitempty"`
	// DrainedAt is until when everything has been read; zero until a run has
	// come to the end. It stays when a later run is cut off.
	DrainedAt time.Time `json:"drained_at,omitzero"`
	// Until ends the reading of a span: records made then or later are not of
	// it. Zero reads on for ever.
	Until time.Time `json:"until,omitzero"`
}

// SyntheticID is the position of the first instant of t's second.
func SyntheticID(t time.Time) string {
	id := idPrefix + t.UTC().Format(idTime)
	return id + strings.Repeat("0", idLength-len(id))
}

// IDTime reads the second a log_id was made in; false where the id is of
// another form.
func IDTime(id string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(rest) < len(idTime) {
		return time.Time{}, false
	}
	t, err := time.Parse(idTime, rest[:len(idTime)])
	return t, err == nil
}

// parseCursor reads a stored cursor. "" gives the zero cursor.
func parseCursor(text extract.Cursor) (cursor, error) {
	var c cursor
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return cursor{}, fmt.Errorf("read cursor: %w", err)
	}
	if c.From == "" {
		return cursor{}, errors.New(`read cursor: "from" is missing`)
	}
	if !plainID(c.From) || c.Start != "" && !plainID(c.Start) {
		return cursor{}, errors.New("read cursor: not a log_id")
	}
	return c, nil
}

// plainID says whether id can be a position: short and printable.
func plainID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

func (c cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of strings and a time within year 9999
	}
	return string(text)
}

// overlapFrom is the position a run reads from: overlap before the cursor, but
// never before the first run's start. It is always a little before From, so
// that From's own record comes again where it still exists.
func (c cursor) overlapFrom(overlap time.Duration) string {
	t, ok := IDTime(c.From)
	if !ok {
		return c.From
	}
	return max(min(SyntheticID(t.Add(-overlap)), c.From), c.Start)
}

// beyond says whether an id lies behind the span the cursor reads.
func (c cursor) beyond(id string) bool {
	return !c.Until.IsZero() && plainID(id) && id >= SyntheticID(c.Until)
}

// covered is the instant until which everything has been read.
func (c cursor) covered() time.Time {
	t, _ := IDTime(c.From)
	if c.DrainedAt.After(t) {
		return c.DrainedAt
	}
	return t
}
