package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// MaxEntries is how many segments, gaps, flushes and changes one checkpoint
// lists, so that it stays below the megabyte that readers of notes allow; what
// is more goes to the next.
const MaxEntries = 3000

const checkpointTitle = "idtrail checkpoint v1"

// Checkpoint says what was landed of one source and flushed to the lake since
// the checkpoint before it, and the totals of all. Checkpoints of a source are
// numbered from 1 and chained.
type Checkpoint struct {
	Source, Kind, Identity string
	Number                 int64
	// Previous is the Hash of the checkpoint before; "" in the first.
	Previous string
	Time     time.Time
	// Head is the newest segment listed in this or an earlier checkpoint, with
	// the SHA-256 of its header.
	Head     int64
	HeadHash string
	// Records and Gaps of all segments up to Head.
	Records, Gaps int64

	Segments []Segment
	GapList  []Gap
	Flushes  []Flush
	// Changes are records of changes ([Change]) made since, by their object's
	// key and the SHA-256 of its text.
	Changes []Reference
}

// Segment is one landed file.
type Segment struct {
	Seq int64
	// Header is the SHA-256 of its header, File that of the whole object.
	Header, File string
	// Count of records and Bytes of their lines.
	Count, Bytes int64
}

// Gap is a span declared lost.
type Gap struct {
	Segment, N int64
	From, To   time.Time
	Reason     string
}

// Flush is a range of segments in the lake, by the completed record of it.
type Flush struct {
	Sink     string
	From, To int64
	// Record is the SHA-256 of the record's object.
	Record        string
	Objects, Rows int64
}

// Reference names another note.
type Reference struct {
	Key  string
	Hash string
}

// Key is where a source's checkpoint of a number lies in the lake.
func Key(source string, number int64) string {
	return fmt.Sprintf("%s%012d.note", Prefix(source), number)
}

// Prefix of everything in the lake that is said of a source.
func Prefix(source string) string { return "manifests/" + source + "/" }

// Entries the checkpoint lists.
func (c *Checkpoint) Entries() int {
	return len(c.Segments) + len(c.GapList) + len(c.Flushes) + len(c.Changes)
}

// Text is what is signed.
func (c *Checkpoint) Text() string {
	var b strings.Builder
	b.WriteString(checkpointTitle + "\n")
	line(&b, "source", c.Source, c.Kind, c.Identity)
	line(&b, "number", c.Number, c.Previous)
	line(&b, "time", c.Time)
	line(&b, "head", c.Head, c.HeadHash)
	line(&b, "totals", c.Records, c.Gaps)
	for _, s := range c.Segments {
		line(&b, "segment", s.Seq, s.Header, s.File, s.Count, s.Bytes)
	}
	for _, g := range c.GapList {
		line(&b, "gap", g.Segment, g.N, g.From, g.To, g.Reason)
	}
	for _, f := range c.Flushes {
		line(&b, "flush", f.Sink, f.From, f.To, f.Record, f.Objects, f.Rows)
	}
	for _, r := range c.Changes {
		line(&b, "change", r.Key, r.Hash)
	}
	return b.String()
}

// Hash is the SHA-256 of the text, in hex: what the next checkpoint names, and
// what may be kept elsewhere as an anchor.
func (c *Checkpoint) Hash() string { return HashText(c.Text()) }

// HashText is the SHA-256 of a text, in hex.
func HashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// ParseCheckpoint reads a text. It takes no other text than Text writes.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	c := &Checkpoint{}
	if err := parse(text, checkpointTitle, c.take); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if c.Text() != text {
		return nil, fmt.Errorf("read checkpoint: %w: not in the order or form it was written in", ErrMalformed)
	}
	return c, nil
}

// parse calls take for each line below the title.
func parse(text, title string, take func(key string, w *words)) error {
	lines := strings.Split(text, "\n")
	if lines[0] != title || lines[len(lines)-1] != "" {
		return fmt.Errorf("%w: does not begin with %q, or does not end with a line feed", ErrMalformed, title)
	}
	for i, l := range lines[1 : len(lines)-1] {
		w := wordsOf(l)
		take(w.next(), w)
		if err := w.end(); err != nil {
			return fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	return nil
}

func (c *Checkpoint) take(key string, w *words) {
	switch key {
	case "source":
		c.Source, c.Kind, c.Identity = w.text(), w.text(), w.text()
	case "number":
		c.Number, c.Previous = w.int(), w.hash()
	case "time":
		c.Time = w.time()
	case "head":
		c.Head, c.HeadHash = w.int(), w.hash()
	case "totals":
		c.Records, c.Gaps = w.int(), w.int()
	case "segment":
		c.Segments = append(c.Segments, Segment{w.int(), w.hash(), w.hash(), w.int(), w.int()})
	case "gap":
		c.GapList = append(c.GapList, Gap{w.int(), w.int(), w.time(), w.time(), w.text()})
	case "flush":
		c.Flushes = append(c.Flushes, Flush{w.text(), w.int(), w.int(), w.hash(), w.int(), w.int()})
	case "change":
		c.Changes = append(c.Changes, Reference{w.text(), w.hash()})
	default:
		w.fail("unknown line %q", key)
	}
}

// GapsOf are the entries of a segment's gaps.
func GapsOf(seq int64, gaps []schema.Gap) []Gap {
	list := make([]Gap, len(gaps))
	for i, g := range gaps {
		list[i] = Gap{Segment: seq, N: int64(i), From: g.From.UTC(), To: g.To.UTC(), Reason: g.Reason}
	}
	return list
}
