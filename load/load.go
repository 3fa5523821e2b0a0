// Package load holds the contract of a sink. Each destination has a package of
// its own below this one; loadtest is the kit every one of them passes.
//
// A sink only delivers: it is handed mapped rows and knows nothing of vendors,
// cursors, mapping or other sinks. Who calls it keeps its position.
package load

import (
	"context"
	"iter"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Position is a place in a source's landed records; see [schema.Position].
type Position = schema.Position

// Row is one thing to deliver. Exactly one of the pointers is set.
type Row struct {
	// At is the raw record the row comes from; a gap and a snapshot stand
	// behind the last record of their segment.
	At Position
	// Day is the UTC day (2006-01-02) the row is filed under: of the event, of
	// the snapshot's begin, of landing for rejects and gaps.
	Day string

	Event *schema.Event
	User  *schema.User
	// Setting is a section of a pool's or tenant's settings.
	Setting *schema.Setting
	// SnapshotID is the snapshot a User or a Setting belongs to.
	SnapshotID string
	Reject     *schema.Reject
	Gap        *schema.Gap
	// Snapshot says that a snapshot is complete.
	Snapshot *schema.Snapshot
}

// Batch is a range of a source's records, mapped. Rows come in landed order,
// unless the sink is a [Planner]: then they come sorted by table (events,
// users, settings, snapshots, rejects, gaps), day, snapshot, time and position. Rows may
// be ranged over once; an error in it ends the batch and is to be returned.
type Batch struct {
	Source   string
	From, To Position
	// Mapping is the version of the mapping that made the rows.
	Mapping int
	Rows    iter.Seq2[Row, error]
}

// Counts says what became of a batch.
type Counts struct {
	Events    int64 `json:"events"`
	Users     int64 `json:"users"`
	Settings  int64 `json:"settings,omitempty"`
	Rejects   int64 `json:"rejects"`
	Gaps      int64 `json:"gaps"`
	Snapshots int64 `json:"snapshots"`
	// Objects and Bytes are what was written, for sinks that write objects.
	Objects int64 `json:"objects,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
}

// Add adds c2 to c.
func (c *Counts) Add(c2 Counts) {
	c.Events += c2.Events
	c.Users += c2.Users
	c.Settings += c2.Settings
	c.Rejects += c2.Rejects
	c.Gaps += c2.Gaps
	c.Snapshots += c2.Snapshots
	c.Objects += c2.Objects
	c.Bytes += c2.Bytes
}

// Result of a delivery. Everything before Upto is kept by the destination, or
// listed in Rejected (the destination refuses that record for good). With an
// error, Upto may still have moved.
type Result struct {
	Upto     Position
	Rejected []schema.Reject
	Counts   Counts
}

// Sink is a destination.
type Sink interface {
	// Name is the sink's name in the config.
	Name() string
	// Deliver hands over a batch. Delivering the same batch again is harmless
	// to the degree the sink promises. Retries of single calls happen inside;
	// ctx ends them.
	Deliver(ctx context.Context, b Batch) (Result, error)
}

// Pending is what a sink has not been given yet of one source.
type Pending struct {
	Source  string
	Records int64
	// Bytes of the segments, uncompressed.
	Bytes int64
	// Since is when the sink last finished a delivery of this source; zero if
	// never.
	Since time.Time
	// Snapshot says that a complete snapshot is among what is pending.
	Snapshot bool
}

// Planner is a sink that takes few large batches and fixes each batch's end
// durably before it is read, so that a batch cut off by a crash is finished
// with the same end.
type Planner interface {
	Sink
	// Due says whether a batch should be planned now.
	Due(p Pending, now time.Time) bool
	// Plan returns the batch that begins at the start of segment from: the one
	// begun or finished there before, or a new one whose end is the segment
	// before head (head is the first segment not landed yet).
	Plan(ctx context.Context, source string, from, head int64) (Plan, error)
}

// Plan is a batch fixed by a [Planner]: segments From to To-1.
type Plan struct {
	From, To int64
	// Done says that it was finished before, with these counts: only the
	// position is to be moved.
	Done   bool
	Counts Counts
}

// Checker is a sink that can prove that it could deliver. With write, it may
// write and remove an object of its own to do so.
type Checker interface {
	Check(ctx context.Context, write bool) error
}
