package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// What a request may hold. The intake takes 5 MB; the margin is for what counts
// differently on its way there.
const (
	maxBody    = 4_250_000
	maxEntries = 1000
)

// TooOld says what becomes of an event outside of the time Datadog takes.
type TooOld string

// What may become of such an event.
const (
	// Restamp sends it with the time it is sent at; its own stands in event_time
	// then, and the tag late:true says so.
	Restamp TooOld = "restamp"
	// Skip does not send it.
	Skip TooOld = "skip"
)

// Options of a [Sink].
type Options struct {
	// Name of the sink in the config.
	Name string
	// Site is one of [Sites]. URL takes its place: of a proxy, a pipeline or a
	// local server that answers all calls, below its path. Exactly one is set.
	Site, URL string
	// APIKey may be empty only where URL is set.
	APIKey string
	// Service of every log; default idtrail.
	Service string
	// Tags of every log, check and metric, such as env. Keys begin with a letter.
	Tags map[string]string
	// TooOld is Restamp by default.
	TooOld TooOld
	// Health says that Report sends anything.
	Health bool
	// Timeout of one call; [stream.DefaultTimeout] if zero.
	Timeout time.Duration
	// CAPEM are certificates to trust beside the system's.
	CAPEM []byte
	// Transport replaces the network in tests.
	Transport http.RoundTripper
	// Stream overrides how requests are packed and repeated. Its Name and Now are
	// taken from here.
	Stream stream.Options
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Sink is Datadog as a destination. It may be used concurrently.
type Sink struct {
	*stream.Sink
	client *client
	health bool
	tags   []string
	now    func() time.Time
}

var (
	_ load.Sink     = (*Sink)(nil)
	_ load.Checker  = (*Sink)(nil)
	_ load.Reporter = (*Sink)(nil)
)

// New makes a sink. It calls nothing.
func New(o Options) (*Sink, error) {
	s, err := newSink(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("set up sink %s: %w", o.Name, err)
	}
	return s, nil
}

func newSink(o Options) (*Sink, error) {
	tags, err := fixedTags(o.Tags)
	if err != nil {
		return nil, err
	}
	if o.TooOld != Restamp && o.TooOld != Skip {
		return nil, errors.New("too_old is neither restamp nor skip")
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	p := newProtocol(o, tags, c)
	return &Sink{
		Sink: stream.New(p, o.Stream), client: c, health: o.Health,
		tags: append([]string{cleanTag("service:" + o.Service)}, tags...), now: o.Now,
	}, nil
}

func (o Options) withDefaults() Options {
	if o.Service == "" {
		o.Service = "idtrail"
	}
	if o.TooOld == "" {
		o.TooOld = Restamp
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of a clock that is handed in
	}
	if o.Stream.MaxBytes == 0 {
		o.Stream.MaxBytes = maxBody
	}
	if o.Stream.MaxEntries == 0 {
		o.Stream.MaxEntries = maxEntries
	}
	o.Stream.Name, o.Stream.Now = o.Name, o.Now
	return o
}

// protocol is the log intake as package stream sees it.
type protocol struct {
	client  *client
	skip    bool
	service string
	tags    string // the fixed ones, joined, with a comma behind
}

var _ stream.Packer = (*protocol)(nil)

// Frame is a JSON array.
func (*protocol) Frame() stream.Frame { return stream.Frame{Open: "[", Separator: ",", Close: "]"} }

// Send posts one body.
func (p *protocol) Send(ctx context.Context, r stream.Request) stream.Answer {
	if r.Packed == nil {
		return p.client.post(ctx, p.client.logs, r.Body)
	}
	return p.client.postPacked(ctx, p.client.logs, r.Packed)
}

// Pack implements [stream.Packer].
func (p *protocol) Pack(parts ...[]byte) []byte { return p.client.gzip.Compress(parts...) }
