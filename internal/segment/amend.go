package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	hashes "hash"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/schema"
)

// AmendmentFormat is the newest format of amendments this program reads, and
// the one it writes.
const AmendmentFormat = 1

// maxAmendment bounds an amendment: it has one entry for each erased record.
const maxAmendment = 64 << 20

// Erased is a record that was cut out of a segment.
type Erased struct {
	Record int64     `json:"record"`
	At     time.Time `json:"at"`
	// Note is the key of the signed record of the erasure. It is kept for good:
	// no personal data in it.
	Note string `json:"note"`
	// Seen (hex) is what the record's id is known by, so that a vendor who still
	// has the record does not bring it back once the index is rebuilt. It is a
	// hash of an id that the vendor drew at random, which leads to nobody; where
	// the id is a person's (users of a snapshot), it has to be left out.
	Seen string `json:"seen,omitempty"`
}

// SeenID is Seen, false where it was left out.
func (e Erased) SeenID() (id [16]byte, ok bool) {
	b, err := hex.DecodeString(e.Seen)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return [16]byte(b), true
}

// amendment says what a segment's lines are now. It is the last frame.
type amendment struct {
	Format int `json:"format"`
	// SHA256 (hex) of the lines as they are now.
	SHA256 string   `json:"sha256"`
	Erased []Erased `json:"erased"`
	// Previous are the SHA-256 (hex) of the files this one replaced, the oldest
	// first.
	Previous []string `json:"previous"`
}

type amended struct {
	Amended *amendment `json:"amended"`
}

// Erased are the records that were cut out, in their order.
func (s *Segment) Erased() []Erased {
	if s.amendment == nil {
		return nil
	}
	return s.amendment.Erased
}

// Previous are the SHA-256 (hex) of the files that this one replaced, the oldest
// first; none where it is as it was landed.
func (s *Segment) Previous() []string {
	if s.amendment == nil {
		return nil
	}
	return s.amendment.Previous
}

// Amend cuts records out of a segment's file. Its header stays byte for byte, so
// that the chain holds, and the records keep their numbers: a mark stands in the
// place of each. Behind them stands an amendment, which readers hold the lines
// against; that it was made on purpose, only a signed note can prove. The header
// goes on telling how many records of which kinds there were, and of what times.
//
// Records erased before stay as they were; where nothing is left to erase, the
// file is returned as it is. The same file and the same records give the same
// bytes. ErrDamaged, ErrNewer.
func Amend(file []byte, erase []Erased) ([]byte, error) {
	end, seg, err := decodeFile(file)
	if err != nil {
		return nil, fmt.Errorf("amend segment: %w", err)
	}
	list, err := seg.merge(erase)
	if err != nil {
		return nil, fmt.Errorf("amend segment: %w", err)
	}
	if len(list) == len(seg.Erased()) {
		return file, nil
	}
	was := sha256.Sum256(file)
	a := amendment{
		Format: AmendmentFormat, Erased: list,
		Previous: append(slices.Clone(seg.Previous()), hex.EncodeToString(was[:])),
	}
	lines := seg.without(list)
	sum := sha256.Sum256(lines)
	a.SHA256 = hex.EncodeToString(sum[:])
	out, err := a.encode(bytes.Clone(file[:end]), lines)
	if err == nil {
		_, _, err = decodeFile(out) // the file it replaces is gone for good
	}
	if err != nil {
		return nil, fmt.Errorf("amend segment: %w", err)
	}
	return out, nil
}

