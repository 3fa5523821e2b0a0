package fake

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"
)

// TrailObject is an object that a trail writes to its bucket.
type TrailObject struct {
	Key      string
	Body     []byte
	Metadata map[string]string
}

// TrailWriter writes the files and the digests of one account in one region, as
// a trail does. Bucket, Account, Region, Key and Put are needed.
type TrailWriter struct {
	Bucket, Prefix string
	// Organization (o-…) gives the layout of an organization's trail.
	Organization    string
	Account, Region string
	// Name and Home are the trail's; default "trail" and the region.
	Name, Home string
	// Key signs the digests.
	Key *rsa.PrivateKey
	// Put takes every object: it may drop or alter it, and so spoil the trail.
	Put func(TrailObject) error

	files             []map[string]any
	start             time.Time
	previous          *TrailObject
	previousHash      string
	previousSignature string
}

func (w *TrailWriter) folder(kind string, at time.Time) string {
	return path.Join(w.Prefix, "AWSLogs", w.Organization, w.Account, kind, w.Region, at.UTC().Format("2006/01/02"))
}

// FileKey is the key of a file delivered at a time.
func (w *TrailWriter) FileKey(at time.Time, content []byte) string {
	sum := sha256.Sum256(content)
	suffix := strings.ToUpper(hex.EncodeToString(sum[:8]))
	return w.folder("CloudTrail", at) + "/" +
		fmt.Sprintf("%s_CloudTrail_%s_%s_%s.json.gz", w.Account, w.Region, at.UTC().Format("20060102T1504Z"), suffix)
}

// File writes a file of records, delivered at a time, which the next digest
// lists. The events' times are newest and oldest.
func (w *TrailWriter) File(at, oldest, newest time.Time, records ...[]byte) (TrailObject, error) {
	content := trailContent(records)
	o := TrailObject{Key: w.FileKey(at, content), Body: Gzip(content)}
	sum := sha256.Sum256(content)
	w.files = append(w.files, map[string]any{
		"s3Bucket": w.Bucket, "s3Object": o.Key, "hashValue": hex.EncodeToString(sum[:]), "hashAlgorithm": "SHA-256",
		"newestEventTime": newest.UTC().Format(time.RFC3339), "oldestEventTime": oldest.UTC().Format(time.RFC3339),
	})
	return o, w.Put(o)
}

// Restart begins a new chain with the next digest, as a trail does whose
// logging was stopped.
func (w *TrailWriter) Restart(at time.Time) { w.previous, w.start, w.files = nil, at, nil }

// Digest writes the digest of the files since the last one.
func (w *TrailWriter) Digest(end time.Time) (TrailObject, error) {
	if w.start.IsZero() {
		w.start = end.Add(-time.Hour)
	}
	name, home := w.Name, w.Home
	if name == "" {
		name = "trail"
	}
	if home == "" {
		home = w.Region
	}
	key := w.folder("CloudTrail-Digest", end) + "/" + fmt.Sprintf("%s_CloudTrail-Digest_%s_%s_%s_%s.json.gz",
		w.Account, w.Region, name, home, end.UTC().Format("20060102T150405Z"))
	files := w.files
	if files == nil {
		files = []map[string]any{}
	}
	content, err := json.Marshal(w.digest(key, end, files))
	if err != nil {
		return TrailObject{}, fmt.Errorf("write digest: %w", err)
	}
	signature, err := w.sign(key, end, content)
	if err != nil {
		return TrailObject{}, fmt.Errorf("sign digest: %w", err)
	}
	sum := sha256.Sum256(content)
	o := TrailObject{Key: key, Body: Gzip(content), Metadata: map[string]string{
		"signature": signature, "signature-algorithm": "SHA256withRSA",
	}}
	w.previous, w.previousHash, w.previousSignature = &o, hex.EncodeToString(sum[:]), signature
	w.start, w.files = end, nil
	return o, w.Put(o)
}

func (w *TrailWriter) digest(key string, end time.Time, files []map[string]any) map[string]any {
	d := map[string]any{
		"awsAccountId": w.Account, "digestStartTime": w.start.UTC().Format(time.RFC3339), "digestEndTime": end.UTC().Format(time.RFC3339),
		"digestS3Bucket": w.Bucket, "digestS3Object": key, "digestPublicKeyFingerprint": TrailFingerprint(&w.Key.PublicKey),
		"digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": nil, "oldestEventTime": nil, "logFiles": files,
		"previousDigestS3Bucket": nil, "previousDigestS3Object": nil, "previousDigestHashValue": nil,
		"previousDigestHashAlgorithm": nil, "previousDigestSignature": nil,
	}
	if w.previous != nil {
		d["previousDigestS3Bucket"], d["previousDigestS3Object"] = w.Bucket, w.previous.Key
		d["previousDigestHashValue"], d["previousDigestHashAlgorithm"] = w.previousHash, "SHA-256"
		d["previousDigestSignature"] = w.previousSignature
	}
	return d
}

func (w *TrailWriter) sign(key string, end time.Time, content []byte) (string, error) {
	previous := "null"
	if w.previous != nil {
		previous = w.previousSignature
	}
	sum := sha256.Sum256(content)
	text := strings.Join([]string{
		end.UTC().Format(time.RFC3339), w.Bucket + "/" + key, hex.EncodeToString(sum[:]), previous,
	}, "\n")
	hashed := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, w.Key, crypto.SHA256, hashed[:])
	return hex.EncodeToString(signature), err
}

