package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

const (
	protobufType = "application/x-protobuf"
	// maxBody is how large a request is before compression. The specification has
	// no limit; collectors take 4 MiB and more, and of one that takes less the
	// requests are made smaller. Each is a way there and back, and a position to be
	// written down.
	maxBody = 4_000_000
	// maxRecord is how large a record may be before its raw record is left out:
	// many stores take no larger one.
	maxRecord = 1_000_000
	// maxAnswer of a body is read.
	maxAnswer = 64 << 10
)

// protocol is OTLP over HTTP.
type protocol struct {
	url, host string
	header    http.Header
	client    *http.Client
	now       func() time.Time
	gzip      stream.Compressor
}

var _ stream.Packer = (*protocol)(nil)

// Append appends an event as a LogRecord. There is none that cannot be one.
func (*protocol) Append(dst []byte, e *schema.Event, now time.Time) ([]byte, stream.Mark, error) {
	b := appendRecord(dst, e, now, true)
	if len(b)-len(dst) <= maxRecord || e.RawData == "" {
		return b, stream.Mark{}, nil
	}
	return appendRecord(dst, e, now, false), stream.Mark{Slimmed: true}, nil
}

// Frame is empty: what stands before the records tells their length, and so is
// put there by Send.
func (*protocol) Frame() stream.Frame { return stream.Frame{} }

// Send posts a body.
func (p *protocol) Send(ctx context.Context, r stream.Request) stream.Answer {
	body := r.Packed
	if body == nil {
		body = p.Pack(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return stream.Answer{Outcome: stream.Denied, Err: errors.New("the url cannot be called")}
	}
	req.Header = p.header.Clone()
	resp, err := p.client.Do(req)
	if err != nil {
		return stream.Unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer stream.Drain(resp.Body)
	return answered(resp, r.Entries, p.now())
}

// Pack implements [stream.Packer]: it puts the head before the records and
// compresses them. Without records, it is the empty request.
func (p *protocol) Pack(records ...[]byte) []byte {
	n := 0
	for _, part := range records {
		n += len(part)
	}
	if n == 0 {
		return p.gzip.Compress()
	}
	return p.gzip.Compress(append([][]byte{appendHead(nil, n)}, records...)...)
}

// answered says what an answer means.
func answered(resp *http.Response, entries int, now time.Time) stream.Answer {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // what is none is no page
	if resp.StatusCode/100 == 2 && kind != "text/html" {
		return accepted(resp, kind, entries)
	}
	a := stream.Answer{Outcome: stream.OutcomeOf(resp.StatusCode)}
	a.Err = fmt.Errorf("the receiver answered %d%s", resp.StatusCode, advice(resp.StatusCode))
	if resp.StatusCode/100 == 2 {
		a.Outcome, a.Err = stream.Denied, errors.New("a web page answered, no receiver of OTLP logs: check url")
	}
	if a.Outcome == stream.Busy || a.Outcome == stream.Unknown {
		a.Wait = stream.RetryAfter(resp.Header, now)
	}
	return a
}

// advice says what to look at, for the statuses that somebody has to act upon.
func advice(status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ": check headers (key or token)"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return ": check url, nothing takes OTLP logs there"
	case status == http.StatusUnsupportedMediaType:
		return ": it takes no protobuf or no gzip"
	case status == http.StatusProxyAuthRequired:
		return ": the proxy wants a password"
	case status/100 == 3:
		return ": a redirect, which is not followed; check url"
	case status == http.StatusBadRequest:
		return ": it finds something wrong in the data"
	}
	return ""
}
