package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// keptRejects is how many rejects of the mapping, and of each sink, a source's
// state keeps for status; those of the mapping are all in the lake.
const keptRejects = 1000

// Tally counts what a sink was given of a source: records = mapped + rejected,
// and events + users + settings = mapped + fanned out. Records of which a sink
// takes nothing by their kind are not counted.
type Tally struct {
	Records   int64 `json:"records"`
	Rejected  int64 `json:"rejected"`
	Events    int64 `json:"events"`
	Users     int64 `json:"users"`
	Settings  int64 `json:"settings,omitempty"`
	FannedOut int64 `json:"fanned_out"`
}

// Mapped records: those that were not rejected.
func (t Tally) Mapped() int64 { return t.Records - t.Rejected }

// Add adds t2 to t.
func (t *Tally) Add(t2 Tally) {
	t.Records += t2.Records
	t.Rejected += t2.Rejected
	t.Events += t2.Events
	t.Users += t2.Users
	t.Settings += t2.Settings
	t.FannedOut += t2.FannedOut
}

// Sent counts what became of events at a receiver, each event once; the words
// are those of load.Sent. Of the events given, accepted + skipped + rejected +
// filtered are done with.
type Sent struct {
	Accepted     int64 `json:"accepted"`
	Acknowledged int64 `json:"acknowledged,omitempty"`
	Resent       int64 `json:"resent,omitempty"`
	TooOld       int64 `json:"too_old,omitempty"`
	Skipped      int64 `json:"skipped,omitempty"`
	Slimmed      int64 `json:"slimmed,omitempty"`
	Rejected     int64 `json:"rejected,omitempty"`
	Filtered     int64 `json:"filtered,omitempty"`
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

// Position is where a sink goes on, and how it got there.
type Position struct {
	Next      schema.Position `json:"next"`
	Delivered time.Time       `json:"delivered"` // when it last moved; zero if never
	Tally     Tally           `json:"tally"`     // since the beginning
	Sent      Sent            `json:"sent,omitzero"`
	// Note is the sink's own memory, and Waiting says that what lies behind Next
	// was sent and is not known to be stored yet.
	Note    string `json:"-"`
	Waiting bool   `json:"waiting,omitempty"`
	// Lost counts notices that were forgotten before the sink was given them.
	Lost int64 `json:"lost,omitempty"`
	// LastError is why the last delivery failed, and LastErrorAt when; empty
	// after one that did not.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// LastSent is when the receiver last accepted something, CaughtUp when the
	// last delivery began that left nothing.
	LastSent time.Time `json:"last_sent,omitzero"`
	CaughtUp time.Time `json:"caught_up,omitzero"`
}

// Position of a sink; the zero value before its first delivery.
func (d *DB) Position(ctx context.Context, sink string) (Position, error) {
	p, _, err := d.Find(ctx, sink)
	return p, err
}

// Find returns the position of a sink; known is false for one new to the source.
func (d *DB) Find(ctx context.Context, sink string) (p Position, known bool, err error) {
	_, p, err = scanPosition(d.db.QueryRowContext(ctx, selectPosition+` WHERE sink = ?`, sink).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Position{}, false, nil
	}
	if err != nil {
		return Position{}, false, fmt.Errorf("read position of sink %s in %s: %w", sink, d.source, err)
	}
	return p, true, nil
}

const selectPosition = `SELECT sink, segment, record, delivered_ms, records, rejected, events, users, settings, fanned_out,
	note, sent, waiting, lost, last_error, last_error_ms, last_sent_ms, caught_up_ms FROM position`

func scanPosition(scan func(...any) error) (sink string, p Position, err error) {
	var delivered int64
	var errorAt, sentAt, caughtUp sql.NullInt64
	var sent string
	t := &p.Tally
	err = scan(&sink, &p.Next.Segment, &p.Next.Record, &delivered, &t.Records, &t.Rejected, &t.Events, &t.Users, &t.Settings, &t.FannedOut,
		&p.Note, &sent, &p.Waiting, &p.Lost, &p.LastError, &errorAt, &sentAt, &caughtUp)
	if err == nil {
		err = json.Unmarshal([]byte(sent), &p.Sent)
	}
	if err != nil {
		return sink, Position{}, err
	}
	p.Delivered = fromMillis(sql.NullInt64{Int64: delivered, Valid: delivered != 0})
	p.LastErrorAt, p.LastSent, p.CaughtUp = fromMillis(errorAt), fromMillis(sentAt), fromMillis(caughtUp)
	return sink, p, nil
}

// insertPosition makes the row of a sink that has none; it was never delivered
// to.
const insertPosition = `INSERT INTO position (sink, segment, record, delivered_ms, records, rejected, events, users, settings, fanned_out)
	VALUES (?, ?, ?, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (sink) DO NOTHING`

// Begin places a sink that is new to the source; where one is already known, it
// stays where it is.
func (d *DB) Begin(ctx context.Context, sink string, at schema.Position) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertPosition, sink, at.Segment, at.Record)
		return err
	})
	if err != nil {
		return fmt.Errorf("place sink %s in %s: %w", sink, d.source, err)
	}
	return nil
}

