package segment_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
)

var t0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func build(t *testing.T, h *segment.Header, lines ...string) (file []byte, hash string) {
	t.Helper()
	var b segment.Builder
	for i, line := range lines {
		kind := schema.KindAuth0Log
		if i%3 == 2 {
			kind = schema.KindUnparsed
		}
		b.Add(kind, []byte(line), t0.Add(time.Duration(i)*time.Minute))
	}
	file, hash, err := b.Encode(h)
	if err != nil {
		t.Fatal(err)
	}
	return file, hash
}

func store(t *testing.T, key string, file []byte) *blobtest.Memory {
	t.Helper()
	m := blobtest.NewMemory()
	if _, err := m.PutNew(t.Context(), key, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	return m
}

func header(seq int64) *segment.Header {
	return &segment.Header{Source: "acme", Kind: "archive", Identity: "x", Seq: seq, Stream: "main", Prev: "p", LandedAt: t0}
}

func TestRoundTrip(t *testing.T) {
	lines := []string{`{"a":1}`, `{"b":"\u0000"}`, `"text"`, "{\"c\":\"\xff\"}", `{}`}
	h := header(7)
	file, hash := build(t, h, lines...)
	m := store(t, segment.Key("acme", 7), file)
	seg, err := segment.Read(t.Context(), m, "acme", 7)
	if err != nil {
		t.Fatal(err)
	}
	if seg.SHA256 != hash || seg.Header.Count != 5 || !seg.Header.First.Equal(t0) || !seg.Header.Last.Equal(t0.Add(4*time.Minute)) {
		t.Errorf("got %s %+v", seg.SHA256, seg.Header)
	}
	var got []string
	for rec := range seg.Records() {
		if want := (schema.Position{Segment: 7, Record: int64(len(got))}); rec.At != want {
			t.Errorf("record at %v, want %v", rec.At, want)
		}
		if (rec.Kind == schema.KindUnparsed) != (len(got)%3 == 2) {
			t.Errorf("record %d is of kind %s", len(got), rec.Kind)
		}
		got = append(got, string(rec.Line))
	}
	if !slices.Equal(got, lines) {
		t.Errorf("got %q, want %q", got, lines)
	}
	var scanned []string
	if err := scan(t, m, 7, &scanned); err != nil || !slices.Equal(scanned, lines) {
		t.Errorf("scanned %q, %v; want %q", scanned, err, lines)
	}
	only, err := segment.ReadHeader(t.Context(), m, "acme", 7)
	if err != nil || only.SHA256 != hash {
		t.Errorf("header alone: %v, %v", only, err)
	}
}

// Anyone can read a segment with zstd alone.
func TestItIsPlainNDJSON(t *testing.T) {
	file, _ := build(t, header(0), `{"a":1}`, `{"b":2}`)
	dec, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	text, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"format":1,`) || lines[2] != `{"b":2}` {
		t.Errorf("got %q", lines)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	file, _ := build(t, header(3), strings.Repeat(`{"a":1}`, 100), `{"b":2}`)
	for i := range file {
		for _, damaged := range [][]byte{file[:i], flip(file, i)} {
			m := store(t, segment.Key("acme", 3), damaged)
			seg, err := segment.Read(t.Context(), m, "acme", 3)
			if scanned := scan(t, m, 3, nil); (err == nil) != (scanned == nil) {
				t.Fatalf("at byte %d: Read says %v, Scan %v", i, err, scanned)
			}
			if err == nil && len(damaged) == len(file) {
				// A bit of the frame's header that changes nothing one reads.
				if n := len(slices.Collect(seg.Records())); n != 2 {
					t.Fatalf("byte %d flipped: read %d records", i, n)
				}
				continue
			}
			if !errors.Is(err, segment.ErrDamaged) {
				t.Fatalf("at byte %d: got %v, want ErrDamaged", i, err)
			}
		}
	}
}

// scan collects the lines of a segment.
func scan(t *testing.T, m blob.Store, seq int64, lines *[]string) error {
	t.Helper()
	return segment.Scan(t.Context(), m, "acme", seq, func(*segment.Header) error { return nil }, func(rec segment.Record) error {
		if lines != nil {
			*lines = append(*lines, string(rec.Line))
		}
		return nil
	})
}

func flip(file []byte, i int) []byte {
	out := bytes.Clone(file)
	out[i] ^= 0x10
	return out
}

func TestWhatItIsNotIsRefused(t *testing.T) {
	file, _ := build(t, header(3), `{}`)
	if _, err := segment.Read(t.Context(), store(t, segment.Key("acme", 4), file), "acme", 4); !errors.Is(err, segment.ErrDamaged) {
		t.Errorf("a segment under another number: %v", err)
	}
	if _, err := segment.Read(t.Context(), store(t, segment.Key("other", 3), file), "other", 3); !errors.Is(err, segment.ErrDamaged) {
		t.Errorf("a segment of another source: %v", err)
	}
	if _, err := segment.Read(t.Context(), blobtest.NewMemory(), "acme", 3); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("no segment: %v", err)
	}
	if _, err := segment.Read(t.Context(), store(t, segment.Key("acme", 3), newer(t, file)), "acme", 3); !errors.Is(err, segment.ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
}

// newer makes a segment call itself one of a later format.
func newer(t *testing.T, file []byte) []byte {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	text, err := dec.DecodeAll(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(bytes.Replace(text, []byte(`"format":1`), []byte(`"format":9`), 1), nil)
}

func TestList(t *testing.T) {
	m := blobtest.NewMemory()
	for _, seq := range []int64{0, 1, 2, 10, 11} {
		file, _ := build(t, header(seq))
		if _, err := m.PutNew(t.Context(), segment.Key("acme", seq), bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.PutNew(t.Context(), segment.Key("acme_two", 5), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		first int64
		want  []int64
	}{{0, []int64{0, 1, 2, 10, 11}}, {2, []int64{2, 10, 11}}, {3, []int64{10, 11}}, {12, nil}} {
		var got []int64
		for seq, err := range segment.List(t.Context(), m, "acme", tt.first) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, seq)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("from %d: got %v, want %v", tt.first, got, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b segment.Builder
	b.Add(schema.KindAuth0Log, []byte(`{"a":1}`), t0)
	file, _, err := b.Encode(header(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		m := store(t, segment.Key("acme", 1), file)
		seg, err := segment.Read(t.Context(), m, "acme", 1)
		if scanned := scan(t, m, 1, nil); (err == nil) != (scanned == nil) {
			t.Fatalf("Read says %v, Scan %v", err, scanned)
		}
		if err != nil {
			return
		}
		if n := len(slices.Collect(seg.Records())); int64(n) != seg.Header.Count {
			t.Errorf("%d records where the header states %d", n, seg.Header.Count)
		}
	})
}
