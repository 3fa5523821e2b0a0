package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// RecordFormat is the newest format of flush records this program reads. It
// writes the oldest that says what is to be said: 2 came with flushes that are
// reopened, and with objects that are pruned.
const (
	RecordFormat  = 2
	plainFormat   = 1
	changedFormat = 2
)

// ErrNewer says that a flush record is of a newer format than [RecordFormat].
var ErrNewer = errors.New("written by a newer version of this program: use that version or a later one")

// ErrUnfinished says that something else that was begun with a flush has to be
// finished first.
var ErrUnfinished = errors.New("is not finished")

// The states of a flush.
const (
	StateOpen      = "open"
	StateCompleted = "completed"
	// StateReopened: completed before, and its objects are being replaced.
	StateReopened = "reopened"
)

// Record is what a flush leaves behind: the segments From to To-1 of Source are
// in the lake as Objects once State is completed. While it is reopened, Objects
// and Counts are those it had.
type Record struct {
	Format int    `json:"format"`
	Sink   string `json:"sink"`
	Source string `json:"source"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	State  string `json:"state"`
	// Mapping and Writer (the program's version) are those that began the
	// flush, or reopened it; once it is completed, those that wrote its objects.
	Mapping int       `json:"mapping"`
	Writer  string    `json:"writer"`
	BeganAt time.Time `json:"began_at"`

	CompletedAt time.Time   `json:"completed_at,omitzero"`
	Counts      load.Counts `json:"counts,omitzero"`
	Objects     []Object    `json:"objects,omitempty"`

	// RewrittenAt is when it was reopened, PrunedAt when objects of it were
	// pruned; each the last time.
	RewrittenAt time.Time `json:"rewritten_at,omitzero"`
	PrunedAt    time.Time `json:"pruned_at,omitzero"`
	// Replaces is the SHA-256 (hex) of this record's object as it was completed
	// before the last of those changes.
	Replaces string `json:"replaces,omitempty"`
	// Pruning are the keys of objects that are being removed.
	Pruning []string `json:"pruning,omitempty"`
}

// Object is one object of the lake.
type Object struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	// Pruned says that it was removed on purpose. It goes on being named, for
	// the accounts.
	Pruned bool `json:"pruned,omitempty"`
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
	if err := r.checkMapping(s.o.Mapping); err != nil {
		return load.Plan{}, s.explain("plan flush", source, err)
	}
	return load.Plan{
		From: r.From, To: r.To, Done: r.State == StateCompleted, Reopened: r.State == StateReopened, Counts: r.Counts,
	}, nil
}

// checkMapping refuses to finish a rewriting with an older mapping than it was
// begun with.
func (r *Record) checkMapping(mapping int) error {
	if r.State == StateReopened && r.Mapping > mapping {
		return fmt.Errorf("%s was reopened to be mapped by mapping %d, this program has %d: %w", r.key(), r.Mapping, mapping, ErrNewer)
	}
	return nil
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
		Sink: s.o.Name, Source: source, From: from, To: head, State: StateOpen,
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
	there, err := s.stored(ctx, key, source, from)
	if err != nil {
		return nil, "", err
	}
	return there.record, there.etag, nil
}

// stored is a record as it lies in the store.
type stored struct {
	record *Record
	text   []byte
	etag   string
}

func (s *Sink) stored(ctx context.Context, key, source string, from int64) (stored, error) {
	there, err := getStored(ctx, s.o.Store, key)
	if err != nil {
		return stored{}, err
	}
	if r := there.record; r.Sink != s.o.Name || r.Source != source || r.From != from || r.To <= from {
		return stored{}, fmt.Errorf("read %s: it tells of sink %q, source %q, segments %d to %d: it was moved or altered",
			key, r.Sink, r.Source, r.From, r.To)
	}
	return there, nil
}

// complete replaces an open record by its completed form.
func (s *Sink) complete(ctx context.Context, r *Record, etag string) error {
	r.State, r.CompletedAt = StateCompleted, s.o.Now().UTC().Truncate(time.Millisecond)
	_, err := s.replace(ctx, r, etag)
	return err
}

// replace writes a record over the one whose ETag is etag, and returns its own.
func (s *Sink) replace(ctx context.Context, r *Record, etag string) (string, error) {
	key := r.key()
	info, err := s.o.Store.PutMatch(ctx, key, etag, r.body())
	if errors.Is(err, blob.ErrChanged) {
		// By a call of ours whose answer was lost, if it says what we say.
		now, getErr := getStored(ctx, s.o.Store, key)
		if getErr != nil {
			return "", errors.Join(fmt.Errorf("replace %s: %w", key, err), getErr)
		}
		if bytes.Equal(now.text, r.encode()) {
			return now.etag, nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", key, err)
	}
	return info.ETag, nil
}

func (r *Record) key() string { return recordKey(r.Sink, r.Source, r.From) }

// encode is the record's text, in the oldest format that can say it.
func (r *Record) encode() []byte {
	r.Format = plainFormat
	if r.State == StateReopened || slices.ContainsFunc(r.Objects, func(o Object) bool { return o.Pruned }) {
		r.Format = changedFormat
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // numbers and strings only
	}
	return append(text, '\n')
}

func (r *Record) body() blob.Body { return bytes.NewReader(r.encode()) }

func getRecord(ctx context.Context, store blob.Store, key string) (*Record, string, error) {
	there, err := getStored(ctx, store, key)
	return there.record, there.etag, err
}

func getStored(ctx context.Context, store blob.Store, key string) (stored, error) {
	body, info, err := store.Get(ctx, key)
	if err != nil {
		return stored{}, fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return stored{}, fmt.Errorf("read %s: %w", key, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return stored{}, fmt.Errorf("read %s: %w", key, err)
	}
	return stored{record: r, text: text, etag: info.ETag}, nil
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
	if !r.known() {
		return nil, fmt.Errorf("decode flush record: format %d, state %q: it was altered", head.Format, r.State)
	}
	return &r, nil
}

// known says whether the record's state is one of its format.
func (r *Record) known() bool {
	switch r.State {
	case StateOpen, StateCompleted:
		return r.Format >= plainFormat
	case StateReopened:
		return r.Format >= changedFormat
	default:
		return false
	}
}
