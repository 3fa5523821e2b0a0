package splunk

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

const (
	// defaultMaxRequest is what Splunk Cloud asks for; Splunk Enterprise takes
	// what its max_content_length says.
	defaultMaxRequest = 1_000_000
	// maxEntries is no limit of HEC's: it bounds what one lost answer sends twice.
	maxEntries = 1000
)

// Options of a [Sink]. Zero values take the defaults.
type Options struct {
	// Name of the sink in the config.
	Name string
	// URL of the collector, https://host:8088; one that ends in
	// /services/collector or /services/collector/event is taken too. Plain http
	// only to this machine.
	URL string
	// Token of the collector. It is sent in a header and stands in no error.
	Token string
	// Index the events go to; "" leaves it to the token.
	Index string
	// Host of all events; "" takes each event's tenant.
	Host string
	// Ack says that the token has indexer acknowledgement: what the collector
	// took is only done with when it says that it is stored.
	Ack bool
	// AckWait is how long a delivery waits at its end for that; 30 s.
	AckWait time.Duration
	// MaxRequest bytes of a request before compression; 1,000,000. An event that
	// is larger alone is sent without its raw record.
	MaxRequest int
	// Timeout of one request; [stream.DefaultTimeout] if zero.
	Timeout time.Duration
	// CAPEM are certificates to trust beside the system's.
	CAPEM []byte
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	// Transport replaces the connection, and Stream what load/stream waits and
	// how often it tries, in tests. Of Stream, Name, MaxBytes, AckWait and Now
	// are set from the above unless they are given.
	Transport http.RoundTripper
	Stream    stream.Options
}

// Sink delivers events to one collector with one token. It may be used for
// several sources at a time.
type Sink struct {
	*stream.Sink
	hec *collector
}

var (
	_ load.Sink    = (*Sink)(nil)
	_ load.Checker = (*Sink)(nil)
)

// New makes a sink; it calls nothing. An error says which option is wrong.
func New(o Options) (*Sink, error) {
	if o.MaxRequest <= 0 {
		o.MaxRequest = defaultMaxRequest
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of a clock that can be set
	}
	c, err := newCollector(o)
	if err != nil {
		return nil, err
	}
	var p stream.Protocol = c
	if o.Ack {
		p = acknowledged{c}
	}
	return &Sink{Sink: stream.New(p, o.stream()), hec: c}, nil
}

func (o Options) stream() stream.Options {
	s := o.Stream
	if s.Name == "" {
		s.Name = o.Name
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = o.MaxRequest
	}
	if s.MaxEntries == 0 {
		s.MaxEntries = maxEntries
	}
	if s.AckWait == 0 {
		s.AckWait = o.AckWait
	}
	if s.Now == nil {
		s.Now = o.Now
	}
	return s
}

// collector is HEC's side of a sink. It holds nothing that a call changes.
type collector struct {
	base       string
	token      string
	index      string
	host       string
	ack        bool
	maxRequest int
	now        func() time.Time
	client     *http.Client
	gzip       stream.Compressor
}

var _ stream.Packer = (*collector)(nil)

func newCollector(o Options) (*collector, error) {
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if err := checkToken(o.Token); err != nil {
		return nil, err
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	return &collector{
		base: base, token: o.Token, index: o.Index, host: o.Host, ack: o.Ack,
		maxRequest: o.MaxRequest, now: o.Now, client: client,
	}, nil
}

// baseURL returns the URL without the collector's own path.
func baseURL(text string) (string, error) {
	u, err := stream.ParseURL(text)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", errors.New("url holds a query; the token goes to token")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, own := range []string{"/services/collector/event/1.0", "/services/collector/event", "/services/collector"} {
		if rest, found := strings.CutSuffix(path, own); found {
			path = rest
			break
		}
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// checkToken refuses what cannot stand in a header: net/http's own error would
// show it.
func checkToken(token string) error {
	if token == "" {
		return errors.New("token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("token holds blanks or characters that no token has")
	}
	return nil
}

func (o Options) client() (*http.Client, error) {
	c, err := stream.NewClient(stream.ClientOptions{CAPEM: o.CAPEM, Timeout: o.Timeout, Transport: o.Transport})
	if err != nil || !o.Ack {
		return c, err
	}
	// Acknowledgements are known only to the indexer that took the request: a
	// load balancer keeps us there by a cookie.
	c.Jar, err = cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make cookie jar: %w", err)
	}
	return c, nil
}
