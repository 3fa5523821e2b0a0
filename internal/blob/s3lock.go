package blob

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var actLock = action{"look up the Object Lock of", "s3:GetBucketObjectLockConfiguration"}

// CheckLock says why objects cannot be locked as the options say. It is nil
// where they can, and where none are to be.
func (s *S3) CheckLock(ctx context.Context) error {
	if s.o.LockMode == "" {
		return nil
	}
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.o.Bucket})
	if err != nil && codeOf(err) != "ObjectLockConfigurationNotFoundError" && statusOf(err) != http.StatusNotFound {
		return s.fail(ctx, actLock, "", err)
	}
	if err != nil || out.ObjectLockConfiguration == nil || out.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return fmt.Errorf("%s %s: bucket %s has no Object Lock: enable it there, or configure no lock", actLock.verb, s.URL(), s.o.Bucket)
	}
	return nil
}
