package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// keptRejects of one delivery are handed to the state, for status.
const keptRejects = 1000

// mapping turns landed records into rows, and counts what became of them.
type mapping struct {
	source   string
	mapper   Mapper
	tally    state.Tally
	rejected []schema.Reject // the newest, at most keptRejects
	// undated: rows are filed under no day.
	undated bool
	// all, unless nil, gets the place of every reject.
	all map[schema.Position]bool
}

// origin is what a record's segment says of all its records.
type origin struct {
	landedAt time.Time
	snapshot *schema.Snapshot
}

func originOf(h *segment.Header) origin { return origin{landedAt: h.LandedAt, snapshot: h.Snapshot} }

// rows maps one record. A record that cannot be mapped gives one reject.
func (m *mapping) rows(rec segment.Record, o origin) []load.Row {
	if rec.Kind == schema.KindErased {
		return nil
	}
	m.tally.Records++
	res, err := m.mapper.Map(rec.Kind, rec.Line, o.landedAt)
	n := len(res.Events) + len(res.Users) + len(res.Settings)
	if err == nil && n == 0 {
		err = fmt.Errorf("gives no event: %w", transform.ErrUnmappable)
	}
	if err != nil {
		return []load.Row{m.reject(rec, o, err)}
	}
	m.tally.Events += int64(len(res.Events))
	m.tally.Users += int64(len(res.Users))
	m.tally.Settings += int64(len(res.Settings))
	m.tally.FannedOut += int64(n - 1)
	rows := make([]load.Row, 0, n)
	day := ""
	if len(res.Events) > 0 && !m.undated {
		day, _ = eventDay(rec, o)
	}
	for i := range res.Events {
		rows = append(rows, load.Row{At: rec.At, Day: day, Event: &res.Events[i]})
	}
	for i := range res.Users {
		rows = append(rows, load.Row{At: rec.At, Day: snapshotDay(o), SnapshotID: snapshotID(o.snapshot), User: &res.Users[i]})
	}
	for i := range res.Settings {
		rows = append(rows, load.Row{At: rec.At, Day: snapshotDay(o), SnapshotID: snapshotID(o.snapshot), Setting: &res.Settings[i]})
	}
	return rows
}

func (m *mapping) reject(rec segment.Record, o origin, err error) load.Row {
	m.tally.Rejected++
	if m.all != nil {
		m.all[rec.At] = true
	}
	r := schema.Reject{
		Source: m.source, Segment: rec.At.Segment, Record: rec.At.Record, ID: recordID(rec.Kind, rec.Line),
		Kind: rec.Kind, Reason: validText(err.Error()), Mapping: transform.Version, LandedAt: o.landedAt,
		RawData: validText(string(rec.Line)),
	}
	if len(m.rejected) == keptRejects {
		m.rejected = m.rejected[1:]
	}
	kept := r
	kept.RawData = ""
	m.rejected = append(m.rejected, kept)
	return load.Row{At: rec.At, Day: o.landedAt.UTC().Format(time.DateOnly), Reject: &r}
}

// tail is what a segment says beside its records: its gaps, and a snapshot that
// ends in it.
func (m *mapping) tail(h *segment.Header) []load.Row {
	at := schema.Position{Segment: h.Seq, Record: h.Count}
	var rows []load.Row
	if h.Snapshot != nil && h.Snapshot.Complete {
		rows = append(rows, load.Row{At: at, Day: snapshotDay(originOf(h)), SnapshotID: h.Snapshot.ID, Snapshot: h.Snapshot})
	}
	for i := range h.Gaps {
		rows = append(rows, load.Row{At: at, Day: h.LandedAt.UTC().Format(time.DateOnly), Gap: &h.Gaps[i]})
	}
	return rows
}

func eventDay(rec segment.Record, o origin) (day string, at time.Time) {
	at, _ = transform.When(rec.Kind, rec.Line, o.landedAt)
	day, _ = transform.Day(at, o.landedAt)
	return day, at
}

func snapshotDay(o origin) string {
	if o.snapshot == nil {
		return o.landedAt.UTC().Format(time.DateOnly)
	}
	return o.snapshot.Begin.UTC().Format(time.DateOnly)
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// The order of tables in a sorted batch.
const (
	tableEvents uint8 = iota
	tableUsers
	tableSettings
	tableRejects
)

// sortedRows yields the rows of segments from to to-1 in the order a planner
// wants. Records are sorted as they were landed, and mapped as they come out:
// that is the smaller form.
func (d *deliverer) sortedRows(ctx context.Context, m *mapping, from, to int64) iter.Seq2[load.Row, error] {
	return func(yield func(load.Row, error) bool) {
		s := &sortedRange{d: d, m: m, records: d.newSorter(), rejects: d.newSorter(), origins: map[int64]origin{}}
		defer func() { _ = errors.Join(s.records.close(), s.rejects.close()) }() // nameless temporary files: nothing is lost with them
		err := s.read(ctx, from, to)
		if err == nil {
			err = s.emit(ctx, func(r load.Row) bool { return yield(r, nil) })
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(load.Row{}, err)
		}
	}
}

// errStopped says that whoever ranges over the rows has had enough.
var errStopped = errors.New("stopped")

type sortedRange struct {
	d       *deliverer
	m       *mapping
	records *sorter
	rejects *sorter
	origins map[int64]origin
	kinds   []schema.Kind
	tail    []load.Row
}

func (d *deliverer) newSorter() *sorter {
	return &sorter{dir: d.p.TempDir, budget: d.limits.SortBytes}
}

func (s *sortedRange) read(ctx context.Context, from, to int64) error {
	for seq := from; seq < to; seq++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.segment(ctx, seq); err != nil {
			return err
		}
	}
	return nil
}

