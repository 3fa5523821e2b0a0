// Package load holds the contract of a sink. Each destination has a package of
// its own below this one; loadtest is the kit every one of them passes.
//
// A sink only delivers: it is handed mapped rows and knows nothing of vendors,
// cursors, mapping or other sinks. Who calls it keeps its position.
package load

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Position is a place in a source's landed records; see [schema.Position].
type Position = schema.Position

// Row is one thing to deliver. Exactly one of the pointers is set, or none: such
// a row is a mark, which only sinks that are no [Planner] are given. It says that
// every row before At was yielded, so that a position can move over records of
// which the sink takes nothing.
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

	// Note is the Note of the sink's last Result for this source; "" if there
	// was none.
	Note string
	// Keep is told, while a delivery goes on, what is kept so far; what it
	// returned nil for is not delivered again. Each Result counts from the one
	// before, and the one that Deliver returns from the last. An error ends the
	// delivery. It is nil for a [Planner].
	Keep func(Result) error
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
	// Sent is for sinks that send events to a receiver.
	Sent Sent `json:"sent,omitzero"`
}

// Sent counts events, each once, however often it was sent. Of the events a sink
// was given, Accepted + Skipped + Rejected are done with; Filtered were not
// given to it.
type Sent struct {
	// Accepted by the receiver, which answered so.
	Accepted int64 `json:"accepted"`
	// Acknowledged are those of Accepted that the receiver said are stored;
	// always 0 where it has no way to say so.
	Acknowledged int64 `json:"acknowledged,omitempty"`
	// Resent were sent again after a request whose outcome is unknown, or that
	// was never acknowledged: the receiver may hold them twice.
	Resent int64 `json:"resent,omitempty"`
	// TooOld lie outside of the time the receiver takes events of. Those of
	// them that were not sent for it are Skipped, the others are sent with
	// their arrival's time and marked.
	TooOld  int64 `json:"too_old,omitempty"`
	Skipped int64 `json:"skipped,omitempty"`
	// Slimmed were too large whole, and sent without their raw record.
	Slimmed int64 `json:"slimmed,omitempty"`
	// Rejected are refused by the receiver for good.
	Rejected int64 `json:"rejected,omitempty"`
	// Filtered are kept from the sink by its configuration.
	Filtered int64 `json:"filtered,omitempty"`
}

// Add adds s2 to s.
func (s *Sent) Add(s2 Sent) {
	s.Accepted += s2.Accepted
	s.Acknowledged += s2.Acknowledged
	s.Resent += s2.Resent
	s.TooOld += s2.TooOld
	s.Skipped += s2.Skipped
	s.Slimmed += s2.Slimmed
	s.Rejected += s2.Rejected
	s.Filtered += s2.Filtered
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
	c.Sent.Add(c2.Sent)
}

// Result of a delivery. Everything before Upto is kept by the destination, or
// listed in Rejected (the destination refuses that record for good). With an
// error, Upto may still have moved.
type Result struct {
	Upto     Position
	Rejected []schema.Reject
	Counts   Counts
	// Note is the sink's own memory of what it has under way with this source:
	// it is kept in one step with Upto, and handed to the next Deliver. At most
	// 1 MiB, no secret in it.
	Note string
	// Waiting says that what lies behind Upto was sent and its receiver has not
	// said yet that it is stored. That is no failure: the next run asks again.
	Waiting bool
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
	// Reopened says that it was finished before and is being rewritten: that is
	// to be finished, and not to be delivered.
	Reopened bool
}

// ErrUnproven says that a check found nothing wrong, and could not prove all.
var ErrUnproven = errors.New("not proven")

// Checker is a sink that can prove that it could deliver. With write, it may
// write and remove an object of its own to do so. An error that wraps
// [ErrUnproven] is no failure.
type Checker interface {
	Check(ctx context.Context, write bool) error
}

// Reporter is a sink that can show how a run went beside the events: as a
// service check, as metrics. It is called once at the end of a run.
type Reporter interface {
	Report(ctx context.Context, h Health) error
}

// Health is how a run went.
type Health struct {
	// At is the run's end, Took how long it was.
	At   time.Time
	Took time.Duration
	// Problems are empty after a run in which everything was done; each is a
	// short sentence without personal data. Failed says that nothing was done.
	Problems []string
	Failed   bool
	Sources  []SourceHealth
	Sinks    []SinkHealth
}

// SourceHealth is how a run went for one source.
type SourceHealth struct {
	Source, Kind string
	Read, Landed int64
	Rejected     int64
	Gaps         int64
	// Lag is the age of what the source may have and we have not read: the time
	// since it was last read to its end; negative if it never was.
	Lag    time.Duration
	Failed bool
}

// SinkHealth is how a run went for one sink of one source.
type SinkHealth struct {
	Source, Sink string
	Sent         Sent
	// Pending records, and the age of the oldest of them.
	Pending int64
	Oldest  time.Duration
	Failed  bool
}