// Delivery is what a sink has taken, since the one before.
type Delivery struct {
	Sink  string
	Upto  schema.Position
	At    time.Time
	Tally Tally
	Sent  Sent
	// Note and Waiting take the place of those there were; Lost is added.
	Note    string
	Waiting bool
	Lost    int64
	// Rejected are some of the records counted as rejected by the mapping, and
	// Refused some that the sink's receiver refused: both for status.
	Rejected, Refused []schema.Reject
}

// Move moves a sink's position and adds to its counts, in one transaction.
func (d *DB) Move(ctx context.Context, v Delivery) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertPosition, v.Sink, 0, 0); err != nil {
			return err
		}
		sent, err := addSent(ctx, tx, v)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE position SET
			   delivered_ms = CASE WHEN segment = ?2 AND record = ?3 THEN delivered_ms ELSE ?4 END,
			   segment = ?2, record = ?3, records = records + ?5, rejected = rejected + ?6, events = events + ?7,
			   users = users + ?8, settings = settings + ?9, fanned_out = fanned_out + ?10,
			   sent = ?11, note = ?12, waiting = ?13, lost = lost + ?14,
			   last_sent_ms = CASE WHEN ?15 THEN ?4 ELSE last_sent_ms END
			 WHERE sink = ?1`,
			v.Sink, v.Upto.Segment, v.Upto.Record, v.At.UnixMilli(),
			v.Tally.Records, v.Tally.Rejected, v.Tally.Events, v.Tally.Users, v.Tally.Settings, v.Tally.FannedOut,
			sent, v.Note, v.Waiting, v.Lost, v.Sent.Accepted > 0)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM open_flush WHERE sink = ? AND to_seq <= ?`, v.Sink, v.Upto.Segment); err != nil {
			return err
		}
		return errors.Join(putRejects(ctx, tx, "", v.Rejected), putRejects(ctx, tx, v.Sink, v.Refused))
	})
	if err != nil {
		return fmt.Errorf("move position of sink %s in %s: %w", v.Sink, d.source, err)
	}
	return nil
}

// addSent returns the sink's counts with those of v added, as JSON.
func addSent(ctx context.Context, tx *sql.Tx, v Delivery) (string, error) {
	var text string
	if err := tx.QueryRowContext(ctx, `SELECT sent FROM position WHERE sink = ?`, v.Sink).Scan(&text); err != nil {
		return "", err
	}
	var sent Sent
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		return "", err
	}
	sent.Add(v.Sent)
	sum, err := json.Marshal(sent)
	return string(sum), err
}

// Outcome is how a delivery ended.
type Outcome struct {
	Sink string
	At   time.Time
	// Error is why it failed; "" if it did not.
	Error string
	// CaughtUp is when it began, if it left nothing; else zero.
	CaughtUp time.Time
}

// Conclude remembers how a delivery ended.
func (d *DB) Conclude(ctx context.Context, o Outcome) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertPosition, o.Sink, 0, 0); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			`UPDATE position SET last_error = ?2, last_error_ms = CASE WHEN ?2 <> '' THEN ?3 END,
			   caught_up_ms = coalesce(?4, caught_up_ms) WHERE sink = ?1`,
			o.Sink, o.Error, o.At.UnixMilli(), millis(o.CaughtUp))
		return err
	})
	if err != nil {
		return fmt.Errorf("remember delivery to sink %s in %s: %w", o.Sink, d.source, err)
	}
	return nil
}

