package lake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// keyParents are where events name people: the same as matcher.event looks at.
func keyParents() [][]string { return [][]string{{"user"}, {"actor", "user"}, {"user_result"}} }

// scanParquet calls add with each event of an object that matches, maybe of events
// outside the span too.
func (s *search) scanParquet(ctx context.Context, info eventsObject, bounds span, add func(hit)) error {
	o, err := s.open(ctx, info.info)
	if err != nil {
		return s.explain(ctx, info, nil, err)
	}
	defer o.close()
	index, err := indexOf(o.end, o.size)
	if err != nil || index != nil && !s.match.mayBeInAny(index) {
		return s.explain(ctx, info, o, err)
	}
	err = guarded(func() error { return s.scanFile(o, index, bounds, add) })
	return s.explain(ctx, info, o, err)
}

// explain tells what a store cannot do, which ends the search, from what is wrong
// with one object, which does not.
func (s *search) explain(ctx context.Context, info eventsObject, o *searched, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o != nil && o.failed != nil {
		err = o.failed
	}
	here := o != nil && o.failed == nil
	if here || errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrChanged) {
		return &ObjectError{Key: info.info.Key, Err: err}
	}
	return fmt.Errorf("read %s: %w", info.info.Key, err)
}

func (s *search) scanFile(o *searched, index nameIndex, bounds span, add func(hit)) error {
	f, err := o.parse()
	if err != nil {
		return err
	}
	clock, ok := f.Schema().Lookup("time")
	if !ok {
		return errors.New("it has no column time")
	}
	if index != nil && index.checkGroups(len(f.RowGroups())) != nil {
		index = nil // of another file
	}
	first := int64(0)
	for i, group := range f.RowGroups() {
		may := (index == nil || s.match.mayBeIn(index, i)) && mayHold(group.ColumnChunks()[clock.ColumnIndex], bounds)
		if may {
			g := groupScan{match: s.match, o: o, file: f, number: i, group: group}
			if err := g.scan(first, add); err != nil {
				return err
			}
		}
		first += group.NumRows()
	}
	return nil
}

func mayHold(times parquet.ColumnChunk, s span) bool {
	bounded, ok := times.(interface {
		Bounds() (least, greatest parquet.Value, ok bool)
	})
	if !ok {
		return true
	}
	least, greatest, ok := bounded.Bounds()
	return !ok || s.mayHold(least.Int64(), greatest.Int64())
}

// groupScan looks for matches in a row group.
type groupScan struct {
	match  *matcher
	o      *searched
	file   *parquet.File
	number int
	group  parquet.RowGroup
	// times of all rows, where accounts are somebody's for a time only.
	times []int64
}

func (g *groupScan) scan(first int64, add func(hit)) error {
	if err := g.fetch(); err != nil {
		return err
	}
	defer g.o.forget()
	rows, err := g.matching()
	if err != nil {
		return err
	}
	meta := g.file.Metadata().RowGroups[g.number]
	weight := meta.TotalByteSize / max(meta.NumRows, 1)
	return g.among(rows, []string{"time"}, func(row int64, v parquet.Value) {
		add(hit{at: v.Int64(), row: first + row, weight: weight})
	})
}

// fetch reads the columns that decide, all at once.
func (g *groupScan) fetch() error {
	paths := [][]string{{"time"}}
	if !g.match.anybody() {
		for _, parent := range keyParents() {
			for _, name := range []string{"uid", "uid_alt", "name", "email_addr"} {
				paths = append(paths, append(slices.Clone(parent), name))
			}
		}
	}
	if g.match.from != nil {
		paths = append(paths, fromColumn())
	}
	for _, t := range g.match.fields {
		for _, c := range t.columns {
			paths = append(paths, c.path)
		}
	}
	var wanted []stretchOf
	for _, path := range paths {
		if _, at, ok := g.column(path); ok {
			wanted = append(wanted, chunkStretch(g.file, g.number, at))
		}
	}
	return g.o.fetch(wanted)
}

func fromColumn() []string { return []string{"src_endpoint", "ip"} }

// column returns a column that has one value a row, false if the file has none
// such, as of an earlier version, or no value is in it.
func (g *groupScan) column(path []string) (parquet.ColumnChunk, int, bool) {
	leaf, ok := g.file.Schema().Lookup(path...)
	if !ok || leaf.MaxRepetitionLevel > 0 {
		return nil, 0, false
	}
	meta := g.file.Metadata().RowGroups[g.number].Columns[leaf.ColumnIndex].MetaData
	if leaf.MaxDefinitionLevel > 0 && meta.Statistics.NullCount == meta.NumValues {
		return nil, 0, false
	}
	return g.group.ColumnChunks()[leaf.ColumnIndex], leaf.ColumnIndex, true
}

// each calls f with each row's value of a column.
func (g *groupScan) each(path []string, f func(row int64, v parquet.Value)) error {
	chunk, _, ok := g.column(path)
	if !ok {
		return nil
	}
	return eachValue(chunk, f)
}

// among calls f with the values of some rows, which are sorted.
func (g *groupScan) among(rows []int64, path []string, f func(row int64, v parquet.Value)) error {
	if len(rows) == 0 {
		return nil
	}
	return g.each(path, func(row int64, v parquet.Value) {
		if len(rows) > 0 && rows[0] == row {
			f(row, v)
			rows = rows[1:]
		}
	})
}

