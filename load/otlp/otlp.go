package otlp

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// logsPath is where the specification has logs posted to, below a base URL.
const logsPath = "/v1/logs"

// Options of a sink.
type Options struct {
	// Name of the sink in the config.
	Name string
	// URL is the receiver's base, as in https://collector:4318; /v1/logs is added
	// unless it ends so. Plain HTTP is taken on loopback only.
	URL string
	// Headers are sent with each request; their values are secrets.
	Headers map[string]string
	// Timeout of one request; [stream.DefaultTimeout] if zero.
	Timeout time.Duration
	// CAPEM are certificates to trust beside the system's.
	CAPEM []byte
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	// Stream says how requests are packed and repeated. Its Name and Now are
	// taken from above.
	Stream stream.Options
	// Transport takes the place of the sink's own; CAPEM is then not used.
	Transport http.RoundTripper
}

// Sink sends events to a receiver of OTLP logs.
type Sink struct {
	*stream.Sink
	protocol *protocol
}

var (
	_ load.Sink    = (*Sink)(nil)
	_ load.Checker = (*Sink)(nil)
)

// New makes a sink. It calls nobody.
func New(o Options) (*Sink, error) {
	p, err := newProtocol(o)
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", o.Name, err)
	}
	s := o.Stream
	if s.MaxBytes == 0 {
		s.MaxBytes = maxBody
	}
	s.Name, s.Now = o.Name, o.Now
	return &Sink{Sink: stream.New(p, s), protocol: p}, nil
}

// Check proves that the receiver is there and takes what it is sent, by a request
// without any record, which the specification asks receivers to accept. It
// writes nothing, whatever write says.
func (s *Sink) Check(ctx context.Context, _ bool) error {
	a := s.protocol.Send(ctx, stream.Request{})
	if a.Outcome != stream.Accepted {
		return fmt.Errorf("post an empty request to %s: %w", s.protocol.host, a.Err)
	}
	return nil
}

func newProtocol(o Options) (*protocol, error) {
	u, err := endpoint(o.URL)
	if err != nil {
		return nil, err
	}
	header, err := headers(o.Headers)
	if err != nil {
		return nil, err
	}
	client, err := stream.NewClient(stream.ClientOptions{CAPEM: o.CAPEM, Timeout: o.Timeout, Transport: o.Transport})
	if err != nil {
		return nil, err
	}
	p := &protocol{url: u.String(), host: u.Host, header: header, now: o.Now, client: client}
	if o.Now == nil {
		p.now = time.Now //nolint:forbidigo // the default of a clock handed in
	}
	return p, nil
}

// endpoint is where to post. It may hold a query: some vendors put a token there.
func endpoint(base string) (*url.URL, error) {
	u, err := stream.ParseURL(base)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(u.Path, logsPath) {
		u = u.JoinPath(logsPath)
	}
	return u, nil
}

// headers checks what is configured; values are in no error.
func headers(configured map[string]string) (http.Header, error) {
	h := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		value := strings.TrimSpace(configured[name])
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("header %q: no name of a header", name)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("header %s: its value holds a line break or another control character", name)
		case reserved[http.CanonicalHeaderKey(name)]:
			return nil, fmt.Errorf("header %s: it is set by idtrail itself", name)
		}
		h.Set(name, value)
	}
	h.Set("Content-Type", protobufType)
	h.Set("Content-Encoding", "gzip")
	h.Set("User-Agent", "idtrail")
	return h, nil
}

var reserved = map[string]bool{
	"Accept-Encoding": true, "Connection": true, "Content-Encoding": true, "Content-Length": true, "Content-Type": true,
	"Host": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
