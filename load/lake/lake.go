package lake

import (
	"log/slog"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// The defaults of [Options].
const (
	DefaultMaxBytes  = 256 << 20
	DefaultPartBytes = 256 << 20
)

// Options of a lake sink. Name and Store are needed, the rest has defaults.
type Options struct {
	// Name of the sink in the config. Flush records are kept under it, so a
	// sink given another name begins again.
	Name  string
	Store blob.Store
	// Every is how long after a source's last flush the next one is due; 0 for
	// one in every run. A first flush, and one that completes a snapshot, is due
	// at once.
	Every time.Duration
	// MaxBytes of pending segments, uncompressed, make a flush due before that.
	// It bounds how long a flush takes, not what one may hold: a flush covers
	// everything that is pending when it is planned.
	MaxBytes int64
	// PartBytes is the size, compressed, past which an object is closed and the
	// rest of its day goes to a next part.
	PartBytes int64
	// TempDir holds the object being written; the system's if "". It needs room
	// for one part.
	TempDir string
	// Writer is the program's version. It stands in flush records and files.
	Writer string
	// Mapping is the version of the mapping, for the records of new flushes.
	Mapping int
	// Now is time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.PartBytes <= 0 {
		o.PartBytes = DefaultPartBytes
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of a field
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Sink writes one layout of a lake. It may be used for several sources at a
// time, and for one batch of a source at a time.
type Sink struct {
	o      Options
	layout layout

	// fresh are the keys of flush records this process created and has not
	// begun to deliver: nothing can be left over from an earlier attempt.
	mu    sync.Mutex
	fresh map[string]bool
}

var (
	_ load.Planner = (*Sink)(nil)
	_ load.Checker = (*Sink)(nil)
)

// NewParquet returns a sink that writes Parquet.
func NewParquet(o Options) *Sink { return newSink(o, parquetLayout) }

// NewJSON returns a sink that writes gzipped NDJSON, one row as JSON a line.
func NewJSON(o Options) *Sink { return newSink(o, jsonLayout) }

func newSink(o Options, l layout) *Sink {
	return &Sink{o: o.withDefaults(), layout: l, fresh: map[string]bool{}}
}

// Name is the sink's name in the config.
func (s *Sink) Name() string { return s.o.Name }

// Due says whether what is pending should be flushed now. It is to be asked
// only when a segment is pending.
func (s *Sink) Due(p load.Pending, now time.Time) bool {
	age := now.Sub(p.Since) // below 0 once the clock was set back
	return p.Snapshot || p.Since.IsZero() || p.Bytes >= s.o.MaxBytes || age < 0 || age >= s.o.Every
}

func (s *Sink) markFresh(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh[key] = true
}

func (s *Sink) takeFresh(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh[key]
	delete(s.fresh, key)
	return fresh
}
