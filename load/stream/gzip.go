package stream

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Compressor compresses bodies by gzip. It keeps its writers, each of which has
// some hundred kilobytes. At its level a body is a twelfth of its size; at the
// default one it is an eighteenth, and that takes longer than all else that is
// done for a request. The zero value is ready; it may be used concurrently.
type Compressor struct{ writers sync.Pool }

// Compress returns the parts, one behind the other, compressed. The result is
// the caller's alone: a transport may read on in a body after it has answered.
func (c *Compressor) Compress(parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	var out bytes.Buffer
	out.Grow(size/8 + 1024)
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
