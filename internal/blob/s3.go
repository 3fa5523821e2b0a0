package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
)

const (
	// metaSHA256 is the metadata of an object that names the SHA-256 of its
	// content, in hex, for people and for other tools.
	metaSHA256 = "idtrail-sha256"
	// metaWrite is the metadata of an object that names the call that wrote
	// it, so that a call whose answer was lost knows its own object again.
	metaWrite = "idtrail-write"

	// maxPut is what one PutObject takes.
	maxPut = 5 << 30
	// conflictTries bounds how often a write is sent that S3 refuses because
	// of another one to the same key at the same moment.
	conflictTries = 8
	conflictDelay = 50 * time.Millisecond
	conflictMax   = 400 * time.Millisecond
)

// S3Options say where in S3 a store lies and how its objects are written.
type S3Options struct {
	// Bucket is required. Prefix is put before all keys, with a slash.
	Bucket, Prefix string
	// KMSKey is the ARN, id or alias of the key that encrypts the objects
	// (SSE-KMS with a bucket key). Empty: as the bucket is set.
	KMSKey string
	// Tags are put on each object.
	Tags map[string]string
	// StorageClass as S3 names it. Empty: STANDARD.
	StorageClass string
	// LockMode is GOVERNANCE or COMPLIANCE, for LockDays from the time of
	// writing. Empty: objects are not locked.
	LockMode string
	LockDays int
	// Now is the clock for LockDays. Without a lock it may be nil.
	Now func() time.Time
}

// S3 is a store in a bucket. Every object is written by one conditional
// PutObject whose SHA-256 S3 checks and keeps, so that it is whole or absent.
type S3 struct {
	client *s3.Client
	o      S3Options
	prefix string
	// found is set once the bucket has answered for itself: S3 gives the same
	// answer to Head for a missing object and for a missing bucket.
	found atomic.Bool
}

var (
	_ Store     = (*S3)(nil)
	_ ReaderAt  = (*S3)(nil)
	_ Describer = (*S3)(nil)
)

// NewS3 returns the store. It sends nothing. The client should be one of
// NewS3Client, which sees to retries and timeouts.
func NewS3(client *s3.Client, o S3Options) *S3 {
	prefix := strings.Trim(o.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{client: client, o: o, prefix: prefix}
}

// URL is s3://bucket/prefix.
func (s *S3) URL() string {
	return strings.TrimSuffix("s3://"+s.o.Bucket+"/"+s.prefix, "/")
}

// Get opens the object. Its checksum is checked while it is read.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: s.full(key)})
	if err != nil {
		return nil, Info{}, s.fail(ctx, actGet, key, err)
	}
	s.found.Store(true)
	body := &s3Body{ReadCloser: out.Body, name: s.URL() + "/" + key}
	return body, Info{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     aws.ToString(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Now:      answered(out.ResultMetadata),
	}, nil
}

// Head describes the object.
func (s *S3) Head(ctx context.Context, key string) (Info, error) {
	out, err := s.head(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return Info{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     aws.ToString(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Now:      answered(out.ResultMetadata),
	}, nil
}

// Metadata returns what stands in the object's x-amz-meta- headers.
func (s *S3) Metadata(ctx context.Context, key string) (map[string]string, error) {
	out, err := s.head(ctx, key)
	if err != nil {
		return nil, err
	}
	notes := make(map[string]string, len(out.Metadata))
	for name, value := range out.Metadata {
		notes[strings.ToLower(name)] = value
	}
	return notes, nil
}

// PutNew creates the object. The info's time is that of the answer.
func (s *S3) PutNew(ctx context.Context, key string, body Body) (Info, error) {
	return s.put(ctx, key, body, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
}

// PutMatch replaces the object. The info's time is that of the answer.
func (s *S3) PutMatch(ctx context.Context, key, etag string, body Body) (Info, error) {
	return s.put(ctx, key, body, func(in *s3.PutObjectInput) { in.IfMatch = &etag })
}

// List yields the objects.
func (s *S3) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		in := &s3.ListObjectsV2Input{
			Bucket: &s.o.Bucket,
			Prefix: s.full(prefix),
			// XML cannot carry all the bytes that a key may have.
			EncodingType: types.EncodingTypeUrl,
		}
		if after != "" {
			in.StartAfter = s.full(after)
		}
		last := ""
		for p := s3.NewListObjectsV2Paginator(s.client, in); p.HasMorePages(); {
			page, err := p.NextPage(ctx)
			if err != nil {
				yield(Info{}, s.fail(ctx, actList, prefix, err))
				return
			}
			s.found.Store(true)
			for i := range page.Contents {
				info, err := s.listed(page, i)
				if err == nil && info.Key <= last && last != "" {
					err = fmt.Errorf("list %s: %q came after %q: buckets that do not list in order, "+
						"as directory buckets, cannot be used", s.URL(), info.Key, last)
				}
				last = info.Key
				if !yield(info, err) || err != nil {
					return
				}
			}
		}
	}
}

// Delete removes the object; in a versioned bucket it hides it.
func (s *S3) Delete(ctx context.Context, key string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: s.full(key)})
	err = s.fail(ctx, actDelete, key, err)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	return err
}

