package secret

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/denial"
)

// explain says what is wrong and, after a "; ", what to do about it. Of what AWS
// said only the code and the request's id are told.
func explain(e entry, region string, err error) error {
	var api smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrPlainHTTP):
		return err
	case strings.Contains(err.Error(), "get identity: "): // the SDK has no type for it
		return fmt.Errorf("no usable AWS credentials (%w); configure a profile, a role or environment variables", shorten(err))
	case !errors.As(err, &api):
		return unanswered(e, region, err)
	}
	answer := &answer{text: describe(err, api), err: refusal(e, region, api)}
	if status(err) >= 500 || throttled(err) {
		return fmt.Errorf("%w: %s answers %w; try again later", ErrUnavailable, e.service, answer)
	}
	what, hint := meaning(e, region, api)
	return fmt.Errorf("%s (%w); %s", what, answer, hint)
}

// refusal is what AWS said where it refused the call for want of a right.
func refusal(e entry, region string, api smithy.APIError) error {
	switch {
	case isKey(api) && strings.Contains(strings.ToLower(api.ErrorCode()), "accessdenied"):
		return denial.Of(api.ErrorMessage(), "kms:Decrypt", "")
	case strings.HasPrefix(api.ErrorCode(), "AccessDenied"):
		return denial.Of(api.ErrorMessage(), e.right(), e.arn(region))
	default:
		return nil
	}
}

// meaning is what a code says of an entry, and what helps.
func meaning(e entry, region string, api smithy.APIError) (what, hint string) {
	switch code := api.ErrorCode(); {
	case isKey(api):
		return "its key may not be used", "allow kms:Decrypt on the KMS key that encrypts it, and see that the key is enabled"
	case strings.HasPrefix(code, "AccessDenied"):
		return "access denied", fmt.Sprintf("allow %s on %s", e.right(), e.arn(region))
	case code == "ResourceNotFoundException" && strings.Contains(api.ErrorMessage(), "staging label"):
		return "the secret has no current value", "put one in"
	case code == "ResourceNotFoundException", code == "ParameterNotFound":
		return fmt.Sprintf("there is none of that name in %s", region), "create it, or correct name, region or account"
	case code == "ParameterVersionNotFound":
		return "the parameter has no such version or label", "correct what stands after the last colon"
	case code == "InvalidRequestException":
		return "the secret cannot be read in its present state", "it may be marked for deletion: restore it"
	case slices.Contains(credentialCodes(), code):
		return "the AWS credentials are not taken", "renew them, and see that this machine's clock is right"
	default:
		return "it is refused", fmt.Sprintf("see what %s of AWS says of this code", e.right())
	}
}

// isKey tells a key that may not be used from an entry that may not be read: both
// are access denied, and the message alone names KMS.
func isKey(api smithy.APIError) bool {
	code := strings.ToLower(api.ErrorCode())
	return strings.Contains(code, "kms") || code == "decryptionfailure" || code == "invalidkeyid" ||
		strings.HasPrefix(code, "accessdenied") && strings.Contains(strings.ToLower(api.ErrorMessage()), "kms")
}

func credentialCodes() []string {
	return []string{
		"ExpiredTokenException", "ExpiredToken", "RequestExpired", "UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
	}
}

// right is the permission that reading the entry needs.
func (e entry) right() string {
	if e.service == serviceSecrets {
		return "secretsmanager:GetSecretValue"
	}
	return "ssm:GetParameter"
}

// arn is the resource of a policy for the entry. Secrets Manager puts six
// characters behind a name.
func (e entry) arn(region string) string {
	switch {
	case strings.HasPrefix(e.id, "arn:"):
		return e.id
	case e.service == serviceSecrets:
		return fmt.Sprintf("arn:aws:secretsmanager:%s:*:secret:%s-??????", region, e.id)
	default:
		name, _, _ := strings.Cut(e.id, ":")
		return fmt.Sprintf("arn:aws:ssm:%s:*:parameter/%s", region, strings.TrimPrefix(name, "/"))
	}
}

func unanswered(e entry, region string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s in %s does not answer in time; check network, proxy and endpoint", ErrUnavailable, e.service, region)
	}
	return fmt.Errorf("%w: no answer of %s in %s: %w; check network, proxy, region and endpoint", ErrUnavailable, e.service, region, shorten(err))
}

// shorten leaves out what the SDK and net/http put around the cause.
func shorten(err error) error {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = op.Err
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &answer{text: strings.ReplaceAll(err.Error(), "; ", ", "), err: err}
}

// answer is an error in other words.
type answer struct {
	text string
	err  error
}

func (a *answer) Error() string { return a.text }

func (a *answer) Unwrap() error { return a.err }

func describe(err error, api smithy.APIError) string {
	text := api.ErrorCode()
	if status(err) != 0 {
		text = fmt.Sprintf("%d %s", status(err), text)
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.ServiceRequestID() != "" {
		text += ", request " + response.ServiceRequestID()
	}
	return strings.ReplaceAll(text, "; ", ", ")
}

func status(err error) int {
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

func throttled(err error) bool {
	codes := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	return codes.IsErrorThrottle(err).Bool()
}
