// Package integration_test tests idtrail against the real programs that it
// works with. Run it by `make integration`.
package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

func TestS3Contract(t *testing.T) {
	tests := []struct {
		name   string
		tls    bool
		prefix string
	}{
		{name: "http"},
		{name: "https and a prefix", tls: true, prefix: "/team one/idtrail/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := harness.S3With(t, harness.Options{TLS: test.tls})
			blobtest.Run(t, func(t *testing.T) blob.Store {
				return server.Store(t, blob.S3Options{Prefix: test.prefix})
			})
		})
	}
}

func TestS3ChecksumAndTags(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			server := harness.S3With(t, harness.Options{TLS: tls})
			bucket := server.Bucket(t)
			store := server.Store(t, blob.S3Options{
				Bucket: bucket,
				Prefix: "p",
				Tags:   map[string]string{"team": "id access", "cost+center": "4 711=x+y"},
			})
			content := bytes.Repeat([]byte("content "), 100_000)
			if _, err := store.PutNew(t.Context(), "k", bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			client := server.Client(t, nil)
			wantChecksum(t, client, bucket, content)
			wantTags(t, client, bucket, map[string]string{"team": "id access", "cost+center": "4 711=x+y"})
			got, err := os.ReadFile(server.Path(bucket, "p/k"))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("the file on disk has %d other bytes, error %v", len(got), err)
			}
		})
	}
}

