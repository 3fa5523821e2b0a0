package auth0

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// What a caller may tell apart. Each comes wrapped, with what to do about it.
var (
	// ErrCredentials says that Auth0 does not accept the application.
	ErrCredentials = errors.New("credentials not accepted")
	// ErrScope says that the application lacks a permission.
	ErrScope = errors.New("permission missing")
	// ErrExport says that Auth0 could not make an export of the users.
	ErrExport = errors.New("users export failed")
	// ErrStuck says that paging does not advance: going on would never end.
	ErrStuck = errors.New("paging does not advance")
)

// StatusError is an answer other than 2xx. It carries Auth0's short error code
// and none of the body's texts, which may repeat what was sent.
type StatusError struct {
	Status int
	Code   string
	// Reset is when the rate limit is over, where the answer said so.
	Reset time.Time
	// Expected are the scopes of which the answer wants one, where it said so.
	Expected []string
}

// ScopeError says that the application lacks a permission. It is an [ErrScope],
// too.
type ScopeError struct {
	// Scope to grant; any of Instead would do as well.
	Scope   string
	Instead []string
	err     error
}

// Error says what to grant.
func (e *ScopeError) Error() string {
	return fmt.Sprintf("%v: grant the application %s for the Management API (%v)", ErrScope, e.Scope, e.err)
}

// Unwrap gives the answer's status.
func (e *ScopeError) Unwrap() []error { return []error{ErrScope, e.err} }

// expected reads the scopes out of Auth0's words: "Insufficient scope; expected
// any of: read:logs,read:logs_users".
func expected(message string) []string {
	_, list, _ := strings.Cut(message, "expected any of:")
	var scopes []string
	for scope := range strings.SplitSeq(list, ",") {
		if scope = strings.TrimSpace(scope); scopeForm.MatchString(scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

var scopeForm = regexp.MustCompile(`^[a-z]{1,20}:[a-z_]{1,60}$`)

// Error names the status and the code.
func (e *StatusError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("status %d", e.Status)
	}
	return fmt.Sprintf("status %d (%s)", e.Status, e.Code)
}
