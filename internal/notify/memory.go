package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// memory is what targets were told.
type memory struct {
	Version int                      `json:"version"`
	Targets map[string]*targetMemory `json:"targets"`
	// Seen is when each source was first looked at: one that was never read is
	// late from then on.
	Seen map[string]time.Time `json:"seen"`
}

const memoryVersion = 1

type targetMemory struct {
	Told map[string]*told `json:"told"`
	Gaps map[string]int64 `json:"gaps"`
}

// told is a trouble as a target knows it.
type told struct {
	Mark  string    `json:"mark,omitempty"`
	Size  int64     `json:"size,omitempty"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
}

// memoryKey is the object's key in the store.
const memoryKey = "told.json"

// maxMemory bounds what is read of it.
const maxMemory = 4 << 20

// ErrNewer says that a newer version of the program wrote the memory.
var ErrNewer = errors.New("written by a newer version of idtrail")

// keeper holds what is remembered in a store. Several processes may use it at
// once.
type keeper struct{ store blob.Store }

// read returns the memory, empty if there is none, with the mark of what was
// read.
func (k keeper) read(ctx context.Context) (*memory, string, error) {
	m := &memory{Version: memoryVersion}
	body, info, err := k.store.Get(ctx, memoryKey)
	if errors.Is(err, blob.ErrNotExist) {
		return m.whole(), "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read what was told: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(body, maxMemory))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, "", fmt.Errorf("read what was told: %w", err)
	}
	// One that cannot be read is begun anew: the worst is to be told twice.
	if json.Unmarshal(text, m) != nil {
		m = &memory{Version: memoryVersion}
	}
	if m.Version > memoryVersion {
		return nil, "", fmt.Errorf("read what was told: version %d: %w", m.Version, ErrNewer)
	}
	return m.whole(), info.ETag, nil
}

// whole makes what is missing.
func (m *memory) whole() *memory {
	if m.Targets == nil {
		m.Targets = map[string]*targetMemory{}
	}
	if m.Seen == nil {
		m.Seen = map[string]time.Time{}
	}
	for name, t := range m.Targets {
		if t == nil {
			t = &targetMemory{}
			m.Targets[name] = t
		}
		t.whole()
	}
	return m
}

func (t *targetMemory) whole() {
	if t.Told == nil {
		t.Told = map[string]*told{}
	}
	for key, was := range t.Told {
		if was == nil {
			delete(t.Told, key)
		}
	}
	if t.Gaps == nil {
		t.Gaps = map[string]int64{}
	}
}

func (m *memory) target(name string) *targetMemory {
	t := m.Targets[name]
	if t == nil {
		t = &targetMemory{}
		t.whole()
		m.Targets[name] = t
	}
	return t
}

// putTries is how often a memory that others change meanwhile is changed again.
const putTries = 5

// change reads the memory, has it changed and writes it, if change says that
// there is something to write. Of two processes that do so at once, none undoes
// what the other did.
func (k keeper) change(ctx context.Context, change func(*memory) bool) error {
	if k.store == nil {
		return nil // whoever read it has said so
	}
	var err error
	for range putTries {
		var m *memory
		var etag string
		if m, etag, err = k.read(ctx); err != nil || !change(m) {
			return err
		}
		if err = k.put(ctx, m, etag); !errors.Is(err, blob.ErrChanged) && !errors.Is(err, blob.ErrExist) && !errors.Is(err, blob.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("remember what was told: %w", err)
	}
	return nil
}

func (k keeper) put(ctx context.Context, m *memory, etag string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	body := bytes.NewReader(append(text, '\n'))
	if etag == "" {
		_, err = k.store.PutNew(ctx, memoryKey, body)
	} else {
		_, err = k.store.PutMatch(ctx, memoryKey, etag, body)
	}
	return err
}

// tell remembers that a target was told.
func (t *targetMemory) tell(news []News) {
	for _, n := range news {
		key := string(n.Kind) + "/" + n.Of
		switch {
		case n.Kind == Gap:
			source := strings.TrimPrefix(n.Of, "source/")
			t.Gaps[source] = max(t.Gaps[source], n.gaps)
		case n.memory == nil:
			delete(t.Told, key)
		default:
			t.Told[key] = n.memory
		}
	}
}

// settle notes what nobody needs to be told: gaps of before, and what there is no
// more. It says whether that changed anything.
func (t *targetMemory) settle(s Sight) bool {
	changed := false
	for source, g := range s.Gaps {
		if _, known := t.Gaps[source]; !known {
			t.Gaps[source], changed = g.Total-g.New, true
		}
	}
	for key := range t.Told {
		if kind, of, _ := strings.Cut(key, "/"); !slices.Contains(s.Known, of) || !slices.Contains(s.Kinds, Kind(kind)) {
			delete(t.Told, key)
			changed = true
		}
	}
	for source := range t.Gaps {
		if !slices.Contains(s.Known, "source/"+source) {
			delete(t.Gaps, source)
			changed = true
		}
	}
	return changed
}
