package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// RecordFormat is the newest format of flush records this program reads, and
// the one it writes.
const RecordFormat = 1

// ErrNewer says that a flush record is of a newer format than [RecordFormat].
var ErrNewer = errors.New("written by a newer version of this program: use that version or a later one")

// The states of a flush.
const (
	StateOpen      = "open"
	StateCompleted = "completed"
)

// Record is what a flush leaves behind: the segments From to To-1 of Source are
// in the lake as Objects once State is completed.
type Record struct {
	Format int    `json:"format"`
	Sink   string `json:"sink"`
	Source string `json:"source"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	State  string `json:"state"`
	// Mapping and Writer (the program's version) are those that began the
	// flush; once it is completed, those that wrote its objects.
	Mapping int       `json:"mapping"`
	Writer  string    `json:"writer"`
	BeganAt time.Time `json:"began_at"`

	CompletedAt time.Time   `json:"completed_at,omitzero"`
	Counts      load.Counts `json:"counts,omitzero"`
	Objects     []Object    `json:"objects,omitempty"`
}

// Object is one object of the lake.
type Object struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
}

func recordPrefix(sink, source string) string { return "flushes/" + sink + "/" + source + "/" }

func recordKey(sink, source string, from int64) string {
	return fmt.Sprintf("%s%012d.json", recordPrefix(sink, source), from)
}

// Plan returns the flush that begins at segment from: the one begun or finished
// there before, else a new one of all segments before head, whose record then
// exists. With nothing before head there is nothing to do: Done, and To = From.
func (s *Sink) Plan(ctx context.Context, source string, from, head int64) (load.Plan, error) {
	if !isPathPart(source) || !isPathPart(s.o.Name) {
		return load.Plan{}, fmt.Errorf("plan flush: sink %q or source %q cannot name a folder", s.o.Name, source)
	}
	r, _, err := s.findOrBegin(ctx, source, from, head)
	if err != nil {
		return load.Plan{}, s.explain("plan flush", source, err)
	}
	if r == nil {
		return load.Plan{From: from, To: from, Done: true}, nil
	}
	return load.Plan{From: r.From, To: r.To, Done: r.State == StateCompleted, Counts: r.Counts}, nil
}

// findOrBegin returns the record of the flush at from and its ETag; nil where
// there is neither a record nor anything to flush.
func (s *Sink) findOrBegin(ctx context.Context, source string, from, head int64) (*Record, string, error) {
	key := recordKey(s.o.Name, source, from)
	r, etag, err := s.existing(ctx, key, source, from)
	if !errors.Is(err, blob.ErrNotExist) {
		return r, etag, err
	}
	if head <= from {
		return nil, "", nil
	}
	r = &Record{
		Format: RecordFormat, Sink: s.o.Name, Source: source, From: from, To: head, State: StateOpen,
		Mapping: s.o.Mapping, Writer: s.o.Writer, BeganAt: s.o.Now().UTC().Truncate(time.Millisecond),
	}
	info, err := s.o.Store.PutNew(ctx, key, r.body())
	if errors.Is(err, blob.ErrExist) {
		// Ours, by a call whose answer was lost, or somebody else's: either way
		// what stands there holds.
		return s.existing(ctx, key, source, from)
	}
	if err != nil {
		return nil, "", fmt.Errorf("create %s: %w", key, err)
	}
	s.markFresh(key)
	return r, info.ETag, nil
}

// existing returns the record under key if it is the one that belongs there.
func (s *Sink) existing(ctx context.Context, key, source string, from int64) (*Record, string, error) {
	r, etag, err := getRecord(ctx, s.o.Store, key)
	if err != nil {
		return nil, "", err
	}
	if r.Sink != s.o.Name || r.Source != source || r.From != from || r.To <= from {
		return nil, "", fmt.Errorf("read %s: it tells of sink %q, source %q, segments %d to %d: it was moved or altered",
			key, r.Sink, r.Source, r.From, r.To)
	}
	return r, etag, nil
}

// complete replaces an open record by its completed form.
func (s *Sink) complete(ctx context.Context, r *Record, etag string) error {
	key := recordKey(r.Sink, r.Source, r.From)
	r.State, r.CompletedAt = StateCompleted, s.o.Now().UTC().Truncate(time.Millisecond)
	_, err := s.o.Store.PutMatch(ctx, key, etag, r.body())
	if errors.Is(err, blob.ErrChanged) {
		// By a call of ours whose answer was lost, if it says what we say.
		now, _, getErr := getRecord(ctx, s.o.Store, key)
		if getErr != nil {
			return errors.Join(fmt.Errorf("complete %s: %w", key, err), getErr)
		}
		if bytes.Equal(now.encode(), r.encode()) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("complete %s: %w", key, err)
	}
	return nil
}

func (r *Record) encode() []byte {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // numbers and strings only
	}
	return append(text, '\n')
}

func (r *Record) body() blob.Body { return bytes.NewReader(r.encode()) }

func getRecord(ctx context.Context, store blob.Store, key string) (*Record, string, error) {
	body, info, err := store.Get(ctx, key)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	return r, info.ETag, nil
}

// decodeRecord looks at the format before anything else: a newer one may have
// given the other names another meaning.
func decodeRecord(text []byte) (*Record, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("decode flush record: %w", err)
	}
	if head.Format > RecordFormat {
		return nil, fmt.Errorf("flush record format %d, this program reads up to %d: %w", head.Format, RecordFormat, ErrNewer)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("decode flush record: %w", err)
	}
	if head.Format < 1 || r.State != StateOpen && r.State != StateCompleted {
		return nil, fmt.Errorf("decode flush record: format %d, state %q: it was altered", head.Format, r.State)
	}
	return &r, nil
}