// TestS3Corrupted changes a byte behind the server's back.
func TestS3Corrupted(t *testing.T) {
	server := harness.S3(t)
	bucket := server.Bucket(t)
	store := server.Store(t, blob.S3Options{Bucket: bucket})
	if _, err := store.PutNew(t.Context(), "k", strings.NewReader("evidence")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(server.Path(bucket, "k"), []byte("evidenze"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _, err := store.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil {
		t.Errorf("read %q, want an error of its checksum", content)
	}
}

func wantChecksum(t *testing.T, client *s3.Client, bucket string, content []byte) {
	t.Helper()
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{
		Bucket:       &bucket,
		Key:          aws.String("p/k"),
		ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if got, want := aws.ToString(head.ChecksumSHA256), base64.StdEncoding.EncodeToString(sum[:]); got != want {
		t.Errorf("stored checksum = %q, want %q", got, want)
	}
	if got, want := head.Metadata["idtrail-sha256"], hex.EncodeToString(sum[:]); got != want {
		t.Errorf("metadata = %q, want %q", got, want)
	}
	if head.ContentEncoding != nil {
		t.Errorf("content encoding = %q, want none", *head.ContentEncoding)
	}
}

func wantTags(t *testing.T, client *s3.Client, bucket string, want map[string]string) {
	t.Helper()
	out, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &bucket, Key: aws.String("p/k")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range out.TagSet {
		got[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tags = %v, want %v", got, want)
	}
}

func TestS3ObjectLock(t *testing.T) {
	server := harness.S3(t)
	bucket := server.LockedBucket(t)
	now := time.Now().UTC().Truncate(time.Second)
	store := server.Store(t, blob.S3Options{
		Bucket:   bucket,
		LockMode: "COMPLIANCE",
		LockDays: 30,
		Now:      func() time.Time { return now },
	})
	info, err := store.PutNew(t.Context(), "k", strings.NewReader("evidence"))
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client(t, nil)
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &info.Key})
	if err != nil {
		t.Fatal(err)
	}
	if want := now.AddDate(0, 0, 30); head.ObjectLockMode != types.ObjectLockModeCompliance || !aws.ToTime(head.ObjectLockRetainUntilDate).Equal(want) {
		t.Errorf("lock = %s until %v, want COMPLIANCE until %v", head.ObjectLockMode, head.ObjectLockRetainUntilDate, want)
	}
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &info.Key, VersionId: head.VersionId})
	if err == nil {
		t.Error("the locked version could be deleted")
	}
}

func TestS3LockWithoutObjectLock(t *testing.T) {
	server := harness.S3(t)
	store := server.Store(t, blob.S3Options{LockMode: "GOVERNANCE", LockDays: 1, Now: time.Now})
	_, err := store.PutNew(t.Context(), "k", strings.NewReader("x"))
	wantError(t, err, "bucket bucket-1 has no Object Lock: enable it")
}

// everyCall makes each call of a store once and returns its errors.
func everyCall(t *testing.T, s blob.Store) map[string]error {
	t.Helper()
	ctx := t.Context()
	errs := map[string]error{}
	_, _, errs["read"] = s.Get(ctx, "old")
	_, errs["look up"] = s.Head(ctx, "old")
	_, errs["write"] = s.PutNew(ctx, "new", strings.NewReader("x"))
	_, err := s.PutMatch(ctx, "old", `"etag"`, strings.NewReader("x"))
	errs["write again"] = err
	for _, err := range s.List(ctx, "", "") {
		errs["list"] = err
	}
	errs["delete"] = s.Delete(ctx, "old")
	return errs
}

func TestS3MissingBucket(t *testing.T) {
	server := harness.S3(t)
	store := server.Store(t, blob.S3Options{Bucket: "no-such-bucket", Prefix: "idtrail"})
	for call, err := range everyCall(t, store) {
		t.Run(call, func(t *testing.T) {
			wantError(t, err, "bucket no-such-bucket does not exist", "s3://no-such-bucket/idtrail")
		})
	}
}

func TestS3WrongSecret(t *testing.T) {
	server := harness.S3(t)
	bucket := server.Bucket(t)
	who := credentials.NewStaticCredentialsProvider(server.Access, "hunter2-wrong", "")
	store := blob.NewS3(server.Client(t, who), blob.S3Options{Bucket: bucket})
	for call, err := range everyCall(t, store) {
		t.Run(call, func(t *testing.T) {
			// An answer to HEAD has no body that could say more.
			if call == "look up" {
				wantError(t, err, "access denied", bucket)
				return
			}
			wantError(t, err, "credentials are wrong", bucket)
		})
	}
}

func TestS3NoServer(t *testing.T) {
	server := harness.S3(t)
	server.Endpoint = "http://127.0.0.1:1"
	client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{
		Endpoint:    server.Endpoint,
		Credentials: server.Credentials(),
		MaxAttempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range everyCall(t, blob.NewS3(client, blob.S3Options{Bucket: "b"})) {
		t.Run(call, func(t *testing.T) { wantError(t, err, "no answer: check network", "s3://b") })
	}
}

func TestS3Permissions(t *testing.T) {
	server := harness.S3With(t, harness.Options{IAM: true})
	bucket := server.Bucket(t)
	root := server.Store(t, blob.S3Options{Bucket: bucket, Prefix: "idtrail"})
	if _, err := root.PutNew(t.Context(), "old", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		actions string
		prefix  string
		allowed map[string]bool
	}{
		{name: "nothing", actions: `"s3:GetBucketLocation"`, prefix: "idtrail"},
		{
			name: "reader", actions: `"s3:GetObject","s3:ListBucket"`, prefix: "idtrail",
			allowed: map[string]bool{"read": true, "look up": true, "list": true},
		},
		{
			name: "job", actions: `"s3:GetObject","s3:ListBucket","s3:PutObject"`, prefix: "idtrail",
			allowed: map[string]bool{"read": true, "look up": true, "list": true, "write": true, "write again": true},
		},
		{name: "elsewhere", actions: `"s3:GetObject","s3:PutObject"`, prefix: "other"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			who := server.User(t, fmt.Sprint("user", i), policy(test.actions, bucket, test.prefix))
			store := blob.NewS3(server.Client(t, who), blob.S3Options{Bucket: bucket, Prefix: "idtrail"})
			for call, err := range everyCall(t, store) {
				if test.allowed[call] {
					if err != nil && !errors.Is(err, blob.ErrChanged) {
						t.Errorf("%s: %v", call, err)
					}
					continue
				}
				wantError(t, err, "access denied: grant s3:", "arn:aws:s3:::"+bucket, "s3://"+bucket+"/idtrail")
			}
		})
	}
}

// policy allows actions on a bucket and on what lies below a prefix.
func policy(actions, bucket, prefix string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],`+
		`"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%s/%s/*"]}]}`, actions, bucket, bucket, prefix)
}

// wantError wants an error that names all that it should, and no secret.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	for _, secret := range []string{"hunter2", "not-a-secret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q tells the secret", err)
		}
	}
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrExist) || errors.Is(err, blob.ErrChanged) {
		t.Errorf("error %q passes for an answer about the object", err)
	}
}