func putRejects(ctx context.Context, tx *sql.Tx, sink string, rejects []schema.Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	for _, r := range rejects {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO reject (sink, segment, record, id, kind, reason) VALUES (?, ?, ?, ?, ?, ?)`,
			sink, r.Segment, r.Record, r.ID, string(r.Kind), r.Reason)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		`DELETE FROM reject WHERE sink = ?1 AND (segment, record) NOT IN
		   (SELECT segment, record FROM reject WHERE sink = ?1 ORDER BY segment DESC, record DESC LIMIT ?2)`, sink, keptRejects)
	return err
}

// Pending is what lies behind a position: whole segments, the one the position
// stands in less the records before it.
type Pending struct {
	Records  int64 `json:"records"`
	Bytes    int64 `json:"bytes"`
	Segments int64 `json:"segments"`
	Gaps     int64 `json:"gaps"`
	// Snapshot says that a complete snapshot is among it.
	Snapshot bool `json:"snapshot,omitempty"`
	// Oldest is when the oldest of it was landed.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Pending behind a position.
func (d *DB) Pending(ctx context.Context, from schema.Position) (Pending, error) {
	return d.pending(ctx, from, `records > 0 OR gaps > 0 OR snapshot IS NOT NULL`)
}

// ofEvents are segments that may give an event: snapshots do not.
const ofEvents = `records > 0 AND snapshot IS NULL OR gaps > 0`

// PendingEvents is what lies behind a position for a sink that takes events
// only: segments of snapshots count only for their gaps.
func (d *DB) PendingEvents(ctx context.Context, from schema.Position) (Pending, error) {
	return d.pending(ctx, from, ofEvents)
}

func (d *DB) pending(ctx context.Context, from schema.Position, of string) (Pending, error) {
	var p Pending
	var oldest sql.NullInt64
	err := d.db.QueryRowContext(ctx,
		`SELECT count(*), coalesce(sum(records), 0), coalesce(sum(bytes), 0), coalesce(sum(gaps), 0), min(landed_ms),
		        EXISTS (SELECT 1 FROM snapshot WHERE complete AND last_seq >= ?1)
		 FROM segment WHERE seq >= ?1 AND (`+of+`)`, from.Segment).
		Scan(&p.Segments, &p.Records, &p.Bytes, &p.Gaps, &oldest, &p.Snapshot)
	if err != nil {
		return Pending{}, fmt.Errorf("count what is pending of %s: %w", d.source, err)
	}
	p.Records -= min(from.Record, p.Records)
	p.Oldest = fromMillis(oldest)
	return p, nil
}

// NextOfEvents returns the first segment from seq on that may give an event; ok
// is false if there is none.
func (d *DB) NextOfEvents(ctx context.Context, seq int64) (next int64, ok bool, err error) {
	return d.first(ctx, `seq >= ? AND (`+ofEvents+`)`, seq)
}

// NextSince returns the first segment from seq on whose newest event happened
// at t or later; one without times of its own counts by when it was landed. ok
// is false if there is none.
func (d *DB) NextSince(ctx context.Context, seq int64, t time.Time) (next int64, ok bool, err error) {
	return d.first(ctx, `seq >= ? AND (`+ofEvents+`) AND coalesce(last_ms, landed_ms) >= ?`, seq, t.UnixMilli())
}

func (d *DB) first(ctx context.Context, where string, args ...any) (seq int64, ok bool, err error) {
	var first sql.NullInt64
	if err := d.db.QueryRowContext(ctx, `SELECT min(seq) FROM segment WHERE `+where, args...).Scan(&first); err != nil {
		return 0, false, fmt.Errorf("find segment of %s: %w", d.source, err)
	}
	return first.Int64, first.Valid, nil
}

// EndWithin returns the end (exclusive) of the longest range of segments that
// begins at from and holds no more than maxBytes of lines, but at least one.
func (d *DB) EndWithin(ctx context.Context, from, maxBytes int64) (int64, error) {
	var end int64
	err := d.db.QueryRowContext(ctx,
		`SELECT coalesce(max(seq) + 1, ?1) FROM
		   (SELECT seq, sum(bytes) OVER (ORDER BY seq) AS upto FROM segment WHERE seq >= ?1)
		 WHERE upto <= ?2 OR seq = ?1`, from, maxBytes).Scan(&end)
	if err != nil {
		return 0, fmt.Errorf("measure segments of %s: %w", d.source, err)
	}
	return end, nil
}

// Records counts the records landed in segments from to to-1.
func (d *DB) Records(ctx context.Context, from, to int64) (int64, error) {
	var n int64
	err := d.db.QueryRowContext(ctx, `SELECT coalesce(sum(records), 0) FROM segment WHERE seq >= ? AND seq < ?`, from, to).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count records of %s: %w", d.source, err)
	}
	return n, nil
}
