// Package segment is the file format of landed evidence: an immutable, numbered
// file of one source's raw records, chained to the one before it by the hash of
// its header.
//
// A segment is two zstd frames: the header, one line of JSON, and the records,
// one JSON value a line. `zstd -dc` prints both as NDJSON. What a segment's
// header says is the truth of what was landed; the state is an index of it.
// Records erased later leave a mark in their place, and a third frame that says
// so; see [Amend].
//
// The package neither decides what goes into a segment nor when one is written.
package segment

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// Format is the version of the format this program writes, and the newest it
// reads.
const Format = 1

// MainStream is the stream of a source's ordinary runs; a back-fill has one of
// its own.
const MainStream = "main"

// What a reader tells apart.
var (
	// ErrDamaged says that a segment's content does not fit its header.
	ErrDamaged = errors.New("segment is damaged")
	// ErrNewer says that a newer program wrote the segment.
	ErrNewer = errors.New("segment has a newer format")
)

// Header says what a segment holds.
type Header struct {
	Format int    `json:"format"`
	Source string `json:"source"`
	// Kind is the source's kind in the config, and Identity the vendor side it
	// reads: both stand for the whole chain.
	Kind     string `json:"kind"`
	Identity string `json:"identity"`
	// Seq numbers the chain from 0. Segment 0 holds no records.
	Seq int64 `json:"seq"`
	// Stream is MainStream or a back-fill's name; the cursors are that stream's
	// before and after these records.
	Stream       string `json:"stream"`
	CursorBefore string `json:"cursor_before"`
	CursorAfter  string `json:"cursor_after"`
	// Inputs were read to their end; Gaps are declared here.
	Inputs []schema.Input `json:"inputs,omitempty"`
	Gaps   []schema.Gap   `json:"gaps,omitempty"`
	// Snapshot the records belong to; Complete on its last segment.
	Snapshot *schema.Snapshot `json:"snapshot,omitempty"`
	// Kinds of the records, in their order, as runs.
	Kinds []KindRun `json:"kinds,omitempty"`
	// Scrub is the version of the rules that cut out secrets.
	Scrub    int       `json:"scrub"`
	LandedAt time.Time `json:"landed_at"`
	// Count of records; Repeated and Filtered were read beside them and not
	// landed.
	Count    int64 `json:"count"`
	Repeated int64 `json:"repeated"`
	Filtered int64 `json:"filtered"`
	// First and Last event time among the records, where they have one.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Bytes and SHA256 (hex) of the uncompressed lines.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Prev is the SHA-256 (hex) of the header before; "" in segment 0.
	Prev string `json:"prev"`
}

// KindRun says that the next Count records are of one kind.
type KindRun struct {
	Kind  schema.Kind `json:"kind"`
	Count int64       `json:"count"`
}

// Key of a segment within the raw store.
func Key(source string, seq int64) string {
	return fmt.Sprintf("%s/%012d.ndjson.zst", source, seq)
}

// Ref is a segment that is there: its number and its header's hash.
type Ref struct {
	Seq    int64
	SHA256 string
}

// Hash of a header, as the next one names it: SHA-256 (hex) over its JSON.
func hash(header []byte) string {
	sum := sha256.Sum256(header)
	return hex.EncodeToString(sum[:])
}

// window is how far back zstd refers: what a reader has to keep in memory.
const window = 1 << 20

// Encode renders a segment. It fills in Format, Bytes and SHA256 of h, and
// returns the file and the header's hash.
func Encode(h *Header, lines []byte) (file []byte, headerHash string, err error) {
	sum := sha256.Sum256(lines)
	h.Format, h.Bytes, h.SHA256 = Format, int64(len(lines)), hex.EncodeToString(sum[:])
	header, err := json.Marshal(h)
	if err != nil {
		return nil, "", fmt.Errorf("encode segment header: %w", err)
	}
	enc, err := newEncoder()
	if err != nil {
		return nil, "", fmt.Errorf("encode segment: %w", err)
	}
	file = enc.EncodeAll(append(header, '\n'), nil)
	if len(lines) > 0 {
		file = enc.EncodeAll(lines, file)
	}
	return file, hash(header), enc.Close()
}

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(window))
}

