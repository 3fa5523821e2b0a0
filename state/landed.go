package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// SeenID is how a landed record's id is kept: enough of its hash that two ids
// do not meet in any tenant's lifetime.
type SeenID [16]byte

// NewSeenID hashes the id of a record; snapshot is its snapshot's id, "" for
// events: users are landed once a snapshot.
func NewSeenID(snapshot, id string) SeenID {
	sum := sha256.Sum256([]byte(snapshot + "\x00" + id))
	return SeenID(sum[:16])
}

// Seen is an id with the time its record states (zero: none).
type Seen struct {
	ID    SeenID
	Event time.Time
}

// Landed is a segment that is durable in raw, as the index keeps it.
type Landed struct {
	Seq      int64
	SHA256   string // of its header, hex
	File     string // SHA-256 of its whole object, hex; "" if not known
	Stream   string
	Cursor   string // the stream's, after it
	Records  int64
	Bytes    int64
	First    time.Time
	Last     time.Time
	LandedAt time.Time
	Inputs   []schema.Input
	Gaps     []schema.Gap
	Snapshot *schema.Snapshot
	Seen     []Seen
}

// Commit indexes a landed segment: its row, its stream's cursor, its ids, its
// inputs, gaps and snapshot, in one transaction.
func (d *DB) Commit(ctx context.Context, l Landed) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		for _, put := range []func(context.Context, *sql.Tx, Landed) error{putSegment, addTotal, putSeen, putInputs, putGaps, putSnapshot} {
			if err := put(ctx, tx, l); err != nil {
				return err
			}
		}
		return putCursor(ctx, tx, l.Stream, l.Cursor, l.Seq)
	})
	if err != nil {
		return fmt.Errorf("index segment %d of %s: %w", l.Seq, d.source, err)
	}
	return nil
}

func putSegment(ctx context.Context, tx *sql.Tx, l Landed) error {
	snapshot := sql.NullString{}
	if l.Snapshot != nil {
		snapshot = sql.NullString{String: l.Snapshot.ID, Valid: true}
	}
	_, err := tx.ExecContext(ctx,
		`INSERT INTO segment (seq, stream, sha256, file_sha256, records, bytes, first_ms, last_ms, landed_ms, gaps, snapshot)
		 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.Seq, l.Stream, l.SHA256, l.File, l.Records, l.Bytes, millis(l.First), millis(l.Last), l.LandedAt.UnixMilli(), len(l.Gaps), snapshot)
	return err
}

// addTotal adds a segment to the sums of its stream.
func addTotal(ctx context.Context, tx *sql.Tx, l Landed) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO total (stream, segments, records, bytes, first_ms, last_ms, landed_ms) VALUES (?, 1, ?, ?, ?, ?, ?)
		 ON CONFLICT (stream) DO UPDATE SET
		   segments = segments + 1, records = records + excluded.records, bytes = bytes + excluded.bytes,
		   first_ms = coalesce(min(first_ms, excluded.first_ms), first_ms, excluded.first_ms),
		   last_ms = coalesce(max(last_ms, excluded.last_ms), last_ms, excluded.last_ms),
		   landed_ms = max(landed_ms, excluded.landed_ms)`,
		l.Stream, l.Records, l.Bytes, millis(l.First), millis(l.Last), l.LandedAt.UnixMilli())
	return err
}

func putSeen(ctx context.Context, tx *sql.Tx, l Landed) (err error) {
	stmt, err := tx.PrepareContext(ctx, `INSERT OR IGNORE INTO seen (id, event_ms, landed_ms) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for _, s := range l.Seen {
		event := s.Event
		if event.IsZero() {
			event = l.LandedAt
		}
		if _, err := stmt.ExecContext(ctx, s.ID[:], event.UnixMilli(), l.LandedAt.UnixMilli()); err != nil {
			return err
		}
	}
	if l.Snapshot != nil && l.Snapshot.Complete {
		// No later page of this snapshot can come, and the next one has ids of its own.
		_, err = tx.ExecContext(ctx, `DELETE FROM seen`)
	}
	return err
}

func putInputs(ctx context.Context, tx *sql.Tx, l Landed) error {
	for _, in := range l.Inputs {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO input (key, sha256, size, version, records, fault, seq) VALUES (?, ?, ?, ?, ?, ?, ?)
			 ON CONFLICT (key) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, version = excluded.version,
			   records = excluded.records, fault = excluded.fault, seq = excluded.seq`,
			in.Key, in.SHA256, in.Size, in.Version, in.Records, in.Fault, l.Seq)
		if err != nil {
			return err
		}
	}
	return nil
}

