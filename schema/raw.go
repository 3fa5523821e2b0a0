package schema

import (
	"fmt"
	"time"
)

// Raw is one record as a source read it, before anything is cut out of it.
type Raw struct {
	Kind Kind
	// ID is the vendor's own id of the record, "" where it has none: whoever
	// lands it then names it by the hash of the landed bytes.
	ID string
	// Time is when the event happened as far as the record says, zero where it
	// does not. It serves windows and statistics; mapping reads it anew.
	Time time.Time
	// Bytes is one JSON value. Where a source could not cut out a JSON value
	// (a truncated line, say), it is what was there, and Fault says what is
	// wrong with it; such bytes are landed too, wrapped as [Unparsed].
	Bytes []byte
	Fault string
}

// Unparsed is how bytes that are no JSON value are landed: a JSON object with
// this one key, so that a segment stays one JSON value a line.
type Unparsed struct {
	Unparsed UnparsedBody `json:"idtrail_unparsed"`
}

// UnparsedBody holds the bytes: as Text where they are UTF-8, else as Base64.
type UnparsedBody struct {
	Reason string `json:"reason"`
	Text   string `json:"text,omitempty"`
	Base64 []byte `json:"base64,omitempty"`
}

// Erased is what stands in the place of a landed record that was erased.
type Erased struct {
	Erased ErasedBody `json:"idtrail_erased"`
}

// ErasedBody says when a record was erased, and where that is recorded.
type ErasedBody struct {
	// Header is the SHA-256 (hex) of the segment's header. Nothing that was
	// landed can hold it: it depends on all of the segment's lines.
	Header string    `json:"header"`
	At     time.Time `json:"at"`
	// Note is the key of the signed record of the erasure.
	Note string `json:"note"`
}

// Input is a finite piece a source reads to its end: a file, an object, a shard.
type Input struct {
	// Key names it within the source: a path or an object key.
	Key string `json:"key"`
	// SHA256 is the hash (hex) of its content as read, decompressed.
	SHA256 string `json:"sha256"`
	// Size in bytes as stored, and Version, an opaque mark of its content (an
	// ETag, a modification time): when either differs, it is another input.
	Size    int64  `json:"size"`
	Version string `json:"version"`
	// Records it held, and Fault, why its end could not be read ("" if it was).
	Records int64  `json:"records"`
	Fault   string `json:"fault,omitempty"`
}

// Position is a place in a source's landed records: the next record to
// deliver, counted from 0 within its segment. It counts raw records, so that
// batches may be cut differently after any change of filter, size or mapping.
type Position struct {
	Segment int64 `json:"segment"`
	Record  int64 `json:"record"`
}

// Before says whether p lies before q.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Record < q.Record
}

func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Segment, p.Record) }

// Snapshot is one reading of all users of a source.
type Snapshot struct {
	// ID names it within its source: its Begin as 20060102T150405Z, "-n" behind
	// it where two begin in one second.
	ID    string    `json:"id"`
	Begin time.Time `json:"begin"`
	// End and Counts (users, groups, …: what the vendor's answer held) are set
	// once it is Complete: read to its end without an error.
	End      time.Time        `json:"end,omitzero"`
	Complete bool             `json:"complete"`
	Counts   map[string]int64 `json:"counts,omitempty"`
}

// Gap is a span of time whose records were lost before they could be read. It
// is declared once.
type Gap struct {
	Source string `json:"source" parquet:"-"`
	// Stream is what read it: main, or a back-fill's name.
	Stream string `json:"stream" parquet:"stream,dict"`
	// From is the beginning of the span that was lost.
	From time.Time `json:"gap_from" parquet:"gap_from,timestamp(millisecond)"`
	// To is its end.
	To time.Time `json:"gap_to" parquet:"gap_to,timestamp(millisecond)"`
	// Reason is why it was lost.
	Reason string `json:"reason" parquet:"reason"`
	// Input names the file or object, where the gap is one.
	Input string `json:"input,omitempty" parquet:"input,optional"`
	// DeclaredAt is when it was declared.
	DeclaredAt time.Time `json:"declared_at" parquet:"declared_at,timestamp(millisecond)"`
	// Segment is the segment of raw whose header says so.
	Segment int64 `json:"segment" parquet:"segment"`
}

// Reject is a landed record that could not be mapped, with the reason. The
// record itself stays in its segment: Segment and Record (from 0) find it.
type Reject struct {
	Source string `json:"source" parquet:"-"`
	// Segment is the segment of raw the record stands in.
	Segment int64 `json:"segment" parquet:"segment"`
	// Record is which one of the segment it is, from 0.
	Record int64 `json:"record" parquet:"record"`
	// ID is the vendor's own id of the record, else its hash.
	ID string `json:"id" parquet:"id"`
	// Kind is what the record is.
	Kind Kind `json:"kind" parquet:"kind,dict"`
	// Reason is why it could not be mapped.
	Reason string `json:"reason" parquet:"reason"`
	// Mapping is the version of the mapping that could not.
	Mapping int32 `json:"mapping" parquet:"mapping"`
	// LandedAt is when it was landed.
	LandedAt time.Time `json:"landed_at" parquet:"landed_at,timestamp(millisecond)"`
	// RawData is the scrubbed record as landed.
	RawData string `json:"raw_data,omitempty" parquet:"raw_data,optional"`
}