// Segment is a segment as read.
type Segment struct {
	Header Header
	// SHA256 of the header.
	SHA256    string
	lines     []byte
	amendment *amendment // nil: as it was landed
}

// Ref of the segment.
func (s *Segment) Ref() Ref { return Ref{Seq: s.Header.Seq, SHA256: s.SHA256} }

// Record is one landed line, without its line feed, at its place.
type Record struct {
	At   schema.Position
	Kind schema.Kind
	Line []byte
}

// Records yields the records in landed order, those that were erased as
// [schema.KindErased]. The lines share memory with the segment.
func (s *Segment) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		rest, at := s.lines, int64(0)
		mark := erasedPrefix(s.SHA256)
		for _, run := range s.Header.Kinds {
			for range run.Count {
				line, after, _ := bytes.Cut(rest, []byte{'\n'})
				kind := run.Kind
				if bytes.HasPrefix(line, mark) {
					kind = schema.KindErased
				}
				if !yield(Record{At: schema.Position{Segment: s.Header.Seq, Record: at}, Kind: kind, Line: line}) {
					return
				}
				rest, at = after, at+1
			}
		}
	}
}

// Read reads a whole segment and proves it against its header.
// blob.ErrNotExist, ErrDamaged, ErrNewer.
func Read(ctx context.Context, store blob.Store, source string, seq int64) (*Segment, error) {
	var s *Segment
	err := open(ctx, store, source, seq, func(seg *Segment, body io.Reader) error {
		// What the header states is only a hint until it is proven.
		buf := bytes.NewBuffer(make([]byte, 0, min(max(seg.Header.Bytes, 0), sizeHint)))
		if _, err := io.Copy(buf, body); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		s = seg
		return s.take(buf.Bytes())
	})
	return s, err
}

// Scan reads a segment record by record: begin is given its header first, and a
// record's line is good until the next one. What the records say is proven only
// once Scan returns without an error. Errors as of [Read], and those of the
// functions.
func Scan(ctx context.Context, store blob.Store, source string, seq int64, begin func(*Header) error, record func(Record) error) error {
	return open(ctx, store, source, seq, func(seg *Segment, body io.Reader) error {
		if err := begin(&seg.Header); err != nil {
			return err
		}
		return seg.scan(body, record)
	})
}

