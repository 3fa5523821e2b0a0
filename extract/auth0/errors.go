package auth0

import (
	"errors"
	"fmt"
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
}

// Error names the status and the code.
func (e *StatusError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("status %d", e.Status)
	}
	return fmt.Sprintf("status %d (%s)", e.Status, e.Code)
}
