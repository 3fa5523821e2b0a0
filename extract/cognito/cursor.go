package cognito

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// maxAge is how old a snapshot may be that is gone on with: an older one would
// mix users of two days.
const maxAge = 6 * time.Hour

// cursor is where a snapshot stands. It is stored as JSON.
type cursor struct {
	Snapshot string    `json:"snapshot"`
	Started  time.Time `json:"started"`
	// Newest is the newest name of a snapshot; "" where that is Snapshot.
	Newest string `json:"newest,omitempty"`
	// Finished says that it is complete: the next run begins another.
	Finished bool `json:"finished,omitempty"`
	// Settings says that all settings were read.
	Settings bool `json:"settings,omitempty"`
	// Shards is how many there are, Done the prefixes of those read to their end.
	Shards int      `json:"shards,omitempty"`
	Done   []string `json:"done,omitempty"`
	// Counts holds what was counted in what is done.
	Counts map[string]int64 `json:"counts,omitempty"`
}

func parseCursor(text extract.Cursor) (cursor, error) {
	var c cursor
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return cursor{}, fmt.Errorf("read cursor: %w", err)
	}
	if c.Snapshot == "" || c.Started.IsZero() {
		return cursor{}, errors.New(`read cursor: "snapshot" or "started" is missing`)
	}
	if c.Shards != 0 && !slices.Contains([]int{1, 16, 256}, c.Shards) {
		return cursor{}, fmt.Errorf("read cursor: shards is %d", c.Shards)
	}
	return c, nil
}

// resume says what a run goes on with: the cursor's snapshot, or a new one.
// over tells that the cursor's snapshot is complete and still good, or began
// this second: an id names only one.
func (c cursor) resume(now time.Time, every time.Duration) (next cursor, over bool) {
	precise := now
	now = now.UTC().Truncate(time.Second)
	if c.Snapshot != "" {
		age := now.Sub(c.Started)
		if c.Finished && age >= 0 && age < max(every, time.Second) {
			return c, true
		}
		if !c.Finished && age >= 0 && age < maxAge {
			return c, false
		}
	}
	id, newest := extract.NameSnapshot(precise, cmp.Or(c.Newest, c.Snapshot))
	if newest == id {
		newest = ""
	}
	return cursor{Snapshot: id, Started: now, Newest: newest}, false
}

// finish notes a shard as read, with what was counted in it.
func (c *cursor) finish(shard string, counts map[string]int64) {
	c.Done = append(slices.Clone(c.Done), shard)
	c.count(counts)
}

func (c *cursor) count(more map[string]int64) {
	sum := map[string]int64{}
	for _, counts := range []map[string]int64{c.Counts, more} {
		for name, n := range counts {
			sum[name] += n
		}
	}
	c.Counts = sum
}

func (c *cursor) text() extract.Cursor {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of texts, numbers and a time within year 9999
	}
	return extract.Cursor(text)
}

func (c *cursor) snapshot() *schema.Snapshot {
	return &schema.Snapshot{ID: c.Snapshot, Begin: c.Started.UTC()}
}
