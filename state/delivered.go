package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// keptRejects is how many rejects a source's state keeps for status; all of
// them are in the lake.
const keptRejects = 1000

// Tally counts what a sink was given of a source: records = mapped + rejected,
// and events + users + settings = mapped + fanned out.
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

// Position is where a sink goes on.
type Position struct {
	Next      schema.Position `json:"next"`
	Delivered time.Time       `json:"delivered"` // when it last moved; zero if never
	Tally     Tally           `json:"tally"`     // since the beginning
}

// Position of a sink; the zero value before its first delivery.
func (d *DB) Position(ctx context.Context, sink string) (Position, error) {
	var p Position
	var ms int64
	err := d.db.QueryRowContext(ctx,
		`SELECT segment, record, delivered_ms, records, rejected, events, users, settings, fanned_out FROM position WHERE sink = ?`, sink).
		Scan(&p.Next.Segment, &p.Next.Record, &ms, &p.Tally.Records, &p.Tally.Rejected, &p.Tally.Events, &p.Tally.Users, &p.Tally.Settings, &p.Tally.FannedOut)
	if errors.Is(err, sql.ErrNoRows) {
		return Position{}, nil
	}
	if err != nil {
		return Position{}, fmt.Errorf("read position of sink %s in %s: %w", sink, d.source, err)
	}
	p.Delivered = time.UnixMilli(ms).UTC()
	return p, nil
}

// Delivery is what a sink has taken.
type Delivery struct {
	Sink  string
	Upto  schema.Position
	At    time.Time
	Tally Tally
	// Rejected are some of the records counted as rejected, for status.
	Rejected []schema.Reject
}

// Move moves a sink's position and adds to its tally, in one transaction.
func (d *DB) Move(ctx context.Context, v Delivery) error {
	err := inTx(ctx, d.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO position (sink, segment, record, delivered_ms, records, rejected, events, users, settings, fanned_out)
			 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			 ON CONFLICT (sink) DO UPDATE SET segment = excluded.segment, record = excluded.record,
			   delivered_ms = excluded.delivered_ms, records = records + excluded.records,
			   rejected = rejected + excluded.rejected, events = events + excluded.events,
			   users = users + excluded.users, settings = settings + excluded.settings, fanned_out = fanned_out + excluded.fanned_out`,
			v.Sink, v.Upto.Segment, v.Upto.Record, v.At.UnixMilli(),
			v.Tally.Records, v.Tally.Rejected, v.Tally.Events, v.Tally.Users, v.Tally.Settings, v.Tally.FannedOut)
		if err != nil {
			return err
		}
		return putRejects(ctx, tx, v.Rejected)
	})
	if err != nil {
		return fmt.Errorf("move position of sink %s in %s: %w", v.Sink, d.source, err)
	}
	return nil
}

func putRejects(ctx context.Context, tx *sql.Tx, rejects []schema.Reject) error {
	for _, r := range rejects {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO reject (segment, record, id, kind, reason) VALUES (?, ?, ?, ?, ?)`,
			r.Segment, r.Record, r.ID, string(r.Kind), r.Reason)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		`DELETE FROM reject WHERE (segment, record) NOT IN
		   (SELECT segment, record FROM reject ORDER BY segment DESC, record DESC LIMIT ?)`, keptRejects)
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
	var p Pending
	var oldest sql.NullInt64
	err := d.db.QueryRowContext(ctx,
		`SELECT count(*), coalesce(sum(records), 0), coalesce(sum(bytes), 0), coalesce(sum(gaps), 0), min(landed_ms),
		        EXISTS (SELECT 1 FROM snapshot WHERE complete AND last_seq >= ?1)
		 FROM segment WHERE seq >= ?1 AND (records > 0 OR gaps > 0 OR snapshot IS NOT NULL)`, from.Segment).
		Scan(&p.Segments, &p.Records, &p.Bytes, &p.Gaps, &oldest, &p.Snapshot)
	if err != nil {
		return Pending{}, fmt.Errorf("count what is pending of %s: %w", d.source, err)
	}
	p.Records -= min(from.Record, p.Records)
	p.Oldest = fromMillis(oldest)
	return p, nil
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
