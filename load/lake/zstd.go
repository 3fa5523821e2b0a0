package lake

import (
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// pageZstd compresses Parquet pages. The library's own codec keeps encoders
// with a window of 8 MiB each, of which a page of pageBytes uses next to
// nothing: this one fits the page.
type pageZstd struct {
	encoder func() *zstd.Encoder
	decoder func() *zstd.Decoder
}

func newPageZstd() *pageZstd {
	return &pageZstd{
		encoder: sync.OnceValue(func() *zstd.Encoder {
			e, err := zstd.NewWriter(nil,
				zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
				zstd.WithWindowSize(2*pageBytes), zstd.WithLowerEncoderMem(true),
				zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
			if err != nil {
				panic(err) // the options are constants
			}
			return e
		}),
		decoder: sync.OnceValue(func() *zstd.Decoder {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if err != nil {
				panic(err)
			}
			return d
		}),
	}
}

func (*pageZstd) String() string { return "ZSTD" }

func (*pageZstd) CompressionCodec() format.CompressionCodec { return format.Zstd }

func (c *pageZstd) Encode(dst, src []byte) ([]byte, error) {
	return c.encoder().EncodeAll(src, dst[:0]), nil
}

func (c *pageZstd) Decode(dst, src []byte) ([]byte, error) {
	return c.decoder().DecodeAll(src, dst[:0])
}