// segment sorts one segment in. Nothing of it is delivered before all are read,
// and so proven.
func (s *sortedRange) segment(ctx context.Context, seq int64) error {
	var o origin
	begin := func(h *segment.Header) error {
		o = originOf(h)
		s.origins[h.Seq] = o
		s.tail = append(s.tail, s.m.tail(h)...)
		return nil
	}
	return segment.Scan(ctx, s.d.p.Raw, s.d.source.Name, seq, begin, func(rec segment.Record) error {
		return s.records.add(s.key(rec, o), []byte{s.kind(rec.Kind)}, rec.Line)
	})
}

// kind numbers the kinds as they come: there are few.
func (s *sortedRange) kind(k schema.Kind) byte {
	for i, known := range s.kinds {
		if known == k {
			return byte(i)
		}
	}
	s.kinds = append(s.kinds, k)
	return byte(len(s.kinds) - 1) //nolint:gosec // fewer than 256 kinds
}

func (s *sortedRange) key(rec segment.Record, o origin) sortKey {
	k := sortKey{table: tableEvents, segment: rec.At.Segment, record: int32(rec.At.Record)} //nolint:gosec // a segment holds far fewer
	day, at := eventDay(rec, o)
	k.millis = at.UnixMilli()
	if rec.Kind.InSnapshot() {
		k.table, k.millis, day = tableUsers, 0, snapshotDay(o)
		k.snapshot = snapshotID(o.snapshot)
	}
	if rec.Kind == schema.KindSetting {
		k.table = tableSettings
	}
	k.day = dayNumber(day)
	return k
}

// dayNumber counts days since 1970; days were formatted by us and parse.
func dayNumber(day string) int32 {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(fmt.Sprintf("day %q: %v", day, err))
	}
	return int32(t.Unix() / 86400) //nolint:gosec // days fit
}

func (s *sortedRange) emit(ctx context.Context, yield func(load.Row) bool) error {
	for it, err := range s.records.all() {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := s.emitRecord(it, yield); err != nil {
			return err
		}
	}
	if err := s.emitTail(yield, func(r load.Row) bool { return r.Snapshot != nil }); err != nil {
		return err
	}
	if err := s.emitRejects(yield); err != nil {
		return err
	}
	return s.emitTail(yield, func(r load.Row) bool { return r.Gap != nil })
}

func (s *sortedRange) emitRecord(it sorted, yield func(load.Row) bool) error {
	rec := segment.Record{
		At:   schema.Position{Segment: it.key.segment, Record: int64(it.key.record)},
		Kind: s.kinds[it.payload[0]], Line: it.payload[1:],
	}
	for _, row := range s.m.rows(rec, s.origins[it.key.segment]) {
		if row.Reject != nil {
			if err := s.keepReject(row); err != nil {
				return err
			}
			continue
		}
		if !yield(row) {
			return errStopped
		}
	}
	return nil
}

// keepReject puts a reject aside until its table's turn.
func (s *sortedRange) keepReject(row load.Row) error {
	payload, err := json.Marshal(row.Reject)
	if err != nil {
		return fmt.Errorf("encode reject: %w", err)
	}
	key := sortKey{table: tableRejects, day: dayNumber(row.Day), segment: row.At.Segment, record: int32(row.At.Record)} //nolint:gosec // a segment holds far fewer
	return s.rejects.add(key, payload)
}

func (s *sortedRange) emitRejects(yield func(load.Row) bool) error {
	for it, err := range s.rejects.all() {
		if err != nil {
			return err
		}
		var r schema.Reject
		if err := json.Unmarshal(it.payload, &r); err != nil {
			return fmt.Errorf("decode reject: %w", err)
		}
		row := load.Row{
			At:  schema.Position{Segment: it.key.segment, Record: int64(it.key.record)},
			Day: r.LandedAt.UTC().Format(time.DateOnly), Reject: &r,
		}
		if !yield(row) {
			return errStopped
		}
	}
	return nil
}

// emitTail yields the few rows of headers that are of one table, by day.
func (s *sortedRange) emitTail(yield func(load.Row) bool, of func(load.Row) bool) error {
	var rows []load.Row
	for _, row := range s.tail {
		if of(row) {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b load.Row) int { return cmp.Compare(a.Day, b.Day) })
	for _, row := range rows {
		if !yield(row) {
			return errStopped
		}
	}
	return nil
}