// OpenAt opens the object for reads at any offset, one request each. Reads
// fail with ErrChanged once the object is another than info describes.
func (s *S3) OpenAt(ctx context.Context, info Info) (ReadAtCloser, error) {
	return &s3ReaderAt{ctx: ctx, s: s, info: info}, nil
}

// answered is the Date of an answer; zero if it has none.
func answered(md middleware.Metadata) time.Time {
	at, _ := awsmiddleware.GetServerTime(md)
	return at
}

// full is the key in the bucket.
func (s *S3) full(key string) *string { return aws.String(s.prefix + key) }

// head asks for the object. Keys of other writers' objects are not checked.
func (s *S3) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: s.full(key)})
	if err == nil {
		s.found.Store(true)
		return out, nil
	}
	err = s.fail(ctx, actHead, key, err)
	if errors.Is(err, ErrNotExist) && !s.found.Load() {
		if bucketErr := s.headBucket(ctx); bucketErr != nil {
			return nil, bucketErr
		}
	}
	return nil, err
}

// headBucket returns an error if the bucket does not exist. One that may not
// be asked for exists.
func (s *S3) headBucket(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.o.Bucket})
	if err != nil && statusOf(err) != 403 {
		return s.fail(ctx, actHeadBucket, "", err)
	}
	s.found.Store(true)
	return nil
}

// put writes the object under the condition that condition sets.
func (s *S3) put(ctx context.Context, key string, body Body, condition func(*s3.PutObjectInput)) (Info, error) {
	if err := s.checkPut(key); err != nil {
		return Info{}, err
	}
	size, sum, err := digest(ctx, body)
	if err != nil {
		return Info{}, fmt.Errorf("write %s/%s: %w", s.URL(), key, err)
	}
	in := s.putInput(key, size, sum)
	condition(in)
	for try := range conflictTries {
		if _, err = body.Seek(0, io.SeekStart); err != nil {
			return Info{}, fmt.Errorf("write %s/%s: rewind body: %w", s.URL(), key, err)
		}
		// The SDK must not see a Close or a ReadAt that body may have.
		in.Body = struct{ io.ReadSeeker }{body}
		var again bool
		var info Info
		info, again, err = s.putOnce(ctx, key, in)
		if !again {
			return info, err
		}
		if err := sleep(ctx, jitter(try)); err != nil {
			return Info{}, err
		}
	}
	return Info{}, fmt.Errorf("write %s/%s: gave up after %d tries: %w", s.URL(), key, conflictTries, err)
}

// putOnce sends the write, and reports whether to send it again.
func (s *S3) putOnce(ctx context.Context, key string, in *s3.PutObjectInput) (info Info, again bool, err error) {
	out, err := s.client.PutObject(ctx, in)
	if err == nil {
		s.found.Store(true)
		at := answered(out.ResultMetadata)
		return Info{
			Key:      key,
			Size:     aws.ToInt64(in.ContentLength),
			ETag:     aws.ToString(out.ETag),
			Modified: at,
			Now:      at,
		}, false, nil
	}
	switch statusOf(err) {
	case 409:
		return Info{}, isConflict(err), s.fail(ctx, actPut, key, err)
	case 412:
		return s.afterRefusal(ctx, key, in)
	}
	return Info{}, false, s.fail(ctx, actPut, key, err)
}

// afterRefusal finds out what a failed precondition means. The SDK sends a
// write again whose answer was lost, and is then refused because of our own
// object.
func (s *S3) afterRefusal(ctx context.Context, key string, in *s3.PutObjectInput) (info Info, again bool, err error) {
	isNew := in.IfNoneMatch != nil
	out, err := s.head(ctx, key)
	switch {
	case errors.Is(err, ErrNotExist) && isNew:
		return Info{}, true, err // deleted in between
	case err != nil:
		return Info{}, false, err
	case out.Metadata[metaWrite] == in.Metadata[metaWrite] && out.Metadata[metaSHA256] == in.Metadata[metaSHA256]:
		return Info{
			Key:      key,
			Size:     aws.ToInt64(out.ContentLength),
			ETag:     aws.ToString(out.ETag),
			Modified: aws.ToTime(out.LastModified),
			Now:      answered(out.ResultMetadata),
		}, false, nil
	case isNew:
		return Info{}, false, fmt.Errorf("create %s/%s: %w", s.URL(), key, ErrExist)
	}
	return Info{}, false, fmt.Errorf("replace %s/%s: %w", s.URL(), key, ErrChanged)
}