// matching returns the rows that match, sorted.
func (g *groupScan) matching() ([]int64, error) {
	rows, err := g.people()
	if err != nil {
		return nil, err
	}
	if from := g.match.from; from != nil {
		var there []int64
		keep := func(row int64, v parquet.Value) {
			if !v.IsNull() && from.has(string(v.ByteArray())) {
				there = append(there, row)
			}
		}
		if g.match.anybody() {
			err = g.each(fromColumn(), keep)
		} else {
			err = g.among(rows, fromColumn(), keep)
		}
		if err != nil {
			return nil, err
		}
		rows = there
	}
	for _, t := range g.match.fields {
		if rows, err = g.passing(rows, t); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// people returns the rows that name the person, sorted.
func (g *groupScan) people() ([]int64, error) {
	if g.match.anybody() {
		return nil, nil
	}
	if g.match.timed {
		g.times = make([]int64, g.group.NumRows())
		err := g.each([]string{"time"}, func(row int64, v parquet.Value) { g.times[row] = v.Int64() })
		if err != nil {
			return nil, err
		}
	}
	var rows []int64
	for _, parent := range keyParents() {
		some, err := g.named(parent)
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	slices.Sort(rows)
	return slices.Compact(rows), nil
}

// named returns the rows whose user under parent is the person.
func (g *groupScan) named(parent []string) (rows []int64, err error) {
	known := map[int64]bool{} // those that have an id, where that matters
	for _, name := range []string{"uid", "uid_alt"} {
		err = errors.Join(err, g.each(append(slices.Clone(parent), name), func(row int64, v parquet.Value) {
			if g.isID(row, v) {
				rows = append(rows, row)
			}
			if len(g.match.aliases) > 0 && !v.IsNull() && len(v.ByteArray()) > 0 {
				known[row] = true
			}
		}))
	}
	for _, name := range []string{"name", "email_addr"} {
		err = errors.Join(err, g.each(append(slices.Clone(parent), name), func(row int64, v parquet.Value) {
			if g.isName(row, v, known) {
				rows = append(rows, row)
			}
		}))
	}
	return rows, err
}

func (g *groupScan) isID(row int64, v parquet.Value) bool {
	if v.IsNull() || len(v.ByteArray()) == 0 {
		return false
	}
	when := g.match.ids[string(v.ByteArray())]
	return when != nil && when.hold(g.timeOf(row))
}

func (g *groupScan) isName(row int64, v parquet.Value, known map[int64]bool) bool {
	if v.IsNull() {
		return false
	}
	name := string(v.ByteArray())
	return g.match.name(name) || len(g.match.aliases) > 0 && !known[row] && g.match.alias(name, g.timeOf(row))
}

// timeOf is the time of a row, where it matters.
func (g *groupScan) timeOf(row int64) int64 {
	if g.times == nil {
		return 0
	}
	return g.times[row]
}

// passing returns those of the rows that pass a test.
func (g *groupScan) passing(rows []int64, t fieldTest) ([]int64, error) {
	var pass []int64
	for _, c := range t.columns {
		err := g.among(rows, c.path, func(row int64, v parquet.Value) {
			if c.test(v) {
				pass = append(pass, row)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(pass)
	return slices.Compact(pass), nil
}

// eachValue calls f with each row's value of a column that is not repeated.
func eachValue(chunk parquet.ColumnChunk, f func(row int64, v parquet.Value)) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	row := int64(0)
	values := make([]parquet.Value, 512)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row, err = eachValueOf(page, values, row, f)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func eachValueOf(page parquet.Page, values []parquet.Value, row int64, f func(row int64, v parquet.Value)) (int64, error) {
	r := page.Values()
	for {
		n, err := r.ReadValues(values)
		for _, v := range values[:n] {
			f(row, v)
			row++
		}
		if errors.Is(err, io.EOF) {
			return row, nil
		}
		if err != nil {
			return row, err
		}
	}
}

// jsonWeight is about how many bytes an event of an object of lines is.
const jsonWeight = 8 << 10

// scanJSON is scanParquet for an object of lines.
func (s *search) scanJSON(ctx context.Context, o eventsObject, add func(hit)) error {
	row := int64(0)
	for e, err := range readJSON[schema.Event](ctx, s.reader.store, o.info.Key) {
		if err != nil {
			return explainJSON(ctx, o, err)
		}
		if s.match.event(&e) {
			add(hit{at: e.Time, row: row, weight: max(jsonWeight, int64(payloadBytes(&e)))})
		}
		row++
	}
	return nil
}

// loadJSON calls set with the events of some lines, which are sorted.
func (s *search) loadJSON(ctx context.Context, o eventsObject, rows []int64, set func(n int, e *schema.Event)) error {
	row, n := int64(0), 0
	for line, err := range readLines(ctx, s.reader.store, o.info.Key) {
		if err != nil {
			return explainJSON(ctx, o, err)
		}
		if row == rows[n] {
			var e schema.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return &ObjectError{Key: o.info.Key, Err: err}
			}
			set(n, &e)
			if n++; n == len(rows) {
				return nil
			}
		}
		row++
	}
	return &ObjectError{Key: o.info.Key, Err: errors.New("it got shorter while it was read")}
}

// explainJSON is explain for an object of lines, whose errors name it already.
func explainJSON(ctx context.Context, o eventsObject, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, typed := errors.AsType[*json.UnmarshalTypeError](err)
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	for _, damage := range []error{gzip.ErrHeader, gzip.ErrChecksum, io.ErrUnexpectedEOF, blob.ErrNotExist, blob.ErrChanged} {
		corrupt = corrupt || errors.Is(err, damage)
	}
	if syntax || typed || corrupt {
		return &ObjectError{Key: o.info.Key, Err: cmp.Or(errors.Unwrap(err), err)}
	}
	return err
}

func payloadBytes(e *schema.Event) int { return 2 * len(e.RawData) }
