package integration_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline/crashtest"
)

func TestMain(m *testing.M) {
	crashtest.Main(openBucket)
	os.Exit(m.Run())
}

// openBucket opens raw and lake in a bucket, by what the environment says of
// the server.
func openBucket(ctx context.Context, _, bucket string) (raw, lake blob.Store, err error) {
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
	client := server.Client(t, nil)
	crashtest.Test(t, crashtest.Stores{
		Open: openBucket,
		Spec: func(t *testing.T, round int) string {
			t.Helper()
			bucket := fmt.Sprintf("round-%d", round)
			if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			return bucket
		},
	})
}
