package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DefaultTimeout of one call. A short one makes duplicates: what is given up may
// have arrived.
const DefaultTimeout = time.Minute

// ClientOptions of [NewClient].
type ClientOptions struct {
	// CAPEM are certificates to trust beside the system's.
	CAPEM []byte
	// Timeout of one call, its answer included; [DefaultTimeout] if zero.
	Timeout time.Duration
	// Transport takes the place of the network, and CAPEM is then not used.
	Transport http.RoundTripper
}

// NewClient returns a client for receivers: it follows no redirect, for it would
// take the key and the events elsewhere, speaks TLS 1.2 or newer, and uses the
// environment's proxies. It repeats nothing.
func NewClient(o ClientOptions) (*http.Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	c := &http.Client{
		Transport: o.Transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.Transport == nil {
		t, err := newTransport(o)
		if err != nil {
			return nil, err
		}
		c.Transport = t
	}
	return c, nil
}

// TLSConfig returns how receivers are spoken to: TLS 1.2 or newer, and trusted if
// the system or one of the certificates says so.
func TLSConfig(caPEM []byte) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caPEM) == 0 {
		return conf, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("ca_file holds no certificate in PEM form")
	}
	conf.RootCAs = roots
	return conf, nil
}

func newTransport(o ClientOptions) (*http.Transport, error) {
	conf, err := TLSConfig(o.CAPEM)
	if err != nil {
		return nil, err
	}
	// It gives up before the call does: then it is known that nothing was sent.
	dialer := &net.Dialer{Timeout: min(30*time.Second, o.Timeout/2), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: proxyAnswered,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    15 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		WriteBufferSize:        64 << 10,
		ForceAttemptHTTP2:      true,
	}, nil
}

// proxyError is a proxy's answer to CONNECT, other than that it did.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	text := fmt.Sprintf("the proxy of the environment (HTTPS_PROXY) answered %d", e.status)
	if e.status == http.StatusProxyAuthRequired {
		text += ": it wants a user and a password"
	}
	return text
}

// proxyAnswered keeps net/http from making an error of the proxy's own words.
func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{resp.StatusCode}
}

// answer: whatever the proxy says of itself, the receiver has nothing.
func (e *proxyError) answer() Answer {
	a := Answer{Outcome: Denied, Err: e}
	if o := OutcomeOf(e.status); o == Busy || o == Unknown {
		a.Outcome = Busy
	}
	return a
}

// ParseURL reads a receiver's address as it is configured. Plain http is taken
// on loopback only: it would send keys and events in the clear. No part of the
// text is in the error, since a secret may be.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("url is not of the form https://host:port/path")
	case u.User != nil:
		return nil, errors.New("url holds a user or a password")
	case u.Fragment != "":
		return nil, errors.New("url holds a fragment (#)")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return nil, errors.New("url is plain http, which is taken on loopback only: use https")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("url begins with neither https:// nor http://")
	}
	return u, nil
}

// Loopback says whether host, a name or an address without a port, is this
// machine.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// Unanswered says what it means that a call ended with err and without an
// answer, in words of our own: those of net/http may quote what the other side
// sent. Where there never was a connection, nothing was sent.
func Unanswered(ctx context.Context, err error) Answer {
	var (
		proxy *proxyError
		op    *net.OpError
	)
	if errors.As(err, &proxy) {
		return proxy.answer()
	}
	if text := distrust(err); text != "" {
		return Answer{Outcome: Denied, Err: errors.New(text)}
	}
	a := Answer{Outcome: Unknown}
	isOp := errors.As(err, &op)
	if isOp && (op.Op == "dial" || op.Op == "proxyconnect") {
		a.Outcome = Busy
	}
	switch {
	case ctx.Err() != nil:
		a.Err = fmt.Errorf("call was given up: %w", ctx.Err())
	case a.Outcome == Busy:
		a.Err = errors.New("no connection to the receiver" + through(op) + ": " + dialText(op))
	case isOp && op.Op == "remote error": // an alert, which is a number
		a.Err = fmt.Errorf("the receiver broke off: %w", op.Err)
	case timedOut(err):
		a.Err = errors.New("the receiver did not answer in time")
	default:
		a.Err = errors.New("the connection was cut before a valid answer")
	}
	return a
}

// distrust says why the other side is not talked to, "" if that is not it.
func distrust(err error) string {
	var (
		cert    *tls.CertificateVerificationError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return "the receiver's certificate is for another name"
	case errors.As(err, &invalid):
		return "the receiver's certificate is not valid, or has expired"
	case errors.As(err, &cert):
		return "the receiver's certificate is signed by nobody this machine trusts (ca_file)"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the receiver does not speak TLS: is it http?"
	default:
		return ""
	}
}

func through(op *net.OpError) string {
	if op.Op == "proxyconnect" {
		return " by the proxy of the environment (HTTPS_PROXY)"
	}
	return ""
}

// dialText holds no text of the other side: there was none yet.
func dialText(op *net.OpError) string {
	var (
		dns   *net.DNSError
		errno syscall.Errno
	)
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

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// OutcomeOf reads a status as receivers have in common. A gateway's failure
// leaves open whether the receiver behind it has the entries.
func OutcomeOf(status int) Outcome {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Refused
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return Busy
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return Denied
	}
	switch {
	case status >= 200 && status <= 299:
		return Accepted
	case status >= 500:
		return Unknown
	default:
		return Denied
	}
}

// RetryAfter reads the header of that name, in seconds or as a date: how long
// the receiver asks to be left alone, 0 if it does not.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest there is
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// Drain reads what little is left of an answer's body, so that its connection is
// used again once it is closed.
func Drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 64<<10) }
