package verify_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

func TestHealthy(t *testing.T) {
	s := fill(t)
	for _, deep := range []bool{false, true} {
		o := s.options(t)
		o.Deep = deep
		r := wantHealthy(t, o)
		if len(r.Sources) != 2 || r.Sources[0].Source != "acme" || r.Sources[1].Source != "users" {
			t.Fatalf("sources %+v", r.Sources)
		}
		acme := r.Sources[0]
		if acme.Records != 400 || acme.Proven != acme.Segments || acme.Segments < 9 || len(acme.Gaps) != 1 || acme.Checkpoint != 4 || acme.Signed != 4 {
			t.Errorf("acme: %+v", acme)
		}
		for _, sink := range acme.Sinks {
			if sink.Records != 400 || sink.Rejected != 10 || sink.Events != 390 || sink.Gaps != 1 || sink.Pending != 0 || sink.Flushes != 4 {
				t.Errorf("sink of acme: %+v", sink)
			}
		}
		if users := r.Sources[1]; users.Sinks[0].Users != 30 || users.Checkpoint != 1 {
			t.Errorf("users: %+v; want one checkpoint: nothing was new in later runs", users)
		}
	}
	var anchors []verify.Anchor
	for _, a := range wantHealthy(t, s.options(t)).Anchors() {
		again, err := verify.ParseAnchor(a.String())
		if err != nil || again != a {
			t.Errorf("anchor %v is read as %v, %v", a, again, err)
		}
		anchors = append(anchors, again)
	}
	o := s.options(t)
	o.Anchors = anchors
	wantHealthy(t, o)
}

// alteration is something done to a lake, and what has to be said of it.
type alteration struct {
	name string
	// do alters the site and returns what is to be found.
	do func(t *testing.T, s *site) []want
	// anchored: nobody can see it without a head kept elsewhere.
	anchored bool
}

type want struct {
	class  verify.Class
	object string
	words  string // somewhere in its detail
}

func one(class verify.Class, object, words string) []want { return []want{{class, object, words}} }

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// seg is the key of a segment in the middle; two checkpoints stand behind it.
func seg(n int64) string { return segment.Key("acme", n) }

