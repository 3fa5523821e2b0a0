package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Summary is what a state knows that raw and lake do not say, or not at once.
// It is small, and is what a shared state is published as.
type Summary struct {
	StateID string `json:"state_id"`
	// Head is the newest segment indexed.
	Head *Head `json:"head,omitempty"`
	// Cursors by stream.
	Cursors    map[string]string `json:"cursors,omitempty"`
	Positions  []SinkPosition    `json:"positions,omitempty"`
	Flushes    []OpenFlush       `json:"open_flushes,omitempty"`
	Checkpoint *Checkpoint       `json:"checkpoint,omitempty"`
	LastDrain  time.Time         `json:"last_drain,omitzero"`
	// The ids that the next notice, and the next record to be given once more,
	// will have.
	NextNotice int64 `json:"next_notice"`
	NextAgain  int64 `json:"next_again"`
	// Memos by name.
	Memos map[string]string `json:"memos,omitempty"`
	// RejectedTold is how many rejects were told of.
	RejectedTold int64 `json:"rejected_told"`
}

// Head names a segment.
type Head struct {
	Segment int64  `json:"segment"`
	SHA256  string `json:"sha256"` // of its header, hex
}

// SinkPosition is the position of a sink, with its own memory.
type SinkPosition struct {
	Sink string `json:"sink"`
	Position
	Note string `json:"note,omitempty"`
}

// maxNote is the longest note that is published. A sink whose longer one is lost
// with a disk sends again what it had under way.
const maxNote = 64 << 10

// Summary of the state.
func (d *DB) Summary(ctx context.Context) (Summary, error) {
	s, err := summarize(ctx, d.db)
	if err != nil {
		return Summary{}, fmt.Errorf("read state of %s: %w", d.source, err)
	}
	return s, nil
}

func summarize(ctx context.Context, q querier) (s Summary, err error) {
	for _, read := range []func() error{
		func() (err error) { s.StateID, err = meta(ctx, q, metaID); return err },
		func() (err error) { s.Head, err = readHead(ctx, q); return err },
		func() (err error) { s.Cursors, err = readCursors(ctx, q); return err },
		func() (err error) { s.Positions, err = readPositions(ctx, q); return err },
		func() (err error) { s.Flushes, err = readFlushes(ctx, q); return err },
		func() (err error) { s.Checkpoint, err = readCheckpoint(ctx, q); return err },
		func() (err error) { s.LastDrain, err = lastDrain(ctx, q); return err },
		func() (err error) { s.NextNotice, err = nextID(ctx, q, "notice"); return err },
		func() (err error) { s.NextAgain, err = nextID(ctx, q, "again"); return err },
		func() (err error) { s.Memos, err = readMemos(ctx, q); return err },
		func() (err error) { s.RejectedTold, err = metaInt(ctx, q, metaRejectedTold); return err },
	} {
		if err := read(); err != nil {
			return Summary{}, err
		}
	}
	return s, nil
}

// readHead returns the newest segment indexed, or the newest that was published
// if that is further; nil before the first.
func readHead(ctx context.Context, q querier) (*Head, error) {
	h := Head{Segment: -1}
	err := each(ctx, q, func(rows *sql.Rows) error { return rows.Scan(&h.Segment, &h.SHA256) },
		`SELECT seq, sha256 FROM segment ORDER BY seq DESC LIMIT 1`)
	if err != nil {
		return nil, err
	}
	published, err := metaInt(ctx, q, metaHeadSeq)
	if err == nil && published > h.Segment {
		h.Segment = published
		h.SHA256, err = meta(ctx, q, metaHeadSHA256)
	}
	if err != nil || h.Segment < 0 {
		return nil, err
	}
	return &h, nil
}

func readPositions(ctx context.Context, q querier) ([]SinkPosition, error) {
	var positions []SinkPosition
	err := each(ctx, q, func(rows *sql.Rows) error {
		sink, p, err := scanPosition(rows.Scan)
		if len(p.Note) > maxNote {
			p.Note, p.Waiting = "", false
		}
		positions = append(positions, SinkPosition{Sink: sink, Position: p, Note: p.Note})
		return err
	}, selectPosition+` ORDER BY sink`)
	return positions, err
}

func readFlushes(ctx context.Context, q querier) ([]OpenFlush, error) {
	var flushes []OpenFlush
	err := each(ctx, q, func(rows *sql.Rows) error {
		var f OpenFlush
		err := rows.Scan(&f.Sink, &f.From, &f.To)
		flushes = append(flushes, f)
		return err
	}, `SELECT sink, from_seq, to_seq FROM open_flush ORDER BY sink`)
	return flushes, err
}

// lineage is which publication of a shared state something holds.
type lineage struct {
	Generation int64 `json:"generation"`
	Version    int64 `json:"version"`
}

func readLineage(ctx context.Context, q querier) (l lineage, err error) {
	if l.Generation, err = metaInt(ctx, q, metaGeneration); err == nil {
		l.Version, err = metaInt(ctx, q, metaVersion)
	}
	return l, err
}

