package notify

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/idtrail/idtrail/load/stream"
)

// caller makes one call and remembers how it was answered: what the libraries
// say of it holds URLs and answers.
type caller struct {
	next   http.RoundTripper
	status int
	err    error
}

// RoundTrip is [http.RoundTripper]'s.
func (c *caller) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if c.err = err; err == nil {
		c.status = answer.StatusCode
	}
	return answer, err
}

// call has do make one call with a client of the same settings, and judges it by
// its status alone.
func call(ctx context.Context, client *http.Client, do func(*http.Client) error) error {
	c := &caller{next: client.Transport}
	watched := *client
	watched.Transport = c
	err := do(&watched)
	switch {
	case c.err != nil:
		return stream.Unanswered(ctx, c.err).Err
	case c.status == 0 && err != nil:
		return errNotSent
	case c.status/100 == 2:
		return nil
	default:
		return statusError(c.status)
	}
}

// statusError is a receiver's answer other than that it did.
type statusError int

func (e statusError) Error() string {
	text := fmt.Sprintf("the receiver answered %d %s", int(e), http.StatusText(int(e)))
	switch {
	case e/100 == 3:
		text += ", which is not followed: write the address it is at"
	case e == http.StatusNotFound || e == http.StatusGone || e == http.StatusUnauthorized || e == http.StatusForbidden:
		text += ": is its address still right?"
	}
	return strings.TrimSpace(text)
}

type notSentError struct{}

func (notSentError) Error() string { return "the message could not be made" }

var errNotSent error = notSentError{}
