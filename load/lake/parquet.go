package lake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// maxGroupRows and maxGroupBytes bound a row group, and so the memory a
	// file takes while it is written: nothing of a row group can be written
	// before its end. A column without a single value takes 5 bytes a row, and
	// most of the columns of events are such.
	maxGroupRows  = 5_000
	maxGroupBytes = 12 << 20
	// pageBytes is where a page is closed, uncompressed. AWS advises 1 MiB at
	// most.
	pageBytes = 256 << 10
	// batchRows is how many rows are handed over at a time, and batchBytes how
	// much payload: pages are closed between batches only.
	batchRows  = 64
	batchBytes = 256 << 10
	// maxBoundBytes is the longest minimum or maximum kept in the footer.
	maxBoundBytes = 64
	// parquetMagic ends a Parquet file, behind the footer's length.
	parquetMagic = "PAR1"
)

// parquetFile writes rows of one type as Parquet files, one after the other.
//
// The settings are for Athena first: data pages of version 1 and PLAIN strings
// where the type does not ask for a dictionary, both known to every reader;
// bounds in the page index only, not repeated in every page header.
type parquetFile[T any] struct {
	options []parquet.WriterOption
	f       *tempFile
	w       *parquet.GenericWriter[T]
	buf     []T
	weight  int
	// rows of the open row group, and where it began.
	rows       int
	groupStart int64
	// eachName hands over what a row may be found by, to go to the index; nil for
	// files without one.
	eachName func(row *T, add func(name string))
	names    nameIndexer
}

// newParquetFile returns a writer of files whose rows the caller sorts by the
// columns named.
func newParquetFile[T any](writer string, sortedBy ...string) *parquetFile[T] {
	options := []parquet.WriterOption{
		parquet.CreatedBy("idtrail", writer, ""),
		parquet.Compression(newPageZstd()),
		parquet.DataPageVersion(1),
		parquet.DataPageStatistics(false),
		parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.Plain),
		parquet.PageBufferSize(pageBytes),
		parquet.WriteBufferSize(0), // tempFile buffers
	}
	for _, path := range payloadColumns(parquet.SchemaOf(*new(T))) {
		options = append(options, parquet.SkipPageBounds(path...))
	}
	if len(sortedBy) > 0 {
		columns := make([]parquet.SortingColumn, len(sortedBy))
		for i, name := range sortedBy {
			columns[i] = parquet.Ascending(name)
		}
		options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(columns...)))
	}
	return &parquetFile[T]{options: options, buf: make([]T, 0, batchRows)}
}

func (p *parquetFile[T]) begin(f *tempFile) error {
	p.f, p.rows, p.groupStart, p.buf, p.weight = f, 0, 0, p.buf[:0], 0
	p.w = parquet.NewGenericWriter[T](f, p.options...)
	p.names.reset()
	return nil
}

// add adds a row with so many bytes of payload.
func (p *parquetFile[T]) add(row T, payload int) error {
	p.buf = append(p.buf, row)
	if p.eachName != nil {
		p.eachName(&p.buf[len(p.buf)-1], p.names.add)
	}
	p.weight += payload
	if len(p.buf) < batchRows && p.weight < batchBytes {
		return nil
	}
	return p.writeBuffered()
}

func (p *parquetFile[T]) writeBuffered() error {
	_, err := p.w.Write(p.buf)
	p.rows += len(p.buf)
	clear(p.buf) // the rows behind it may go
	p.buf, p.weight = p.buf[:0], 0
	if err != nil {
		return err
	}
	if p.rows+batchRows <= maxGroupRows && p.w.Size()-p.groupStart < maxGroupBytes {
		return nil
	}
	if err := p.w.Flush(); err != nil {
		return err
	}
	p.names.endGroup()
	p.rows, p.groupStart = 0, p.f.size
	return nil
}

func (p *parquetFile[T]) finish() error {
	if len(p.buf) > 0 {
		if err := p.writeBuffered(); err != nil {
			return err
		}
	}
	if p.rows > 0 {
		p.names.endGroup()
	}
	if err := p.w.Close(); err != nil {
		return err
	}
	meta := p.w.File().Metadata()
	if p.eachName == nil || len(meta.RowGroups) == 0 {
		return slimFooter(p.f, meta, nil)
	}
	if err := p.names.index.checkGroups(len(meta.RowGroups)); err != nil {
		return err
	}
	return slimFooter(p.f, meta, p.names.index.encode())
}

