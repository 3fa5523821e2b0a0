package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statusText is how the exporters over HTTP name a status.
var statusText = regexp.MustCompile(`\b[1-5]\d\d [A-Z][A-Za-z -]+`)

// reason says why something was not sent, without what the other side said or
// where it is: both may hold a key.
func reason(err error) string {
	var (
		op    *net.OpError
		dns   *net.DNSError
		errno syscall.Errno
	)
	s, isGRPC := status.FromError(err)
	switch {
	case errors.Is(err, context.Canceled):
		return "there was no time left for it"
	case errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return "the collector did not answer in time"
	case distrusted(err):
		return "the collector's certificate is not trusted"
	case errors.As(err, &dns):
		return "the collector's name cannot be resolved"
	case errors.As(err, &errno):
		return "no connection to the collector: " + errno.Error()
	case errors.As(err, &op):
		return "no connection to the collector"
	case isGRPC && s.Code() != codes.OK && s.Code() != codes.Unknown:
		return "the collector answered " + s.Code().String()
	}
	if code := statusText.FindString(err.Error()); code != "" {
		return "the collector answered " + code[:3]
	}
	return "the exporter failed"
}

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func distrusted(err error) bool {
	var (
		cert *tls.CertificateVerificationError
		host x509.HostnameError
	)
	return errors.As(err, &cert) || errors.As(err, &host)
}

// plain says whether an endpoint is spoken to without TLS, beyond this machine.
// One without a scheme is gRPC's, which is secure unless told otherwise; none at
// all is this machine.
func plain(endpoint, insecure string) bool {
	if endpoint == "" {
		return false
	}
	u, err := url.Parse(endpoint)
	if err == nil && u.Host != "" {
		return u.Scheme == "http" && !loopback(u.Hostname())
	}
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = endpoint
	}
	return strings.EqualFold(insecure, "true") && !loopback(host)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
