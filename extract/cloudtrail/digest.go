package cloudtrail

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/records"
	"github.com/idtrail/idtrail/schema"
)

const (
	// maxDigest bounds a digest, unpacked: some hundred thousand files.
	maxDigest = 256 << 20
	// digestSpan is how much time a digest is about.
	digestSpan = time.Hour
	// patient is how long after a digest's end what it names may be on its way
	// still: replication to another bucket keeps no order.
	patient = time.Hour
)

// digest is what CloudTrail signs every hour.
type digest struct {
	Start       time.Time `json:"digestStartTime"`
	End         time.Time `json:"digestEndTime"`
	EndText     string    `json:"-"`
	Bucket      string    `json:"digestS3Bucket"`
	Object      string    `json:"digestS3Object"`
	Fingerprint string    `json:"digestPublicKeyFingerprint"`

	PreviousObject    *string `json:"previousDigestS3Object"`
	PreviousHash      *string `json:"previousDigestHashValue"`
	PreviousSignature *string `json:"previousDigestSignature"`

	Files []digestFile `json:"logFiles"`

	sha256 string
}

// digestFile is a file that a digest lists.
type digestFile struct {
	Object    string    `json:"s3Object"`
	Hash      string    `json:"hashValue"`
	Algorithm string    `json:"hashAlgorithm"`
	Newest    time.Time `json:"newestEventTime"`
	Oldest    time.Time `json:"oldestEventTime"`
}

// chain is how far the digests of one trail, account and region are followed.
type chain struct {
	key    string
	sha256 string
	bad    bool // it was condemned: that its hash differs too is no news
	end    time.Time
	// waits says that one could not be judged yet; those behind it wait too.
	waits bool
}

func (c *chain) follow(in extract.Input, end time.Time) {
	c.key, c.sha256, c.bad, c.end = in.Key, in.SHA256, in.Fault != "", end
}

// judgement is what a digest proves.
type judgement struct {
	folder *folder
	object object
	chain  *chain
	digest digest
	gaps   []schema.Gap
	// fault says why the digest itself proves nothing.
	fault string
	// wait says that something may still come.
	wait bool
}

// digest follows a chain by one digest, unless that was done before.
func (r *trailRun) digest(ctx context.Context, f *folder, o object) error {
	id := f.path + o.chain
	if r.chains[id] == nil {
		r.chains[id] = &chain{}
	}
	c := r.chains[id]
	in, known, err := r.known(ctx, o.Key)
	switch {
	case err != nil:
		return err
	case known && in.Size == o.Size && in.Version == o.ETag:
		c.follow(in, o.stamp)
		return nil
	case c.waits:
		r.postpone(c, o)
		return nil
	}
	j := &judgement{folder: f, object: o, chain: c}
	if known {
		j.fault = "was replaced after it had been checked"
	}
	return r.judge(ctx, j)
}

// postpone leaves a digest, and those behind it, to a later run.
func (r *trailRun) postpone(c *chain, o object) {
	c.waits = true
	if r.open.IsZero() || o.stamp.Before(r.open) {
		r.open = o.stamp
	}
}

// cannotJudge postpones a digest because of an error.
func (r *trailRun) cannotJudge(j *judgement, err error) {
	r.trail.opts.Logger.Warn("digest could not be checked", "source", r.trail.opts.Name, "key", j.object.Key, "error", err)
	r.unread = append(r.unread, fmt.Errorf("%s: %w", j.object.Key, err))
	r.postpone(j.chain, j.object)
}

func (r *trailRun) judge(ctx context.Context, j *judgement) error {
	if err := r.room(ctx, 0); err != nil {
		return err
	}
	in, err := r.prove(ctx, j)
	var failed *storeError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errGone):
		return nil // since it was listed: the next one misses it
	case errors.As(err, &failed):
		r.cannotJudge(j, failed.err)
		return nil
	case err != nil:
		return err
	case j.wait:
		r.postpone(j.chain, j.object)
		return nil
	}
	return r.close(ctx, j, in)
}

// errGone says that a digest was listed and is not there any more.
var errGone = errors.New("digest is gone")

