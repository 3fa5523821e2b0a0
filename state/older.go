package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Overlapping returns the segments from a number on whose records' times lie, or
// may lie, within a span: those that state none at all are among them. stream
// is the only one looked at; "" looks at all.
func (d *DB) Overlapping(ctx context.Context, stream string, from, to time.Time) ([]int64, error) {
	var seqs []int64
	err := d.each(ctx, func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		seqs = append(seqs, seq)
		return err
	}, `SELECT seq FROM segment WHERE records > 0 AND snapshot IS NULL AND (?1 = '' OR stream = ?1)
	      AND (first_ms IS NULL OR first_ms <= ?3 AND last_ms >= ?2) ORDER BY seq`, stream, from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("find segments of %s: %w", d.source, err)
	}
	return seqs, nil
}

// Streams returns the newest event time landed of each stream, by name; zero for
// one whose records state none.
func (d *DB) Streams(ctx context.Context) (map[string]time.Time, error) {
	newest := map[string]time.Time{}
	err := d.each(ctx, func(rows *sql.Rows) error {
		var name string
		var last sql.NullInt64
		err := rows.Scan(&name, &last)
		newest[name] = fromMillis(last)
		return err
	}, `SELECT stream, last_ms FROM total WHERE records > 0`)
	if err != nil {
		return nil, fmt.Errorf("read streams of %s: %w", d.source, err)
	}
	return newest, nil
}

// Recall makes room for ids of older segments, read back from them to judge
// records that the ids kept cannot judge. It lasts until the state is closed,
// or made anew by another call; it lies on disk, not in memory.
func (d *DB) Recall(ctx context.Context) error {
	err := inTx(ctx, d.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TEMP TABLE IF NOT EXISTS recalled (id BLOB PRIMARY KEY) WITHOUT ROWID; DELETE FROM temp.recalled`)
		return err
	})
	if err != nil {
		return fmt.Errorf("make room for ids of %s: %w", d.source, err)
	}
	return nil
}

// AddRecalled adds ids, as of [DB.Recall].
func (d *DB) AddRecalled(ctx context.Context, ids []Seen) error {
	err := inTx(ctx, d.db, func(tx *sql.Tx) (err error) {
		stmt, err := tx.PrepareContext(ctx, `INSERT OR IGNORE INTO temp.recalled (id) VALUES (?)`)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stmt.Close()) }()
		for _, s := range ids {
			if _, err := stmt.ExecContext(ctx, s.ID[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recall ids of %s: %w", d.source, err)
	}
	return nil
}

// KnownOlder returns which of the ids were recalled.
func (d *DB) KnownOlder(ctx context.Context, ids []SeenID) (map[SeenID]bool, error) {
	known := make(map[SeenID]bool)
	for chunk := range slices.Chunk(ids, lookupChunk) {
		args := make([]any, len(chunk))
		for i := range chunk {
			args[i] = chunk[i][:]
		}
		err := d.each(ctx, func(rows *sql.Rows) error {
			var id []byte
			err := rows.Scan(&id)
			if err == nil && len(id) == len(SeenID{}) {
				known[SeenID(id)] = true
			}
			return err
		}, `SELECT id FROM temp.recalled WHERE id IN (?`+strings.Repeat(", ?", len(chunk)-1)+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("look up recalled ids of %s: %w", d.source, err)
		}
	}
	return known, nil
}

// Memo is a small text kept under a name; "" if there is none.
func (d *DB) Memo(ctx context.Context, name string) (string, error) {
	var value string
	err := d.db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", name, d.source, err)
	}
	return value, nil
}

// SetMemo keeps a small text under a name; "" forgets it.
func (d *DB) SetMemo(ctx context.Context, name, value string) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		if value == "" {
			_, err := tx.ExecContext(ctx, `DELETE FROM meta WHERE name = ?`, name)
			return err
		}
		_, err := tx.ExecContext(ctx,
			`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep %s of %s: %w", name, d.source, err)
	}
	return nil
}

// ClearRejects forgets the rejects of the mapping kept of segments from to to-1:
// they were mapped again.
func (d *DB) ClearRejects(ctx context.Context, from, to int64) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM reject WHERE sink = '' AND segment >= ? AND segment < ?`, from, to)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget rejects of %s: %w", d.source, err)
	}
	return nil
}

// FirstLandedSince returns the first segment that was landed at t or later, or,
// if there is none, the newest: that one always is kept.
func (d *DB) FirstLandedSince(ctx context.Context, t time.Time) (int64, error) {
	var seq int64
	err := d.db.QueryRowContext(ctx,
		`SELECT coalesce((SELECT min(seq) FROM segment WHERE landed_ms >= ? OR seq = (SELECT max(seq) FROM segment)), 0)`, t.UnixMilli()).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("find segments of %s: %w", d.source, err)
	}
	return seq, nil
}

// NewestOfStreams returns the newest segment of each stream, by name.
func (d *DB) NewestOfStreams(ctx context.Context) (map[string]int64, error) {
	newest := map[string]int64{}
	err := d.each(ctx, func(rows *sql.Rows) error {
		var name string
		var seq int64
		err := rows.Scan(&name, &seq)
		newest[name] = seq
		return err
	}, `SELECT stream, max(seq) FROM segment GROUP BY stream`)
	if err != nil {
		return nil, fmt.Errorf("read streams of %s: %w", d.source, err)
	}
	return newest, nil
}

// InputsBefore returns the inputs that were finished in a segment before seq.
func (d *DB) InputsBefore(ctx context.Context, seq int64) ([]schema.Input, error) {
	var inputs []schema.Input
	err := d.each(ctx, func(rows *sql.Rows) error {
		var in schema.Input
		err := rows.Scan(&in.Key, &in.SHA256, &in.Size, &in.Version, &in.Records, &in.Fault)
		inputs = append(inputs, in)
		return err
	}, `SELECT key, sha256, size, version, records, fault FROM input WHERE seq < ? ORDER BY key`, seq)
	if err != nil {
		return nil, fmt.Errorf("read inputs of %s: %w", d.source, err)
	}
	return inputs, nil
}
