package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// errChain says that what raw holds does not fit together: a person has to look.
var errChain = errors.New("raw segments do not fit together")

// errOvertaken says that another segment than ours stands under the next
// number. It was adopted; reading goes on from its cursor.
var errOvertaken = errors.New("another segment was landed first")

// overtakes is how often a run goes on after being overtaken. Only someone
// writing past the lock can do that, and not for long.
const overtakes = 3

// lander reads a source and lands its records as segments.
type lander struct {
	p      *Pipeline
	st     *state.DB
	source Source
	limits Limits
	run    *state.Run
	// stream is the one that is read; segment.MainStream, or a back-fill's.
	stream string
	// span is set for a back-fill: its cursors stand in the span's.
	span *span
	// older judges records that the ids kept cannot judge; nil where none are
	// to be expected.
	older *older

	src      extract.Source
	identity string
	head     segment.Ref // the newest segment known to be durable
	adopted  int64

	// The open segment, and what was read beside its records.
	open     segment.Builder
	opened   time.Time
	before   string         // the stream's cursor where the open segment begins
	cursor   extract.Cursor // safe: everything before it is in the open segment or landed
	seen     []state.Seen
	isOpen   map[state.SeenID]bool
	inputs   []schema.Input
	gaps     []schema.Gap
	repeated int64
	filtered int64
	// snapshot the records belong to; finished once its last page was read.
	snapshot *schema.Snapshot
	finished *schema.Snapshot
	// broken says that landing itself failed: it is not tried again in this run.
	broken bool

	buf bytes.Buffer
}

func (l *lander) openSource() error {
	src, err := l.source.Open(l.st)
	if err != nil {
		return fmt.Errorf("open source %s: %w", l.source.Name, err)
	}
	l.src, l.identity = src, identity(src)
	return nil
}

// land adopts what the state lacks, then reads the source until it is drained.
func (l *lander) land(ctx context.Context) error {
	if err := l.openSource(); err != nil {
		return err
	}
	err := l.adopt(ctx)
	if err != nil {
		return err
	}
	if l.older, err = l.olderOfBackfills(ctx); err != nil {
		return err
	}
	if err := l.drain(ctx); err != nil {
		return err
	}
	l.run.Drained = true
	return l.forget(ctx)
}

// drain reads to the end, and goes on where it was overtaken.
func (l *lander) drain(ctx context.Context) (err error) {
	for range overtakes {
		err = l.read(ctx)
		if !errors.Is(err, errOvertaken) {
			break
		}
	}
	return err
}

func identity(src extract.Source) string {
	if id, ok := src.(extract.Identified); ok {
		return id.Identity()
	}
	return ""
}

// forget drops ids that no overlap can bring again.
func (l *lander) forget(ctx context.Context) error {
	if o, ok := l.src.(extract.Overlapper); ok {
		return l.st.ForgetSeen(ctx, 2*o.Overlap())
	}
	return nil
}

// read reads pages from the stream's cursor on and lands them. Pages before a
// failure are landed; a run told to stop drops the open segment.
func (l *lander) read(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	failure := l.pages(ctx)
	if l.broken || ctx.Err() != nil {
		return failure
	}
	return errors.Join(failure, l.finish(ctx))
}

func (l *lander) begin(ctx context.Context) error {
	cursor, ok, err := l.st.Cursor(ctx, l.stream)
	if err != nil {
		return err
	}
	switch l.cursor = extract.Cursor(cursor); {
	case l.span != nil:
		l.cursor, err = l.span.resume(cursor)
	case !ok || cursor == "":
		l.cursor = l.src.Start(l.source.Since)
	}
	if err != nil {
		return err
	}
	l.snapshot, l.broken = nil, false
	l.reset()
	return nil
}

func (l *lander) pages(ctx context.Context) error {
	for page, err := range l.src.Pages(ctx, l.cursor) {
		if err != nil {
			return fmt.Errorf("read source %s: %w", l.source.Name, err)
		}
		if err := l.page(ctx, page); err != nil {
			l.broken = true
			return err
		}
	}
	return ctx.Err()
}

func (l *lander) page(ctx context.Context, page extract.Page) error {
	if err := l.turn(ctx, page.Snapshot); err != nil {
		return err
	}
	if err := l.records(ctx, page.Records); err != nil {
		return err
	}
	l.cursor = page.Next
	l.filtered += int64(page.Filtered)
	l.inputs = append(l.inputs, page.Done...)
	for _, gap := range page.Gaps {
		gap.Source, gap.Stream, gap.DeclaredAt = l.source.Name, l.stream, l.p.now().Truncate(time.Millisecond)
		l.gaps = append(l.gaps, gap)
	}
	if page.Snapshot != nil && page.Snapshot.Complete {
		l.finished = page.Snapshot
	}
	l.p.progress(Progress{Source: l.source.Name, Stage: StageLand, Records: l.run.Landed + l.open.Count(), Bytes: l.open.Bytes()})
	if l.full() || l.finished != nil {
		return l.seal(ctx)
	}
	return nil
}

