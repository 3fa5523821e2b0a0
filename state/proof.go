package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/idtrail/idtrail/schema"
)

// Checkpoint is the last checkpoint of a source's chain, so that the next lists
// only what came since.
type Checkpoint struct {
	Number int64  `json:"number"`
	SHA256 string `json:"sha256"` // of its text, hex
	// Head is the newest segment that it, or one before it, lists.
	Head int64 `json:"head"`
	// Flushed is, by sink, the first segment whose flush none lists.
	Flushed map[string]int64 `json:"flushed,omitempty"`
}

// Checkpoint returns the last checkpoint; ok is false before the first.
func (d *DB) Checkpoint(ctx context.Context) (c Checkpoint, ok bool, err error) {
	found, err := readCheckpoint(ctx, d.db)
	if err != nil {
		return Checkpoint{}, false, fmt.Errorf("read checkpoint of %s: %w", d.source, err)
	}
	if found == nil {
		return Checkpoint{}, false, nil
	}
	return *found, true, nil
}

func readCheckpoint(ctx context.Context, q querier) (*Checkpoint, error) {
	var c Checkpoint
	var flushed []byte
	err := q.QueryRowContext(ctx, `SELECT number, sha256, head, flushed FROM checkpoint`).Scan(&c.Number, &c.SHA256, &c.Head, &flushed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(flushed, &c.Flushed)
	}
	return &c, err
}

// SetCheckpoint remembers the last checkpoint.
func (d *DB) SetCheckpoint(ctx context.Context, c Checkpoint) error {
	err := d.write(ctx, func(tx *sql.Tx) error { return putCheckpoint(ctx, tx, c) })
	if err != nil {
		return fmt.Errorf("remember checkpoint %d of %s: %w", c.Number, d.source, err)
	}
	return nil
}

func putCheckpoint(ctx context.Context, tx *sql.Tx, c Checkpoint) error {
	flushed, err := json.Marshal(c.Flushed)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT OR REPLACE INTO checkpoint (id, number, sha256, head, flushed) VALUES (1, ?, ?, ?, ?)`,
		c.Number, c.SHA256, c.Head, string(flushed))
	return err
}

// SegmentRow is a segment as the index knows it.
type SegmentRow struct {
	Seq    int64
	Stream string
	// SHA256 of its header and of its whole object, hex; "" where not known: a
	// state that was made from a copy does not know those of old segments.
	SHA256, File string
	Records      int64
	Bytes        int64
	Gaps         int64
}

// Segments returns segments from a number on, in order.
func (d *DB) Segments(ctx context.Context, from int64, limit int) ([]SegmentRow, error) {
	var segments []SegmentRow
	err := d.each(ctx, func(rows *sql.Rows) error {
		var s SegmentRow
		err := rows.Scan(&s.Seq, &s.Stream, &s.SHA256, &s.File, &s.Records, &s.Bytes, &s.Gaps)
		segments = append(segments, s)
		return err
	}, `SELECT seq, stream, sha256, file_sha256, records, bytes, gaps FROM segment WHERE seq >= ? ORDER BY seq LIMIT ?`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", d.source, err)
	}
	return segments, nil
}

// SetFile states the SHA-256 of a segment's whole object, where it was not
// known when it was indexed.
func (d *DB) SetFile(ctx context.Context, seq int64, sha256 string) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE segment SET file_sha256 = ? WHERE seq = ?`, sha256, seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("index file of segment %d of %s: %w", seq, d.source, err)
	}
	return nil
}

// GapRow is a gap with its place in its segment.
type GapRow struct {
	schema.Gap
	N int64
}

// GapsFrom returns the gaps that segments from a number on declare, in order.
func (d *DB) GapsFrom(ctx context.Context, from int64, limit int) ([]GapRow, error) {
	var gaps []GapRow
	err := d.each(ctx, func(rows *sql.Rows) error {
		g, err := d.scanGap(rows)
		gaps = append(gaps, g)
		return err
	}, selectGap+` WHERE seq >= ? ORDER BY seq, n LIMIT ?`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("read gaps of %s: %w", d.source, err)
	}
	return gaps, nil
}

// AgainSuffix stands behind a sink's name where its position among the records
// to be given once more is meant: {0, id of the next}.
const AgainSuffix = "/again"

// Again is a record that sinks of events are to be given once more.
type Again struct {
	ID int64
	At schema.Position
}

// AddAgain remembers records to be given once more, but for those that are
// remembered already.
func (d *DB) AddAgain(ctx context.Context, records ...schema.Position) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		for _, at := range records {
			// A conflict could use up an id.
			_, err := tx.ExecContext(ctx,
				`INSERT INTO again (segment, record) SELECT ?1, ?2
				 WHERE NOT EXISTS (SELECT 1 FROM again WHERE segment = ?1 AND record = ?2)`, at.Segment, at.Record)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember records of %s to be given again: %w", d.source, err)
	}
	return nil
}

// Again returns records to be given once more from an id on, oldest first.
func (d *DB) Again(ctx context.Context, from int64, limit int) ([]Again, error) {
	var list []Again
	err := d.each(ctx, func(rows *sql.Rows) error {
		var a Again
		err := rows.Scan(&a.ID, &a.At.Segment, &a.At.Record)
		list = append(list, a)
		return err
	}, `SELECT id, segment, record FROM again WHERE id >= ? ORDER BY id LIMIT ?`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("read records of %s to be given again: %w", d.source, err)
	}
	return list, nil
}

// NextAgain is the id that the next record to be given once more will have: a
// sink that stands there has been given all.
func (d *DB) NextAgain(ctx context.Context) (int64, error) {
	next, err := nextID(ctx, d.db, "again")
	if err != nil {
		return 0, fmt.Errorf("read records of %s to be given again: %w", d.source, err)
	}
	return next, nil
}

// ForgetAgain drops those before an id: every sink was given them.
func (d *DB) ForgetAgain(ctx context.Context, before int64) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM again WHERE id < ?`, before)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget records of %s that were given again: %w", d.source, err)
	}
	return nil
}

// OpenFlush is a flush that was begun: a range of segments, To exclusive.
type OpenFlush struct {
	Sink string `json:"sink"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

// BeginFlush remembers a flush that is begun, for people; Move forgets it. What
// is open in truth, the lake's records say.
func (d *DB) BeginFlush(ctx context.Context, f OpenFlush) error {
	err := d.write(ctx, func(tx *sql.Tx) error { return putFlush(ctx, tx, f) })
	if err != nil {
		return fmt.Errorf("remember flush of %s: %w", d.source, err)
	}
	return nil
}

func putFlush(ctx context.Context, tx *sql.Tx, f OpenFlush) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO open_flush (sink, from_seq, to_seq) VALUES (?, ?, ?)`, f.Sink, f.From, f.To)
	return err
}
