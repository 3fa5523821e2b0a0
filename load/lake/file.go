package lake

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/tempfile"
)

// tempFile is an object in the making. It has no name, so that it is gone even
// after a kill.
type tempFile struct {
	f *os.File
	w *bufio.Writer
	// size is what was written so far.
	size int64
}

// newTempFile creates a file only its owner can read, in dir.
func newTempFile(dir string) (*tempFile, error) {
	f, err := tempfile.New(dir, "object")
	if err != nil {
		return nil, err
	}
	return &tempFile{f: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

func (t *tempFile) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write temporary file: %w", err)
	}
	return n, nil
}

// flush writes out what is buffered.
func (t *tempFile) flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	return nil
}

// cut drops everything from offset on.
func (t *tempFile) cut(offset int64) error {
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.f.Truncate(offset); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	if _, err := t.f.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	t.size = offset
	return nil
}

// sum returns the hash and size of the whole file and rewinds it for reading.
func (t *tempFile) sum() (string, int64, error) {
	if err := t.flush(); err != nil {
		return "", 0, err
	}
	if _, err := t.f.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	h := sha256.New()
	n, err := io.Copy(h, t.f)
	if err != nil {
		return "", 0, err
	}
	_, err = t.f.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

func (t *tempFile) remove() { _ = t.f.Close() }

// sumOf hashes a stored object.
func sumOf(ctx context.Context, store blob.Store, key string) (string, blob.Info, error) {
	body, info, err := store.Get(ctx, key)
	if err != nil {
		return "", info, fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return "", info, fmt.Errorf("read %s: %w", key, err)
	}
	return hex.EncodeToString(h.Sum(nil)), info, nil
}