func alterations() []alteration {
	inTable := func(t *testing.T, s *site, prefix string) string {
		t.Helper()
		return keys(t, s.lake, prefix)[0]
	}
	flushKey := lake.RecordKey("lake", "acme", 0)
	secondFlush := func(t *testing.T, s *site) string { return keys(t, s.lake, "flushes/lake/acme/")[1] }
	last := func(t *testing.T, s *site) string {
		all := keys(t, s.raw, "acme/")
		return all[len(all)-1]
	}
	return []alteration{
		{name: "byte flipped in a header", do: func(t *testing.T, s *site) []want {
			put(t, s.raw, seg(3), flip(get(t, s.raw, seg(3)), 30))
			return one(verify.Altered, seg(3), "SHA-256")
		}},
		{name: "byte flipped in a body", do: func(t *testing.T, s *site) []want {
			b := get(t, s.raw, seg(3))
			put(t, s.raw, seg(3), flip(b, len(b)-20))
			return one(verify.Altered, seg(3), "its records are not")
		}},
		{name: "byte flipped in a signature", do: func(t *testing.T, s *site) []want {
			b := get(t, s.lake, proof.Key("acme", 2))
			b[len(b)-12] = map[bool]byte{true: 'B', false: 'A'}[b[len(b)-12] == 'A']
			put(t, s.lake, proof.Key("acme", 2), b)
			return one(verify.Altered, proof.Key("acme", 2), "signature")
		}},
		{name: "number changed in a checkpoint", do: func(t *testing.T, s *site) []want {
			b := string(get(t, s.lake, proof.Key("acme", 2)))
			put(t, s.lake, proof.Key("acme", 2), []byte(strings.Replace(b, "totals ", "totals 1", 1)))
			return one(verify.Altered, proof.Key("acme", 2), "signature")
		}},
		{name: "byte flipped in a flush record", do: func(t *testing.T, s *site) []want {
			b := get(t, s.lake, flushKey)
			put(t, s.lake, flushKey, []byte(strings.Replace(string(b), `"writer": "test"`, `"writer": "tess"`, 1)))
			return one(verify.Altered, flushKey, "checkpoint")
		}},
		{name: "flush record is no JSON", do: func(t *testing.T, s *site) []want {
			put(t, s.lake, flushKey, flip(get(t, s.lake, flushKey), 0))
			return one(verify.Altered, flushKey, "decode")
		}},
		{name: "byte flipped in Parquet", do: func(t *testing.T, s *site) []want {
			key := inTable(t, s, "events/source=acme/")
			put(t, s.lake, key, flip(get(t, s.lake, key), 100))
			return one(verify.Altered, key, "SHA-256")
		}},
		{name: "byte flipped in JSON", do: func(t *testing.T, s *site) []want {
			key := inTable(t, s, "events_json/source=acme/")
			put(t, s.lake, key, flip(get(t, s.lake, key), 100))
			return one(verify.Altered, key, "SHA-256")
		}},
		{name: "first segment deleted", do: func(t *testing.T, s *site) []want {
			remove(t, s.raw, seg(0))
			return one(verify.Missing, seg(0), "segment 0 is not there, segment 1 is")
		}},
		{name: "segments deleted in the middle", do: func(t *testing.T, s *site) []want {
			remove(t, s.raw, seg(3), seg(4))
			return one(verify.Missing, seg(3), "segments 3 to 4 are not there, segment 5 is; records gone: ")
		}},
		{name: "last segment deleted", do: func(t *testing.T, s *site) []want {
			key := last(t, s)
			remove(t, s.raw, key)
			return one(verify.Truncated, key, "checkpoint 4 says it went to")
		}},
		{name: "flush record deleted", do: func(t *testing.T, s *site) []want {
			key := secondFlush(t, s)
			remove(t, s.lake, key)
			return one(verify.Missing, key, "no flush record says")
		}},
		{name: "last flush record deleted", do: func(t *testing.T, s *site) []want {
			key := keys(t, s.lake, "flushes/json/acme/")[3]
			remove(t, s.lake, key)
			return one(verify.Missing, key, "a checkpoint states this flush")
		}},
		{name: "Parquet deleted", do: func(t *testing.T, s *site) []want {
			key := inTable(t, s, "events/source=acme/")
			remove(t, s.lake, key)
			return one(verify.Missing, key, flushKey)
		}},
		{name: "checkpoint deleted in the middle", do: func(t *testing.T, s *site) []want {
			remove(t, s.lake, proof.Key("acme", 2))
			return one(verify.Missing, proof.Key("acme", 2), "checkpoint 2 is not there, checkpoint 3 is")
		}},
		{name: "last checkpoint deleted", anchored: true, do: func(t *testing.T, s *site) []want {
			remove(t, s.lake, proof.Key("acme", 4))
			return one(verify.Truncated, proof.Key("acme", 4), "the newest checkpoint is 3")
		}},
		{name: "segments swapped", do: func(t *testing.T, s *site) []want {
			a, b := get(t, s.raw, seg(3)), get(t, s.raw, seg(5))
			put(t, s.raw, seg(3), b)
			put(t, s.raw, seg(5), a)
			return []want{{verify.Altered, seg(3), "it is the file of segment 5"}, {verify.Altered, seg(5), "it is the file of segment 3"}}
		}},
		{name: "segment forged", do: func(t *testing.T, s *site) []want {
			put(t, s.raw, seg(4), forge(t, s, 4, nil))
			return one(verify.Altered, seg(4), "its header is another")
		}},
		{name: "gap removed", do: func(t *testing.T, s *site) []want {
			n := withGap(t, s)
			put(t, s.raw, seg(n), forge(t, s, n, func(h *segment.Header) { h.Gaps = nil }))
			return one(verify.Altered, seg(n), "the gap from 2026-11-18T23:00:00Z to 2026-11-19T00:00:00Z is not in it any more")
		}},
		{name: "signed with another key", do: func(t *testing.T, s *site) []want {
			private, _, err := proof.GenerateKey("acme.example")
			if err != nil {
				t.Fatal(err)
			}
			signer, _ := proof.NewSigner(private)
			msg, _ := signer.Sign(textOf(t, s, proof.Key("acme", 3)))
			put(t, s.lake, proof.Key("acme", 3), msg)
			return one(verify.WrongKey, proof.Key("acme", 3), "acme.example")
		}},
		{name: "signature stripped", do: func(t *testing.T, s *site) []want {
			put(t, s.lake, proof.Key("acme", 4), []byte(textOf(t, s, proof.Key("acme", 4))+"\n"))
			return one(verify.Unsigned, proof.Key("acme", 4), "no signature")
		}},
		{name: "all signatures stripped", do: func(t *testing.T, s *site) []want {
			for n := int64(1); n <= 4; n++ {
				put(t, s.lake, proof.Key("acme", n), []byte(textOf(t, s, proof.Key("acme", n))+"\n"))
			}
			return one(verify.Unsigned, proof.Key("acme", 4), "nor does any note")
		}},
		{name: "row taken out of Parquet", do: func(t *testing.T, s *site) []want {
			key := inTable(t, s, "events/source=acme/")
			n := len(rowsOf(t, s, key))
			put(t, s.lake, key, withoutRow(t, s, key))
			return one(verify.Altered, key, fmt.Sprintf("1 of its %d rows are gone", n))
		}},
		{name: "row taken out of Parquet, and the flush record rewritten", do: func(t *testing.T, s *site) []want {
			key := inTable(t, s, "events/source=acme/")
			body := withoutRow(t, s, key)
			put(t, s.lake, key, body)
			r, err := lake.DecodeRecord(get(t, s.lake, flushKey))
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Objects {
				if r.Objects[i].Key == key {
					r.Objects[i].SHA256, r.Objects[i].Bytes = proof.HashText(string(body)), int64(len(body))
					r.Objects[i].Rows--
				}
			}
			r.Counts.Events--
			text, _ := json.MarshalIndent(r, "", "  ")
			put(t, s.lake, flushKey, append(text, '\n'))
			return one(verify.Altered, flushKey, "rows, and stated")
		}},
		{name: "chain truncated with everything about it", anchored: true, do: func(t *testing.T, s *site) []want {
			for _, sink := range []string{"lake", "json"} {
				key := keys(t, s.lake, "flushes/"+sink+"/acme/")[3]
				r, _ := lake.DecodeRecord(get(t, s.lake, key))
				for _, o := range r.Objects {
					remove(t, s.lake, o.Key)
				}
				for n := r.From; n < r.To; n++ {
					remove(t, s.raw, seg(n))
				}
				remove(t, s.lake, key)
			}
			remove(t, s.lake, proof.Key("acme", 4))
			all := keys(t, s.raw, "acme/")
			return []want{
				{verify.Truncated, seg(int64(len(all))), "the anchor says it went to"},
				{verify.Truncated, proof.Key("acme", 4), "the anchor names this one"},
			}
		}},
		{name: "object added to a table", do: func(t *testing.T, s *site) []want {
			key := "events/source=acme/dt=2026-11-18/extra.parquet"
			put(t, s.lake, key, get(t, s.lake, inTable(t, s, "events/source=acme/")))
			return one(verify.Unaccounted, key, "no flush record names it")
		}},
		{name: "objects added elsewhere", do: func(t *testing.T, s *site) []want {
			var wants []want
			for _, key := range []string{"acme/hello.txt", "manifests/acme/hello.note", "flushes/lake/acme/hello.json", "events/hello.parquet"} {
				store := s.lake
				if strings.HasPrefix(key, "acme/") {
					store = s.raw
				}
				put(t, store, key, []byte("hello"))
				wants = append(wants, want{verify.Unaccounted, key, ""})
			}
			return wants
		}},
		{name: "range of a flush doubled", do: func(t *testing.T, s *site) []want {
			r, err := lake.DecodeRecord(get(t, s.lake, secondFlush(t, s)))
			if err != nil {
				t.Fatal(err)
			}
			r.From++
			text, _ := json.MarshalIndent(r, "", "  ")
			key := lake.RecordKey("lake", "acme", r.From)
			put(t, s.lake, key, append(text, '\n'))
			return one(verify.Doubled, key, "are in the flush before it too")
		}},
		{name: "flush record copied", do: func(t *testing.T, s *site) []want {
			key := lake.RecordKey("lake", "acme", 1)
			put(t, s.lake, key, get(t, s.lake, flushKey))
			return one(verify.Doubled, key, "copy of another")
		}},
	}
}