// payloadColumns are the columns that hold whole records or parts of them, up
// to hundreds of kilobytes a value.
func payloadColumns(s *parquet.Schema) [][]string {
	var payload [][]string
	for _, path := range s.Columns() {
		if isPayload(path) {
			payload = append(payload, path)
		}
	}
	return payload
}

func isPayload(path []string) bool {
	last := path[len(path)-1]
	return last == "raw_data" || last == "data" || last == "value" && slices.Contains(path, "key_value")
}

// slimFooter writes what stands behind the rows again, without what is wrong or
// too long there.
//
// The library keeps the least and greatest value of every page in memory until
// the file's end, and of every column and row group in the footer, in full: with
// payloads of 10 KB that is megabytes, which every query reads before its first
// row. So it is told to keep none of the payload columns. But then it writes a
// page index that calls every value of theirs empty, and a reader that trusts
// it skips pages it must not: that index is left out here. Of the other columns
// only long bounds go; they still have the page index, whose bounds are cut to
// 16 bytes. The index of names, if there is one, goes in front of the footer.
func slimFooter(f *tempFile, meta *format.FileMetaData, names []byte) error {
	if len(meta.RowGroups) == 0 {
		return nil
	}
	tail, err := readTail(f, meta.RowGroups[0].Columns[0].ColumnIndexOffset)
	if err != nil {
		return err
	}
	if err := f.cut(tail.start); err != nil {
		return err
	}
	if err := copyPageIndex(f, tail, meta); err != nil {
		return err
	}
	if _, err := f.Write(names); err != nil {
		return err
	}
	dropLongBounds(meta)
	start := f.size
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(f)).Encode(meta); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	end := binary.LittleEndian.AppendUint32(nil, uint32(f.size-start)) //nolint:gosec // of what fits memory
	_, err = f.Write(append(end, parquetMagic...))
	return err
}

// fileTail is what a file holds from start on.
type fileTail struct {
	start int64
	bytes []byte
}

func readTail(f *tempFile, start int64) (fileTail, error) {
	if err := f.flush(); err != nil {
		return fileTail{}, err
	}
	if start <= 0 || start >= f.size {
		return fileTail{}, errors.New("read page index back: it is not where it should be")
	}
	tail := fileTail{start: start, bytes: make([]byte, f.size-start)}
	if _, err := f.f.ReadAt(tail.bytes, start); err != nil {
		return fileTail{}, fmt.Errorf("read page index back: %w", err)
	}
	return tail, nil
}

// move writes a stretch of the tail to the file's new end, and its new offset
// to offset.
func (t fileTail) move(f *tempFile, offset *int64, length int32) error {
	from := *offset - t.start
	if from < 0 || from+int64(length) > int64(len(t.bytes)) {
		return errors.New("read page index back: it is not where it should be")
	}
	*offset = f.size
	_, err := f.Write(t.bytes[from : from+int64(length)])
	return err
}

// copyPageIndex writes the column indexes and then the offset indexes, without
// a hole between them: readers fetch each kind in one stretch.
func copyPageIndex(f *tempFile, tail fileTail, meta *format.FileMetaData) error {
	columns := func(yield func(*format.ColumnChunk) bool) {
		for g := range meta.RowGroups {
			for c := range meta.RowGroups[g].Columns {
				if !yield(&meta.RowGroups[g].Columns[c]) {
					return
				}
			}
		}
	}
	for c := range columns {
		if isPayload(c.MetaData.PathInSchema) {
			c.ColumnIndexOffset, c.ColumnIndexLength = 0, 0
			continue
		}
		if err := tail.move(f, &c.ColumnIndexOffset, c.ColumnIndexLength); err != nil {
			return err
		}
	}
	for c := range columns {
		if err := tail.move(f, &c.OffsetIndexOffset, c.OffsetIndexLength); err != nil {
			return err
		}
	}
	return nil
}

func dropLongBounds(meta *format.FileMetaData) {
	for g := range meta.RowGroups {
		for c := range meta.RowGroups[g].Columns {
			s := &meta.RowGroups[g].Columns[c].MetaData.Statistics
			if len(s.MinValue) > maxBoundBytes || len(s.MaxValue) > maxBoundBytes {
				s.MinValue, s.MaxValue = nil, nil
			}
		}
	}
}
