package cognito

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/idtrail/idtrail/internal/denial"
)

// What a caller may tell apart. Each comes wrapped, with what to do about it.
var (
	// ErrCredentials says that AWS does not take the credentials: wrong ones, or
	// expired.
	ErrCredentials = errors.New("AWS credentials not accepted")
	// ErrDenied says that the credentials may not make a call that users cannot
	// be read without.
	ErrDenied = errors.New("access denied")
	// ErrThrottled says that a call was throttled for longer than the options
	// allow.
	ErrThrottled = errors.New("throttled for too long")
	// ErrStuck says that paging does not come to an end.
	ErrStuck = errors.New("paging does not advance")
)

// errIncomplete says that an answer is cut off, empty or no JSON object: a
// reason to ask again, never the end of a list.
var errIncomplete = errors.New("answer is not a whole JSON object")

// errTimeout says that one attempt took too long.
var errTimeout = errors.New("no answer in time")

// APIError is an answer other than 2xx. It carries AWS's error code and none of
// its texts, which may repeat what was sent.
type APIError struct {
	// Operation that was called, and its service's prefix in IAM.
	Operation, Service string
	Code               string
	// Status of HTTP, 0 where it is not known.
	Status int
}

// Error names the operation and the code.
func (e *APIError) Error() string {
	if e.Status == 0 || e.Status == http.StatusBadRequest {
		return e.Operation + ": " + e.Code
	}
	return fmt.Sprintf("%s: %s (status %d)", e.Operation, e.Code, e.Status)
}

// The codes of AWS that decide something here.
var (
	deniedCodes = []string{
		"AccessDeniedException", "AccessDenied", "NotAuthorizedException", "UnauthorizedException",
		"UnauthorizedOperation", "OptInRequired", "ForbiddenException",
	}
	credentialCodes = []string{
		"ExpiredTokenException", "ExpiredToken", "RequestExpired", "UnrecognizedClientException",
		"InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature",
		"IncompleteSignatureException", "InvalidAccessKeyId",
	}
	// neverCodes come with a 5xx from servers that lack an operation: asking
	// again does not help.
	neverCodes = []string{"Unsupported", "UnsupportedOperation", "UnknownOperationException", "NotImplemented"}
	// tokenCodes are what a page token gets that has expired or does not fit.
	tokenCodes = []string{"InvalidParameterException", "InvalidPaginationToken", "InvalidNextTokenException", "ExpiredPaginationToken"}
)

// explain turns an error of the SDK into one that says what to do, and that
// quotes neither what was sent nor what was answered.
func explain(ctx context.Context, service string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	op := operationOf(err)
	var coded smithy.APIError
	if !errors.As(err, &coded) {
		return explainTransport(op, err)
	}
	api := &APIError{Operation: op, Service: service, Code: coded.ErrorCode(), Status: statusOf(err)}
	switch {
	case slices.Contains(credentialCodes, api.Code):
		return fmt.Errorf("%w: expired, or not those of this account? (%w)", ErrCredentials, api)
	case slices.Contains(deniedCodes, api.Code):
		denied := denial.Of(coded.ErrorMessage(), service+":"+op, "")
		denied.Err = errors.Join(ErrDenied, api)
		return &refused{fmt.Errorf("%w: %s (%w)", ErrDenied, denied.Advice(), api), denied}
	case throttled(err):
		return fmt.Errorf("%w (%w)", ErrThrottled, api)
	default:
		return api
	}
}

// refused is an error that is also a [denial.Error].
type refused struct {
	error
	denied *denial.Error
}

func (r *refused) Unwrap() []error { return []error{r.error, r.denied} }

// explainTransport drops what the SDK puts around the cause: ids of requests
// that never arrived, URLs.
func explainTransport(op string, err error) error {
	for _, known := range []error{errIncomplete, errTimeout} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", op, known)
		}
	}
	if o, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = o.Err
	}
	// The SDK has no type for it.
	if strings.Contains(err.Error(), "get identity: ") {
		return fmt.Errorf("no usable AWS credentials: configure a profile, a role or environment variables: %s: %w", op, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func operationOf(err error) string {
	if o, ok := errors.AsType[*smithy.OperationError](err); ok {
		return o.OperationName
	}
	return "call"
}

func statusOf(err error) int {
	var with interface{ HTTPStatusCode() int }
	if errors.As(err, &with) {
		return with.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	if coded, ok := errors.AsType[smithy.APIError](err); ok {
		return coded.ErrorCode()
	}
	if api, ok := errors.AsType[*APIError](err); ok {
		return api.Code
	}
	return ""
}

func throttled(err error) bool {
	codes := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	return codes.IsErrorThrottle(err) == aws.TrueTernary || statusOf(err) == http.StatusTooManyRequests
}
