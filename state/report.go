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

// keptRuns is how many runs a source's state remembers.
const keptRuns = 500

// Run is what one run did: read = landed + repeated + filtered.
type Run struct {
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Read     int64     `json:"read"`
	Landed   int64     `json:"landed"`
	Repeated int64     `json:"repeated"`
	Filtered int64     `json:"filtered"`
	Segments int64     `json:"segments"`
	Gaps     int64     `json:"gaps"`
	// Drained says that the run read all there was.
	Drained bool   `json:"drained"`
	Error   string `json:"error,omitempty"`
}

// AddRun remembers a run.
func (d *DB) AddRun(ctx context.Context, r Run) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO run (started_ms, ended_ms, read, landed, repeated, filtered, segments, gaps, drained, error)
			 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.Started.UnixMilli(), r.Ended.UnixMilli(), r.Read, r.Landed, r.Repeated, r.Filtered, r.Segments, r.Gaps, r.Drained, r.Error)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?`, keptRuns)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember run of %s: %w", d.source, err)
	}
	return nil
}

// Runs returns the newest runs, newest first.
func (d *DB) Runs(ctx context.Context, limit int) ([]Run, error) {
	var runs []Run
	err := d.each(ctx, func(rows *sql.Rows) error {
		var r Run
		var started, ended int64
		err := rows.Scan(&started, &ended, &r.Read, &r.Landed, &r.Repeated, &r.Filtered, &r.Segments, &r.Gaps, &r.Drained, &r.Error)
		r.Started, r.Ended = time.UnixMilli(started).UTC(), time.UnixMilli(ended).UTC()
		runs = append(runs, r)
		return err
	}, `SELECT started_ms, ended_ms, read, landed, repeated, filtered, segments, gaps, drained, error
	    FROM run ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", d.source, err)
	}
	return runs, nil
}

// LastDrain is when a run last read all there was; zero if none did.
func (d *DB) LastDrain(ctx context.Context) (time.Time, error) {
	at, err := lastDrain(ctx, d.db)
	if err != nil {
		return time.Time{}, fmt.Errorf("read runs of %s: %w", d.source, err)
	}
	return at, nil
}

// lastDrain also knows of a run that was published, but is not remembered here.
func lastDrain(ctx context.Context, q querier) (time.Time, error) {
	var ms sql.NullInt64
	err := q.QueryRowContext(ctx,
		`SELECT max(ms) FROM (SELECT ended_ms AS ms FROM run WHERE drained
		   UNION ALL SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?)`, metaLastDrain).Scan(&ms)
	return fromMillis(ms), err
}

// Totals of all that was landed.
type Totals struct {
	Segments int64     `json:"segments"`
	Records  int64     `json:"records"`
	Bytes    int64     `json:"bytes"`
	First    time.Time `json:"first_event,omitzero"`
	Last     time.Time `json:"last_event,omitzero"`
	Landed   time.Time `json:"last_landed,omitzero"`
}

// Totals of the source.
func (d *DB) Totals(ctx context.Context) (Totals, error) {
	var t Totals
	var first, last, landed sql.NullInt64
	err := d.db.QueryRowContext(ctx,
		`SELECT coalesce(sum(segments), 0), coalesce(sum(records), 0), coalesce(sum(bytes), 0), min(first_ms), max(last_ms), max(landed_ms) FROM total`).
		Scan(&t.Segments, &t.Records, &t.Bytes, &first, &last, &landed)
	if err != nil {
		return Totals{}, fmt.Errorf("read totals of %s: %w", d.source, err)
	}
	t.First, t.Last, t.Landed = fromMillis(first), fromMillis(last), fromMillis(landed)
	return t, nil
}

// Gaps returns the newest gaps declared, newest first, and how many there are.
func (d *DB) Gaps(ctx context.Context, limit int) (gaps []schema.Gap, total int64, err error) {
	if err := d.db.QueryRowContext(ctx, `SELECT count(*) FROM gap`).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("read gaps of %s: %w", d.source, err)
	}
	err = d.each(ctx, func(rows *sql.Rows) error {
		g, err := d.scanGap(rows)
		gaps = append(gaps, g.Gap)
		return err
	}, selectGap+` ORDER BY seq DESC, n DESC LIMIT ?`, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read gaps of %s: %w", d.source, err)
	}
	return gaps, total, nil
}

