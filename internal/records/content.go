package records

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

// Content is a file's content, unpacked, as it is read: it hashes what it gives
// and can tell a store that fails from data that is broken.
type Content struct {
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

// Open unpacks body, going by its first bytes, never by a name. Closing the
// content closes body.
func Open(ctx context.Context, body io.ReadCloser) *Content {
	c := &Content{stored: &stored{ctx: ctx, body: body}, sum: sha256.New(), shut: func() {}}
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
func (c *Content) gunzip(r io.Reader) {
	z, err := gzip.NewReader(r)
	if err != nil {
		c.broken = fmt.Errorf("gzip: %w", err)
		return
	}
	c.plain = z
}

func (c *Content) unzstd(r io.Reader) {
	// One at a time: the decoder then has no goroutines.
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		c.broken = fmt.Errorf("zstd: %w", err)
		return
	}
	c.plain, c.shut = z, z.Close
}

// Read gives io.EOF at the end of the content, be it whole or broken off.
func (c *Content) Read(p []byte) (int, error) {
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

// StoreError is the store's error, if it was one that ended the content.
func (c *Content) StoreError() error { return c.stored.failed }

// Fault says why there is no more data though the content has no end: it is
// cut off or damaged, or the store failed. "" if it was read to its end.
func (c *Content) Fault() string {
	if c.broken == nil {
		return ""
	}
	return fmt.Sprintf("cannot be unpacked behind byte %d of its content: %v", c.read, c.broken)
}

// Size is how much was read.
func (c *Content) Size() int64 { return c.read }

// SHA256 is the hash of what was read, in hex.
func (c *Content) SHA256() string { return hex.EncodeToString(c.sum.Sum(nil)) }

// Close closes the body.
func (c *Content) Close() error {
	c.shut()
	return c.stored.body.Close()
}
