package integration_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline/crashtest"
)

func TestMain(m *testing.M) {
	crashtest.Main(openBucket)
	os.Exit(m.Run())
}

// openBucket opens raw and lake in a bucket, by what the environment says of
// the server; without a bucket, in a directory.
func openBucket(ctx context.Context, dir, bucket string) (raw, lake blob.Store, err error) {
	if bucket == "" {
		return crashtest.Dirs(ctx, dir, bucket)
	}
	if raw, err = blob.OpenS3(ctx, blob.AWSOptions{}, blob.S3Options{Bucket: bucket, Prefix: "raw"}); err != nil {
		return nil, nil, err
	}
	lake, err = blob.OpenS3(ctx, blob.AWSOptions{}, blob.S3Options{Bucket: bucket, Prefix: "lake"})
	return raw, lake, err
}

// TestCrashOnS3 kills the line at every step, on a real S3 server.
func TestCrashOnS3(t *testing.T) {
	server := harness.S3(t)
	server.Setenv(t)
	crashtest.Test(t, crashtest.Stores{Open: openBucket, Spec: newBucket(server.Client(t, nil), false)})
}

// newBucket makes a bucket for each round.
func newBucket(client *s3.Client, locked bool) func(t *testing.T, round int) string {
	return func(t *testing.T, round int) string {
		t.Helper()
		bucket := fmt.Sprintf("round-%d", round)
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: &locked}); err != nil {
			t.Fatal(err)
		}
		return bucket
	}
}

// TestCrashOfVerbs kills what operators do at every step, on files.
func TestCrashOfVerbs(t *testing.T) {
	crashtest.TestVerbs(t, crashtest.Stores{Open: openBucket})
}

// TestCrashOfVerbsOnS3 does so at some steps, on a real S3 server.
func TestCrashOfVerbsOnS3(t *testing.T) {
	server := harness.S3(t)
	server.Setenv(t)
	crashtest.TestVerbs(t, crashtest.Stores{Open: openBucket, Spec: newBucket(server.Client(t, nil), false), Every: 31})
}

// TestPruneUnderObjectLock prunes locked segments: to delete one needs no right
// to lift its lock and hides it, which is what verify is told; its version stays
// until the lock ends.
func TestPruneUnderObjectLock(t *testing.T) {
	server := harness.S3(t)
	client := server.Client(t, nil)
	bucket := newBucket(client, true)(t, 1)
	raw := server.Store(t, blob.S3Options{Bucket: bucket, Prefix: "raw", LockMode: "COMPLIANCE", LockDays: 1, Now: time.Now})
	lake := server.Store(t, blob.S3Options{Bucket: bucket, Prefix: "lake"})
	crashtest.Unkilled(t, crashtest.Stores{Open: func(context.Context, string, string) (blob.Store, blob.Store, error) {
		return raw, lake, nil
	}}, "prune")
	there, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: aws.String("raw/")})
	if err != nil {
		t.Fatal(err)
	}
	if len(there.DeleteMarkers) == 0 {
		t.Error("nothing was pruned")
	}
	for _, marker := range there.DeleteMarkers {
		i := slices.IndexFunc(there.Versions, func(v types.ObjectVersion) bool { return *v.Key == *marker.Key })
		if i < 0 {
			t.Errorf("no version of %s is left", *marker.Key)
			continue
		}
		gone := &s3.DeleteObjectInput{Bucket: &bucket, Key: marker.Key, VersionId: there.Versions[i].VersionId}
		if _, err := client.DeleteObject(t.Context(), gone); err == nil {
			t.Errorf("the locked version of %s could be deleted", *marker.Key)
		}
	}
}