// Whatever is done to a lake is named: by the right class and object, once.
func TestAlterations(t *testing.T) { testAlterations(t, fill(t), false, true) }

// The same on a lake of a million events.
func TestAlterationsAmongAMillion(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("make integration runs it: a million events take minutes, and the race detector many more")
	}
	testAlterations(t, fillOf(t, 1_000_000, 10_000), false)
}

func testAlterations(t *testing.T, healthy *site, readings ...bool) {
	t.Helper()
	anchors := wantHealthy(t, healthy.options(t)).Anchors()
	for _, a := range alterations() {
		t.Run(a.name, func(t *testing.T) {
			s := healthy.copied(t)
			wants := a.do(t, s)
			for _, deep := range readings {
				o := s.options(t)
				o.Deep = deep
				if a.anchored {
					wantHealthy(t, o) // nobody can see it without
					o.Anchors = anchors
				}
				wantFindings(t, judge(t, o).Findings, wants)
			}
		})
	}
}

func wantFindings(t *testing.T, got []verify.Finding, wants []want) {
	t.Helper()
	for _, w := range wants {
		i := slices.IndexFunc(got, func(f verify.Finding) bool { return f.Object == w.object })
		if i < 0 {
			t.Errorf("nothing was found of %s, want %s", w.object, w.class)
			continue
		}
		if f := got[i]; f.Class != w.class || !strings.Contains(f.Detail, w.words) {
			t.Errorf("%s: got %s, %q; want %s, %q", f.Object, f.Class, f.Detail, w.class, w.words)
		}
		got = slices.Delete(slices.Clone(got), i, i+1)
	}
	for _, f := range got {
		t.Errorf("also found: %s %s: %s", f.Class, f.Object, f.Detail)
	}
}

