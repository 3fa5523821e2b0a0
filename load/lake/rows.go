package lake

import (
	"context"
	"errors"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/schema"
)

// seekBytes is the size of a column of a row group from which on only the pages
// are read that rows lie in; a smaller one is read whole.
const seekBytes = 64 << 10

// eventColumn is a column of the table events.
type eventColumn struct {
	path []string
	// around names the structs around it, the outermost first, and levels says the
	// greatest definition and repetition level of each, and of the column itself.
	around []string
	levels []levels
	brief  bool
}

type levels struct{ definition, repetition int }

// eventColumns are all columns, in the order of the type's own schema.
var eventColumns = sync.OnceValue(func() []eventColumn {
	s := parquet.SchemaOf(schema.Event{})
	var columns []eventColumn
	for _, path := range s.Columns() {
		c := eventColumn{path: path, brief: isBrief(path)}
		var at levels
		node := parquet.Node(s)
		for n, name := range path {
			if n > 0 {
				c.around = append(c.around, strings.Join(path[:n], "."))
			}
			node = child(node, name)
			if node.Optional() || node.Repeated() {
				at.definition++
			}
			if node.Repeated() {
				at.repetition++
			}
			c.levels = append(c.levels, at)
		}
		columns = append(columns, c)
	}
	return columns
})

// isBrief says whether a column tells in a line what happened; see [Query.Brief].
func isBrief(path []string) bool {
	name := strings.Join(path, ".")
	for _, user := range []string{"user.", "actor.user.", "user_result."} {
		if rest, ok := strings.CutPrefix(name, user); ok {
			return slices.Contains([]string{"uid", "uid_alt", "name", "email_addr"}, rest)
		}
	}
	switch name {
	case "time", "time_dt", "class_uid", "class_name", "activity_id", "activity_name", "severity_id", "severity",
		"status_id", "status", "status_code", "status_detail", "message", "api.operation", "actor.app_name", "actor.app_uid",
		"service.name", "src_endpoint.ip", "src_endpoint.svc_name", "src_endpoint.location.city", "src_endpoint.location.country",
		"group.name", "entity.name", "entity.type", "policy.name",
		"metadata.uid", "metadata.event_code", "metadata.product.name", "metadata.product.vendor_name":
		return true
	default:
		return false
	}
}

// loadParquet calls set with the events of some of an object's rows, which are
// sorted.
func (s *search) loadParquet(ctx context.Context, info eventsObject, rows []int64, set func(n int, e *schema.Event)) error {
	o, err := s.open(ctx, info.info)
	if err != nil {
		return s.explain(ctx, info, nil, err)
	}
	defer o.close()
	err = guarded(func() error { return s.loadRows(o, rows, set) })
	return s.explain(ctx, info, o, err)
}

