package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// keptNotices are remembered; a sink that is given none of them for so long
// loses the oldest, and counts them.
const keptNotices = 10_000

// keptTold of them are remembered though all sinks were given them, so that what
// is noted again is not told again.
const keptTold = 500

// NoticeSuffix stands behind a sink's name where its position among the notices
// is meant: {0, id of the next notice}.
const NoticeSuffix = "/notices"

// Notice is an event of our own, to be told to sinks beside records.
type Notice struct {
	ID    int64
	At    time.Time
	Event schema.Event
}

// AddNotices remembers events to be told to sinks, but for those that are
// remembered already under their metadata.uid, and returns the id that the next
// notice had before.
func (d *DB) AddNotices(ctx context.Context, events ...schema.Event) (first int64, err error) {
	err = d.write(ctx, func(tx *sql.Tx) error {
		if first, err = nextID(ctx, tx, "notice"); err != nil {
			return err
		}
		for i := range events {
			if err := addNotice(ctx, tx, &events[i]); err != nil {
				return err
			}
		}
		return forgetNotices(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("remember notices of %s: %w", d.source, err)
	}
	return first, nil
}

func forgetNotices(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx,
		`DELETE FROM notice WHERE id <= (SELECT max(id) FROM notice) - ?1
		    OR id <= (SELECT max(id) FROM notice) - ?2 AND id < (SELECT min(record) FROM position WHERE sink LIKE '%' || ?3)`,
		keptNotices, keptTold, NoticeSuffix)
	return err
}

// addNotice asks first whether it is there: a conflict could use up an id, and
// a hole would be counted as a notice lost.
func addNotice(ctx context.Context, tx *sql.Tx, e *schema.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO notice (at_ms, uid, event) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM notice WHERE uid = ?2)`,
		e.Time, e.Metadata.UID, string(text))
	return err
}

// Notices returns the notices from an id on, oldest first.
func (d *DB) Notices(ctx context.Context, from int64, limit int) ([]Notice, error) {
	var notices []Notice
	err := d.each(ctx, func(rows *sql.Rows) error {
		var n Notice
		var at int64
		var text []byte
		if err := rows.Scan(&n.ID, &at, &text); err != nil {
			return err
		}
		n.At = time.UnixMilli(at).UTC()
		if err := json.Unmarshal(text, &n.Event); err != nil {
			return err
		}
		notices = append(notices, n)
		return nil
	}, `SELECT id, at_ms, event FROM notice WHERE id >= ? ORDER BY id LIMIT ?`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("read notices of %s: %w", d.source, err)
	}
	return notices, nil
}

// PendingNotices are those from an id on.
type PendingNotices struct {
	// Next is the id the next notice will have.
	Next int64 `json:"-"`
	// Kept are there; Lost were forgotten.
	Kept   int64     `json:"count"`
	Lost   int64     `json:"lost,omitempty"`
	Oldest time.Time `json:"oldest,omitzero"`
}

// PendingNotices counts the notices from an id on.
func (d *DB) PendingNotices(ctx context.Context, from int64) (PendingNotices, error) {
	var p PendingNotices
	var oldest sql.NullInt64
	next, err := nextID(ctx, d.db, "notice")
	if err == nil {
		err = d.db.QueryRowContext(ctx, `SELECT count(*), min(at_ms) FROM notice WHERE id >= ?`, from).Scan(&p.Kept, &oldest)
	}
	if err != nil {
		return PendingNotices{}, fmt.Errorf("count notices of %s: %w", d.source, err)
	}
	p.Next, p.Oldest = next, fromMillis(oldest)
	p.Lost = max(next-from-p.Kept, 0) // notices may be added between the two
	return p, nil
}

// RejectedSince counts the records that deliveries found the mapping could not
// map since it was last asked.
func (d *DB) RejectedSince(ctx context.Context) (int64, error) {
	var now, told int64
	err := d.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx,
			`SELECT coalesce(max(rejected), 0), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?), 0) FROM position`, metaRejectedTold).
			Scan(&now, &told)
		if err != nil {
			return err
		}
		return putMeta(ctx, tx, metaRejectedTold, strconv.FormatInt(now, 10))
	})
	if err != nil {
		return 0, fmt.Errorf("count rejects of %s: %w", d.source, err)
	}
	return max(now-told, 0), nil
}
