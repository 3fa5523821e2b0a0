package stream

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Compressor compresses bodies by gzip. It keeps its writers, each of which has
// some hundred kilobytes. At its level a body of ours is a seventh of its size; at
// the default one it is a tenth, and that takes nearly twice as long. The zero
// value is ready; it may be used concurrently.
type Compressor struct{ writers sync.Pool }

// Compress returns the parts, one behind the other, compressed. The result is
// the caller's alone: a transport may read on in a body after it has answered.
func (c *Compressor) Compress(parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	var out bytes.Buffer
	out.Grow(size/6 + 1024) // most fit: to grow would double it
	w, _ := c.writers.Get().(*gzip.Writer)
	if w == nil {
		w, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for levels that do not exist
	}
	defer c.writers.Put(w)
	w.Reset(&out)
	for _, p := range parts {
		_, _ = w.Write(p) // a buffer takes everything
	}
	_ = w.Close()
	return out.Bytes()
}
