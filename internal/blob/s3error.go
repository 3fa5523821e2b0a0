package blob

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/idtrail/idtrail/internal/denial"
)

// action is a call to S3: what it does in words, and the permission it needs.
type action struct {
	verb, permission string
}

var (
	actGet        = action{"read", "s3:GetObject"}
	actHead       = action{"look up", "s3:GetObject"}
	actHeadBucket = action{"look up", "s3:ListBucket"}
	actPut        = action{"write", "s3:PutObject"}
	actList       = action{"list", "s3:ListBucket"}
	actDelete     = action{"delete", "s3:DeleteObject"}
)

// fail puts into words what went wrong with the call, and what to do about it.
// It returns nil for nil.
func (s *S3) fail(ctx context.Context, act action, key string, err error) error {
	if err == nil {
		return nil
	}
	what := act.verb + " " + strings.TrimSuffix(s.URL()+"/"+key, "/")
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if s.isMissing(act, err) {
		return fmt.Errorf("%s: %w", what, ErrNotExist)
	}
	if refused := s.refusal(act, key, err); refused != nil {
		return fmt.Errorf("%s: access denied: %s: %w", what, s.deniedHint(act, refused), refused)
	}
	if hint := s.hint(act, err); hint != "" {
		return fmt.Errorf("%s: %s: %w", what, hint, named(err))
	}
	return fmt.Errorf("%s: %w", what, terse(err))
}

// isMissing reports whether S3 said that the object, not the bucket, is not
// there.
func (s *S3) isMissing(act action, err error) bool {
	if act == actHeadBucket || act == actList || statusOf(err) != http.StatusNotFound {
		return false
	}
	code := codeOf(err)
	return code == "NoSuchKey" || code == "NotFound" || code == "NoSuchVersion"
}

// hint is what to do about an answer of S3, or about none.
func (s *S3) hint(act action, err error) string {
	code, status := codeOf(err), statusOf(err)
	if hint := identityHint(err); hint != "" {
		return hint
	}
	if hint := credentialsHint(code); hint != "" {
		return hint
	}
	switch {
	case status == 0:
		return sendHint(err)
	case code == "NoSuchBucket", act == actHeadBucket && status == http.StatusNotFound:
		return fmt.Sprintf("bucket %s does not exist: create it, or correct its name or the endpoint", s.o.Bucket)
	case isElsewhere(code, status):
		return fmt.Sprintf("bucket %s is in another region%s: configure that one", s.o.Bucket, regionOf(err))
	case strings.HasPrefix(strings.ToUpper(code), "KMS."):
		return fmt.Sprintf("the KMS key %q cannot be used: check its ARN, state and region", s.o.KMSKey)
	case s.o.LockMode != "" && isNoLock(err):
		return fmt.Sprintf("bucket %s has no Object Lock: enable it there, or configure no lock", s.o.Bucket)
	}
	return ""
}

// refusal is what S3 said where it refused the call for want of a right; nil
// else.
func (s *S3) refusal(act action, key string, err error) *refusal {
	code := codeOf(err)
	if statusOf(err) != http.StatusForbidden || identityHint(err) != "" || credentialsHint(code) != "" {
		return nil
	}
	arn := "arn:aws:s3:::" + s.o.Bucket
	if act != actList && act != actHeadBucket && act != actLock {
		arn += "/" + s.prefix + "*"
	}
	message := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		message = api.ErrorMessage()
	}
	said := terse(err)
	denied := denial.Of(message, act.permission, arn)
	denied.Err = said
	if denied.Action == actList.permission {
		denied.Prefix = s.prefix
		if act == actList {
			denied.Prefix += key
		}
	}
	return &refusal{denied: denied, said: said}
}

// named is terse, and a [denial.Error] where another service than S3 has named a
// right: STS, when a role may not be assumed.
func named(err error) error {
	said := terse(err)
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if denied := denial.Parse(api.ErrorMessage()); denied != nil {
			denied.Err = said
			return &refusal{denied: denied, said: said}
		}
	}
	return said
}

// refusal is a [denial.Error] in the words of S3's own answer: what to do about
// it stands before it.
type refusal struct {
	denied *denial.Error
	said   error
}

func (r *refusal) Error() string { return r.said.Error() }

func (r *refusal) Unwrap() error { return r.denied }

