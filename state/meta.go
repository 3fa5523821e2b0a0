package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
)

// What table meta holds.
const (
	metaID           = "state_id"
	metaRejectedTold = "rejected_told"
	// metaLastDrain, metaHeadSeq and metaHeadSHA256 were published by a run that
	// this file does not know.
	metaLastDrain  = "last_drain_ms"
	metaHeadSeq    = "published_head"
	metaHeadSHA256 = "published_head_sha256"
	// metaGeneration and metaVersion say which publication of a shared state this
	// file is at or ahead of.
	metaGeneration = "published_generation"
	metaVersion    = "published_version"
)

func putMeta(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// meta returns a value; "" if there is none.
func meta(ctx context.Context, q querier, name string) (string, error) {
	var value string
	err := q.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// metaInt returns a number; -1 if there is none.
func metaInt(ctx context.Context, q querier, name string) (int64, error) {
	text, err := meta(ctx, q, name)
	if err != nil || text == "" {
		return -1, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// putNewID names a state that has no name yet.
func putNewID(ctx context.Context, db *sql.DB) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		id, err := meta(ctx, tx, metaID)
		if err != nil || id != "" {
			return err
		}
		return putMeta(ctx, tx, metaID, newID())
	})
}

// StateID names this state for as long as it lives: one that is made anew has
// another.
func (d *DB) StateID(ctx context.Context) (string, error) {
	id, err := meta(ctx, d.db, metaID)
	if err != nil {
		return "", fmt.Errorf("read id of the state of %s: %w", d.source, err)
	}
	return id, nil
}

// Published returns the newest segment that a shared state was published with,
// where this file was made from that publication and may not have indexed it
// yet: raw must hold it. ok is false where there is nothing to hold raw to.
func (d *DB) Published(ctx context.Context) (seq int64, headerHash string, ok bool, err error) {
	seq, err = metaInt(ctx, d.db, metaHeadSeq)
	if err == nil {
		headerHash, err = meta(ctx, d.db, metaHeadSHA256)
	}
	if err != nil {
		return 0, "", false, fmt.Errorf("read published head of %s: %w", d.source, err)
	}
	return seq, headerHash, seq >= 0, nil
}

// nextID is the id that the next row of a table will have whose ids are never
// used twice.
func nextID(ctx context.Context, q querier, table string) (int64, error) {
	var next int64
	err := q.QueryRowContext(ctx, `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0) + 1`, table).Scan(&next)
	return next, err
}

// skipIDs has the next row of the table not be numbered before next.
func skipIDs(ctx context.Context, tx *sql.Tx, table string, next int64) error {
	now, err := nextID(ctx, tx, table)
	if err != nil || now >= next {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM sqlite_sequence WHERE name = ?`, table); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, table, next-1)
	return err
}
