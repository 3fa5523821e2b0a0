package auth0

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

const (
	// DefaultLogsRate is, in calls a second, a third of the smallest documented
	// limit of GET /logs, 100 calls a minute with a burst of 10 (Essentials,
	// Professional). At LogsPerCall that is 55 records a second; an Enterprise
	// tenant may set rate: 5.
	DefaultLogsRate = 100.0 / 60 / 3
	// LogsPerCall is the most records that one call returns.
	LogsPerCall = 100
)

const (
	defaultBurst = 3
	// defaultOverlap is far above the seconds between a record's date and its
	// log_id in every sample known; Auth0 states no number.
	defaultOverlap = 10 * time.Minute
	defaultTimeout = 30 * time.Second
	// shortestRetention is what every plan of Auth0 keeps at least.
	shortestRetention = 24 * time.Hour
)

// Options say which tenant is read, and how. Name, Domain, ClientID and one of
// ClientSecret and PrivateKey are needed.
type Options struct {
	// Name of the source in the config.
	Name string
	// Domain is the tenant's host, or a URL; plain http only on loopback.
	Domain       string
	ClientID     string
	ClientSecret string
	// PrivateKey (PEM) signs in by private key JWT instead, PrivateKeyAlg being
	// RS256 (default), RS384, PS256 or another the tenant allows.
	PrivateKey    string
	PrivateKeyAlg string
	// Audience is the identifier of the Management API. Default
	// https://DOMAIN/api/v2/; with a custom domain it is still the tenant's.
	Audience string
	// Rate is the calls a second at most; 0 means a third of the smallest limit
	// Auth0 documents (100 a minute). Every attempt counts, token fetches too.
	Rate float64
	// Burst is how many calls may come at once; default 3, at least Rate.
	Burst int
	// Overlap is how far before its cursor a run begins to read again; default
	// 10 minutes. Records that appear below the cursor later than that are not
	// found.
	Overlap time.Duration
	// Retention is how long the tenant's plan keeps logs (1, 5, 10 or 30 days).
	// 0 means unknown; then 1 day is assumed where a gap is judged, which may
	// declare a gap where nothing was lost, but never the other way round.
	Retention time.Duration
	// Timeout of one attempt of a call, its body included; default 30 s.
	Timeout time.Duration
	// Transport sends the calls; default http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; it must be set.
	Now func() time.Time
	// Logger gets repeated calls at debug level; nil for none.
	Logger *slog.Logger
}

// Logs reads the tenant logs. It may be used by one goroutine at a time.
type Logs struct {
	opts   Options
	client *client
}

var (
	_ extract.Source     = (*Logs)(nil)
	_ extract.Overlapper = (*Logs)(nil)
	_ extract.Identified = (*Logs)(nil)
	_ extract.Checker    = (*Logs)(nil)
	_ extract.Ranger     = (*Logs)(nil)
	_ extract.Skipper    = (*Logs)(nil)
)

