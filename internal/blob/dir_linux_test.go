package blob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/idtrail/idtrail/internal/blob"
)

// dropRights makes the file system treat this thread as one of nobody. It is
// not given back: the thread ends with its goroutine.
func dropRights() error {
	runtime.LockOSThread()
	if os.Geteuid() != 0 {
		return nil
	}
	return syscall.Setfsuid(65534)
}

func TestDirDenied(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	info, err := d.PutNew(t.Context(), "dir/k", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{"": 0o755, "tmp": 0o555, "dir": 0o555, "dir/k": 0o000} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "dir"), 0o700) })
	done := make(chan map[string]error)
	go func() {
		if err := dropRights(); err != nil {
			t.Errorf("drop rights: %v", err)
		}
		errs := map[string]error{}
		_, errs["PutNew"] = d.PutNew(t.Context(), "new", strings.NewReader("x"))
		_, errs["PutMatch"] = d.PutMatch(t.Context(), "dir/k", info.ETag, strings.NewReader("y"))
		_, _, errs["Get"] = d.Get(t.Context(), "dir/k")
		errs["Delete"] = d.Delete(t.Context(), "dir/k")
		_, errs["OpenDir"] = blob.OpenDir(filepath.Join(root, "dir", "below"))
		done <- errs
	}()
	for call, err := range <-done {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), "give user") {
			t.Errorf("%s: got %v, want permission denied, the path and what to do", call, err)
		}
	}
	if got := listKeys(t, d); !slices.Equal(got, []string{"dir/k"}) {
		t.Errorf("listed %q, want dir/k alone", got)
	}
}

// TestDirFileTooLarge lets the kernel end a write in its middle, as a full disk
// does.
func TestDirFileTooLarge(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	info, err := d.PutNew(t.Context(), "k", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, 64<<10)
	body := bytes.NewReader(make([]byte, 1<<20))
	_, newErr := d.PutNew(t.Context(), "new", body)
	_, matchErr := d.PutMatch(t.Context(), "k", info.ETag, body)
	for call, err := range map[string]error{"PutNew": newErr, "PutMatch": matchErr} {
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), root) {
			t.Errorf("%s: got %v, want EFBIG and the path", call, err)
		}
	}
	if now, err := d.Head(t.Context(), "k"); err != nil || now.ETag != info.ETag || now.Size != 1 {
		t.Errorf("k is %+v, %v, want it untouched", now, err)
	}
	if got := names(t, filepath.Join(root, "tmp")); len(got) != 0 && !slices.Equal(got, []string{".lock"}) {
		t.Errorf("tmp holds %q, want nothing", got)
	}
	if got := listKeys(t, d); !slices.Equal(got, []string{"k"}) {
		t.Errorf("listed %q, want k alone", got)
	}
}

// limitFiles limits the size of files that this process writes.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
}

func TestExplain(t *testing.T) {
	tests := map[syscall.Errno]string{
		syscall.ENOSPC: "free space",
		syscall.EDQUOT: "free space",
		syscall.EROFS:  "read-only",
		syscall.EACCES: "give user",
		syscall.EPERM:  "hard links",
		syscall.EIO:    "input/output error",
	}
	for errno, want := range tests {
		err := blob.Explain("write", "/lake/k", &fs.PathError{Op: "open", Path: "/other", Err: errno})
		if !errors.Is(err, errno) || !strings.HasPrefix(err.Error(), "write /lake/k: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %q, want the path and %q", errno, err, want)
		}
	}
}
