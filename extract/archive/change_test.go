package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/extracttest"
)

// poller runs a polled source over one directory again and again.
type poller struct {
	dir    string
	opts   archive.Options
	ledger extracttest.Ledger
	next   extract.Cursor
	at     time.Time
}

func newPoller(t *testing.T, o archive.Options) *poller {
	p := &poller{dir: t.TempDir(), opts: o, at: now()}
	p.opts.Path, p.opts.Poll, p.opts.Ledger = p.dir, true, &p.ledger
	p.opts.Now = func() time.Time { return p.at }
	return p
}

func (p *poller) run(t *testing.T) result {
	t.Helper()
	r := run(t, source(t, p.opts), p.next, &p.ledger)
	p.next = r.next
	return r
}

func logs(numbers ...int) []string { return ids("auth0_logs", numbers...) }

func TestPoll(t *testing.T) {
	p := newPoller(t, archive.Options{})
	if r := p.run(t); r.err != nil || r.pages != 0 {
		t.Fatalf("an empty directory: %d pages, error %v", r.pages, r.err)
	}
	write(t, p.dir, "b", line(1)+line(2))
	same(t, "the first file", p.run(t).ids, logs(1, 2))
	if r := p.run(t); r.pages != 0 {
		t.Errorf("nothing new: got %d pages", r.pages)
	}
	write(t, p.dir, "a", line(3))
	same(t, "a file that sorts before", p.run(t).ids, logs(3))
	touch(t, write(t, p.dir, "b", line(1)+line(2)+line(4)), fileTime().Add(time.Hour))
	same(t, "a grown file", p.run(t).ids, logs(1, 2, 4))
	touch(t, write(t, p.dir, "b", line(5)+line(6)+line(7)), fileTime().Add(2*time.Hour))
	same(t, "a replaced file of the same size", p.run(t).ids, logs(5, 6, 7))
	if err := os.Remove(filepath.Join(p.dir, "b")); err != nil {
		t.Fatal(err)
	}
	if r := p.run(t); r.pages != 0 || r.err != nil {
		t.Errorf("a removed file: %d pages, error %v", r.pages, r.err)
	}
}

func TestOnceIsOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", line(1))
	src := source(t, archive.Options{Path: dir})
	first := run(t, src, "", nil)
	write(t, dir, "b", line(2))
	if r := run(t, source(t, archive.Options{Path: dir}), first.next, nil); r.pages != 0 || r.err != nil {
		t.Errorf("behind the drain: %d pages, error %v", r.pages, r.err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if r := run(t, source(t, archive.Options{Path: dir}), first.next, nil); r.err != nil {
		t.Errorf("behind the drain, the directory gone: %v", r.err)
	}
}

func TestFinishedFilesAreNotOpened(t *testing.T) {
	b := newBucket(t, map[string]string{"a": line(1), "b": line(2)})
	var ledger extracttest.Ledger
	o := archive.Options{Store: b, Ledger: &ledger}
	first := run(t, source(t, o), "", &ledger)
	again := run(t, source(t, o), "", &ledger)
	if b.gets.Load() != 2 || len(first.ids) != 2 || len(again.ids) != 0 {
		t.Errorf("got %d objects opened, %d records, then %d, want 2, 2, 0", b.gets.Load(), len(first.ids), len(again.ids))
	}
	// Whoever lost the cursor alone gets it back.
	if again.next != `{"drained":true}` {
		t.Errorf("got cursor %s", again.next)
	}
}

// A file that is being written ends in the middle of a record.
func TestGrowingFile(t *testing.T) {
	p := newPoller(t, archive.Options{})
	cut := line(3)[:40]
	grow := func(content string) { touch(t, write(t, p.dir, "live.log", content), p.at.Add(-time.Minute)) }
	grow(line(1) + line(2) + cut)
	r := p.run(t)
	same(t, "whole records", r.ids, logs(1, 2))
	if len(r.faults)+len(r.done) != 0 {
		t.Errorf("got broken pieces %q, finished inputs %v", r.faults, r.done)
	}
	if r := p.run(t); r.pages != 0 {
		t.Errorf("not grown: got %d pages", r.pages)
	}
	p.at = p.at.Add(5 * time.Minute)
	grow(line(1) + line(2) + line(3))
	r = p.run(t)
	same(t, "grown", r.ids, logs(1, 2, 3))
	if len(r.done) != 1 {
		t.Errorf("got inputs %v", r.done)
	}
	grow(line(1) + line(2) + line(3) + cut)
	p.run(t)
	p.at = p.at.Add(11 * time.Minute)
	r = p.run(t)
	same(t, "given up", r.faults, []string{cut})
	if len(r.done) != 1 || r.done[0].Records != 4 || r.done[0].Fault == "" || len(r.ids) != 0 {
		t.Errorf("given up: got records %v, inputs %v", r.ids, r.done)
	}
	if r := p.run(t); r.pages != 0 {
		t.Errorf("given up before: got %d pages", r.pages)
	}
}

// A file still being copied here must not be landed as cut off either.
func TestGrowingGzip(t *testing.T) {
	p := newPoller(t, archive.Options{})
	whole := gz(strings.Join(records("auth0_logs", 0, 500), "\n"))
	touch(t, write(t, p.dir, "a.gz", whole[:len(whole)/2]), p.at.Add(-time.Minute))
	if r := p.run(t); len(r.faults)+len(r.done) != 0 || r.err != nil {
		t.Errorf("half: got broken pieces %.80q, inputs %v, error %v", r.faults, r.done, r.err)
	}
	touch(t, write(t, p.dir, "a.gz", whole), p.at)
	if r := p.run(t); len(r.ids) != 500 || len(r.done) != 1 || r.done[0].Fault != "" {
		t.Errorf("whole: got %d records, inputs %v", len(r.ids), r.done)
	}
}

func TestResumeInsideReplacedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", strings.Join(records("auth0_logs", 0, 1500), "\n"))
	var ledger extracttest.Ledger
	o := archive.Options{Path: dir, Ledger: &ledger}
	var mid extract.Cursor
	for p, err := range source(t, o).Pages(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		mid = p.Next
		break
	}
	if r := run(t, source(t, o), mid, nil); len(r.ids) != 500 {
		t.Errorf("the same file: got %d records, want 500", len(r.ids))
	}
	// One that comes before does not move the cursor out of it.
	write(t, dir, "2026-11-01", line(7000))
	r := run(t, source(t, o), mid, nil)
	if len(r.ids) != 501 || r.ids[500] != id("auth0_logs", 7000) {
		t.Errorf("an older file beside: got %d records", len(r.ids))
	}
	touch(t, write(t, dir, "a", strings.Join(records("auth0_logs", 0, 1600), "\n")), fileTime().Add(time.Hour))
	if r := run(t, source(t, o), mid, nil); len(r.ids) != 1601 {
		t.Errorf("another file: got %d records, want 1601", len(r.ids))
	}
}

func TestUnreadable(t *testing.T) {
	b := newBucket(t, map[string]string{"a": line(1), "b": line(2), "c": line(3)})
	refused := true
	b.fault = func(key string, _ int64) error {
		if key == "b" && refused {
			return fs.ErrPermission
		}
		return nil
	}
	var ledger extracttest.Ledger
	o := archive.Options{Store: b, Ledger: &ledger}
	r := run(t, source(t, o), "", &ledger)
	same(t, "the others", r.ids, logs(1, 3))
	if !errors.Is(r.err, archive.ErrUnread) || !errors.Is(r.err, fs.ErrPermission) || !strings.Contains(r.err.Error(), "1 of 3 files") {
		t.Errorf("got error %v", r.err)
	}
	refused = false
	r = run(t, source(t, o), r.next, &ledger)
	same(t, "on the next run", r.ids, logs(2))
	if r.err != nil || !strings.Contains(string(r.next), `"drained":true`) {
		t.Errorf("on the next run: cursor %s, error %v", r.next, r.err)
	}
}

