// Package blobtest is what tests need of object stores: the contract of
// blob.Store as a test that every store passes, a store in memory, and one
// that fails when told to.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// Run tests the contract. Each call of open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"round trip", testRoundTrip},
		{"create once", testCreateOnce},
		{"create race", testCreateRace},
		{"replace", testReplace},
		{"replace race", testReplaceRace},
		{"counter", testCounter},
		{"missing", testMissing},
		{"clock", testClock},
		{"delete", testDelete},
		{"list", testList},
		{"list many", testListMany},
		{"bad keys", testBadKeys},
		{"big object", testBigObject},
		{"cancelled", testCancelled},
		{"cancelled while writing", testCancelledWriting},
		{"body fails", testBodyFails},
		{"read while replaced", testReadWhileReplaced},
		{"read at", testReadAt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	ctx := t.Context()
	if s.URL() == "" {
		t.Error("URL is empty")
	}
	for key, content := range map[string]string{
		"plain":      "hello",
		"empty":      "",
		"binary":     "\x00\xff\r\n",
		"a/b/c.json": "{}",
		"events/source=a b/dt=2026-01-02/1+2&%41'\"é.parquet": "odd key",
	} {
		// The body is positioned behind its end: it is read from its start.
		body := strings.NewReader(content)
		_, _ = body.Seek(0, io.SeekEnd)
		put, err := s.PutNew(ctx, key, body)
		if err != nil {
			t.Fatalf("PutNew(%q): %v", key, err)
		}
		if put.Key != key || put.Size != int64(len(content)) || put.ETag == "" || put.Modified.IsZero() {
			t.Errorf("PutNew(%q) = %+v", key, put)
		}
		if got := mustGet(t, s, key); got != content {
			t.Errorf("Get(%q) = %q, want %q", key, got, content)
		}
		_, got, err := get(ctx, s, key)
		wantSame(t, "Get", got, put, err)
		head, err := s.Head(ctx, key)
		wantSame(t, "Head", head, put, err)
		for info, err := range s.List(ctx, key, "") {
			wantSame(t, "List", info, put, err)
			if !info.Modified.Equal(head.Modified) {
				t.Errorf("List(%q) says modified %v, Head %v", key, info.Modified, head.Modified)
			}
		}
	}
}

func testCreateOnce(t *testing.T, s blob.Store) {
	mustPut(t, s, "k", "first")
	// An equal content makes no difference: it is another write.
	for _, content := range []string{"second", "first", ""} {
		if _, err := s.PutNew(t.Context(), "k", strings.NewReader(content)); !errors.Is(err, blob.ErrExist) {
			t.Errorf("second PutNew of %q: got %v, want ErrExist", content, err)
		}
	}
	if got := mustGet(t, s, "k"); got != "first" {
		t.Errorf("content = %q, want the first", got)
	}
}

func testCreateRace(t *testing.T, s blob.Store) {
	errs := race(16, func(i int) error {
		_, err := s.PutNew(t.Context(), "dir/k", strings.NewReader(fmt.Sprint("writer ", i)))
		return err
	})
	winner := wantOneWinner(t, errs, blob.ErrExist)
	if got, want := mustGet(t, s, "dir/k"), fmt.Sprint("writer ", winner); got != want {
		t.Errorf("content = %q, want %q", got, want)
	}
}

func testReplace(t *testing.T, s blob.Store) {
	ctx := t.Context()
	first := mustPut(t, s, "k", "one")
	second, err := s.PutMatch(ctx, "k", first.ETag, strings.NewReader("two"))
	if err != nil {
		t.Fatalf("PutMatch: %v", err)
	}
	if second.ETag == first.ETag {
		t.Errorf("the ETag %s stayed", first.ETag)
	}
	if _, err := s.PutMatch(ctx, "k", first.ETag, strings.NewReader("2.5")); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutMatch with a stale ETag: got %v, want ErrChanged", err)
	}
	if _, err := s.PutMatch(ctx, "none", first.ETag, strings.NewReader("x")); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("PutMatch of a missing object: got %v, want ErrNotExist", err)
	}
	if _, err := s.PutMatch(ctx, "k", second.ETag, strings.NewReader("three")); err != nil {
		t.Errorf("PutMatch with the ETag of a PutMatch: %v", err)
	}
	if got := mustGet(t, s, "k"); got != "three" {
		t.Errorf("content = %q, want three", got)
	}
	if got := keys(t, s.List(ctx, "", "")); !slices.Equal(got, []string{"k"}) {
		t.Errorf("objects = %q, want k alone", got)
	}
}

