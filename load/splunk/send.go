package splunk

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/idtrail/idtrail/load/stream"
)

const (
	eventPath  = "/services/collector/event"
	ackPath    = "/services/collector/ack"
	healthPath = "/services/collector/health"

	channelHeader = "X-Splunk-Request-Channel"

	// maxAnswer bounds what is read of an answer. The longest are those of
	// acknowledgements, some 20 bytes a receipt.
	maxAnswer = 4 << 20
	// easeOff is how long the collector is left alone when it says that it is
	// nearly full.
	easeOff = time.Second
)

var (
	errNoAckID = errors.New("collector took the events without an ackId: the token has no acknowledgement; " +
		"enable it for the token (Splunk Enterprise only) or set ack: off")
	errNotHEC   = errors.New("answered with a web page: there is no collector at url, or a proxy stands before it")
	errCutShort = errors.New("answer of the collector was cut off, or is none of HEC's")
)

// answer is what is read of the collector's JSON. Its text is not: it may echo
// the token.
type answer struct {
	Code  *int            `json:"code"`
	AckID *int64          `json:"ackId"`
	Acks  map[string]bool `json:"acks"`
}

// reply is one answer.
type reply struct {
	status int
	header http.Header
	body   answer
	// cut says that the body ended too early.
	cut bool
}

func (r *reply) code() int {
	if r.body.Code == nil {
		return noCode
	}
	return *r.body.Code
}

func (r *reply) ok() bool { return r.status >= 200 && r.status < 300 }

func (r *reply) err() *answerError { return &answerError{status: r.status, code: r.code()} }

// Send implements [stream.Protocol].
func (c *collector) Send(ctx context.Context, r stream.Request) stream.Answer {
	packed := c.pool.get()
	defer c.pool.put(packed)
	if err := packed.fill(r.Body); err != nil {
		return stream.Answer{Outcome: stream.Refused, Err: err}
	}
	got, err := c.call(ctx, call{method: http.MethodPost, path: eventPath, channel: r.Channel, body: packed.buf.Bytes(), gzip: true})
	if err != nil {
		return stream.Answer{Outcome: stream.Unknown, Err: err}
	}
	if !got.ok() {
		e := got.err()
		return stream.Answer{Outcome: outcomeOf(e), Err: e, Wait: c.retryAfter(got.header)}
	}
	return c.accepted(got)
}

// accepted reads what came with a 200. Without acknowledgement the status says
// it all; with it, a request without a receipt can never be acknowledged.
func (c *collector) accepted(got *reply) stream.Answer {
	if kind, _, _ := mime.ParseMediaType(got.header.Get("Content-Type")); kind == "text/html" {
		return stream.Answer{Outcome: stream.Denied, Err: errNotHEC}
	}
	a := stream.Answer{Wait: c.retryAfter(got.header)}
	if n := got.code(); a.Wait == 0 && (n == codeQueueFull || n == codeAckFull) {
		a.Wait = easeOff
	}
	switch {
	case !c.ack:
	case got.body.AckID != nil:
		a.Receipt = *got.body.AckID
	case got.cut:
		return stream.Answer{Outcome: stream.Unknown, Err: errCutShort}
	default:
		return stream.Answer{Outcome: stream.Denied, Err: errNoAckID}
	}
	return a
}

// call is one HTTP request.
type call struct {
	method, path, channel string
	body                  []byte
	gzip                  bool
}

// call makes exactly one request. An error means that there was no answer.
func (c *collector) call(ctx context.Context, in call) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, in.method, c.base+in.path, bytes.NewReader(in.body))
	if err != nil {
		return nil, &transportError{"make request", err}
	}
	req.Header.Set("Authorization", "Splunk "+c.token)
	req.Header.Set("User-Agent", "idtrail")
	if in.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if in.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if in.channel != "" {
		req.Header.Set(channelHeader, in.channel)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, transportErrorOf(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	got := &reply{status: res.StatusCode, header: res.Header, cut: err != nil}
	if json.Unmarshal(text, &got.body) != nil {
		// Not HEC's, or cut off: what was read by then may be wrong.
		got.body = answer{}
	}
	return got, nil
}

// retryAfter reads how long the collector asks to be left alone.
func (c *collector) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(n, 0), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(c.now()), 0)
	}
	return 0
}

// transportError says in our own words why there was no answer: the words of
// net/http may quote what the other side sent.
type transportError struct {
	text  string
	cause error
}

func (e *transportError) Error() string { return e.text }

// Unwrap is for errors.Is; its text is not to be shown.
func (e *transportError) Unwrap() error { return e.cause }

func transportErrorOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &transportError{"call the collector: " + ctx.Err().Error(), ctx.Err()}
	}
	return &transportError{"call the collector: " + reason(err), err}
}

func reason(err error) string {
	var (
		timeout  net.Error
		dns      *net.DNSError
		issuer   x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.As(err, &issuer):
		return "its certificate is signed by nobody known; set ca_file"
	case errors.As(err, &hostname):
		return "its certificate is for another name"
	case errors.As(err, &invalid):
		return "its certificate is not valid, or has expired"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS; is it http?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection was cut"
	default:
		return "no answer"
	}
}

// gzipPool keeps compressors: each has some hundred kilobytes.
type gzipPool struct{ pool sync.Pool }

type packed struct {
	buf bytes.Buffer
	w   *gzip.Writer
}

func newGzipPool() *gzipPool {
	p := &gzipPool{}
	p.pool.New = func() any {
		w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return &packed{w: w}
	}
	return p
}

func (p *gzipPool) get() *packed {
	got, _ := p.pool.Get().(*packed)
	return got
}

func (p *gzipPool) put(used *packed) { p.pool.Put(used) }

func (p *packed) fill(body []byte) error {
	p.buf.Reset()
	p.w.Reset(&p.buf)
	if _, err := p.w.Write(body); err != nil {
		return err
	}
	return p.w.Close()
}
