package lake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// maxGroupRows and maxGroupBytes bound a row group, and so the memory a
	// file takes while it is written: nothing of a row group can be written
	// before its end. A column without a single value takes 5 bytes a row, and
	// most of the columns of events are such.
	maxGroupRows  = 10_000
	maxGroupBytes = 16 << 20
	// pageBytes is where a page is closed, uncompressed. AWS advises 1 MiB at
	// most.
	pageBytes = 256 << 10
	// batchRows is how many rows are handed over at a time.
	batchRows = 64
	// maxBoundBytes is the longest minimum or maximum kept in the footer.
	maxBoundBytes = 64
	// magicBytes is the end of a Parquet file: the footer's length and "PAR1".
	magicBytes = 8
)

// parquetFile writes rows of one type as Parquet files, one after the other.
//
// The settings are for Athena first: data pages of version 1 and PLAIN strings
// where the type does not ask for a dictionary, both known to every reader;
// bounds in the page index only, not repeated in every page header.
type parquetFile[T any] struct {
	options []parquet.WriterOption
	sortBy  string
	f       *tempFile
	w       *parquet.GenericWriter[T]
	buf     []T
	// rows of the open row group, and where it began.
	rows       int
	groupStart int64
}

// newParquetFile returns a writer of files whose rows the caller sorts by the
// columns named.
func newParquetFile[T any](writer string, sortedBy ...string) *parquetFile[T] {
	options := []parquet.WriterOption{
		parquet.CreatedBy("idtrail", writer, ""),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.DataPageVersion(1),
		parquet.DataPageStatistics(false),
		parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.Plain),
		parquet.PageBufferSize(pageBytes),
		parquet.WriteBufferSize(0), // tempFile buffers
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
	p.f, p.rows, p.groupStart, p.buf = f, 0, 0, p.buf[:0]
	p.w = parquet.NewGenericWriter[T](f, p.options...)
	return nil
}

func (p *parquetFile[T]) add(row T) error {
	p.buf = append(p.buf, row)
	if len(p.buf) < batchRows {
		return nil
	}
	return p.writeBuffered()
}

func (p *parquetFile[T]) writeBuffered() error {
	_, err := p.w.Write(p.buf)
	p.rows += len(p.buf)
	clear(p.buf) // the rows behind it may go
	p.buf = p.buf[:0]
	if err != nil {
		return err
	}
	if p.rows+batchRows <= maxGroupRows && p.w.Size()-p.groupStart < maxGroupBytes {
		return nil
	}
	if err := p.w.Flush(); err != nil {
		return err
	}
	p.rows, p.groupStart = 0, p.f.size
	return nil
}

func (p *parquetFile[T]) finish() error {
	if len(p.buf) > 0 {
		if err := p.writeBuffered(); err != nil {
			return err
		}
	}
	if err := p.w.Close(); err != nil {
		return err
	}
	return slimFooter(p.f, p.w.File().Metadata())
}

// slimFooter writes the file's footer again without the bounds that are long.
// The library keeps the least and greatest value of each column and row group
// there in full: with payloads of 10 KB that is megabytes every query reads
// before its first row. Without them a reader still has the page index, whose
// bounds are cut to 16 bytes. (The library's option to leave bounds out writes
// a page index that says every value is empty: rows would go missing.)
func slimFooter(f *tempFile, meta *format.FileMetaData) error {
	if !dropLongBounds(meta) {
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	var end [magicBytes]byte
	if _, err := f.f.ReadAt(end[:], f.size-magicBytes); err != nil {
		return fmt.Errorf("read footer back: %w", err)
	}
	start := f.size - magicBytes - int64(binary.LittleEndian.Uint32(end[:4]))
	if start < 0 || string(end[4:]) != "PAR1" {
		return errors.New("read footer back: no Parquet footer at the end")
	}
	if err := f.cut(start); err != nil {
		return err
	}
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(f)).Encode(meta); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	binary.LittleEndian.PutUint32(end[:4], uint32(f.size-start)) //nolint:gosec // of what fits memory
	_, err := f.Write(end[:])
	return err
}

// dropLongBounds says whether it dropped any.
func dropLongBounds(meta *format.FileMetaData) bool {
	dropped := false
	for g := range meta.RowGroups {
		for c := range meta.RowGroups[g].Columns {
			s := &meta.RowGroups[g].Columns[c].MetaData.Statistics
			if len(s.MinValue) > maxBoundBytes || len(s.MaxValue) > maxBoundBytes {
				s.MinValue, s.MaxValue, dropped = nil, nil, true
			}
		}
	}
	return dropped
}

var _ io.Writer = (*tempFile)(nil)
