package tempfile_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/idtrail/idtrail/internal/tempfile"
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	f, err := tempfile.New(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode = %v, want a regular file of its owner", info.Mode())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); string(text) != "kept" {
		t.Errorf("read %q, %v", text, err)
	}
	wantEmpty(t, dir)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, dir)
}

func TestNewWithoutFolder(t *testing.T) {
	if _, err := tempfile.New(filepath.Join(t.TempDir(), "none"), "test"); err == nil {
		t.Error("there is a file in a folder that is not there")
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}