// forge writes a segment anew, well formed and in the chain, with a record less.
func forge(t *testing.T, s *site, n int64, change func(*segment.Header)) []byte {
	t.Helper()
	was, err := segment.Read(t.Context(), s.raw, "acme", n)
	if err != nil {
		t.Fatal(err)
	}
	h := was.Header
	var b segment.Builder
	for rec := range was.Records() {
		line := rec.Line
		if change == nil {
			line = []byte(strings.Replace(string(line), "192.0.2.1", "192.0.2.2", 1))
		}
		b.Add(rec.Kind, line, rec.Kind.Time(line))
	}
	if change != nil {
		change(&h)
	}
	file, _, err := b.Encode(&h)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func withGap(t *testing.T, s *site) int64 {
	t.Helper()
	for n := range int64(200) {
		if seg, err := segment.ReadHeader(t.Context(), s.raw, "acme", n); err == nil && len(seg.Header.Gaps) > 0 {
			return n
		}
	}
	t.Fatal("no segment declares a gap")
	return 0
}

func textOf(t *testing.T, s *site, key string) string {
	t.Helper()
	v, err := proof.NewVerifier(s.public)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := v.Open(get(t, s.lake, key))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rowsOf(t *testing.T, s *site, key string) []schema.Event {
	t.Helper()
	var rows []schema.Event
	for e, err := range lake.ReadTable[schema.Event](t.Context(), s.lake, key) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, e)
	}
	return rows
}

// withoutRow is a valid Parquet file of the same rows but one.
func withoutRow(t *testing.T, s *site, key string) []byte {
	t.Helper()
	store := blobtest.NewMemory()
	writeParquet(t, store, rowsOf(t, s, key)[1:])
	return get(t, store, keys(t, store, "events/")[0])
}
