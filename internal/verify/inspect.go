package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
)

// inspection is the verification of one source.
type inspection struct {
	o   Options
	out Source

	mu       sync.Mutex
	findings []Finding
	found    map[string]bool // objects that something was found of
	unread   []error

	notes notes
	// checkpoints that are there, by number, with the SHA-256 of their text ("":
	// not known); newest is the last of them.
	checkpoints map[int64]string
	newest      int64

	chain   []link // by number, those that are there
	lastRaw blob.Info
	flushes []*flushed // by sink and range
	// flushedTo is behind the last segment that any flush record speaks of.
	flushedTo int64
	// lost are the beginnings of ranges whose flush record is not there.
	lost []int64
	// named are the objects of all records.
	named map[string]bool

	ids *idSet // of records, for a deep verification

	// seen are the marks of what was listed, to notice that a run goes on.
	seen map[string]string
}

// tries is how often a source is looked at anew that changes meanwhile.
const tries = 3

// inspect verifies one source. A run may be going on beside it: what looks wrong
// is looked at again if anything was written meanwhile.
func inspect(ctx context.Context, o Options, source string) (*inspection, error) {
	for try := 1; ; try++ {
		s := &inspection{o: o, out: Source{Source: source, Head: -1, Days: map[string]Day{}}, found: map[string]bool{}, seen: map[string]string{}}
		if err := s.run(ctx); err != nil {
			return nil, fmt.Errorf("verify %s: %w", source, err)
		}
		if len(s.findings) == 0 && len(s.unread) == 0 || try == tries {
			return s, nil
		}
		changed, err := s.changed(ctx)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", source, err)
		}
		if !changed {
			return s, nil
		}
	}
}

// run goes from what names to what is named, so that whatever is named was there
// before it was.
func (s *inspection) run(ctx context.Context) error {
	if s.o.Deep {
		s.ids = &idSet{dir: s.o.TempDir, limit: s.o.IDsInMemory}
		defer s.ids.close()
	}
	for _, step := range []func(context.Context) error{
		s.readNotes, s.readFlushes, s.listRaw, s.readChain, s.judgeFlushes, s.checkObjects, s.readUnnamed, s.judgeIDs,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	slices.SortStableFunc(s.findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
	return nil
}

// mark remembers an object that a run would write or replace.
func (s *inspection) mark(info blob.Info) { s.seen[info.Key] = info.ETag }

// changed says whether notes, flush records or segments were written since they
// were listed.
func (s *inspection) changed(ctx context.Context) (bool, error) {
	now := map[string]string{}
	sinks, err := folders(ctx, s.o.Lake, "flushes/")
	if err != nil {
		return false, err
	}
	prefixes := []string{proof.Prefix(s.out.Source)}
	for _, sink := range sinks {
		prefixes = append(prefixes, "flushes/"+sink+"/"+s.out.Source+"/")
	}
	for _, prefix := range prefixes {
		for info, err := range s.o.Lake.List(ctx, prefix, "") {
			if err != nil {
				return false, fmt.Errorf("list %s: %w", prefix, err)
			}
			now[info.Key] = info.ETag
		}
	}
	if !maps.Equal(now, s.seen) {
		return true, nil
	}
	after := s.lastRaw.Key
	if after == "" {
		after = segment.Key(s.out.Source, 0)[:len(s.out.Source)+1]
	}
	for _, err := range s.o.Raw.List(ctx, s.out.Source+"/", after) {
		return true, err
	}
	return false, nil
}

// find notes a finding; the first of an object stands for all, as they have one
// cause.
func (s *inspection) find(class Class, object, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found[object] {
		return
	}
	s.found[object] = true
	s.findings = append(s.findings, Finding{Class: class, Source: s.out.Source, Object: object, Detail: fmt.Sprintf(format, args...)})
}

// maxUnread is how many objects may be unreadable before it is pointless to go
// on.
const maxUnread = 20

// unreadable remembers what could not be read.
func (s *inspection) unreadable(ctx context.Context, object string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, blob.ErrNotExist) {
		// It was listed: somebody removed it just now.
		s.find(Missing, object, "it was there when it was listed, and is not any more")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread = append(s.unread, fmt.Errorf("read %s: %w", object, err))
	if len(s.unread) >= maxUnread {
		return fmt.Errorf("%w: %w", ErrIncomplete, errors.Join(s.unread...))
	}
	return nil
}

// each calls do for every item, some side by side.
func each[T any](ctx context.Context, workers int, items []T, do func(context.Context, int, T) error) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, item := range items {
		if within.Err() != nil {
			break
		}
		group.Go(func() error { return do(within, i, item) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