func testReplaceRace(t *testing.T, s blob.Store) {
	info := mustPut(t, s, "k", "start")
	errs := race(16, func(i int) error {
		_, err := s.PutMatch(t.Context(), "k", info.ETag, strings.NewReader(fmt.Sprint("writer ", i)))
		return err
	})
	winner := wantOneWinner(t, errs, blob.ErrChanged)
	if got, want := mustGet(t, s, "k"), fmt.Sprint("writer ", winner); got != want {
		t.Errorf("content = %q, want %q", got, want)
	}
}

// testCounter counts up by compare and swap. The content keeps its size, as
// stores may look at it.
func testCounter(t *testing.T, s blob.Store) {
	const writers, each = 4, 10
	mustPut(t, s, "n", "1000")
	errs := race(writers, func(int) error {
		for done := 0; done < each; {
			switch err := increment(t.Context(), s); {
			case err == nil:
				done++
			case !errors.Is(err, blob.ErrChanged):
				return err
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, want := mustGet(t, s, "n"), strconv.Itoa(1000+writers*each); got != want {
		t.Errorf("counter = %s, want %s", got, want)
	}
}

func increment(ctx context.Context, s blob.Store) error {
	content, info, err := get(ctx, s, "n")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(content)
	if err != nil {
		return err
	}
	_, err = s.PutMatch(ctx, "n", info.ETag, strings.NewReader(strconv.Itoa(n+1)))
	return err
}

// testClock: each answer tells the time by the clock that stamps objects, which
// goes on. Stores may tell whole seconds only.
func testClock(t *testing.T, s blob.Store) {
	ctx := t.Context()
	first, err := s.PutNew(ctx, "k", strings.NewReader("one"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.PutMatch(ctx, "k", first.ETag, strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := get(ctx, s, "k")
	if err != nil {
		t.Fatal(err)
	}
	before := first.Now
	for what, info := range map[string]blob.Info{"PutNew": first, "PutMatch": second, "Head": head, "Get": got} {
		if info.Now.IsZero() || info.Now.Before(info.Modified.Add(-time.Second)) || info.Now.Before(before.Add(-time.Second)) {
			t.Errorf("%s: modified %v, and the clock says %v", what, info.Modified, info.Now)
		}
		if age := info.Now.Sub(info.Modified); age > time.Minute {
			t.Errorf("%s: an age of %v by one clock", what, age)
		}
	}
}

func testMissing(t *testing.T, s blob.Store) {
	mustPut(t, s, "dir/file", "x")
	for _, key := range []string{"none", "dir/none", "none/none", "dir"} {
		if _, _, err := s.Get(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Get(%q): got %v, want ErrNotExist", key, err)
		}
		if _, err := s.Head(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Head(%q): got %v, want ErrNotExist", key, err)
		}
	}
}

func testDelete(t *testing.T, s blob.Store) {
	ctx := t.Context()
	info := mustPut(t, s, "dir/k", "x")
	mustPut(t, s, "dir/other", "y")
	for range 2 {
		if err := s.Delete(ctx, "dir/k"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if err := s.Delete(ctx, "never/was"); err != nil {
		t.Errorf("Delete of what never was: %v", err)
	}
	if _, err := s.Head(ctx, "dir/k"); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("Head of a deleted object: got %v, want ErrNotExist", err)
	}
	if _, err := s.PutMatch(ctx, "dir/k", info.ETag, strings.NewReader("z")); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("PutMatch of a deleted object: got %v, want ErrNotExist", err)
	}
	if got := keys(t, s.List(ctx, "", "")); !slices.Equal(got, []string{"dir/other"}) {
		t.Errorf("objects = %q, want dir/other alone", got)
	}
	mustPut(t, s, "dir/k", "again")
	if got := mustGet(t, s, "dir/k"); got != "again" {
		t.Errorf("content = %q, want again", got)
	}
}

func testList(t *testing.T, s blob.Store) {
	all := []string{
		"a!x", "a-b", "a.b", "a/b", "a/b-c", "a/b.c/d", "a/c/d", "a/c/e f", "a0", "aa/b",
		"events/source=x/dt=2026-01-02/1.parquet", "events/source=x/dt=2026-01-03/1.parquet",
		"events_json/1", "plus+sign", "percent%41", "Zoo", "é/ü",
	}
	for _, key := range all {
		mustPut(t, s, key, key)
	}
	slices.Sort(all)
	marks := []string{"", "a", "a/", "a/b", "a/b.c/", "a/c", "a0", "events", "events/", "events/source=x/dt=2026-01-0", "é/", "zzz", "nothing/here"}
	for _, prefix := range marks {
		for _, after := range marks {
			var want []string
			for _, key := range all {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if got := keys(t, s.List(t.Context(), prefix, after)); !slices.Equal(got, want) {
				t.Errorf("List(%q, %q)\n got %q\nwant %q", prefix, after, got, want)
			}
		}
	}
	for info, err := range s.List(t.Context(), "", "a-b") {
		if err != nil || info.Key != "a.b" {
			t.Errorf("first key after a-b = %q, %v", info.Key, err)
		}
		break
	}
}

// testListMany lists more than a page of S3 holds.
func testListMany(t *testing.T, s blob.Store) {
	const n, writers = 1100, 22
	errs := race(writers, func(w int) error {
		for i := w; i < n; i += writers {
			if _, err := s.PutNew(t.Context(), fmt.Sprintf("many/%05d", i), strings.NewReader("x")); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{0, 1, 1099, 1100} {
		after := ""
		if from > 0 {
			after = fmt.Sprintf("many/%05d", from-1)
		}
		got := keys(t, s.List(t.Context(), "many/", after))
		if len(got) != n-from {
			t.Errorf("after %q: %d keys, want %d", after, len(got), n-from)
		}
		for i, key := range got {
			if want := fmt.Sprintf("many/%05d", from+i); key != want {
				t.Fatalf("after %q: key %d is %q, want %q", after, i, key, want)
			}
		}
	}
}

func testBadKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{"", "/", "/abs", "a//b", "a/", "..", "../up", "a/../b", "a/.", "./a", "nul\x00"} {
		if _, err := s.PutNew(t.Context(), key, strings.NewReader("x")); !errors.Is(err, blob.ErrKey) {
			t.Errorf("PutNew(%q): got %v, want ErrKey", key, err)
		}
	}
	if got := keys(t, s.List(t.Context(), "", "")); len(got) != 0 {
		t.Errorf("objects = %q, want none", got)
	}
}

func testBigObject(t *testing.T, s blob.Store) {
	content := noise(24 << 20)
	if _, err := s.PutNew(t.Context(), "big", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r, info, err := s.Get(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(content); n != info.Size || !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Errorf("read %d bytes of other content, want %d", n, len(content))
	}
}

func testCancelled(t *testing.T, s blob.Store) {
	info := mustPut(t, s, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Get(ctx, "k")
	wantCancelled(t, "Get", err)
	_, err = s.Head(ctx, "k")
	wantCancelled(t, "Head", err)
	_, err = s.PutNew(ctx, "new", strings.NewReader("y"))
	wantCancelled(t, "PutNew", err)
	_, err = s.PutMatch(ctx, "k", info.ETag, strings.NewReader("y"))
	wantCancelled(t, "PutMatch", err)
	wantCancelled(t, "Delete", s.Delete(ctx, "k"))
	calls := 0
	for _, err := range s.List(ctx, "", "") {
		calls++
		wantCancelled(t, "List", err)
	}
	if calls != 1 {
		t.Errorf("List yielded %d times, want an error once", calls)
	}
	wantOnly(t, s, "k", "x")
}

func testCancelledWriting(t *testing.T, s blob.Store) {
	info := mustPut(t, s, "k", "x")
	for name, put := range puts(s, info) {
		ctx, cancel := context.WithCancel(t.Context())
		body := &breakingBody{Reader: bytes.NewReader(noise(1 << 20)), at: 1 << 19, hook: func() error {
			cancel()
			return nil
		}}
		wantCancelled(t, name, put(ctx, body))
		cancel()
	}
	wantOnly(t, s, "k", "x")
}

func testBodyFails(t *testing.T, s blob.Store) {
	info := mustPut(t, s, "k", "x")
	broken := errors.New("broken")
	for name, put := range puts(s, info) {
		body := &breakingBody{Reader: bytes.NewReader(noise(1 << 20)), at: 1 << 19, hook: func() error { return broken }}
		if err := put(t.Context(), body); !errors.Is(err, broken) {
			t.Errorf("%s of a body that fails: got %v, want its error", name, err)
		}
	}
	wantOnly(t, s, "k", "x")
}

// testReadWhileReplaced looks for readers that see parts of two contents.
func testReadWhileReplaced(t *testing.T, s blob.Store) {
	const size, writes, readers = 256 << 10, 20, 3
	info := mustPut(t, s, "k", strings.Repeat("0", size))
	stop := make(chan struct{})
	errs := race(readers+1, func(i int) error {
		if i == readers {
			defer close(stop)
			return rewrite(t.Context(), s, info, writes)
		}
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			content, _, err := get(t.Context(), s, "k")
			if err != nil {
				return err
			}
			if len(content) != size || strings.Count(content, content[:1]) != size {
				return fmt.Errorf("read a mixture of %d bytes", len(content))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func rewrite(ctx context.Context, s blob.Store, info blob.Info, writes int) error {
	for i := range writes {
		content := strings.Repeat(string(rune('a'+i)), int(info.Size))
		next, err := s.PutMatch(ctx, info.Key, info.ETag, strings.NewReader(content))
		if err != nil {
			return err
		}
		info = next
	}
	return nil
}

func testReadAt(t *testing.T, s blob.Store) {
	store, ok := s.(blob.ReaderAt)
	if !ok {
		t.Skip("this store does not claim it")
	}
	content := noise(100_000)
	info, err := s.PutNew(t.Context(), "dir/k", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenAt(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(r, 10, 99_000))
	if err != nil || !bytes.Equal(got, content[10:99_010]) {
		t.Errorf("section of %d bytes differs, error %v", len(got), err)
	}
	buf := make([]byte, 10)
	if n, err := r.ReadAt(buf, 99_995); n != 5 || !errors.Is(err, io.EOF) || !bytes.Equal(buf[:5], content[99_995:]) {
		t.Errorf("ReadAt over the end = %d, %v, want 5, EOF", n, err)
	}
	if n, err := r.ReadAt(buf, 100_000); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt behind the end = %d, %v, want 0, EOF", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.PutMatch(t.Context(), "dir/k", info.ETag, bytes.NewReader(noise(100_001)[1:])); err != nil {
		t.Fatal(err)
	}
	if err := readStale(t.Context(), store, info); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("OpenAt and ReadAt of a replaced object: got %v, want ErrChanged", err)
	}
}

func readStale(ctx context.Context, s blob.ReaderAt, info blob.Info) error {
	r, err := s.OpenAt(ctx, info)
	if err != nil {
		return err
	}
	_, err = r.ReadAt(make([]byte, 1), 0)
	return errors.Join(err, r.Close())
}

// puts are both ways to write, of an object that is there and one that is not.
func puts(s blob.Store, info blob.Info) map[string]func(context.Context, blob.Body) error {
	return map[string]func(context.Context, blob.Body) error{
		"PutNew": func(ctx context.Context, body blob.Body) error {
			_, err := s.PutNew(ctx, "new", body)
			return err
		},
		"PutMatch": func(ctx context.Context, body blob.Body) error {
			_, err := s.PutMatch(ctx, info.Key, info.ETag, body)
			return err
		},
	}
}

// race calls f n times at once and returns its errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// wantOneWinner returns the index of the one nil.
func wantOneWinner(t *testing.T, errs []error, others error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, others):
			t.Errorf("writer %d: got %v, want %v", i, err, others)
		}
	}
	if winner < 0 {
		t.Fatal("no writer won")
	}
	return winner
}

func wantSame(t *testing.T, what string, got, want blob.Info, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s(%q): %v", what, want.Key, err)
		return
	}
	if got.Key != want.Key || got.Size != want.Size || got.ETag != want.ETag || got.Modified.IsZero() {
		t.Errorf("%s says %+v, PutNew said %+v", what, got, want)
	}
}

func wantCancelled(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s: got %v, want context.Canceled", what, err)
	}
}

// wantOnly wants that the store holds one object.
func wantOnly(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	if got := keys(t, s.List(t.Context(), "", "")); !slices.Equal(got, []string{key}) {
		t.Errorf("objects = %q, want %q alone", got, key)
	}
	if got := mustGet(t, s, key); got != content {
		t.Errorf("%s is %d bytes of other content", key, len(got))
	}
}

func mustPut(t *testing.T, s blob.Store, key, content string) blob.Info {
	t.Helper()
	info, err := s.PutNew(t.Context(), key, strings.NewReader(content))
	if err != nil {
		t.Fatalf("PutNew(%q): %v", key, err)
	}
	return info
}

func mustGet(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	content, _, err := get(t.Context(), s, key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	return content
}

func get(ctx context.Context, s blob.Store, key string) (string, blob.Info, error) {
	r, info, err := s.Get(ctx, key)
	if err != nil {
		return "", blob.Info{}, err
	}
	content, err := io.ReadAll(r)
	return string(content), info, errors.Join(err, r.Close())
}

func keys(t *testing.T, list iter.Seq2[blob.Info, error]) []string {
	t.Helper()
	var got []string
	for info, err := range list {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got = append(got, info.Key)
	}
	return got
}

// noise is content that no compression shortens, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// breakingBody calls a hook when it is read past a place.
type breakingBody struct {
	*bytes.Reader
	at   int64
	hook func() error
}

func (b *breakingBody) Read(p []byte) (int, error) {
	if b.Size()-int64(b.Len()) >= b.at {
		if err := b.hook(); err != nil {
			return 0, err
		}
	}
	return b.Reader.Read(p[:min(len(p), 64<<10)])
}

// WriteTo would read without the hook.
func (b *breakingBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}
