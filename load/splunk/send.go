package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

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

// Pack implements [stream.Packer].
func (c *collector) Pack(parts ...[]byte) []byte { return c.gzip.Compress(parts...) }

// Send implements [stream.Protocol].
func (c *collector) Send(ctx context.Context, r stream.Request) stream.Answer {
	body := r.Packed
	if body == nil {
		body = c.Pack(r.Body)
	}
	got, err := c.call(ctx, call{method: http.MethodPost, path: eventPath, channel: r.Channel, body: body, gzip: true})
	if err != nil {
		return stream.Unanswered(ctx, err)
	}
	if !got.ok() {
		e := got.err()
		return stream.Answer{Outcome: outcomeOf(e), Err: e, Wait: stream.RetryAfter(got.header, c.now())}
	}
	return c.accepted(got)
}

// accepted reads what came with a 200. Without acknowledgement the status says
// it all; with it, a request without a receipt can never be acknowledged.
func (c *collector) accepted(got *reply) stream.Answer {
	if kind, _, _ := mime.ParseMediaType(got.header.Get("Content-Type")); kind == "text/html" {
		return stream.Answer{Outcome: stream.Denied, Err: errNotHEC}
	}
	a := stream.Answer{Wait: stream.RetryAfter(got.header, c.now())}
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

// call makes exactly one request. An error means that there was no answer, and is
// for [stream.Unanswered]: its text may be the other side's.
func (c *collector) call(ctx context.Context, in call) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, in.method, c.base+in.path, bytes.NewReader(in.body))
	if err != nil {
		return nil, err
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
		return nil, err
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
