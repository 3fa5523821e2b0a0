package datadog

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/load/stream"
)

// explainer tells what an answer means. Its words are its own: a receiver, or
// what stands before it, may echo a key in whatever it answers.
type explainer struct {
	sink, site string
	now        func() time.Time
}

func (x explainer) answer(resp *http.Response) stream.Answer {
	outcome := stream.OutcomeOf(resp.StatusCode)
	if outcome == stream.Accepted {
		return stream.Answer{}
	}
	a := stream.Answer{Outcome: outcome, Err: x.status(resp.StatusCode)}
	if outcome == stream.Busy || outcome == stream.Unknown {
		a.Wait = x.asked(resp.Header)
	}
	return a
}

func (x explainer) status(status int) error {
	text := fmt.Sprintf("answered %d", status)
	if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	switch hint := x.hint(status); hint {
	case "":
		return errors.New(text)
	default:
		return errors.New(text + ": " + hint)
	}
}

// hint says what to look at.
func (x explainer) hint(status int) string {
	where := "of another receiver than the one at url"
	if x.site != "" {
		where = "of another site than " + x.site
	}
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("no key was seen; look at api_key of sink %s", x.sink)
	case status == http.StatusForbidden:
		return fmt.Sprintf("the key is not valid; look at api_key of sink %s: it is wrong, revoked, an application key, or %s", x.sink, where)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status <= 399:
		return fmt.Sprintf("there is no intake at this address; look at site or url of sink %s", x.sink)
	case status == http.StatusProxyAuthRequired:
		return "the proxy of the environment (HTTPS_PROXY) wants a user and a password"
	case stream.OutcomeOf(status) == stream.Denied:
		return fmt.Sprintf("what answers does not take logs; look at site or url of sink %s", x.sink)
	default:
		return ""
	}
}

// asked is how long the receiver wants to be left alone: Datadog says the
// seconds in X-RateLimit-Reset, proxies in Retry-After.
func (x explainer) asked(h http.Header) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 32)
	if err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return stream.RetryAfter(h, x.now())
}