const selectGap = `SELECT seq, n, stream, from_ms, to_ms, reason, input, declared_ms FROM gap`

func (d *DB) scanGap(rows *sql.Rows) (GapRow, error) {
	g := GapRow{Gap: schema.Gap{Source: d.source}}
	var from, to, declared int64
	err := rows.Scan(&g.Segment, &g.N, &g.Stream, &from, &to, &g.Reason, &g.Input, &declared)
	g.From, g.To, g.DeclaredAt = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC(), time.UnixMilli(declared).UTC()
	return g, err
}

// Reject is a record that was refused: by the mapping, or, where Sink is set,
// an event of it by that sink's receiver. For a sink's notices its name ends in
// [NoticeSuffix], and Record is the notice's id.
type Reject struct {
	schema.Reject
	Sink string `json:"sink,omitempty"`
}

// Rejects returns the newest rejects kept of the mapping, newest first.
func (d *DB) Rejects(ctx context.Context, limit int) ([]schema.Reject, error) {
	rejects, err := d.rejects(ctx, `sink = ''`, limit)
	out := make([]schema.Reject, len(rejects))
	for i, r := range rejects {
		out[i] = r.Reject
	}
	return out, err
}

// Refused returns the newest rejects kept of the sinks' receivers, newest first.
func (d *DB) Refused(ctx context.Context, limit int) ([]Reject, error) {
	return d.rejects(ctx, `sink <> ''`, limit)
}

func (d *DB) rejects(ctx context.Context, where string, limit int) ([]Reject, error) {
	var rejects []Reject
	err := d.each(ctx, func(rows *sql.Rows) error {
		r := Reject{Reject: schema.Reject{Source: d.source}}
		err := rows.Scan(&r.Sink, &r.Segment, &r.Record, &r.ID, &r.Kind, &r.Reason)
		rejects = append(rejects, r)
		return err
	}, `SELECT sink, segment, record, id, kind, reason FROM reject WHERE `+where+` ORDER BY segment DESC, record DESC, sink LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read rejects of %s: %w", d.source, err)
	}
	return rejects, nil
}

// Faults returns inputs whose end could not be read.
func (d *DB) Faults(ctx context.Context, limit int) ([]schema.Input, error) {
	var inputs []schema.Input
	err := d.each(ctx, func(rows *sql.Rows) error {
		var in schema.Input
		err := rows.Scan(&in.Key, &in.SHA256, &in.Size, &in.Version, &in.Records, &in.Fault)
		inputs = append(inputs, in)
		return err
	}, `SELECT key, sha256, size, version, records, fault FROM input WHERE fault <> '' ORDER BY seq DESC, key LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read inputs of %s: %w", d.source, err)
	}
	return inputs, nil
}

// LandedSnapshot is a snapshot with the range of segments it lies in.
type LandedSnapshot struct {
	schema.Snapshot
	FirstSeq int64 `json:"first_segment"`
	LastSeq  int64 `json:"last_segment"`
}

// Snapshots returns the newest snapshots, newest first; only complete ones if
// asked.
func (d *DB) Snapshots(ctx context.Context, completeOnly bool, limit int) ([]LandedSnapshot, error) {
	var snaps []LandedSnapshot
	err := d.each(ctx, func(rows *sql.Rows) error {
		s, err := scanSnapshot(rows)
		snaps = append(snaps, s)
		return err
	}, `SELECT id, begin_ms, end_ms, complete, counts, first_seq, last_seq FROM snapshot
	    WHERE complete OR NOT ? ORDER BY begin_ms DESC, last_seq DESC LIMIT ?`, completeOnly, limit)
	if err != nil {
		return nil, fmt.Errorf("read snapshots of %s: %w", d.source, err)
	}
	return snaps, nil
}

func scanSnapshot(rows *sql.Rows) (LandedSnapshot, error) {
	var s LandedSnapshot
	var begin int64
	var end sql.NullInt64
	var counts string
	if err := rows.Scan(&s.ID, &begin, &end, &s.Complete, &counts, &s.FirstSeq, &s.LastSeq); err != nil {
		return s, err
	}
	s.Begin, s.End = time.UnixMilli(begin).UTC(), fromMillis(end)
	return s, json.Unmarshal([]byte(counts), &s.Counts)
}

func (d *DB) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	return each(ctx, d.db, scan, query, args...)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func each(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