func putGaps(ctx context.Context, tx *sql.Tx, l Landed) error {
	for n, g := range l.Gaps {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO gap (seq, n, stream, from_ms, to_ms, reason, input, declared_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			l.Seq, n, g.Stream, g.From.UnixMilli(), g.To.UnixMilli(), g.Reason, g.Input, g.DeclaredAt.UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

func putSnapshot(ctx context.Context, tx *sql.Tx, l Landed) error {
	if l.Snapshot == nil {
		return nil
	}
	counts, err := json.Marshal(l.Snapshot.Counts)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO snapshot (id, begin_ms, end_ms, complete, counts, first_seq, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?)
		 ON CONFLICT (id) DO UPDATE SET end_ms = excluded.end_ms, complete = excluded.complete,
		   counts = excluded.counts, last_seq = excluded.last_seq`,
		l.Snapshot.ID, l.Snapshot.Begin.UnixMilli(), millis(l.Snapshot.End), l.Snapshot.Complete, string(counts), l.Seq, l.Seq)
	return err
}

// putCursor moves a stream's cursor, unless it stands as of this segment or a
// later one: a published cursor may be ahead of the segments that are indexed
// again behind it.
func putCursor(ctx context.Context, tx *sql.Tx, stream, cursor string, seq int64) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO stream (name, cursor, as_of) VALUES (?, ?, ?)
		 ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, as_of = excluded.as_of WHERE as_of < excluded.as_of`,
		stream, cursor, seq)
	return err
}

// Head returns the newest segment the index knows; ok is false before the
// first.
func (d *DB) Head(ctx context.Context) (seq int64, headerHash string, ok bool, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT seq, sha256 FROM segment ORDER BY seq DESC LIMIT 1`).Scan(&seq, &headerHash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", false, nil
	}
	if err != nil {
		return 0, "", false, fmt.Errorf("read head of %s: %w", d.source, err)
	}
	return seq, headerHash, true, nil
}

// Cursor returns where a stream goes on; ok is false for a stream never read.
func (d *DB) Cursor(ctx context.Context, stream string) (cursor string, ok bool, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT cursor FROM stream WHERE name = ?`, stream).Scan(&cursor)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read cursor of %s: %w", d.source, err)
	}
	return cursor, true, nil
}

// Cursors returns where each stream goes on, by its name.
func (d *DB) Cursors(ctx context.Context) (map[string]string, error) {
	cursors, err := readCursors(ctx, d.db)
	if err != nil {
		return nil, fmt.Errorf("read cursors of %s: %w", d.source, err)
	}
	return cursors, nil
}

func readCursors(ctx context.Context, q querier) (map[string]string, error) {
	cursors := map[string]string{}
	err := each(ctx, q, func(rows *sql.Rows) error {
		var name, cursor string
		err := rows.Scan(&name, &cursor)
		cursors[name] = cursor
		return err
	}, `SELECT name, cursor FROM stream`)
	return cursors, err
}

// SetCursor moves a stream's cursor where there was nothing to land.
func (d *DB) SetCursor(ctx context.Context, stream, cursor string) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO stream (name, cursor, as_of) SELECT ?, ?, coalesce(max(seq), -1) FROM segment WHERE true
			 ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, as_of = max(as_of, excluded.as_of)`, stream, cursor)
		return err
	})
	if err != nil {
		return fmt.Errorf("move cursor of %s: %w", d.source, err)
	}
	return nil
}

// lookupChunk ids are looked up by one statement.
const lookupChunk = 250

// Known returns which of the ids were landed.
func (d *DB) Known(ctx context.Context, ids []SeenID) (map[SeenID]bool, error) {
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
		}, `SELECT id FROM seen WHERE id IN (?`+strings.Repeat(", ?", len(chunk)-1)+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("look up ids of %s: %w", d.source, err)
		}
	}
	return known, nil
}

// ForgetSeen drops the ids of records that were landed, and happened, longer
// than horizon before the newest that was: no source reads back that far.
func (d *DB) ForgetSeen(ctx context.Context, horizon time.Duration) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		var landed, event sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT max(landed_ms), max(last_ms) FROM total`).Scan(&landed, &event); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM seen WHERE landed_ms < ? AND event_ms < ?`,
			landed.Int64-horizon.Milliseconds(), event.Int64-horizon.Milliseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget old ids of %s: %w", d.source, err)
	}
	return nil
}

// Finished returns the input last finished under key; it makes DB the ledger of
// sources that read files.
func (d *DB) Finished(ctx context.Context, key string) (schema.Input, bool, error) {
	in := schema.Input{Key: key}
	err := d.db.QueryRowContext(ctx, `SELECT sha256, size, version, records, fault FROM input WHERE key = ?`, key).
		Scan(&in.SHA256, &in.Size, &in.Version, &in.Records, &in.Fault)
	if errors.Is(err, sql.ErrNoRows) {
		return schema.Input{}, false, nil
	}
	if err != nil {
		return schema.Input{}, false, fmt.Errorf("look up input of %s: %w", d.source, err)
	}
	return in, true, nil
}
