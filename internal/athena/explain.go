package athena

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
)

// Error is an error with what to do about it.
type Error struct {
	err  error
	Hint string
}

// Error implements error.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives what errors.Is and errors.As look for.
func (e *Error) Unwrap() error { return e.err }

func isMissing(err error) bool { return errors.As(err, new(*types.EntityNotFoundException)) }
func isThere(err error) bool   { return errors.As(err, new(*types.AlreadyExistsException)) }

// explain says what failed and what helps. Of what AWS said only the code is
// told: its sentences name whom they speak to.
func (i *Installer) explain(doing, right string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	e := &Error{err: fmt.Errorf("%s: AWS answers %s: %w", doing, api.ErrorCode(), &answer{err})}
	switch code := api.ErrorCode(); {
	case strings.HasPrefix(code, "AccessDenied"):
		e.Hint = fmt.Sprintf("allow %s on %s; under Lake Formation its own permissions are needed too (idtrail policy prints what is)", right, i.resource(right))
	case code == "ConcurrentModificationException", code == "AlreadyExistsException", code == "VersionMismatchException":
		e.Hint = "somebody else changed it at the same time: run it again"
	case code == "InvalidRequestException" && strings.HasPrefix(right, "athena:Start"):
		e.Hint = "is there a workgroup " + i.workgroup() + "? does it say where results go? if not, add --output s3://bucket/prefix"
	case code == "InvalidRequestException":
		e.Hint = "is there a workgroup " + i.workgroup() + "?"
	case strings.Contains(code, "Throttl"), code == "TooManyRequestsException":
		e.Hint = "AWS is asked too often: run it again in a minute; what was made stays"
	case code == "ExpiredTokenException", code == "UnrecognizedClientException", code == "InvalidSignatureException":
		e.Hint = "renew the AWS credentials, and see that this machine's clock is right"
	default:
		e.Hint = "see what " + right + " of AWS says of this code; run it again then: what was made stays"
	}
	return e
}

// resource is what a right is needed on, in the words of a policy.
func (i *Installer) resource(right string) string {
	if strings.HasPrefix(right, "athena:") {
		return "workgroup " + i.workgroup()
	}
	return "the catalog, database " + i.Database + " and its tables"
}

// answer is what AWS answered, without its words.
type answer struct{ err error }

func (*answer) Error() string   { return "it refuses" }
func (a *answer) Unwrap() error { return a.err }

// maxReason is how much of why a query failed is told.
const maxReason = 300

// failed says why a query failed: Athena's own words, for they alone name what
// was wrong.
func failed(doing string, q *athenatypes.QueryExecution) error {
	reason := printable(aws.ToString(q.Status.StateChangeReason))
	e := &Error{
		err:  fmt.Errorf("%s: the query has ended as %s: %s", doing, strings.ToLower(string(q.Status.State)), clip(reason, maxReason)),
		Hint: "query " + aws.ToString(q.QueryExecutionId) + " in the console of Athena shows more",
	}
	if strings.Contains(reason, "Access Denied") || strings.Contains(reason, "Access denied") || strings.Contains(reason, "not authorized") {
		e.Hint = "Athena reads and writes with your rights: allow reading the lake, writing where results go, and Glue's tables; " + e.Hint
	}
	return e
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// clip cuts a text to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}