// deniedHint names the permissions that the call needs.
func (s *S3) deniedHint(act action, r *refusal) string {
	if r.denied.Blocked() || r.denied.Action != act.permission {
		return r.denied.Advice()
	}
	arn := "arn:aws:s3:::" + s.o.Bucket
	switch act {
	case actList, actHeadBucket:
		return fmt.Sprintf("grant %s on %s for prefix %s*", act.permission, arn, s.prefix)
	case actLock:
		return fmt.Sprintf("grant %s on %s", act.permission, arn)
	case actPut:
		more := ""
		if len(s.o.Tags) > 0 {
			more += ", s3:PutObjectTagging"
		}
		if s.o.LockMode != "" {
			more += ", s3:PutObjectRetention"
		}
		if s.o.KMSKey != "" {
			more += fmt.Sprintf(" and kms:GenerateDataKey on %s", s.o.KMSKey)
		}
		return fmt.Sprintf("grant %s on %s/%s*%s", act.permission, arn, s.prefix, more)
	case actHead, actGet:
		// Without ListBucket, S3 answers so for an object that is not there.
		return fmt.Sprintf("grant %s on %s/%s*, s3:ListBucket on %s, and kms:Decrypt if it is encrypted",
			act.permission, arn, s.prefix, arn)
	}
	return fmt.Sprintf("grant %s on %s/%s*", act.permission, arn, s.prefix)
}

// credentialsHint is what to do if it is the signature that S3 refuses.
func credentialsHint(code string) string {
	switch code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException":
		return "the AWS credentials are wrong: check access key, secret and session token"
	case "ExpiredToken", "ExpiredTokenException":
		return "the AWS credentials have expired: renew them"
	case "RequestTimeTooSkewed", "RequestExpired":
		return "this machine's clock is wrong: set it"
	}
	return ""
}

// sendHint is what to do if there is no answer.
func sendHint(err error) string {
	var send *smithyhttp.RequestSendError
	var netErr net.Error
	if errors.As(err, &send) || errors.As(err, &netErr) && codeOf(err) == "" {
		return "no answer: check network, proxy, region and endpoint"
	}
	return ""
}

// identityHint is what to do if there are no credentials to sign with, for
// which the SDK has no type. What is wrapped then is an answer of another
// service, or of none.
func identityHint(err error) string {
	if !strings.Contains(err.Error(), "get identity: ") {
		return ""
	}
	var op *smithy.OperationError
	for inner := err; errors.As(inner, &op); inner = op.Err {
		if op.Operation() == "AssumeRole" {
			return "the role cannot be assumed: check its ARN, its trust policy and the external id"
		}
	}
	return "no usable AWS credentials: configure a profile, a role or environment variables"
}

// ExplainCall puts into words why a call to AWS failed, whatever the service, and
// what to do about it, where that is for all services the same: credentials, the
// clock, the network. It returns nil for nil.
func ExplainCall(err error) error {
	if err == nil {
		return nil
	}
	hint := identityHint(err)
	if hint == "" {
		hint = credentialsHint(codeOf(err))
	}
	if hint == "" && statusOf(err) == 0 {
		hint = sendHint(err)
	}
	if hint == "" {
		return terse(err)
	}
	return fmt.Errorf("%s: %w", hint, terse(err))
}

// answer is an error of the SDK in fewer words.
type answer struct {
	err  error
	text string
}

func (a *answer) Error() string { return a.text }

func (a *answer) Unwrap() error { return a.err }

// terse leaves out what the SDK puts around an answer but for the id of the
// request, which AWS's support asks for.
func terse(err error) error {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = op.Err
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return err
	}
	text := fmt.Sprintf("%d %s", response.HTTPStatusCode(), api.ErrorCode())
	if api.ErrorMessage() != "" {
		text += ": " + api.ErrorMessage()
	}
	if id := response.ServiceRequestID(); id != "" {
		text += " (request " + id + ")"
	}
	return &answer{err: err, text: text}
}

// statusOf is the HTTP status that S3 answered, or 0.
func statusOf(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// codeOf is the error code that S3 answered, or "".
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// isConflict reports whether S3 wants a conditional write to be sent again.
func isConflict(err error) bool {
	code := codeOf(err)
	return code == "ConditionalRequestConflict" || code == "OperationAborted"
}

// isElsewhere reports whether the bucket is in another region.
func isElsewhere(code string, status int) bool {
	return status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect ||
		code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException"
}

// isNoLock reports whether S3 misses the bucket's Object Lock. There is no code
// for it, and servers differ in the blanks.
func isNoLock(err error) bool {
	return statusOf(err) == http.StatusBadRequest && strings.Contains(strings.ReplaceAll(err.Error(), " ", ""), "ObjectLock")
}

// regionOf is the bucket's region, if S3 tells.
func regionOf(err error) string {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return ""
	}
	if region := response.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return ", " + region
	}
	return ""
}
