package segment_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
)

const note = "manifests/acme/erase-1.note"

func erased(n int64) segment.Erased {
	return segment.Erased{Record: n, At: t0.Add(time.Hour), Note: note, Seen: "000102030405060708090a0b0c0d0e0f"}
}

func amend(t *testing.T, file []byte, erase ...segment.Erased) []byte {
	t.Helper()
	out, err := segment.Amend(file, erase)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fileHash(file []byte) string {
	h := sha256.Sum256(file)
	return hex.EncodeToString(h[:])
}

// records reads a segment both ways and returns kind and line of each record.
func records(t *testing.T, file []byte, seq int64) ([]string, *segment.Segment) {
	t.Helper()
	m := store(t, segment.Key("acme", seq), file)
	seg, err := segment.Read(t.Context(), m, "acme", seq)
	if err != nil {
		t.Fatal(err)
	}
	var read, scanned []string
	for rec := range seg.Records() {
		if want := (schema.Position{Segment: seq, Record: int64(len(read))}); rec.At != want {
			t.Errorf("record at %v, want %v", rec.At, want)
		}
		read = append(read, string(rec.Kind)+" "+string(rec.Line))
	}
	err = segment.Scan(t.Context(), m, "acme", seq, func(*segment.Header) error { return nil }, func(rec segment.Record) error {
		scanned = append(scanned, string(rec.Kind)+" "+string(rec.Line))
		return nil
	})
	if diff := cmp.Diff(read, scanned); err != nil || diff != "" {
		t.Errorf("scanned (-read +scanned), %v:\n%s", err, diff)
	}
	return read, seg
}

func TestErasedRecords(t *testing.T) {
	file, hash := build(t, header(7), `{"a":1}`, `{"secret":2}`, `{"c":3}`, `{"d":4}`)
	if _, seg := records(t, file, 7); seg.Erased() != nil || seg.Previous() != nil {
		t.Error("a segment as it was landed tells of erased records")
	}
	first := amend(t, file, erased(1))
	second := amend(t, first, erased(3), erased(1))
	mark := `erased {"idtrail_erased":{"header":"` + hash + `","at":"2026-11-20T13:00:00Z","note":"` + note + `"}}`
	for _, tt := range []struct {
		file     []byte
		want     []string
		erased   []segment.Erased
		previous []string
	}{
		{first, []string{`auth0_log {"a":1}`, mark, `unparsed {"c":3}`, `auth0_log {"d":4}`}, []segment.Erased{erased(1)}, []string{fileHash(file)}},
		{second, []string{`auth0_log {"a":1}`, mark, `unparsed {"c":3}`, mark}, []segment.Erased{erased(1), erased(3)}, []string{fileHash(file), fileHash(first)}},
	} {
		got, seg := records(t, tt.file, 7)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(tt.erased, seg.Erased()); diff != "" {
			t.Errorf("erased (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(tt.previous, seg.Previous()); diff != "" {
			t.Errorf("previous (-want +got):\n%s", diff)
		}
		if seg.SHA256 != hash {
			t.Error("the header changed: the chain is broken")
		}
		if id, ok := seg.Erased()[0].SeenID(); !ok || id[15] != 15 {
			t.Errorf("seen id %v, %v", id, ok)
		}
		if only, err := segment.DecodeHeader(tt.file, "acme", 7); err != nil || only.SHA256 != hash {
			t.Errorf("header alone: %v, %v", only, err)
		}
		if bytes.Contains(plain(t, tt.file), []byte("secret")) {
			t.Error("what was erased is still there")
		}
	}
	if again := amend(t, file, erased(1)); !bytes.Equal(again, first) {
		t.Error("the same erasure gives other bytes")
	}
	later := erased(1)
	later.At = t0.AddDate(1, 0, 0)
	if again := amend(t, first, later); !bytes.Equal(again, first) {
		t.Error("erasing what is erased changes something")
	}
	if none := amend(t, file); !bytes.Equal(none, file) {
		t.Error("erasing nothing changes something")
	}
}

func plain(t *testing.T, file []byte) []byte {
	t.Helper()
	dec, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	text, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is erased may be all there is, of the largest and oddest lines, and the
// header's frame may take many blocks.
func TestEraseAll(t *testing.T) {
	h := header(3)
	for range 5000 {
		h.Inputs = append(h.Inputs, schema.Input{Key: strings.Repeat("k", 100) + fileHash([]byte{byte(len(h.Inputs)), byte(len(h.Inputs) >> 8)})})
	}
	file, _ := build(t, h, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`, `{"amended":{}}`, `{"idtrail_erased":{"header":"x","at":""}}`)
	before, _ := records(t, file, 3)
	if before[2] != `unparsed {"idtrail_erased":{"header":"x","at":""}}` {
		t.Errorf("a record that looks like a mark is read as %s", before[2])
	}
	got, seg := records(t, amend(t, file, erased(0), erased(1), erased(2)), 3)
	for _, rec := range got {
		if !strings.HasPrefix(rec, "erased {") {
			t.Errorf("left: %.100s", rec)
		}
	}
	if len(got) != 3 || len(seg.Erased()) != 3 || len(seg.Header.Inputs) != 5000 {
		t.Errorf("%d records, %d erased, %d inputs", len(got), len(seg.Erased()), len(seg.Header.Inputs))
	}
}

func TestWhatCannotBeAmended(t *testing.T) {
	file, _ := build(t, header(3), `{"a":1}`)
	odd := erased(0)
	odd.Seen = "xyz"
	text := erased(0)
	text.Note = "\xff"
	timeless := erased(0)
	timeless.At = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, e := range map[string]segment.Erased{"behind": erased(1), "before": erased(-1), "odd hash": odd, "no text": text, "no time": timeless} {
		if _, err := segment.Amend(file, []segment.Erased{e}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for i := range file {
		if _, err := segment.Amend(file[:i], []segment.Erased{erased(0)}); !errors.Is(err, segment.ErrDamaged) {
			t.Errorf("cut at %d: got %v", i, err)
		}
	}
	if _, err := segment.Amend(newer(t, file), []segment.Erased{erased(0)}); !errors.Is(err, segment.ErrNewer) && !errors.Is(err, segment.ErrDamaged) {
		t.Errorf("a newer segment: %v", err)
	}
}

// Whatever is done to the frames of an amended segment, it is noticed.
func TestTamperedAmendments(t *testing.T) {
	file, _ := build(t, header(3), `{"a":1}`, `{"b":2}`, `{"c":3}`)
	out := plain(t, amend(t, file, erased(1)))
	lines := strings.SplitAfter(string(out), "\n")
	lines = lines[:len(lines)-1] // header, three records, amendment
	with := func(n int, line string) []string {
		c := slices.Clone(lines)
		c[n] = line
		return c
	}
	resum := func(c []string, edit func(a map[string]any)) []string {
		var a map[string]map[string]any
		if err := json.Unmarshal([]byte(c[len(c)-1]), &a); err != nil {
			t.Fatal(err)
		}
		a["amended"]["sha256"] = fileHash([]byte(strings.Join(c[1:len(c)-1], "")))
		if edit != nil {
			edit(a["amended"])
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return append(slices.Clone(c[:len(c)-1]), string(text)+"\n")
	}
	for name, tt := range map[string]struct {
		lines []string
		want  error
	}{
		"as it is":          {lines, nil},
		"written anew":      {resum(lines, nil), nil},
		"record altered":    {with(1, "{\"a\":9}\n"), segment.ErrDamaged},
		"mark altered":      {with(2, strings.Replace(lines[2], "13:00", "14:00", 1)), segment.ErrDamaged},
		"mark otherwise":    {resum(with(2, strings.Replace(lines[2], "13:00", "14:00", 1)), nil), segment.ErrDamaged},
		"mark made record":  {resum(with(2, "{\"b\":3}\n"), nil), segment.ErrDamaged},
		"amendment gone":    {lines[:4], segment.ErrDamaged},
		"record gone":       {resum(append(slices.Clone(lines[:3]), lines[4]), nil), segment.ErrDamaged},
		"two amendments":    {append(slices.Clone(lines), lines[4]), segment.ErrDamaged},
		"other text behind": {with(4, "{\"a\":1}\n"), segment.ErrDamaged},
		"no line feed":      {with(4, strings.TrimSuffix(lines[4], "\n")), segment.ErrDamaged},
		"lists none":        {resum(lines, func(a map[string]any) { a["erased"] = nil }), segment.ErrDamaged},
		"replaces none":     {resum(lines, func(a map[string]any) { a["previous"] = nil }), segment.ErrDamaged},
		"odd id":            {resum(lines, func(a map[string]any) { a["erased"].([]any)[0].(map[string]any)["seen"] = "1" }), segment.ErrDamaged},
		"newer":             {resum(lines, func(a map[string]any) { a["format"] = 9 }), segment.ErrNewer},
		"no format":         {resum(lines, func(a map[string]any) { delete(a, "format") }), segment.ErrDamaged},
	} {
		enc, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		packed := enc.EncodeAll([]byte(tt.lines[0]), nil)
		packed = enc.EncodeAll([]byte(strings.Join(tt.lines[1:], "")), packed)
		m := store(t, segment.Key("acme", 3), packed)
		_, read := segment.Read(t.Context(), m, "acme", 3)
		scanned := scan(t, m, 3, nil)
		_, amended := segment.Amend(packed, nil)
		for how, err := range map[string]error{"Read": read, "Scan": scanned, "Amend": amended} {
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %s says %v, want %v", name, how, err, tt.want)
			}
		}
	}
}

func TestDamagedAmendments(t *testing.T) {
	file, _ := build(t, header(3), strings.Repeat(`{"a":1}`, 100), `{"b":2}`)
	out := amend(t, file, erased(1))
	for i := range out {
		for _, damaged := range [][]byte{out[:i], flip(out, i)} {
			m := store(t, segment.Key("acme", 3), damaged)
			seg, err := segment.Read(t.Context(), m, "acme", 3)
			if scanned := scan(t, m, 3, nil); (err == nil) != (scanned == nil) {
				t.Fatalf("at byte %d: Read says %v, Scan %v", i, err, scanned)
			}
			if err == nil && len(damaged) == len(out) && len(seg.Erased()) == 1 {
				continue // a bit of a frame's header that changes nothing one reads
			}
			if !errors.Is(err, segment.ErrDamaged) {
				t.Fatalf("at byte %d: got %v, want ErrDamaged", i, err)
			}
		}
	}
}

func FuzzAmended(f *testing.F) {
	var b segment.Builder
	b.Add(schema.KindAuth0Log, []byte(`{"a":1}`), t0)
	b.Add(schema.KindUnparsed, []byte(`{"b":2}`), t0)
	file, _, err := b.Encode(header(1))
	if err != nil {
		f.Fatal(err)
	}
	out, err := segment.Amend(file, []segment.Erased{erased(1)})
	if err != nil {
		f.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	defer dec.Close()
	for _, seed := range [][]byte{file, out} {
		text, err := dec.DecodeAll(seed, nil)
		if err != nil {
			f.Fatal(err)
		}
		head, body, _ := bytes.Cut(text, []byte("\n"))
		f.Add(head, body)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		file := enc.EncodeAll(append(slices.Clone(head), '\n'), nil)
		file = enc.EncodeAll(body, file)
		m := store(t, segment.Key("acme", 1), file)
		seg, err := segment.Read(t.Context(), m, "acme", 1)
		if scanned := scan(t, m, 1, nil); (err == nil) != (scanned == nil) {
			t.Fatalf("Read says %v, Scan %v", err, scanned)
		}
		if err != nil {
			return
		}
		n := int64(len(slices.Collect(seg.Records())))
		if n != seg.Header.Count {
			t.Errorf("%d records where the header states %d", n, seg.Header.Count)
		}
		if n == 0 {
			return
		}
		out, err := segment.Amend(file, []segment.Erased{erased(0)})
		if err != nil {
			t.Fatalf("amend: %v", err)
		}
		if _, err := segment.Read(t.Context(), store(t, segment.Key("acme", 1), out), "acme", 1); err != nil {
			t.Errorf("read what was amended: %v", err)
		}
	})
}