// turn begins a segment of its own for each snapshot.
func (l *lander) turn(ctx context.Context, snapshot *schema.Snapshot) error {
	if l.snapshot != nil && (snapshot == nil || snapshot.ID != l.snapshot.ID) && l.worthLanding() {
		if err := l.seal(ctx); err != nil {
			return err
		}
	}
	l.snapshot = snapshot
	return nil
}

// prepared is a record as it would be landed.
type prepared struct {
	kind schema.Kind
	line []byte
	key  state.SeenID
}

// records adds a page's records to the open segment, less those whose id was
// landed before.
func (l *lander) records(ctx context.Context, raws []schema.Raw) error {
	page := make([]prepared, len(raws))
	keys := make([]state.SeenID, len(raws))
	for i, raw := range raws {
		page[i] = l.prepare(raw)
		keys[i] = page[i].key
	}
	known, err := l.known(ctx, raws, keys)
	if err != nil {
		return err
	}
	for _, rec := range page {
		if known[rec.key] || l.isOpen[rec.key] {
			l.repeated++
			continue
		}
		known[rec.key] = true
		if err := l.add(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// known returns which of a page's records were landed, as far as their ids are
// kept or recalled.
func (l *lander) known(ctx context.Context, raws []schema.Raw, keys []state.SeenID) (map[state.SeenID]bool, error) {
	known, err := l.st.Known(ctx, keys)
	if err != nil || l.older == nil {
		return known, err
	}
	more, err := l.older.known(ctx, raws, keys)
	maps.Copy(known, more)
	return known, err
}

func (l *lander) prepare(raw schema.Raw) prepared {
	kind, line := l.line(raw)
	id := recordID(kind, line)
	return prepared{kind: kind, line: bytes.Clone(line), key: state.NewSeenID(snapshotID(l.snapshot), id)}
}

// recordID names a landed record: by the vendor's id, else by the hash of what
// is landed. It takes no more than the line, so that a segment read back gives
// the same names.
func recordID(kind schema.Kind, line []byte) string {
	if id := kind.ID(line); id != "" {
		return id
	}
	return schema.HashID(line)
}

func snapshotID(s *schema.Snapshot) string {
	if s == nil {
		return ""
	}
	return s.ID
}

func (l *lander) add(ctx context.Context, rec prepared) error {
	at := rec.kind.Time(rec.line)
	if l.open.Count() == 0 {
		l.opened = l.p.now()
	}
	l.open.Add(rec.kind, rec.line, at)
	l.isOpen[rec.key] = true
	l.seen = append(l.seen, state.Seen{ID: rec.key, Event: at})
	if l.open.Bytes() >= 2*l.limits.SegmentBytes {
		return l.seal(ctx) // a page larger than a segment: the cursor stays before it
	}
	return nil
}

// line is the record as it is landed: one line of JSON, white space between
// tokens and secrets taken out, else byte for byte; what is no JSON, wrapped.
// It is good until the next call.
func (l *lander) line(raw schema.Raw) (schema.Kind, []byte) {
	reason := raw.Fault
	if reason == "" {
		l.buf.Reset()
		err := json.Compact(&l.buf, raw.Bytes)
		if err == nil {
			return raw.Kind, transform.Scrub(raw.Kind, l.buf.Bytes())
		}
		reason = "is no JSON value: " + err.Error()
	}
	return schema.KindUnparsed, transform.Scrub(schema.KindUnparsed, wrap(raw.Bytes, reason))
}

func wrap(b []byte, reason string) []byte {
	u := schema.Unparsed{Unparsed: schema.UnparsedBody{Reason: reason}}
	if utf8.Valid(b) {
		u.Unparsed.Text = string(b)
	} else {
		u.Unparsed.Base64 = b
	}
	line, err := json.Marshal(u)
	if err != nil {
		panic(fmt.Sprintf("wrap unparsed record: %v", err)) // strings and bytes always marshal
	}
	return line
}

func (l *lander) full() bool {
	return l.open.Bytes() >= l.limits.SegmentBytes || l.open.Count() >= l.limits.SegmentRecords ||
		l.open.Count() > 0 && l.p.now().Sub(l.opened) >= l.limits.SegmentAge
}

// worthLanding says whether there is anything a later run must know and could
// not read again.
func (l *lander) worthLanding() bool {
	return l.open.Count() > 0 || len(l.inputs) > 0 || len(l.gaps) > 0 || l.finished != nil
}

// finish lands what is open at the end of reading. A cursor that moved over
// nothing worth landing is only remembered.
func (l *lander) finish(ctx context.Context) error {
	if l.worthLanding() {
		return l.seal(ctx)
	}
	l.count()
	if l.encode(l.cursor) == l.before {
		return nil
	}
	return l.st.SetCursor(ctx, l.stream, l.encode(l.cursor))
}

// seal writes the open segment, create-if-absent, and indexes it. The next
// number is never sent before this one is known to exist.
func (l *lander) seal(ctx context.Context) error {
	h := l.header()
	file, hash, err := l.open.Encode(&h)
	if err != nil {
		return err
	}
	l.p.trace("segment.encoded")
	if err := l.put(ctx, h.Seq, hash, file); err != nil {
		return err
	}
	l.p.trace("segment.written")
	if err := l.st.Commit(ctx, landed(&h, fileHash(file), hash, l.seen)); err != nil {
		return err
	}
	l.p.trace("segment.indexed")
	l.head = segment.Ref{Seq: h.Seq, SHA256: hash}
	l.run.Segments++
	l.run.Gaps += int64(len(h.Gaps))
	l.count()
	l.p.log().Debug("segment landed", "source", l.source.Name, "segment", h.Seq, "records", h.Count, "bytes", h.Bytes)
	l.reset()
	return nil
}

func (l *lander) header() segment.Header {
	return segment.Header{
		Source: l.source.Name, Kind: l.source.Kind, Identity: l.identity,
		Seq: l.head.Seq + 1, Prev: l.head.SHA256,
		Stream: l.stream, CursorBefore: l.before, CursorAfter: l.encode(l.cursor),
		Inputs: l.inputs, Gaps: l.gapsOf(l.head.Seq + 1), Snapshot: l.snapshotState(),
		Scrub: transform.ScrubVersion, LandedAt: l.p.now().Truncate(time.Millisecond),
		Repeated: l.repeated, Filtered: l.filtered,
	}
}

// encode is a cursor as the stream keeps it.
func (l *lander) encode(c extract.Cursor) string {
	if l.span != nil {
		return l.span.encode(c)
	}
	return string(c)
}

// put creates the segment's object. Where it exists already, or the outcome is
// unknown, the object itself tells.
func (l *lander) put(ctx context.Context, seq int64, hash string, file []byte) error {
	key := segment.Key(l.source.Name, seq)
	_, err := l.p.raw().PutNew(ctx, key, bytes.NewReader(file))
	if err == nil {
		return nil
	}
	there, readErr := segment.ReadHeader(ctx, l.p.Raw, l.source.Name, seq)
	switch {
	case readErr == nil && there.SHA256 == hash:
		return nil // ours: the answer was lost
	case readErr == nil:
		return l.giveWay(ctx)
	case errors.Is(readErr, blob.ErrNotExist):
		return fmt.Errorf("write segment %s: %w", key, err)
	default:
		return fmt.Errorf("write segment %s: %w", key, errors.Join(err, readErr))
	}
}

// giveWay throws the open segment away and adopts the one that is there.
func (l *lander) giveWay(ctx context.Context) error {
	l.p.log().Warn("another segment was landed first, going on behind it", "source", l.source.Name, "segment", l.head.Seq+1)
	if err := l.adopt(ctx); err != nil {
		return err
	}
	return errOvertaken
}

// snapshotState is the snapshot as of the open segment: complete only in the one
// that holds its last record.
func (l *lander) snapshotState() *schema.Snapshot {
	if l.finished != nil || l.snapshot == nil {
		return l.finished
	}
	return &schema.Snapshot{ID: l.snapshot.ID, Begin: l.snapshot.Begin}
}

func (l *lander) gapsOf(seq int64) []schema.Gap {
	for i := range l.gaps {
		l.gaps[i].Segment = seq
	}
	return l.gaps
}

// count adds what the open segment stands for to the run: what is thrown away
// is never counted.
func (l *lander) count() {
	l.run.Landed += l.open.Count()
	l.run.Repeated += l.repeated
	l.run.Filtered += l.filtered
	l.run.Read += l.open.Count() + l.repeated + l.filtered
}

func (l *lander) reset() {
	l.open.Reset()
	l.before = l.encode(l.cursor)
	l.seen = l.seen[:0]
	if l.isOpen == nil {
		l.isOpen = make(map[state.SeenID]bool)
	}
	clear(l.isOpen)
	l.inputs, l.gaps, l.finished = nil, nil, nil
	l.repeated, l.filtered = 0, 0
}

func fileHash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

func landed(h *segment.Header, file, hash string, seen []state.Seen) state.Landed {
	return state.Landed{
		Seq: h.Seq, SHA256: hash, File: file, Stream: h.Stream, Cursor: h.CursorAfter,
		Records: h.Count, Bytes: h.Bytes, First: h.First, Last: h.Last, LandedAt: h.LandedAt,
		Inputs: h.Inputs, Gaps: h.Gaps, Snapshot: h.Snapshot, Seen: seen,
	}
}