func putLineage(ctx context.Context, tx *sql.Tx, l lineage) error {
	if err := putMeta(ctx, tx, metaGeneration, strconv.FormatInt(l.Generation, 10)); err != nil {
		return err
	}
	return putMeta(ctx, tx, metaVersion, strconv.FormatInt(l.Version, 10))
}

// overlay lays what was published last over an older file, or an empty one. The
// segments it lacks are indexed again by whoever opened it.
func overlay(ctx context.Context, db *sql.DB, s *Summary, l lineage) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		for _, put := range []func(context.Context, *sql.Tx, *Summary) error{
			overlayMeta, overlayMemos, overlayCursors, overlayPositions, overlayRest,
		} {
			if err := put(ctx, tx, s); err != nil {
				return err
			}
		}
		return putLineage(ctx, tx, l)
	})
}

func overlayMeta(ctx context.Context, tx *sql.Tx, s *Summary) error {
	values := map[string]string{metaID: s.StateID}
	if s.Head != nil {
		values[metaHeadSeq], values[metaHeadSHA256] = strconv.FormatInt(s.Head.Segment, 10), s.Head.SHA256
	}
	if !s.LastDrain.IsZero() {
		values[metaLastDrain] = strconv.FormatInt(s.LastDrain.UnixMilli(), 10)
	}
	if s.RejectedTold >= 0 {
		values[metaRejectedTold] = strconv.FormatInt(s.RejectedTold, 10)
	}
	for name, value := range values {
		if err := putMeta(ctx, tx, name, value); err != nil {
			return err
		}
	}
	return nil
}

func overlayCursors(ctx context.Context, tx *sql.Tx, s *Summary) error {
	head := int64(-1)
	if s.Head != nil {
		head = s.Head.Segment
	}
	for stream, cursor := range s.Cursors {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO stream (name, cursor, as_of) VALUES (?, ?, ?)`, stream, cursor, head)
		if err != nil {
			return err
		}
	}
	return nil
}

func overlayPositions(ctx context.Context, tx *sql.Tx, s *Summary) error {
	for i := range s.Positions {
		p := &s.Positions[i]
		sent, err := json.Marshal(p.Sent)
		if err != nil {
			return err
		}
		delivered := millis(p.Delivered)
		if !delivered.Valid {
			delivered = sql.NullInt64{Valid: true} // 0 says never
		}
		_, err = tx.ExecContext(ctx,
			`INSERT OR REPLACE INTO position (sink, segment, record, delivered_ms, records, rejected, events, users, settings, fanned_out,
			   note, sent, waiting, lost, last_error, last_error_ms, last_sent_ms, caught_up_ms)
			 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Sink, p.Next.Segment, p.Next.Record, delivered,
			p.Tally.Records, p.Tally.Rejected, p.Tally.Events, p.Tally.Users, p.Tally.Settings, p.Tally.FannedOut,
			p.Note, string(sent), p.Waiting, p.Lost, p.LastError, millis(p.LastErrorAt), millis(p.LastSent), millis(p.CaughtUp))
		if err != nil {
			return err
		}
	}
	return nil
}

func overlayRest(ctx context.Context, tx *sql.Tx, s *Summary) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM open_flush`); err != nil {
		return err
	}
	for f := range slices.Values(s.Flushes) {
		if err := putFlush(ctx, tx, f); err != nil {
			return err
		}
	}
	if s.Checkpoint != nil {
		if err := putCheckpoint(ctx, tx, *s.Checkpoint); err != nil {
			return err
		}
	}
	// Ids that were used after the file was made are not used again: positions
	// stand behind them.
	if err := skipIDs(ctx, tx, "notice", s.NextNotice); err != nil {
		return err
	}
	return skipIDs(ctx, tx, "again", s.NextAgain)
}

// ownMeta are the entries of table meta that are no memos.
var ownMeta = []string{metaID, metaRejectedTold, metaLastDrain, metaHeadSeq, metaHeadSHA256, metaGeneration, metaVersion}

// notOurs is a condition on meta, with ownMeta as its arguments.
const notOurs = `name NOT IN (?, ?, ?, ?, ?, ?, ?)`

func ownNames() []any {
	names := make([]any, len(ownMeta))
	for i, name := range ownMeta {
		names[i] = name
	}
	return names
}

func readMemos(ctx context.Context, q querier) (map[string]string, error) {
	memos := map[string]string{}
	err := each(ctx, q, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		if len(value) <= maxNote {
			memos[name] = value
		}
		return err
	}, `SELECT name, value FROM meta WHERE `+notOurs, ownNames()...)
	return memos, err
}

func overlayMemos(ctx context.Context, tx *sql.Tx, s *Summary) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM meta WHERE `+notOurs, ownNames()...); err != nil {
		return err
	}
	for name, value := range s.Memos {
		if err := putMeta(ctx, tx, name, value); err != nil {
			return err
		}
	}
	return nil
}
