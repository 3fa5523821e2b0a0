package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/schema"
)

// verifyBytes of packed segments are verified.
const verifyBytes = 1 << 30

// verify measures how fast segments are verified, beside sha256sum over the same
// bytes: over the files, where a checkpoint lists them, and, where none does,
// over the unpacked lines. The two take turns, so that both have the same
// machine; the best of each counts.
func (b *bench) verify(ctx context.Context, bytes int64) error {
	place, err := b.place("verify")
	if err != nil {
		return err
	}
	site, err := b.segments(ctx, place, bytes)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-34s %10s %9s %11s %9s\n", "verify beside sha256sum", "MiB", "verify", "sha256sum", "ratio")
	for _, reading := range []struct {
		title string
		lake  blob.Store
		files []string
		bytes int64
	}{
		{"listed by checkpoints: the files", site.lake, site.files, site.packed},
		{"not listed: the unpacked lines", site.empty, site.plain, site.unpacked},
	} {
		var ours, theirs []float64
		for range 4 {
			took, err := timed(func() error { return site.verify(ctx, reading.lake) })
			if err != nil {
				return err
			}
			ours = append(ours, float64(reading.bytes)/took/(1<<20))
			took, err = timed(func() error { return sha256sum(ctx, reading.files) })
			if err != nil {
				return err
			}
			theirs = append(theirs, float64(reading.bytes)/took/(1<<20))
		}
		a, z := slices.Max(ours), slices.Max(theirs)
		fmt.Printf("%-34s %10d %4.0f MB/s %6.0f MB/s %8.0f%%\n", reading.title, reading.bytes>>20, a*1.048576, z*1.048576, 100*a/z)
	}
	return os.RemoveAll(place)
}

func timed(do func() error) (seconds float64, err error) {
	began := time.Now()
	err = do()
	return time.Since(began).Seconds(), err
}

func sha256sum(ctx context.Context, files []string) error {
	cmd := exec.CommandContext(ctx, "sha256sum", files...) //nolint:gosec // files made here
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sha256sum: %w", err)
	}
	return nil
}

// landed is a chain of segments to verify.
type landed struct {
	raw, lake, empty blob.Store
	// files of the segments, and their lines, unpacked.
	files, plain     []string
	packed, unpacked int64
	keys             proof.Verifier
}

func (l *landed) verify(ctx context.Context, lakeStore blob.Store) error {
	r, err := verify.Run(ctx, verify.Options{Raw: l.raw, Lake: lakeStore, Keys: l.keys, HaveKeys: true})
	if err == nil && !r.OK() {
		err = fmt.Errorf("verify found %v", r.Findings[0])
	}
	if err == nil && (len(r.Sources) != 1 || r.Sources[0].Segments != int64(len(l.files))) {
		err = errors.New("verify did not see every segment")
	}
	return err
}

// segments lands so many bytes of packed segments, signed checkpoints of them,
// and their lines beside them.
func (b *bench) segments(ctx context.Context, place string, bytes int64) (*landed, error) {
	l := &landed{}
	var errs [3]error
	l.raw, errs[0] = blob.OpenDir(filepath.Join(place, "raw"))
	l.lake, errs[1] = blob.OpenDir(filepath.Join(place, "lake"))
	l.empty, errs[2] = blob.OpenDir(filepath.Join(place, "empty"))
	private, public, err := proof.GenerateKey("bench")
	if err := errors.Join(append(errs[:], err, os.MkdirAll(filepath.Join(place, "plain"), 0o700))...); err != nil {
		return nil, err
	}
	signer, errSigner := proof.NewSigner(private)
	l.keys, err = proof.NewVerifier(public)
	if err := errors.Join(err, errSigner); err != nil {
		return nil, err
	}
	w := &segmentWriter{landed: l, place: place, signer: signer, random: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same bytes in each run
	for l.packed < bytes {
		if err := errors.Join(ctx.Err(), w.next()); err != nil {
			return nil, err
		}
	}
	return l, w.checkpoint(ctx)
}

// segmentWriter lands segments of 8 MiB, as a run does.
type segmentWriter struct {
	*landed
	place  string
	signer proof.Signer
	random *rand.Rand
	prev   string
	list   []proof.Segment
	count  int64
	number int64
	before string
}

func (w *segmentWriter) next() error {
	seq := int64(len(w.files))
	h := segment.Header{Source: "bench", Kind: "bench", Seq: seq, Stream: segment.MainStream, Prev: w.prev, LandedAt: time.Unix(1_800_000_000+seq, 0).UTC()}
	var lines segment.Builder
	var plain []byte
	for seq > 0 && lines.Bytes() < 8<<20 {
		line := w.line(lines.Count())
		lines.Add(schema.KindAuth0Log, line, time.Time{})
		plain = append(append(plain, line...), '\n')
	}
	file, hash, err := lines.Encode(&h)
	if err != nil {
		return err
	}
	path := filepath.Join(w.place, "raw", filepath.FromSlash(segment.Key("bench", seq)))
	text := filepath.Join(w.place, "plain", fmt.Sprint(seq))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, file, 0o600), os.WriteFile(text, plain, 0o600)); err != nil {
		return err
	}
	w.prev, w.files, w.plain = hash, append(w.files, path), append(w.plain, text)
	w.packed += int64(len(file))
	w.unpacked += int64(len(plain))
	w.count += h.Count
	w.list = append(w.list, proof.Segment{Seq: seq, Header: hash, File: proof.HashText(string(file)), Count: h.Count, Bytes: h.Bytes})
	return nil
}

// line is one like those of Auth0, whose ids do not pack well.
func (w *segmentWriter) line(n int64) []byte {
	var id [40]byte
	for i := range id {
		id[i] = byte(w.random.Uint32()) //nolint:gosec // any byte
	}
	return fmt.Appendf(nil, `{"log_id":"%s","date":"2026-11-20T03:04:%02d.%03dZ","type":"s","user_id":"auth0|%s","user_name":"user%d@example.com","ip":"192.0.2.%d","client_id":"%s","client_name":"App","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}`,
		hex.EncodeToString(id[:16]), n%60, n%1000, hex.EncodeToString(id[16:28]), n, n%256, hex.EncodeToString(id[28:]))
}

func (w *segmentWriter) checkpoint(ctx context.Context) error {
	for part := range slices.Chunk(w.list, proof.MaxEntries) {
		last := part[len(part)-1]
		w.number++
		c := proof.Checkpoint{
			Source: "bench", Kind: "bench", Number: w.number, Previous: w.before, Time: time.Unix(1_800_000_000, 0),
			Head: last.Seq, HeadHash: last.Header, Records: w.count, Segments: part,
		}
		w.before = c.Hash()
		msg, err := w.signer.Sign(c.Text())
		if err != nil {
			return err
		}
		path := filepath.Join(w.place, "lake", filepath.FromSlash(proof.Key("bench", w.number)))
		if err := errors.Join(ctx.Err(), os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, msg, 0o600)); err != nil {
			return err
		}
	}
	return nil
}
