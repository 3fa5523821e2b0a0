package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

func openDir(t *testing.T, path string) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return openDir(t, t.TempDir()) })
}

// TestDirThroughLink: the root may be a link to a folder elsewhere.
func TestDirThroughLink(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	info, err := openDir(t, link).PutNew(t.Context(), "a/k", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	d := openDir(t, folder)
	if got := listKeys(t, d); !slices.Equal(got, []string{"a/k"}) {
		t.Errorf("listed %q, want a/k", got)
	}
	if _, err := d.PutMatch(t.Context(), "a/k", info.ETag, strings.NewReader("y")); err != nil {
		t.Error(err)
	}
}

// TestDirLockBetweenStores replaces through many stores of one directory, so
// that only the file lock can keep them apart.
func TestDirLockBetweenStores(t *testing.T) {
	path := t.TempDir()
	info, err := openDir(t, path).PutNew(t.Context(), "k", strings.NewReader("start"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 16 {
		d := openDir(t, path)
		all.Go(func() {
			_, err := d.PutMatch(t.Context(), "k", info.ETag, strings.NewReader("other"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, blob.ErrChanged) {
				t.Errorf("got %v, want ErrChanged", err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d writers won, want one", won)
	}
}

func TestDirModes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new", "lake")
	d := openDir(t, root)
	if _, err := d.PutNew(t.Context(), "a/b/c", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		"": 0o700 | fs.ModeDir, "a": 0o700 | fs.ModeDir, "a/b": 0o700 | fs.ModeDir, "tmp": 0o700 | fs.ModeDir, "a/b/c": 0o600,
	} {
		fi, err := os.Stat(filepath.Join(root, path))
		if err != nil || fi.Mode() != want {
			t.Errorf("mode of %q = %v, %v, want %v", path, fi.Mode(), err, want)
		}
	}
	if got := d.URL(); got != root {
		t.Errorf("URL = %q, want %q", got, root)
	}
}

// TestDirETags replaces faster than a file system's clock ticks: no content
// may ever look like another that was there before.
func TestDirETags(t *testing.T) {
	d := openDir(t, t.TempDir())
	info, err := d.PutNew(t.Context(), "k", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{info.ETag: true}
	for i := range 100 {
		if info, err = d.PutMatch(t.Context(), "k", info.ETag, strings.NewReader("0")); err != nil {
			t.Fatal(err)
		}
		if seen[info.ETag] {
			t.Fatalf("ETag %s came again with write %d", info.ETag, i)
		}
		seen[info.ETag] = true
	}
}

func TestDirLeftovers(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	if _, err := d.PutNew(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"put-old": 25 * time.Hour, "put-young": 23 * time.Hour, ".lock": 48 * time.Hour,
	} {
		path := filepath.Join(root, "tmp", name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	openDir(t, root)
	if got, want := names(t, filepath.Join(root, "tmp")), []string{".lock", "put-young"}; !slices.Equal(got, want) {
		t.Errorf("tmp holds %q, want %q", got, want)
	}
	if keys := listKeys(t, d); !slices.Equal(keys, []string{"k"}) {
		t.Errorf("listed %q, want k alone", keys)
	}
}

// TestDirReadsOnly: opening and reading leaves no trace.
func TestDirReadsOnly(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "k"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, root)
	if _, err := d.Head(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), "none"); err != nil {
		t.Fatal(err)
	}
	if keys := listKeys(t, d); !slices.Equal(keys, []string{"k"}) {
		t.Errorf("listed %q, want k", keys)
	}
	if got := names(t, root); !slices.Equal(got, []string{"k"}) {
		t.Errorf("the folder holds %q, want k alone", got)
	}
}

func TestDirOddBytes(t *testing.T) {
	d := openDir(t, t.TempDir())
	keys := []string{"a\xff\xfe/b\n", "quote'\"\\", " ", "-", "é", "\x01"}
	for _, key := range keys {
		if _, err := d.PutNew(t.Context(), key, strings.NewReader("x")); err != nil {
			t.Errorf("PutNew(%q): %v", key, err)
		}
	}
	slices.Sort(keys)
	if got := listKeys(t, d); !slices.Equal(got, keys) {
		t.Errorf("listed %q, want %q", got, keys)
	}
}

func TestDirRefusesTmp(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, key := range []string{"tmp", "tmp/k", "tmp/.lock"} {
		if _, err := d.PutNew(t.Context(), key, strings.NewReader("x")); !errors.Is(err, blob.ErrKey) {
			t.Errorf("PutNew(%q): got %v, want ErrKey", key, err)
		}
	}
	if _, err := d.PutNew(t.Context(), "tmp2/k", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
}

func TestDirSpecialFiles(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	if _, err := d.PutNew(t.Context(), "file", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "file"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "broken")); err != nil {
		t.Fatal(err)
	}
	if got, want := listKeys(t, d), []string{"file", "link"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	_, err := d.PutNew(t.Context(), "folder", strings.NewReader("x"))
	if err == nil || errors.Is(err, blob.ErrExist) || !strings.Contains(err.Error(), "folder") {
		t.Errorf("PutNew over a folder: got %v, want an error that says so", err)
	}
	_, err = d.PutNew(t.Context(), "file/below", strings.NewReader("x"))
	if err == nil || !strings.Contains(err.Error(), "a file is in the place of a folder") {
		t.Errorf("PutNew below a file: got %v, want an error that says so", err)
	}
	if got := names(t, filepath.Join(root, "tmp")); len(got) != 0 {
		t.Errorf("tmp holds %q, want nothing", got)
	}
}

// TestDirFolderRemoved: somebody tidies up empty folders meanwhile.
func TestDirFolderRemoved(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	for _, key := range []string{"a/b/1", "a/b/2"} {
		if _, err := d.PutNew(t.Context(), key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "tmp")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.PutNew(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Errorf("PutNew after tmp was removed: %v", err)
	}
}

func TestDirLockHonoursContext(t *testing.T) {
	root := t.TempDir()
	holder, waiter := openDir(t, root), openDir(t, root)
	info, err := holder.PutNew(t.Context(), "k", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := holder.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for name, d := range map[string]*blob.Dir{"same store": holder, "other store": waiter} {
		if _, err := d.PutMatch(ctx, "k", info.ETag, strings.NewReader("y")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want DeadlineExceeded", name, err)
		}
	}
	unlock()
	if _, err := waiter.PutMatch(t.Context(), "k", info.ETag, strings.NewReader("y")); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Join(root, "tmp")); !slices.Equal(got, []string{".lock"}) {
		t.Errorf("tmp holds %q, want the lock alone", got)
	}
}

func TestOpenDirErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		_, err := blob.OpenDir(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("OpenDir of a file: got %v, want an error that names it and says what to do", err)
		}
	}
}

func TestDirReaderStopsOnCancel(t *testing.T) {
	d := openDir(t, t.TempDir())
	if _, err := d.PutNew(t.Context(), "k", bytes.NewReader(make([]byte, 1000))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _, err := d.Get(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	buf := make([]byte, 10)
	if _, err := r.Read(buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := r.Read(buf); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

// names are those in a folder.
func names(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	return got
}

func listKeys(t *testing.T, s blob.Store) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	return got
}