// NewLogs makes the source. It calls nothing yet.
func NewLogs(opts Options) (*Logs, error) {
	if opts.Rate < 0 || opts.Burst < 0 || opts.Overlap < 0 || opts.Retention < 0 || opts.Timeout < 0 {
		return nil, errors.New("configure auth0: a rate or a span is negative")
	}
	if opts.Now == nil {
		return nil, errors.New("configure auth0: no clock")
	}
	opts.Rate = orElse(opts.Rate, DefaultLogsRate)
	opts.Burst = orElse(opts.Burst, max(defaultBurst, int(opts.Rate)))
	opts.Overlap = orElse(opts.Overlap, defaultOverlap)
	opts.Timeout = orElse(opts.Timeout, defaultTimeout)
	c, err := newClient(opts)
	if err != nil {
		return nil, err
	}
	return &Logs{opts: opts, client: c}, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Name is the source's name in the config.
func (l *Logs) Name() string { return l.opts.Name }

// Identity names the tenant by its host.
func (l *Logs) Identity() string { return "auth0:" + l.client.base.Host }

// Overlap is how far back records are read again.
func (l *Logs) Overlap() time.Duration { return l.opts.Overlap }

// Start returns the position of the first record of t's second.
func (l *Logs) Start(t time.Time) extract.Cursor {
	id := SyntheticID(t)
	return extract.Cursor(cursor{From: id, Start: id}.String())
}

// Pages reads from the cursor, a page a call, until the tenant is drained; see
// the package comment. An empty cursor begins at the oldest record kept. The
// last page is empty and carries the cursor that says so; it may carry a gap.
func (l *Logs) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		cur, err := parseCursor(from)
		if err != nil {
			yield(extract.Page{}, err)
			return
		}
		if from == "" {
			cur = cursor{From: SyntheticID(time.Unix(0, 0)), Start: SyntheticID(time.Unix(0, 0))}
		}
		r := &run{logs: l, cur: cur, position: cur.overlapFrom(l.opts.Overlap)}
		for !r.done {
			page, err := r.next(ctx)
			if err != nil {
				yield(extract.Page{}, fmt.Errorf("read logs of %s: %w", l.client.base.Host, err))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// run is one pass over the log.
type run struct {
	logs *Logs
	// cur is the cursor to go on from; position the id to read after, which is
	// before cur.From in the overlap.
	cur      cursor
	position string
	// horizon is when the run began, by the server's clock.
	horizon time.Time
	// judged says that the gap question has been answered.
	judged bool
	done   bool
}

// next makes one call and turns its answer into a page.
func (r *run) next(ctx context.Context) (extract.Page, error) {
	listing, err := r.logs.list(ctx, r.position, LogsPerCall)
	if err != nil {
		return extract.Page{}, err
	}
	if err := r.begin(listing.at); err != nil {
		return extract.Page{}, err
	}
	page := extract.Page{Records: r.within(listing.records)}
	page.Gaps = r.gaps(listing)
	if len(listing.records) == 0 || r.cur.beyond(r.position) {
		r.drained(listing.at)
	} else if err := r.advance(listing); err != nil {
		return extract.Page{}, err
	}
	page.Next = extract.Cursor(r.cur.String())
	return page, nil
}

// begin notes when the run began. A cursor of the far future would find nothing
// for ever without anyone noticing.
func (r *run) begin(at time.Time) error {
	if !r.horizon.IsZero() {
		return nil
	}
	r.horizon = at
	if t, ok := IDTime(r.cur.From); ok && t.After(at.Add(24*time.Hour)) {
		return fmt.Errorf("use cursor: it lies in the future, %s", t.Format(time.RFC3339))
	}
	return nil
}

// advance moves behind the records just read. The highest id is the position:
// whatever order a page is in, it holds the lowest ids behind the last one.
func (r *run) advance(l listing) error {
	next := l.last
	if l.link > r.position && (next <= r.position || l.link < next) {
		// No record of the page had an id, or the server wants a span again.
		next = l.link
	}
	if next <= r.position {
		return fmt.Errorf("%w behind %s", ErrStuck, r.position)
	}
	r.position = next
	if r.cur.beyond(next) {
		r.cur.From = SyntheticID(r.cur.Until)
		r.drained(l.at)
		return nil
	}
	r.cur.From = max(r.cur.From, next)
	if t, ok := IDTime(next); ok && t.After(r.horizon) {
		r.drained(r.horizon)
	}
	return nil
}

// drained notes until when all has been read.
func (r *run) drained(at time.Time) {
	r.done = true
	if at.After(r.cur.DrainedAt) {
		r.cur.DrainedAt = at.UTC().Truncate(time.Second)
	}
}

// gaps answers, on a run's first page, whether something was lost between the
// cursor and what Auth0 still keeps. What is behind the first record returned
// is still there: where the overlap returned one at or before the cursor,
// nothing was lost, whatever the plan's retention.
func (r *run) gaps(l listing) []schema.Gap {
	if r.judged {
		return nil
	}
	r.judged = true
	if r.cur.DrainedAt.IsZero() && r.cur.Until.IsZero() {
		return nil // a first run says where its coverage starts instead
	}
	retention := orElse(r.logs.opts.Retention, shortestRetention)
	covered, kept := r.cur.covered(), l.at.Add(-retention)
	if t, ok := IDTime(l.first); ok && t.Before(kept) {
		kept = t
	}
	if until := r.cur.Until; !until.IsZero() && until.Before(kept) {
		kept = until
	}
	if !covered.Before(kept) {
		return nil
	}
	return []schema.Gap{{
		Source: r.logs.opts.Name, From: covered.UTC(), To: kept.UTC(),
		Reason: "the tenant's log retention passed the cursor: records of this span may be lost", DeclaredAt: r.logs.opts.Now().UTC(),
	}}
}

// listing is one answer of GET /api/v2/logs.
type listing struct {
	records []schema.Raw
	// first and last are the lowest and the highest id on it, "" for none.
	first, last string
	// link is the position Auth0's next link names.
	link string
	// at is the server's clock.
	at time.Time
}

func (l *Logs) list(ctx context.Context, from string, take int) (listing, error) {
	query := url.Values{"take": {strconv.Itoa(take)}}
	if from != "" {
		query.Set("from", from)
	}
	body, header, err := l.client.get(ctx, "logs", query)
	if err != nil {
		return listing{}, err
	}
	out, err := decode(body)
	if err != nil {
		return listing{}, err
	}
	out.link, out.at = nextFrom(header), serverTime(header, l.opts.Now())
	return out, nil
}

// decode makes a record of every element of a page, odd ones too.
func decode(body []byte) (listing, error) {
	elements, err := split(body)
	if err != nil {
		return listing{}, err
	}
	var out listing
	for _, e := range elements {
		raw := schema.Raw{Kind: schema.KindAuth0Log, Bytes: bytes.Clone(e), Fault: fault(e)}
		if raw.Fault == "" {
			raw.ID, raw.Time = raw.Kind.ID(e), raw.Kind.Time(e)
			out.span(raw.ID)
		}
		out.records = append(out.records, raw)
	}
	return out, nil
}

// span widens first and last; an id that cannot be a position does not count.
func (l *listing) span(id string) {
	if !plainID(id) {
		return
	}
	if l.first == "" || id < l.first {
		l.first = id
	}
	l.last = max(l.last, id)
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next\b`)

// nextFrom reads the position out of Link: <…?from=ID>; rel="next".
func nextFrom(h http.Header) string {
	for _, m := range linkNext.FindAllStringSubmatch(h.Get("Link"), -1) {
		u, err := url.Parse(m[1])
		if err == nil && plainID(u.Query().Get("from")) {
			return u.Query().Get("from")
		}
	}
	return ""
}

// sampled is how much of the log a check looks at, to tell how fast it grows.
const sampled = 24 * time.Hour

// LogScopes are the permissions that reading the log needs.
func LogScopes() []ScopeNeed {
	return []ScopeNeed{{Scopes: []string{"read:logs"}, For: "the log", Lacks: "nothing can be read without it"}}
}

// Check proves credentials, scope and reachability with three calls, and says how
// fast the log grows.
func (l *Logs) Check(ctx context.Context) ([]extract.Finding, error) {
	host := l.client.base.Host
	if _, err := l.client.manager(ctx); err != nil {
		return []extract.Finding{{What: "token of " + host, Hint: err.Error()}}, fmt.Errorf("check %s: %w", host, err)
	}
	found := []extract.Finding{{What: "token of " + host, OK: true}, l.scopeFinding()}
	page, err := l.list(ctx, SyntheticID(time.Unix(0, 0)), 1)
	if err != nil {
		found = append(found, extract.Finding{What: "logs of " + host, Hint: err.Error(), Err: err})
		return found, fmt.Errorf("check %s: %w", host, err)
	}
	f := extract.Finding{What: "logs of " + host, OK: true, Hint: oldest(page)}
	// What a day brings is only a forecast's: the source runs without it.
	if day, err := l.list(ctx, SyntheticID(l.opts.Now().Add(-sampled)), LogsPerCall); err == nil {
		f.Volume = day.volume()
	}
	if at, ok := IDTime(page.first); ok && f.Volume != nil {
		f.Volume.Oldest = at
	}
	return append(found, f), nil
}

// volume says what the time after the position that was listed brings in a day:
// all there was, or as many as came as fast as those of the page.
func (l listing) volume() *extract.Volume {
	first, ok := IDTime(l.first)
	last, too := IDTime(l.last)
	n := len(l.records)
	span := last.Sub(first)
	if n == 0 || !ok || !too {
		return nil
	}
	if n < shortPage || span < time.Second {
		return &extract.Volume{Records: int64(n), Span: sampled}
	}
	return &extract.Volume{Records: int64(float64(n-1) / span.Hours() * sampled.Hours()), Span: sampled}
}

// shortPage is the fewest records of a page that may have more behind it: public
// tenants may cap pages at 50.
const shortPage = 50

func (l *Logs) scopeFinding() extract.Finding {
	scopes := l.client.scopes()
	f := extract.Finding{What: "scope read:logs", OK: slices.Contains(scopes, "read:logs")}
	if !f.OK {
		f.Err = &ScopeError{Scope: "read:logs", err: errNotGranted}
	}
	switch {
	case f.OK:
	case slices.Contains(scopes, "read:logs_users"):
		f.Hint = "only read:logs_users is granted; it may hide records: grant read:logs to the application"
	default:
		f.Hint = "grant read:logs to the application, for the Management API"
	}
	return f
}

// oldest tells how far back the tenant's logs reach: what a first run can get.
func oldest(l listing) string {
	t, ok := IDTime(l.first)
	if !ok {
		return "no records"
	}
	return "oldest record " + t.Format(time.RFC3339)
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