func (s *search) loadRows(o *searched, rows []int64, set func(n int, e *schema.Event)) error {
	f, err := o.parse()
	if err != nil {
		return err
	}
	if !s.fits(f) {
		return loadConverted(f, rows, set)
	}
	first, n := int64(0), 0
	for i, group := range f.RowGroups() {
		var here []int64
		for n+len(here) < len(rows) && rows[n+len(here)] < first+group.NumRows() {
			here = append(here, rows[n+len(here)]-first)
		}
		if len(here) > 0 {
			g := groupLoad{o: o, file: f, number: i, chunks: group.ColumnChunks(), rows: here, brief: s.q.Brief}
			if err := g.load(func(k int, e *schema.Event) { set(n+k, e) }); err != nil {
				return err
			}
			n += len(here)
		}
		first += group.NumRows()
	}
	if n < len(rows) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// fits says whether a file's columns have the form this version knows, as far as
// it has them.
func (*search) fits(f *parquet.File) bool {
	known := parquet.SchemaOf(schema.Event{})
	for _, c := range eventColumns() {
		theirs, there := f.Schema().Lookup(c.path...)
		ours, _ := known.Lookup(c.path...)
		if there && (theirs.MaxDefinitionLevel != ours.MaxDefinitionLevel || theirs.MaxRepetitionLevel != ours.MaxRepetitionLevel ||
			theirs.Node.Type().Kind() != ours.Node.Type().Kind()) {
			return false
		}
	}
	return true
}

// loadConverted leaves it to the library to make events of columns of another
// form, as some other program may have written them.
func loadConverted(f *parquet.File, rows []int64, set func(n int, e *schema.Event)) (err error) {
	r := parquet.NewGenericReader[schema.Event](f)
	defer func() { err = errors.Join(err, r.Close()) }()
	old := olderThan[schema.Event](f.Schema())
	for n, row := range rows {
		var one [1]schema.Event
		if err := r.SeekToRow(row); err != nil {
			return err
		}
		got, err := r.Read(one[:])
		if got == 0 {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		old.forget(&one[0])
		set(n, &one[0])
	}
	return nil
}

// groupLoad reads rows of a row group.
type groupLoad struct {
	o      *searched
	file   *parquet.File
	number int
	chunks []parquet.ColumnChunk
	rows   []int64
	brief  bool
}

// load reads the columns that hold something, and makes up what the others would
// have said.
func (g *groupLoad) load(set func(k int, e *schema.Event)) error {
	read := g.choose()
	if err := g.fetch(read); err != nil {
		return err
	}
	defer g.o.forget()
	columns := make([][][]parquet.Value, len(read))
	for i, at := range read {
		if at < 0 {
			continue
		}
		values, err := valuesOf(g.chunks[at], g.rows, g.isLarge(at))
		if err != nil {
			return err
		}
		columns[i] = values
	}
	absent := stencils(read)
	known := parquet.SchemaOf(schema.Event{})
	for k := range g.rows {
		var row parquet.Row
		for i := range columns {
			if read[i] >= 0 {
				row = append(row, columns[i][k]...)
			} else {
				row = absent[i].append(row, i, columns, k)
			}
		}
		var e schema.Event
		if err := known.Reconstruct(&e, row); err != nil {
			return err
		}
		set(k, &e)
	}
	return nil
}

// choose returns, for each column of events, the file's column that is read for
// it, -1 for none. One without a value is read only where nothing else tells
// whether the struct around it is there.
func (g *groupLoad) choose() []int {
	read := make([]int, len(eventColumns()))
	told := map[string]bool{}
	var silent []int
	for i, c := range eventColumns() {
		read[i] = -1
		leaf, ok := g.file.Schema().Lookup(c.path...)
		if !ok || g.brief && !c.brief {
			continue
		}
		meta := &g.file.Metadata().RowGroups[g.number].Columns[leaf.ColumnIndex].MetaData
		if leaf.MaxDefinitionLevel > 0 && meta.Statistics.NullCount == meta.NumValues {
			silent = append(silent, i)
			continue
		}
		read[i] = leaf.ColumnIndex
		c.tell(told)
	}
	for _, i := range silent {
		if c := eventColumns()[i]; c.tell(told) {
			leaf, _ := g.file.Schema().Lookup(c.path...)
			read[i] = leaf.ColumnIndex
		}
	}
	return read
}

// tell notes that the structs around a column are told of, and says whether one
// of them was not before.
func (c *eventColumn) tell(told map[string]bool) (news bool) {
	for _, around := range c.around {
		news = news || !told[around]
		told[around] = true
	}
	return news
}

// fetch reads what is needed of the columns in few stretches.
func (g *groupLoad) fetch(read []int) error {
	var indexes, wanted []stretchOf
	for _, at := range read {
		if at >= 0 && g.isLarge(at) {
			meta := g.file.Metadata().RowGroups[g.number].Columns[at]
			indexes = append(indexes, stretchOf{meta.OffsetIndexOffset, meta.OffsetIndexOffset + int64(meta.OffsetIndexLength)})
		}
	}
	if err := g.o.fetch(indexes); err != nil {
		return err
	}
	for _, at := range read {
		if at < 0 {
			continue
		}
		if !g.isLarge(at) {
			wanted = append(wanted, chunkStretch(g.file, g.number, at))
			continue
		}
		pages, err := g.pageStretches(at)
		if err != nil {
			return err
		}
		wanted = append(wanted, pages...)
	}
	return g.o.fetch(wanted)
}

// isLarge says whether it pays to read single pages of a column.
func (g *groupLoad) isLarge(at int) bool {
	c := &g.file.Metadata().RowGroups[g.number].Columns[at]
	return c.MetaData.TotalCompressedSize > seekBytes && c.OffsetIndexLength > 0
}

// pageStretches are the dictionary, if there is one, and the pages the rows lie
// in. Reading the offset index makes the column seek by it from now on.
func (g *groupLoad) pageStretches(at int) ([]stretchOf, error) {
	index, err := g.chunks[at].OffsetIndex()
	if err != nil {
		return nil, err
	}
	chunk := chunkStretch(g.file, g.number, at)
	if index.NumPages() == 0 {
		return []stretchOf{chunk}, nil
	}
	all := []stretchOf{{chunk.from, index.Offset(0)}}
	last := -1
	for _, row := range g.rows {
		page := pageOf(index, row)
		if page == last || page < 0 {
			continue
		}
		last = page
		to := index.Offset(page) + index.CompressedPageSize(page) + readBuffer
		all = append(all, stretchOf{index.Offset(page), min(to, chunk.to)})
	}
	return all, nil
}

func pageOf(index parquet.OffsetIndex, row int64) int {
	return sort.Search(index.NumPages(), func(i int) bool { return index.FirstRowIndex(i) > row }) - 1
}

// valuesOf reads the values of some rows, which are sorted, out of a column.
func valuesOf(chunk parquet.ColumnChunk, rows []int64, seeks bool) (values [][]parquet.Value, err error) {
	r := pageReader{pages: chunk.Pages(), seeks: seeks}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, row := range rows {
		v, err := r.row(row)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// pageReader reads a column's rows in their order.
type pageReader struct {
	pages parquet.Pages
	// seeks says that seeking skips pages, rather than reading through them.
	seeks bool
	page  parquet.Page
	// first is the row the page begins with.
	first int64
}

func (r *pageReader) close() error {
	r.drop()
	return r.pages.Close()
}

func (r *pageReader) drop() {
	if r.page != nil {
		r.first += r.page.NumRows()
		parquet.Release(r.page)
		r.page = nil
	}
}

// row returns the values of a row; they are the caller's.
func (r *pageReader) row(row int64) (values []parquet.Value, err error) {
	for r.page == nil || row >= r.first+r.page.NumRows() {
		r.drop()
		if r.seeks {
			if err := r.pages.SeekToRow(row); err != nil {
				return nil, err
			}
			r.first = row
		}
		if r.page, err = r.pages.ReadPage(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	one := r.page.Slice(row-r.first, row-r.first+1)
	values = make([]parquet.Value, one.NumValues())
	n, err := one.Values().ReadValues(values)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if values = values[:n]; n == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	for i := range values {
		values[i] = values[i].Clone()
	}
	return values, nil
}

// stencil says how a column that is not read is made up: it has nothing, wherever
// the structs around it are.
type stencil struct {
	// like is a column that was read of the innermost struct that another was read
	// of, -1 where there is none such; around that struct's levels.
	like   int
	around levels
}

// stencils makes one for each column that is not read.
func stencils(read []int) []stencil {
	all := make([]stencil, len(read))
	first := map[string]int{}
	for i, c := range eventColumns() {
		for _, around := range c.around {
			if _, ok := first[around]; !ok && read[i] >= 0 {
				first[around] = i
			}
		}
	}
	for i, c := range eventColumns() {
		all[i].like = -1
		for n, around := range slices.Backward(c.around) {
			if like, ok := first[around]; ok && read[i] < 0 {
				all[i] = stencil{like, c.levels[n]}
				break
			}
		}
	}
	return all
}

// append appends what column i of the k-th row would say.
func (s stencil) append(row parquet.Row, i int, columns [][][]parquet.Value, k int) parquet.Row {
	if s.like < 0 {
		return append(row, parquet.NullValue().Level(0, 0, i))
	}
	for _, v := range columns[s.like][k] {
		if v.RepetitionLevel() <= s.around.repetition {
			row = append(row, parquet.NullValue().Level(v.RepetitionLevel(), min(v.DefinitionLevel(), s.around.definition), i))
		}
	}
	return row
}