// prove goes through what a digest has to prove, until something is wrong with
// the digest itself.
func (r *trailRun) prove(ctx context.Context, j *judgement) (extract.Input, error) {
	in, err := r.load(ctx, j)
	if errors.Is(err, blob.ErrNotExist) {
		return in, errGone
	}
	if err == nil && j.fault == "" {
		j.fault, err = r.verify(ctx, j)
	}
	if err == nil && j.fault == "" {
		err = r.follow(ctx, j)
	}
	if err == nil && j.fault == "" {
		err = r.files(ctx, j)
	}
	return in, err
}

// close declares what the digest proves to be lost, with the digest finished:
// so it is declared once.
func (r *trailRun) close(ctx context.Context, j *judgement, in extract.Input) error {
	if err := r.room(ctx, 0); err != nil {
		return err
	}
	if in.Fault = j.fault; j.fault != "" {
		j.gap(j.object.Key, "the digest "+j.fault+": nothing proves that the files of this hour are whole", j.start(), j.object.stamp)
	}
	for i := range j.gaps {
		j.gaps[i].Source, j.gaps[i].DeclaredAt = r.trail.opts.Name, r.now
	}
	r.page.Gaps = append(r.page.Gaps, j.gaps...)
	r.done(in)
	j.chain.follow(in, j.object.stamp)
	return nil
}

// start is where the span of a digest begins, as far as it can be told.
func (j *judgement) start() time.Time {
	if j.fault == "" && !j.digest.Start.IsZero() {
		return j.digest.Start
	}
	from := j.object.stamp.Add(-digestSpan)
	if !j.chain.end.IsZero() && j.chain.end.Before(j.object.stamp) {
		from = j.chain.end
	}
	return from
}

func (j *judgement) gap(key, reason string, from, to time.Time) {
	if from.After(to) {
		from = to
	}
	j.gaps = append(j.gaps, schema.Gap{Input: key, Reason: reason, From: from.UTC(), To: to.UTC()})
}

// load reads the digest. What is none is a fault, not an error.
func (r *trailRun) load(ctx context.Context, j *judgement) (extract.Input, error) {
	body, info, err := r.trail.opts.Store.Get(ctx, j.object.Key)
	if err != nil {
		return extract.Input{}, &storeError{err: err}
	}
	c := records.Open(ctx, body)
	defer func() { _ = c.Close() }() // all is read by then: it can tell nothing
	text, err := io.ReadAll(io.LimitReader(c, maxDigest+1))
	if err == nil {
		err = c.StoreError()
	}
	if err != nil {
		return extract.Input{}, &storeError{err: err, reading: true}
	}
	in := extract.Input{Key: j.object.Key, SHA256: c.SHA256(), Size: info.Size, Version: info.ETag}
	if j.fault == "" {
		j.fault = j.parse(text, c.Fault())
	}
	j.digest.sha256 = in.SHA256
	return in, nil
}

func (j *judgement) parse(text []byte, fault string) string {
	if fault != "" {
		return fault
	}
	if len(text) > maxDigest {
		return "is too long"
	}
	// The signature covers the end as it is written.
	end := struct {
		Text string `json:"digestEndTime"`
	}{}
	if json.Unmarshal(text, &j.digest) != nil || json.Unmarshal(text, &end) != nil {
		return "cannot be read: it is not the JSON of a digest"
	}
	j.digest.EndText = end.Text
	return ""
}

// verify checks that CloudTrail wrote this digest, and that it lies where it
// was written.
func (r *trailRun) verify(ctx context.Context, j *judgement) (fault string, err error) {
	d := j.digest
	if d.Object != j.object.Key || d.Bucket != r.trail.opts.OriginalBucket {
		return fmt.Sprintf("was moved: it was written as s3://%s/%s", d.Bucket, d.Object), nil
	}
	if r.unsigned {
		return "", nil
	}
	notes, err := r.metadata(ctx, j.object.Key)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		r.unsigned = true
		r.trail.opts.Logger.Warn("this store keeps no signatures, digests are checked by their chain only", "source", r.trail.opts.Name)
		return "", nil
	case err != nil:
		return "", &storeError{err: err}
	}
	return r.verifySignature(ctx, j, notes)
}