func (s *Segment) scan(body io.Reader, record func(Record) error) error {
	lines := bufio.NewReaderSize(body, 64<<10)
	p := newProof(s)
	at := schema.Position{Segment: s.Header.Seq}
	var line []byte
	for _, run := range s.Header.Kinds {
		for range run.Count {
			var err error
			if line, err = readLine(lines, line[:0]); err != nil {
				return fmt.Errorf("%w: record %d: %w", ErrDamaged, at.Record, err)
			}
			kind := run.Kind
			if p.line(line) {
				kind = schema.KindErased
			}
			if err := record(Record{At: at, Kind: kind, Line: line[:len(line)-1]}); err != nil {
				return err
			}
			at.Record++
		}
	}
	rest, err := io.ReadAll(io.LimitReader(lines, maxAmendment+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return p.end(rest)
}

// readLine appends the next line to buf, with its line feed.
func readLine(r *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		buf = append(buf, part...)
		if err == nil {
			return buf, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

// ReadHeader reads a segment's header only. Errors as of [Read].
func ReadHeader(ctx context.Context, store blob.Store, source string, seq int64) (*Segment, error) {
	var s *Segment
	err := open(ctx, store, source, seq, func(seg *Segment, _ io.Reader) error {
		s = seg
		return nil
	})
	return s, err
}

// DecodeHeader reads the header out of the first bytes of a segment's file. It
// proves nothing of what is behind it. ErrDamaged also says that the bytes end
// within the header.
func DecodeHeader(file []byte, source string, seq int64) (*Segment, error) {
	dec, err := zstd.NewReader(bytes.NewReader(file), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("read segment %s: %w", Key(source, seq), err)
	}
	defer dec.Close()
	seg, _, err := readHeader(dec, source, seq)
	if err != nil {
		return nil, fmt.Errorf("read segment %s: %w", Key(source, seq), err)
	}
	return seg, nil
}

// sizeHint is the most that is set aside before reading.
const sizeHint = 32 << 20

func open(ctx context.Context, store blob.Store, source string, seq int64, use func(*Segment, io.Reader) error) (err error) {
	key := Key(source, seq)
	file, _, err := store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read segment %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	dec, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("read segment %s: %w", key, err)
	}
	defer dec.Close()
	seg, body, err := readHeader(dec, source, seq)
	if err == nil {
		err = use(seg, body)
	}
	if err != nil {
		return fmt.Errorf("read segment %s: %w", key, err)
	}
	return nil
}

// maxHeader bounds a header: it lists inputs and gaps, both few.
const maxHeader = 16 << 20

func readHeader(r io.Reader, source string, seq int64) (*Segment, io.Reader, error) {
	line, rest, err := cutLine(r)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	seg, err := decodeHeader(line)
	if err != nil {
		return nil, nil, err
	}
	if h := seg.Header; h.Source != source || h.Seq != seq {
		return nil, nil, fmt.Errorf("%w: it calls itself segment %d of source %s", ErrDamaged, h.Seq, h.Source)
	}
	return seg, rest, nil
}

func decodeHeader(line []byte) (*Segment, error) {
	seg := &Segment{SHA256: hash(line)}
	if err := json.Unmarshal(line, &seg.Header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	if v := seg.Header.Format; v > Format {
		return nil, fmt.Errorf("%w: %d, this program reads up to %d", ErrNewer, v, Format)
	}
	return seg, nil
}

// cutLine reads up to the first line feed; rest continues behind it.
func cutLine(r io.Reader) (line []byte, rest io.Reader, err error) {
	var buf []byte
	chunk := make([]byte, 4096)
	for len(buf) < maxHeader {
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if i := bytes.IndexByte(buf[len(buf)-n:], '\n'); i >= 0 {
			end := len(buf) - n + i
			return buf[:end:end], io.MultiReader(bytes.NewReader(buf[end+1:]), r), nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("no line: %w", err)
		}
	}
	return nil, nil, errors.New("no line feed")
}

// List yields the numbers of the source's segments from first on, in order,
// as the store has them: a hole is for the caller to see. Objects that are no
// segments are an error: nothing else belongs there.
func List(ctx context.Context, store blob.Store, source string, first int64) iter.Seq2[int64, error] {
	after := ""
	if first > 0 {
		after = Key(source, first-1)
	}
	return func(yield func(int64, error) bool) {
		for info, err := range store.List(ctx, source+"/", after) {
			seq, parseErr := int64(0), error(nil)
			if err == nil {
				seq, parseErr = parseKey(source, info.Key)
			}
			if err := errors.Join(err, parseErr); err != nil {
				yield(0, fmt.Errorf("list segments of %s: %w", source, err))
				return
			}
			if !yield(seq, nil) {
				return
			}
		}
	}
}

// SeqOf is the number of the source's segment under a key.
func SeqOf(source, key string) (int64, error) { return parseKey(source, key) }

func parseKey(source, key string) (int64, error) {
	name := strings.TrimPrefix(key, source+"/")
	digits, ok := strings.CutSuffix(name, ".ndjson.zst")
	seq, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || key != Key(source, seq) {
		return 0, fmt.Errorf("%q is no segment and does not belong there", key)
	}
	return seq, nil
}
