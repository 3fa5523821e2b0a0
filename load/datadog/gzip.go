package datadog

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// packer compresses bodies. The vendor's client can, too, but by the standard
// library, at its default level and with a new writer for each body: six times
// as long, which is longer than all else that is done for a request. At this
// level a body is a twelfth of its size, at that one an eighteenth.
type packer struct{ pool sync.Pool }

type packed struct {
	bytes.Buffer
	w *gzip.Writer
}

func newPacker() *packer { return &packer{pool: sync.Pool{New: newPacked}} }

func newPacked() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for levels that do not exist
	return &packed{w: w}
}

// pack returns the compressed body; free makes its room the next one's.
func (p *packer) pack(body []byte) (small []byte, free func(), err error) {
	one := p.pool.Get().(*packed)
	one.Reset()
	one.w.Reset(&one.Buffer)
	if _, err := one.w.Write(body); err != nil {
		return nil, nil, err
	}
	if err := one.w.Close(); err != nil {
		return nil, nil, err
	}
	return one.Bytes(), func() { p.pool.Put(one) }, nil
}
