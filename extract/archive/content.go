package archive

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the widest zstd window that is read: what zstd itself reads
// without being asked to take more memory.
const maxWindow = 128 << 20

// content is a file's content, unpacked, as it is read: it hashes what it gives
// and can tell a store that fails from data that is broken.
type content struct {
	stored *stored
	plain  io.Reader
	shut   func()
	sum    hash.Hash
	read   int64
	// broken is why there is no more data, though it has no end: the store's
	// error, if it failed.
	broken error
}

// stored reads the bytes as they lie in the store.
type stored struct {
	ctx    context.Context
	body   io.ReadCloser
	failed error
}

func (s *stored) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.failed = err
		return 0, err
	}
	n, err := s.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// newContent goes by the first bytes, never by the name.
func newContent(ctx context.Context, body io.ReadCloser) *content {
	c := &content{stored: &stored{ctx: ctx, body: body}, sum: sha256.New(), shut: func() {}}
	buffered := bufio.NewReaderSize(c.stored, readSize)
	magic, _ := buffered.Peek(4) // an error comes again with the read
	switch {
	case isGzip(magic):
		c.gunzip(buffered)
	case isZstd(magic):
		c.unzstd(buffered)
	default:
		c.plain = buffered
	}
	return c
}

func isGzip(magic []byte) bool {
	return len(magic) > 1 && magic[0] == 0x1f && magic[1] == 0x8b
}

// isZstd knows a frame and a skippable frame.
func isZstd(magic []byte) bool {
	return len(magic) == 4 && (string(magic) == "\x28\xb5\x2f\xfd" || magic[0]&0xf0 == 0x50 && string(magic[1:]) == "\x2a\x4d\x18")
}

// gunzip uses the standard library's reader: of a file that is cut off, it gives
// every byte that can be told, where faster ones look ahead and lose some.
func (c *content) gunzip(r io.Reader) {
	z, err := gzip.NewReader(r)
	if err != nil {
		c.broken = fmt.Errorf("gzip: %w", err)
		return
	}
	c.plain = z
}

func (c *content) unzstd(r io.Reader) {
	// One at a time: the decoder then has no goroutines.
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		c.broken = fmt.Errorf("zstd: %w", err)
		return
	}
	c.plain, c.shut = z, z.Close
}

// Read gives io.EOF at the end of the content, be it whole or broken off.
func (c *content) Read(p []byte) (int, error) {
	if c.broken != nil {
		return 0, io.EOF
	}
	n, err := c.plain.Read(p)
	c.sum.Write(p[:n])
	c.read += int64(n)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	c.broken = err
	return n, io.EOF
}

// failed is the store's error, if it was one that ended the content.
func (c *content) failed() error { return c.stored.failed }

func (c *content) sha256() string { return hex.EncodeToString(c.sum.Sum(nil)) }

func (c *content) Close() error {
	c.shut()
	return c.stored.body.Close()
}