// verifySignature checks what stands beside the digest.
func (r *trailRun) verifySignature(ctx context.Context, j *judgement, notes map[string]string) (fault string, err error) {
	signature := decodeHex(notes["signature"])
	if len(signature) == 0 {
		return "has no signature", nil
	}
	if name := notes["signature-algorithm"]; name != "" && name != "SHA256withRSA" {
		return "is signed by an unknown algorithm", nil
	}
	keys, err := r.keys(ctx, j, notes)
	switch {
	case err != nil:
		return "", &storeError{err: err}
	case len(keys) == 0:
		return "is signed with a key CloudTrail does not know", nil
	case !signed(j.digest, keys, signature):
		return "is not what CloudTrail signed", nil
	}
	return "", nil
}

// decodeHex returns nothing for what is no hex.
func decodeHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func (r *trailRun) metadata(ctx context.Context, key string) (map[string]string, error) {
	store, ok := r.trail.opts.Store.(blob.Describer)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return store.Metadata(ctx, key)
}

// keys asks the digest's region first, as AWS documents, then the trail's.
// Digests that were filled in later bear the time they were signed at.
func (r *trailRun) keys(ctx context.Context, j *judgement, notes map[string]string) ([]*rsa.PublicKey, error) {
	at := j.digest.End
	if t := schema.ParseTime(notes["backfill-generation-timestamp"]); !t.IsZero() {
		at = t
	}
	keys, err := r.trail.opts.PublicKeys.Keys(ctx, KeyQuery{Region: j.folder.region, Fingerprint: j.digest.Fingerprint, At: at})
	if err != nil || len(keys) > 0 || j.object.home == j.folder.region {
		return keys, err
	}
	return r.trail.opts.PublicKeys.Keys(ctx, KeyQuery{Region: j.object.home, Fingerprint: j.digest.Fingerprint, At: at})
}

// signed checks the signature. A chain's first digest names no signature before
// it, and CloudTrail then signs the word null.
func signed(d digest, keys []*rsa.PublicKey, signature []byte) bool {
	previous := "null"
	if d.PreviousSignature != nil {
		previous = *d.PreviousSignature
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{d.EndText, d.Bucket + "/" + d.Object, d.sha256, previous}, "\n")))
	for _, key := range keys {
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil {
			return true
		}
	}
	return false
}

// follow checks that the digest goes on where the one before it ended.
func (r *trailRun) follow(ctx context.Context, j *judgement) error {
	c, d := j.chain, j.digest
	if c.key == "" {
		if err := r.recall(ctx, j); err != nil {
			return err
		}
	}
	if d.PreviousObject == nil || *d.PreviousObject == "" {
		j.newChain()
		return nil
	}
	previous := *d.PreviousObject
	if previous != c.key {
		found, err := r.findPrevious(ctx, j, previous)
		if err != nil || !found {
			return err
		}
	}
	if !c.bad && d.PreviousHash != nil && !strings.EqualFold(*d.PreviousHash, c.sha256) {
		j.gap(previous, "the digest was altered: the one behind it was made of another", d.Start.Add(-digestSpan), d.Start)
	}
	return nil
}

// newChain declares the time between two chains.
func (j *judgement) newChain() {
	if c, d := j.chain, j.digest; c.key != "" && d.Start.After(c.end) {
		j.gap(j.object.Key, "validation was off: a new chain of digests begins, and nothing proves what was delivered before", c.end, d.Start)
	}
}

// findPrevious looks for a digest the chain was not followed to yet. True if
// the chain now stands there.
func (r *trailRun) findPrevious(ctx context.Context, j *judgement, key string) (bool, error) {
	in, known, err := r.known(ctx, key)
	if err != nil {
		return false, err
	}
	o, ok := j.folder.parse(blob.Info{Key: key})
	if known {
		j.chain.follow(in, o.stamp)
		return true, nil
	}
	if ok && !o.stamp.After(r.cur.Since) {
		return false, nil // from before the first run
	}
	info, err := r.trail.opts.Store.Head(ctx, key)
	if err == nil && ok && o.stamp.Before(j.object.stamp) {
		// It was not listed so far: it arrived late. Names only go back, so this
		// ends.
		if err := r.digest(ctx, j.folder, object{Info: info, day: o.day, stamp: o.stamp, chain: o.chain, home: o.home}); err != nil {
			return false, err
		}
		j.wait = j.chain.waits
		return j.chain.key == key, nil
	}
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return false, &storeError{err: err}
	}
	r.missingDigest(j, key, o.stamp)
	return false, nil
}