// decodeFile reads a whole file, and where its header's frame ends.
func decodeFile(file []byte) (end int, seg *Segment, err error) {
	end, err = frameEnd(file)
	if err != nil {
		return 0, nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, nil, err
	}
	defer dec.Close()
	header, err := dec.DecodeAll(file[:end], nil)
	line, behind, ok := bytes.Cut(header, []byte{'\n'})
	if err != nil || !ok || len(behind) > 0 {
		return 0, nil, errors.Join(fmt.Errorf("%w: its first frame is not its header", ErrDamaged), err)
	}
	if seg, err = decodeHeader(line); err != nil {
		return 0, nil, err
	}
	lines, err := dec.DecodeAll(file[end:], nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return end, seg, seg.take(lines)
}

// merge adds what is to be erased to what was.
func (s *Segment) merge(erase []Erased) ([]Erased, error) {
	list := slices.Clone(s.Erased())
	for _, e := range erase {
		if e.Record < 0 || e.Record >= s.Header.Count {
			return nil, fmt.Errorf("it has no record %d", e.Record)
		}
		if !utf8.ValidString(e.Note) || e.At.Year() < 1 || e.At.Year() > 9999 {
			return nil, fmt.Errorf("record %d: erased at %v by note %q: want a time and a text", e.Record, e.At, e.Note)
		}
		if e.Seen != "" && !e.isSeen() {
			return nil, fmt.Errorf("record %d: %q is no hash of 16 bytes", e.Record, e.Seen)
		}
		at, found := slices.BinarySearchFunc(list, e.Record, func(e Erased, n int64) int { return int(e.Record - n) })
		if found {
			continue
		}
		e.At = e.At.UTC()
		list = slices.Insert(list, at, e)
	}
	return list, nil
}

func (e Erased) isSeen() bool {
	_, ok := e.SeenID()
	return ok
}

// without returns the lines with a mark in the place of each that is erased.
func (s *Segment) without(list []Erased) []byte {
	out := make([]byte, 0, len(s.lines))
	for rec := range s.Records() {
		line := rec.Line
		if len(list) > 0 && list[0].Record == rec.At.Record {
			line, list = erasedLine(s.SHA256, list[0]), list[1:]
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// encode appends the lines and the amendment to a header's frame.
func (a *amendment) encode(file, lines []byte) ([]byte, error) {
	text, err := json.Marshal(amended{a})
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder()
	if err != nil {
		return nil, err
	}
	file = enc.EncodeAll(lines, file)
	file = enc.EncodeAll(append(text, '\n'), file)
	return file, enc.Close()
}

// erasedPrefix begins the mark of an erased record, and no landed one: a segment
// cannot hold the hash of its own header, which states the hash of its lines.
func erasedPrefix(header string) []byte {
	return []byte(`{"idtrail_erased":{"header":"` + header + `",`)
}

func erasedLine(header string, e Erased) []byte {
	line, err := json.Marshal(schema.Erased{Erased: schema.ErasedBody{Header: header, At: e.At, Note: e.Note}})
	if err != nil {
		panic(err) // a time that was read from JSON, or is now, and texts
	}
	return line
}

// take makes text, all that stands behind the header, the segment's lines and,
// if there is one, its amendment.
func (s *Segment) take(text []byte) error {
	p := newProof(s)
	rest := text
	for p.records < s.Header.Count {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		p.line(rest[:i+1])
		rest = rest[i+1:]
	}
	s.lines = text[:len(text)-len(rest)]
	return p.end(rest)
}

// proof holds lines against what their segment states.
type proof struct {
	seg     *Segment
	prefix  []byte
	sum     hashes.Hash
	records int64
	erased  []mark
}

// mark is a line that says that a record was erased.
type mark struct {
	record int64
	line   []byte
}

func newProof(s *Segment) *proof {
	return &proof{seg: s, prefix: erasedPrefix(s.SHA256), sum: sha256.New()}
}

// line takes a line with its line feed, and says whether it marks an erased
// record.
func (p *proof) line(line []byte) bool {
	_, _ = p.sum.Write(line) // never fails
	p.records++
	if !bytes.HasPrefix(line, p.prefix) {
		return false
	}
	p.erased = append(p.erased, mark{p.records - 1, bytes.Clone(line[:len(line)-1])})
	return true
}

// end judges what was taken; rest is what stands behind the last line.
func (p *proof) end(rest []byte) error {
	h := p.seg.Header
	var kinds int64
	for _, run := range h.Kinds {
		if run.Count < 0 || run.Count > h.Count {
			return fmt.Errorf("%w: its header states %d records of one kind, of %d", ErrDamaged, run.Count, h.Count)
		}
		kinds += run.Count
	}
	if p.records != h.Count || kinds != h.Count {
		return fmt.Errorf("%w: %d lines of %d kinds where its header states %d", ErrDamaged, p.records, kinds, h.Count)
	}
	sum := hex.EncodeToString(p.sum.Sum(nil))
	if len(rest) == 0 {
		if sum != h.SHA256 {
			return fmt.Errorf("%w: its lines do not have the hash its header states", ErrDamaged)
		}
		return nil
	}
	a, err := decodeAmendment(rest)
	if err != nil {
		return err
	}
	if a.SHA256 != sum || !p.fits(a.Erased) {
		return fmt.Errorf("%w: its lines are not those its amendment states", ErrDamaged)
	}
	p.seg.amendment = a
	return nil
}

func decodeAmendment(text []byte) (*amendment, error) {
	if len(text) > maxAmendment {
		return nil, fmt.Errorf("%w: too much stands behind its last record", ErrDamaged)
	}
	var a amended
	line, behind, ok := bytes.Cut(text, []byte{'\n'})
	if err := json.Unmarshal(line, &a); err != nil || !ok || len(behind) > 0 || a.Amended == nil {
		return nil, fmt.Errorf("%w: what stands behind its last record is no amendment", ErrDamaged)
	}
	switch v := a.Amended.Format; {
	case v > AmendmentFormat:
		return nil, fmt.Errorf("%w: amendment %d, this program reads up to %d", ErrNewer, v, AmendmentFormat)
	case v < 1 || len(a.Amended.Erased) == 0 || len(a.Amended.Previous) == 0:
		return nil, fmt.Errorf("%w: its amendment states nothing", ErrDamaged)
	}
	return a.Amended, nil
}

// fits says whether the marks are those of the list, each as it is written.
func (p *proof) fits(list []Erased) bool {
	return slices.EqualFunc(p.erased, list, func(m mark, e Erased) bool {
		return m.record == e.Record && (e.Seen == "" || e.isSeen()) && bytes.Equal(m.line, erasedLine(p.seg.SHA256, e))
	})
}

// frameEnd is where the first zstd frame of a file ends (RFC 8878, 3.1.1).
func frameEnd(file []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(file); err != nil || h.Skippable {
		return 0, errors.Join(fmt.Errorf("%w: it does not begin with a frame", ErrDamaged), err)
	}
	const blockHeader, rle, reserved = 3, 1, 3
	end := h.HeaderSize
	for last := false; !last; {
		if len(file)-end < blockHeader {
			return 0, fmt.Errorf("%w: its first frame is cut off", ErrDamaged)
		}
		b := int(file[end]) | int(file[end+1])<<8 | int(file[end+2])<<16
		size := b >> 3
		switch b >> 1 & 3 {
		case rle:
			size = 1
		case reserved:
			return 0, fmt.Errorf("%w: its first frame is of no known form", ErrDamaged)
		}
		last = b&1 == 1
		end += blockHeader + size
	}
	if h.HasCheckSum {
		end += 4
	}
	if end > len(file) {
		return 0, fmt.Errorf("%w: its first frame is cut off", ErrDamaged)
	}
	return end, nil
}