// putInput is all of the request but the body and the condition.
func (s *S3) putInput(key string, size int64, sum hash.Hash) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket:         &s.o.Bucket,
		Key:            s.full(key),
		ContentLength:  &size,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum.Sum(nil))),
		StorageClass:   types.StorageClass(s.o.StorageClass),
		Metadata: map[string]string{
			metaSHA256: hex.EncodeToString(sum.Sum(nil)),
			metaWrite:  rand.Text(),
		},
	}
	if s.o.KMSKey != "" {
		in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		in.SSEKMSKeyId = &s.o.KMSKey
		in.BucketKeyEnabled = aws.Bool(true)
	}
	if len(s.o.Tags) > 0 {
		in.Tagging = aws.String(tagging(s.o.Tags))
	}
	if s.o.LockMode != "" {
		in.ObjectLockMode = types.ObjectLockMode(s.o.LockMode)
		in.ObjectLockRetainUntilDate = aws.Time(s.o.Now().UTC().AddDate(0, 0, s.o.LockDays))
	}
	return in
}

// listed is the i-th object of a page.
func (s *S3) listed(page *s3.ListObjectsV2Output, i int) (Info, error) {
	object := &page.Contents[i]
	key := aws.ToString(object.Key)
	if page.EncodingType == types.EncodingTypeUrl {
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return Info{}, fmt.Errorf("list %s: key %q: %w", s.URL(), key, err)
		}
		key = plain
	}
	key, ok := strings.CutPrefix(key, s.prefix)
	if !ok {
		return Info{}, fmt.Errorf("list %s: answer names %q, which is not below the prefix", s.URL(), key)
	}
	return Info{
		Key:      key,
		Size:     aws.ToInt64(object.Size),
		ETag:     aws.ToString(object.ETag),
		Modified: aws.ToTime(object.LastModified),
	}, nil
}

// checkPut refuses a key that cannot be used, and a lock that would be none.
func (s *S3) checkPut(key string) error {
	if s.o.LockMode != "" && (s.o.LockDays <= 0 || s.o.Now == nil) {
		return fmt.Errorf("write %s/%s: lock mode %s needs a number of days and a clock", s.URL(), key, s.o.LockMode)
	}
	return checkS3Key(key)
}

// checkS3Key refuses what CheckKey refuses, and what S3 would.
func checkS3Key(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if !utf8.ValidString(key) {
		return fmt.Errorf("%w: %q is not UTF-8, as S3 wants it", ErrKey, key)
	}
	return nil
}

// digest reads the body once, for its size and its SHA-256.
func digest(ctx context.Context, body Body) (int64, hash.Hash, error) {
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, nil, fmt.Errorf("rewind body: %w", err)
	}
	if size > maxPut {
		return 0, nil, fmt.Errorf("object has %d bytes, S3 takes %d in one piece: use smaller files", size, int64(maxPut))
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return 0, nil, fmt.Errorf("rewind body: %w", err)
	}
	sum := sha256.New()
	if size, err = io.Copy(sum, &bodyReader{ctx: ctx, r: body}); err != nil {
		return 0, nil, err
	}
	return size, sum, nil
}

// tagging encodes tags as the header wants them. S3 takes "+" for itself.
func tagging(tags map[string]string) string {
	v := url.Values{}
	for name, value := range tags {
		v.Set(name, value)
	}
	return strings.ReplaceAll(v.Encode(), "+", "%20")
}

// jitter is a random time whose bound doubles with each try.
func jitter(try int) time.Duration {
	bound := min(conflictDelay<<try, conflictMax)
	return time.Duration(mathrand.Int64N(int64(bound))) //nolint:gosec // spreads writers, hides nothing
}

// s3Body is the content of an object, with errors that name it.
type s3Body struct {
	io.ReadCloser
	name string
}

func (b *s3Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read %s: %w", b.name, err)
	}
	return n, err
}

// s3ReaderAt reads an object by ranges.
type s3ReaderAt struct {
	ctx  context.Context // io.ReaderAt has no place for one; lives as long as its OpenAt
	s    *S3
	info Info
}

// ReadAt sends one request.
func (r *s3ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if off >= r.info.Size {
		return 0, io.EOF
	}
	end := min(off+int64(len(p)), r.info.Size)
	out, err := r.s.client.GetObject(r.ctx, &s3.GetObjectInput{
		Bucket:  &r.s.o.Bucket,
		Key:     r.s.full(r.info.Key),
		Range:   aws.String(fmt.Sprintf("bytes=%d-%d", off, end-1)),
		IfMatch: &r.info.ETag,
	})
	if statusOf(err) == 412 {
		return 0, fmt.Errorf("read %s/%s: %w", r.s.URL(), r.info.Key, ErrChanged)
	}
	if err != nil {
		return 0, r.s.fail(r.ctx, actGet, r.info.Key, err)
	}
	// A server that does not heed If-Match must not mix two objects.
	if out.ETag != nil && *out.ETag != r.info.ETag {
		return 0, errors.Join(fmt.Errorf("read %s/%s: %w", r.s.URL(), r.info.Key, ErrChanged), out.Body.Close())
	}
	n, err := io.ReadFull(out.Body, p[:end-off])
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return n, fmt.Errorf("read %s/%s: %w", r.s.URL(), r.info.Key, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close does nothing: no request outlives its read.
func (r *s3ReaderAt) Close() error { return nil }