// missingDigest declares a digest that S3 lacks, unless it is from before all
// that was ever read.
func (r *trailRun) missingDigest(j *judgement, key string, stamp time.Time) {
	c, d := j.chain, j.digest
	expected := c.key != "" || !r.start.Proven.IsZero() && stamp.After(r.start.Proven.Add(-r.trail.opts.Relist))
	switch {
	case !expected:
	case r.now.Sub(d.End) < patient:
		j.wait = true
	default:
		from := d.Start.Add(-digestSpan)
		if !c.end.IsZero() && c.end.Before(d.Start) {
			from = c.end
		}
		j.gap(key, "the digest is missing: nothing proves that the files of this time are whole", from, d.Start)
	}
}

// recall finds the newest digest of the chain that was judged by earlier runs.
func (r *trailRun) recall(ctx context.Context, j *judgement) error {
	f := j.folder
	if !f.from.After(r.cur.Since) {
		return nil
	}
	var last object
	for info, err := range r.trail.opts.Store.List(ctx, f.path, f.after(truncateDay(r.cur.Since), r.cur.Since)) {
		if err != nil {
			return &storeError{err: err}
		}
		o, ok := f.parse(info)
		if ok && o.day.After(j.object.day) {
			break
		}
		if ok && j.goesBefore(o) && o.stamp.After(last.stamp) {
			last = o
		}
	}
	if last.Key == "" {
		return nil
	}
	in, known, err := r.known(ctx, last.Key)
	if err == nil && known {
		j.chain.follow(in, last.stamp)
	}
	return err
}

// goesBefore says whether o is an older digest of the same chain.
func (j *judgement) goesBefore(o object) bool {
	return o.chain == j.object.chain && o.stamp.Before(j.object.stamp)
}

// files compares what the digest lists with what was read.
func (r *trailRun) files(ctx context.Context, j *judgement) error {
	for _, f := range j.digest.Files {
		if _, ok := placeOf(f.Object); !ok || fileStamp(f.Object).Before(r.cur.Since.Truncate(time.Minute)) {
			continue // of another kind, or from before the first run
		}
		if err := r.listed(ctx, j, f); err != nil {
			return err
		}
	}
	return nil
}

// listed judges one file. One that was not read so far arrived late, and is
// read now.
func (r *trailRun) listed(ctx context.Context, j *judgement, f digestFile) error {
	in, known, err := r.known(ctx, f.Object)
	if err == nil && !known {
		in, known, err = r.late(ctx, f.Object)
	}
	from, to := f.Oldest, f.Newest
	if from.IsZero() || to.IsZero() {
		from, to = j.digest.Start, j.digest.End
	}
	switch {
	case err != nil:
		return err
	case !known && r.now.Sub(j.digest.End) < patient:
		j.wait = true
	case !known:
		j.gap(f.Object, "the file is missing: CloudTrail wrote it, and the bucket lacks it", from, to)
	case f.Algorithm == "SHA-256" && !strings.EqualFold(f.Hash, in.SHA256):
		j.gap(f.Object, "the file was altered: it is not what CloudTrail wrote", from, to)
	}
	return nil
}

// late reads a file that no listing showed; false if there is none.
func (r *trailRun) late(ctx context.Context, key string) (extract.Input, bool, error) {
	info, err := r.trail.opts.Store.Head(ctx, key)
	if errors.Is(err, blob.ErrNotExist) {
		return extract.Input{}, false, nil
	}
	if err != nil {
		return extract.Input{}, false, &storeError{err: err}
	}
	before := len(r.unread)
	if err := r.file(ctx, object{Info: info, stamp: fileStamp(key)}); err != nil {
		return extract.Input{}, false, err
	}
	if len(r.unread) > before {
		return extract.Input{}, false, &storeError{err: fmt.Errorf("it lists %s, which could not be read", key)}
	}
	return r.known(ctx, key)
}
