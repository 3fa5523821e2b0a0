package extracttest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// reading is what ranging over Pages once gave.
type reading struct {
	pages []extract.Page
	err   error
}

// reader says how to range over Pages.
type reader struct {
	ctx  context.Context
	src  extract.Source
	from extract.Cursor
	// stopAt breaks behind that many pages, 0 never.
	stopAt int
	// do is called behind the at-th page (before the first for 0).
	at int
	do func()
}

func (h Harness) read(t *testing.T, src extract.Source, from extract.Cursor) reading {
	t.Helper()
	return h.readWith(t, reader{src: src, from: from, at: -1})
}

// readWith ranges over Pages as told and checks what holds for every reading:
// an error is the last element and comes with an empty page, records stay as
// they were given, nothing is left open and no goroutine stays.
func (h Harness) readWith(t *testing.T, r reader) reading {
	t.Helper()
	if r.ctx == nil {
		r.ctx = t.Context()
	}
	timer := time.AfterFunc(time.Minute+patience, func() { panic("extracttest: a reading hangs: " + t.Name()) })
	defer timer.Stop()
	var got reading
	var sums [][sha256.Size]byte
	leaked := watch(r.ctx, func(ctx context.Context) {
		got = r.collect(ctx, t, func(p extract.Page) { sums = append(sums, sum(p)) })
	})
	for i, p := range got.pages {
		if sum(p) != sums[i] {
			t.Errorf("page %d changed after later pages were read: its memory was used again", i)
		}
	}
	if leaked != "" {
		t.Errorf("goroutines left behind after the reading:\n%s", leaked)
	}
	if h.Open != nil && h.Open() != 0 {
		t.Errorf("%d files or bodies left open after the reading", h.Open())
	}
	return got
}

func (r reader) collect(ctx context.Context, t *testing.T, note func(extract.Page)) reading {
	t.Helper()
	var got reading
	if r.do != nil && r.at == 0 {
		r.do()
	}
	for p, err := range r.src.Pages(ctx, r.from) {
		if got.err != nil {
			t.Errorf("an element came behind the error %v", got.err)
			break
		}
		if err != nil {
			got.err = err
			if !empty(p) {
				t.Errorf("the error %v came with a page that is not empty", err)
			}
			continue
		}
		note(p)
		got.pages = append(got.pages, p)
		if r.do != nil && len(got.pages) == r.at {
			r.do()
		}
		if len(got.pages) == r.stopAt {
			break
		}
	}
	return got
}

func empty(p extract.Page) bool {
	return len(p.Records) == 0 && p.Filtered == 0 && len(p.Done) == 0 && len(p.Gaps) == 0 &&
		p.Snapshot == nil && p.Next == ""
}

func sum(p extract.Page) [sha256.Size]byte {
	h := sha256.New()
	for _, r := range p.Records {
		fmt.Fprintf(h, "%s|%s|%s|%d|", r.Kind, r.ID, r.Fault, len(r.Bytes))
		h.Write(r.Bytes)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// ids names every record in order: by its snapshot, and its id or else its
// bytes.
func (r reading) ids() []string {
	var ids []string
	for _, p := range r.pages {
		snap := ""
		if p.Snapshot != nil {
			snap = p.Snapshot.ID + "/"
		}
		for _, rec := range p.Records {
			id := rec.ID
			if id == "" {
				id = fmt.Sprintf("sha256:%x", sha256.Sum256(rec.Bytes))
			}
			ids = append(ids, snap+id)
		}
	}
	return ids
}

func (r reading) inputs() []string {
	var keys []string
	for _, p := range r.pages {
		for _, in := range p.Done {
			keys = append(keys, fmt.Sprintf("%s %s %s %d %d %s", in.Key, in.Version, in.SHA256, in.Size, in.Records, in.Fault))
		}
	}
	return keys
}

// ledger is what is durable once the first n pages are.
func (r reading) ledger(n int) *Ledger {
	l := &Ledger{}
	for _, p := range r.pages[:n] {
		l.Add(p.Done...)
	}
	return l
}
