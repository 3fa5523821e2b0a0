package datadog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/idtrail/idtrail/load/stream"
)

// explainer tells what an answer means. Its words are its own: a receiver, or
// what stands before it, may echo a key in whatever it answers.
type explainer struct {
	sink, site string
	timeout    time.Duration
}

func (x explainer) answer(resp *http.Response) stream.Answer {
	outcome := outcomeOf(resp.StatusCode)
	if outcome == stream.Accepted {
		return stream.Answer{}
	}
	a := stream.Answer{Outcome: outcome, Err: x.status(resp.StatusCode)}
	if outcome == stream.Busy || outcome == stream.Unknown {
		a.Wait = asked(resp.Header)
	}
	return a
}

// outcomeOf reads a status as the intake documents it. A gateway's failures
// leave open whether the intake behind it has the logs.
func outcomeOf(status int) stream.Outcome {
	switch {
	case status >= 200 && status <= 299:
		return stream.Accepted
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return stream.Refused
	case status == http.StatusRequestEntityTooLarge:
		return stream.TooLarge
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return stream.Busy
	case status >= 500 && status != http.StatusNotImplemented:
		return stream.Unknown
	default:
		return stream.Denied
	}
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
	case outcomeOf(status) == stream.Denied:
		return fmt.Sprintf("what answers does not take logs; look at site or url of sink %s", x.sink)
	default:
		return ""
	}
}

// asked is how long the receiver wants to be left alone: Datadog says the
// seconds in X-RateLimit-Reset, proxies in Retry-After.
func asked(h http.Header) time.Duration {
	for _, name := range []string{"X-Ratelimit-Reset", "Retry-After"} {
		seconds, err := strconv.ParseInt(h.Get(name), 10, 32)
		if err == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// failure is a call without an answer. It is unknown whether it arrived, unless
// there never was a connection.
func (x explainer) failure(ctx context.Context, err error) stream.Answer {
	if ctx.Err() != nil {
		return stream.Answer{Outcome: stream.Unknown, Err: fmt.Errorf("call was given up: %w", ctx.Err())}
	}
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &cert):
		return stream.Answer{
			Outcome: stream.Denied,
			Err:     errors.New("the receiver's certificate is not signed by anybody this machine trusts, or is not for this host"),
		}
	case errors.As(err, &op) && op.Op == "dial":
		return stream.Answer{Outcome: stream.Busy, Err: errors.New("no connection to the receiver: " + dialText(op))}
	case errors.As(err, &timeout) && timeout.Timeout():
		return stream.Answer{Outcome: stream.Unknown, Err: fmt.Errorf("no answer within %v", x.timeout)}
	default:
		return stream.Answer{Outcome: stream.Unknown, Err: errors.New("the connection was cut before the answer")}
	}
}

// dialText holds no text of the other side: there was none yet.
func dialText(op *net.OpError) string {
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.As(op, &dns):
		return "its name cannot be resolved"
	case errors.As(op, &errno):
		return errno.Error()
	case op.Timeout():
		return "it does not answer"
	default:
		return "it cannot be reached"
	}
}