// Gzip packs content.
func Gzip(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(content) // into memory
	_ = z.Close()
	return b.Bytes()
}

// TrailBucket is a bucket full of trail files: accounts and regions, with
// hourly digests where there is a key. All but Put, Bucket, Accounts, Regions,
// From and Hours may be zero.
type TrailBucket struct {
	Bucket, Prefix, Organization string
	Accounts, Regions            []string
	From                         time.Time
	Hours                        int
	// FilesPerHour and Events a file, 12 and 2 by default.
	FilesPerHour, Events int
	Key                  *rsa.PrivateKey
	Put                  func(TrailObject) error
	// What is spoilt, asked for every file by its number from 0. A missing file
	// is in its digest only; an altered one has lost its last event; a late one
	// holds events of three days before; a repeated one begins with the last
	// event of the file before it.
	Missing, Altered, Late, Repeated func(n int) bool
}

// TrailContents is what [TrailBucket.Write] wrote.
type TrailContents struct {
	Files, Digests int
	// IDs are those of all events that can be read, each once.
	IDs []string
	// Missing and Altered are keys.
	Missing, Altered []string
}

// Write writes the bucket, hour by hour.
func (b TrailBucket) Write() (TrailContents, error) {
	if b.FilesPerHour == 0 {
		b.FilesPerHour = 12
	}
	if b.Events == 0 {
		b.Events = 2
	}
	var out TrailContents
	for _, account := range b.Accounts {
		for _, region := range b.Regions {
			if err := b.write(&out, account, region); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func (b TrailBucket) write(out *TrailContents, account, region string) error {
	drop := false
	w := &TrailWriter{
		Bucket: b.Bucket, Prefix: b.Prefix, Organization: b.Organization, Account: account, Region: region, Key: b.Key,
		Home: b.Regions[0],
	}
	w.Put = func(o TrailObject) error {
		if drop {
			return nil
		}
		return b.Put(o)
	}
	var last []byte
	for hour := range b.Hours {
		begin := b.From.Add(time.Duration(hour) * time.Hour)
		for i := range b.FilesPerHour {
			at := begin.Add(time.Duration(i) * time.Hour / time.Duration(b.FilesPerHour))
			drop = is(b.Missing, out.Files) || is(b.Altered, out.Files)
			kept, err := b.file(out, w, at, last)
			if err != nil {
				return err
			}
			drop, last = false, kept
		}
		if b.Key == nil {
			continue
		}
		if _, err := w.Digest(begin.Add(time.Hour)); err != nil {
			return err
		}
		out.Digests++
	}
	return nil
}

// file writes a file, spoilt as the knobs say, and returns an event that the
// next one may repeat.
func (b TrailBucket) file(out *TrailContents, w *TrailWriter, at time.Time, last []byte) ([]byte, error) {
	n := out.Files
	records, ids, span := b.records(w.Account, w.Region, at, n)
	if is(b.Repeated, n) && last != nil {
		records = append([][]byte{last}, records...)
	}
	o, err := w.File(at, span[0], span[1], records...)
	if err != nil {
		return nil, err
	}
	out.Files++
	switch {
	case is(b.Missing, n):
		out.Missing = append(out.Missing, o.Key)
		return last, nil
	case is(b.Altered, n):
		out.Altered = append(out.Altered, o.Key)
		out.IDs = append(out.IDs, ids[:len(ids)-1]...)
		return last, b.Put(TrailObject{Key: o.Key, Body: Gzip(trailContent(records[:len(records)-1]))})
	}
	out.IDs = append(out.IDs, ids...)
	return records[len(records)-1], nil
}

func trailContent(records [][]byte) []byte {
	content := append([]byte(`{"Records":[`), bytes.Join(records, []byte(","))...)
	return append(content, `]}`...)
}

func is(knob func(int) bool, n int) bool { return knob != nil && knob(n) }

// records makes the events of a file, delivered five minutes after the last.
func (b TrailBucket) records(account, region string, at time.Time, n int) (records [][]byte, ids []string, span [2]time.Time) {
	last := at.Add(-5 * time.Minute)
	if is(b.Late, n) {
		last = last.Add(-72 * time.Hour)
	}
	for i := range b.Events {
		t := last.Add(-time.Duration(i) * time.Second)
		id := fmt.Sprintf("%08x-0000-4000-8000-%s", n*b.Events+i, account)
		records = append(records, TrailRecord(id, "iam.amazonaws.com", region, t))
		ids = append(ids, id)
	}
	return records, ids, [2]time.Time{last.Add(-time.Duration(b.Events) * time.Second), last}
}

// TrailRecord is a small event.
func TrailRecord(id, source, region string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","accountId":%q,"userName":"ada"},"eventTime":%q,`+
		`"eventSource":%q,"eventName":"GetUser","awsRegion":%q,"sourceIPAddress":"192.0.2.7","userAgent":"aws-cli","requestParameters":null,`+
		`"responseElements":null,"requestID":"r-%s","eventID":%q,"readOnly":true,"eventType":"AwsApiCall","managementEvent":true,`+
		`"recipientAccountId":%q,"eventCategory":"Management"}`, AccountID, at.UTC().Format(time.RFC3339), source, region, id, id, AccountID)
}
