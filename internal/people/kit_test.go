package people_test

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/blob"
)

func newBody(s string) blob.Body { return strings.NewReader(s) }

func files(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// overwrite destroys a page at i.
func overwrite(b []byte, i int) []byte {
	for k := i; k < min(i+4096, len(b)); k++ {
		b[k] = 0xA5
	}
	return b
}

// counting counts how often an object is read.
type counting struct {
	blob.Store

	gets int
}

func (c *counting) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	c.gets++
	return c.Store.Get(ctx, key)
}
