package proof_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/proof"
)

var at = time.Date(2026, 11, 20, 3, 4, 5, 6_000_000, time.UTC)

func checkpoint() *proof.Checkpoint {
	hash := proof.HashText
	return &proof.Checkpoint{
		Source: "acme", Kind: "auth0_logs", Identity: "acme corp.eu.auth0.com\n%-é",
		Number: 2, Previous: hash("1"), Time: at, Head: 7, HeadHash: hash("7"), Records: 12, Gaps: 1,
		Segments: []proof.Segment{{Seq: 6, Header: hash("6"), File: hash("f6"), Count: 5, Bytes: 700}, {Seq: 7, Header: hash("7"), File: hash("f7"), Count: 7, Bytes: 900}},
		GapList:  []proof.Gap{{Segment: 7, N: 0, From: at.Add(-time.Hour), To: at, Reason: "older than the tenant keeps"}},
		Flushes:  []proof.Flush{{Sink: "lake", From: 1, To: 7, Record: hash("r"), Objects: 3, Rows: 12}},
		Changes:  []proof.Reference{{Key: "manifests/acme/prune-x-1.note", Hash: hash("p")}},
	}
}

func change() *proof.Change {
	return &proof.Change{
		Kind: proof.Erase, Source: "acme", Time: at, Reason: "asked for by the person", Subject: "hmac:0123", Head: -1,
		Objects: []proof.ChangedObject{
			{Store: proof.Raw, Key: "acme/000000000003.ndjson.zst", Old: proof.HashText("a"), New: proof.HashText("b"), Removed: 2},
			{Store: proof.Lake, Key: "events/source=acme/dt=2026-11-20/x.parquet", Old: proof.HashText("c"), Removed: 9},
		},
	}
}

func TestTextsAreReadAsWritten(t *testing.T) {
	c, err := proof.ParseCheckpoint(checkpoint().Text())
	if diff := cmp.Diff(checkpoint(), c); err != nil || diff != "" {
		t.Errorf("checkpoint (-want +got): %v\n%s", err, diff)
	}
	ch, err := proof.ParseChange(change().Text())
	if diff := cmp.Diff(change(), ch); err != nil || diff != "" {
		t.Errorf("change (-want +got): %v\n%s", err, diff)
	}
}

// No byte of a text can be another without being noticed, signature or not.
func TestTextsHaveOneForm(t *testing.T) {
	text := checkpoint().Text()
	for name, altered := range map[string]string{
		"no title":       strings.TrimPrefix(text, "idtrail "),
		"cut off":        text[:len(text)-10],
		"no line feed":   strings.TrimSuffix(text, "\n"),
		"word more":      strings.Replace(text, "totals 12 1", "totals 12 1 1", 1),
		"word less":      strings.Replace(text, "totals 12 1", "totals 12", 1),
		"number odd":     strings.Replace(text, "totals 12 1", "totals 012 1", 1),
		"number huge":    strings.Replace(text, "totals 12", "totals 99999999999999999999", 1),
		"hash short":     strings.Replace(text, "head 7 ", "head 7 a", 1),
		"time odd":       strings.Replace(text, "time 2026", "time 26", 1),
		"line twice":     text + "time 2026-11-20T03:04:05.006Z\n",
		"order":          strings.Replace(text, "totals 12 1\n", "", 1) + "totals 12 1\n",
		"line unknown":   text + "note hello\n",
		"escape cut":     strings.Replace(text, "%0A", "%0", 1),
		"escape lower":   strings.Replace(text, "%0A", "%0a", 1),
		"blank line":     text + "\n",
		"other document": change().Text(),
	} {
		if altered == text {
			t.Errorf("%s: nothing was altered", name)
		}
		if c, err := proof.ParseCheckpoint(altered); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("%s: got %v, %v, want %v", name, c, err, proof.ErrMalformed)
		}
	}
}

func TestSignedNotes(t *testing.T) {
	private, public := key(t, "acme.example")
	_, other := key(t, "acme.example")
	signer, err := proof.NewSigner(private + "\n")
	if err != nil || !signer.Signs() {
		t.Fatalf("signer %v, %v", signer, err)
	}
	text := checkpoint().Text()
	msg, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	altered := strings.Replace(string(msg), "totals 12", "totals 13", 1)
	unsigned, _ := proof.Signer{}.Sign(text)
	for name, c := range map[string]struct {
		msg    string
		key    string
		want   error
		signer string
		text   string
	}{
		"good":      {string(msg), public, nil, "acme.example", text},
		"other key": {string(msg), other, proof.ErrKey, "acme.example", text},
		"altered":   {altered, public, proof.ErrSignature, "acme.example", ""},
		"unsigned":  {string(unsigned), public, proof.ErrUnsigned, "", text},
		"stripped":  {string(msg[:strings.Index(string(msg), "\n\n")+2]), public, proof.ErrUnsigned, "", text},
		"cut":       {string(msg[:len(msg)-9]), public, proof.ErrMalformed, "", ""},
		"garbage":   {"hello", public, proof.ErrMalformed, "", ""},
	} {
		v, err := proof.NewVerifier(c.key)
		if err != nil {
			t.Fatal(err)
		}
		text, signer, err := v.Open([]byte(c.msg))
		if !errors.Is(err, c.want) || signer != c.signer || text != c.text {
			t.Errorf("%s: got %q, %v; want %q, %v; text fits: %v", name, signer, err, c.signer, c.want, text == c.text)
		}
	}
	if _, _, err := (proof.Verifier{}).Open(msg); !errors.Is(err, proof.ErrKey) {
		t.Errorf("without keys: got %v, want %v", err, proof.ErrKey)
	}
}

func TestKeys(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b"} {
		if _, _, err := proof.GenerateKey(name); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	private, _ := key(t, "acme")
	for _, bad := range []string{"", "hello", private[:len(private)-5], private + "x"} {
		if _, err := proof.NewSigner(bad); err == nil || len(bad) > 20 && strings.Contains(err.Error(), bad[12:20]) {
			t.Errorf("a damaged key gives %v", err)
		}
	}
	if _, err := proof.NewVerifier("hello"); err == nil {
		t.Error("a public key without a form was taken")
	}
}

// A checkpoint of the most entries stays below what readers of notes take.
func TestLargestCheckpoint(t *testing.T) {
	private, public := key(t, "acme")
	signer, _ := proof.NewSigner(private)
	c := checkpoint()
	for len(c.Segments) < proof.MaxEntries {
		c.Segments = append(c.Segments, proof.Segment{Seq: 1 << 40, Header: c.HeadHash, File: c.HeadHash, Count: 1 << 40, Bytes: 1 << 50})
	}
	msg, err := signer.Sign(c.Text())
	if err != nil {
		t.Fatal(err)
	}
	v, _ := proof.NewVerifier(public)
	if _, _, err := v.Open(msg); err != nil {
		t.Errorf("%d bytes: %v", len(msg), err)
	}
}

func key(t *testing.T, name string) (private, public string) {
	t.Helper()
	private, public, err := proof.GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func FuzzParse(f *testing.F) {
	f.Add(checkpoint().Text())
	f.Add(change().Text())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := proof.ParseCheckpoint(text); err == nil && c.Text() != text {
			t.Error("a checkpoint is read that would be written otherwise")
		}
		if c, err := proof.ParseChange(text); err == nil && c.Text() != text {
			t.Error("a change is read that would be written otherwise")
		}
	})
}