func TestConnectionCut(t *testing.T) {
	content := strings.Join(records("auth0_logs", 0, 3000), "\n")
	b := newBucket(t, map[string]string{"a": content, "b": line(7000)})
	b.cut = func(_ string, get int64) int {
		if get <= 2 {
			return int(get) * len(content) / 3
		}
		return -1
	}
	r := run(t, source(t, archive.Options{Store: b}), "", nil)
	if r.err != nil || len(r.ids) != 3001 || len(r.faults) != 0 || len(r.done) != 2 {
		t.Errorf("cut twice: got %d records, %d broken, %d inputs, error %v", len(r.ids), len(r.faults), len(r.done), r.err)
	}
	b.gets.Store(0)
	b.cut = func(key string, _ int64) int {
		if key == "a" {
			return len(content) / 2
		}
		return -1
	}
	r = run(t, source(t, archive.Options{Store: b}), "", nil)
	if !errors.Is(r.err, errNetwork) || len(r.done) != 1 || len(r.faults) != 0 {
		t.Errorf("cut always: got inputs %v, broken %.80q, error %v", r.done, r.faults, r.err)
	}
	if got := len(r.ids); got < 1400 || got > 1502 {
		t.Errorf("cut always: got %d records", got)
	}
	if b.open.Load() != 0 {
		t.Errorf("%d bodies left open", b.open.Load())
	}
}

// Between listing and opening an object may be replaced: it is read as what it
// is by then, once, even if the connection is cut.
func TestReplacedBeforeOpened(t *testing.T) {
	content := strings.Join(records("auth0_logs", 0, 3000), "\n")
	b := newBucket(t, map[string]string{"a": line(1)})
	b.fault = func(key string, get int64) error {
		if get > 1 {
			return nil
		}
		if err := b.Delete(t.Context(), key); err != nil {
			return err
		}
		_, err := b.PutNew(t.Context(), key, strings.NewReader(content))
		return err
	}
	b.cut = func(_ string, get int64) int {
		if get == 1 {
			return len(content) / 2
		}
		return -1
	}
	var ledger extracttest.Ledger
	r := run(t, source(t, archive.Options{Store: b, Ledger: &ledger}), "", &ledger)
	if len(r.ids) != 3000 || r.err != nil || len(r.done) != 1 || r.done[0].Size != int64(len(content)) {
		t.Errorf("got %d records, inputs %+v, error %v", len(r.ids), r.done, r.err)
	}
}

func TestRemovedBeforeOpened(t *testing.T) {
	b := newBucket(t, map[string]string{"a": line(1), "b": line(2)})
	b.fault = func(key string, _ int64) error {
		if key == "a" {
			return b.Delete(t.Context(), key)
		}
		return nil
	}
	r := run(t, source(t, archive.Options{Store: b}), "", nil)
	same(t, "the other", r.ids, logs(2))
	if r.err != nil {
		t.Error(r.err)
	}
}

func TestLinks(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "b/real.json", line(1))
	write(t, other, "far.json", line(2))
	write(t, other, "deep/x.json", line(3))
	for link, target := range map[string]string{
		"a.json":    filepath.Join(dir, "b/real.json"),
		"far.json":  filepath.Join(other, "far.json"),
		"a_loop":    dir,
		"b/loop":    "..",
		"a_deep":    filepath.Join(other, "deep"),
		"z_again":   filepath.Join(other, "deep"),
		"z_far":     filepath.Join(other, "far.json"),
		"b/a_again": filepath.Join(dir, "b"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, source(t, archive.Options{Path: dir}), "", nil)
	same(t, "files", r.keys(), []string{"a_deep/x.json", "b/real.json", "far.json"})
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	if r := run(t, source(t, archive.Options{Path: dir}), "", nil); !errors.Is(r.err, archive.ErrUnread) || len(r.ids) != 3 {
		t.Errorf("a link to nowhere: got %d records, error %v", len(r.ids), r.err)
	}
}

func TestKeysThatAreNoText(t *testing.T) {
	p := newPoller(t, archive.Options{})
	write(t, p.dir, "a\xff.json", line(1))
	r := p.run(t)
	same(t, "files", r.keys(), []string{"a%FF.json"})
	if r := p.run(t); r.pages != 0 {
		t.Errorf("read again: %d pages", r.pages)
	}
}
