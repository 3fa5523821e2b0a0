package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/extract"
)

const (
	// defaultRate is half of what LookupEvents grants an account in a region, to
	// everyone together: the console and other tools ask too. No sign-in shares
	// it, so a third would only make catching up slower.
	defaultRate    = 1.0
	defaultWindow  = 30 * time.Minute
	defaultOverlap = time.Hour
	defaultSettle  = 2 * time.Minute
	// retention is what LookupEvents reaches back to.
	retention = 90 * 24 * time.Hour
	// rereadEvery and rereadSpan are the daily second reading: events that a
	// service outage held back arrive hours later.
	rereadEvery = 24 * time.Hour
	rereadSpan  = 24 * time.Hour
)

// LookupOptions say which account is asked, and how. Name, AWS and Now are
// needed.
type LookupOptions struct {
	// Name of the source in the config.
	Name string
	// AWS reaches the account. Its retryer is replaced; it may name a region.
	AWS aws.Config
	// Regions to ask; default the region of AWS alone. IAM, and STS and sign-in
	// at their global endpoints, are recorded in us-east-1.
	Regions []string
	// AccountID names the account; "" asks STS who is calling.
	AccountID string
	// EventSources are the services asked for, with or without
	// ".amazonaws.com"; nil means those of identity. With "all" among them, one
	// pass without a condition reads every one.
	EventSources []string
	// Rate is the calls a second at most, in each region, retries included;
	// default 1. AWS grants 2, to everyone in the account together.
	Rate float64
	// Limits are shared by the sources of one program, so that two of them on
	// one account and region stay below one rate; nil for limits of its own.
	Limits *Limits
	// Window is the shortest stretch of time that is read at once; default 30
	// minutes. Quiet stretches are read in longer ones, up to a day.
	Window time.Duration
	// Overlap is how far before its cursor each run begins to read again;
	// default 1 hour.
	Overlap time.Duration
	// Settle is how far behind the clock a run ends; default 2 minutes.
	Settle time.Duration
	// Now is the clock; it must be set.
	Now func() time.Time
	// Logger gets what was retried, at debug level; nil for none.
	Logger *slog.Logger
}

// Lookup reads the events LookupEvents gives. It may be used by one goroutine
// at a time.
type Lookup struct {
	opts    LookupOptions
	sources []string // full names, or anySource alone
	regions map[string]*lookupClient
}

// anySource stands in the cursor for the pass without a condition.
const anySource = "*"

var (
	_ extract.Source     = (*Lookup)(nil)
	_ extract.Overlapper = (*Lookup)(nil)
	_ extract.Identified = (*Lookup)(nil)
	_ extract.Checker    = (*Lookup)(nil)
	_ extract.Ranger     = (*Lookup)(nil)
	_ extract.Skipper    = (*Lookup)(nil)
)

var accountForm = regexp.MustCompile(`^\d{12}$`)

// NewLookup makes the source. It calls STS once where no account is given, and
// nothing else yet.
func NewLookup(ctx context.Context, opts LookupOptions) (*Lookup, error) {
	l := &Lookup{opts: opts}
	if err := l.setDefaults(); err != nil {
		return nil, fmt.Errorf("configure cloudtrail lookup %q: %w", opts.Name, err)
	}
	if err := l.setClients(ctx); err != nil {
		return nil, fmt.Errorf("configure cloudtrail lookup %q: %w", opts.Name, err)
	}
	return l, nil
}

func (l *Lookup) setDefaults() error {
	o := &l.opts
	switch {
	case o.Now == nil:
		return errors.New("no clock")
	case o.Rate < 0 || o.Window < 0 || o.Overlap < 0 || o.Settle < 0:
		return errors.New("a rate or a span is negative")
	case o.AccountID != "" && !accountForm.MatchString(o.AccountID):
		return fmt.Errorf("account %q is not 12 digits", o.AccountID)
	}
	o.Rate = orElse(o.Rate, defaultRate)
	o.Window = max(orElse(o.Window, defaultWindow), time.Second)
	o.Overlap = orElse(o.Overlap, defaultOverlap)
	o.Settle = orElse(o.Settle, defaultSettle)
	if len(o.Regions) == 0 && o.AWS.Region != "" {
		o.Regions = []string{o.AWS.Region}
	}
	if len(o.Regions) == 0 {
		return errors.New("no region: name one, or set AWS_REGION")
	}
	o.Regions = slices.Compact(slices.Sorted(slices.Values(o.Regions)))
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l.sources = lookupSources(o.EventSources)
	return nil
}

func lookupSources(given []string) []string {
	if slices.Contains(given, allSources) {
		return []string{anySource}
	}
	if len(given) == 0 {
		given = IdentitySources()
	}
	full := make([]string, len(given))
	for i, name := range given {
		full[i] = fullSource(name)
	}
	slices.Sort(full)
	return slices.Compact(full)
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Name is the source's name in the config.
func (l *Lookup) Name() string { return l.opts.Name }

// Identity names the account. Regions may come and go.
func (l *Lookup) Identity() string { return "cloudtrail_lookup:" + l.opts.AccountID }

// Overlap is the reach of the daily second reading.
func (l *Lookup) Overlap() time.Duration { return max(rereadSpan, l.opts.Overlap) + time.Hour }

// Start returns the cursor that reads what happened from t on, as far as AWS
// keeps it.
func (l *Lookup) Start(t time.Time) extract.Cursor {
	return lookupCursor{Since: t.UTC().Truncate(time.Second)}.encode()
}

// Pages reads every region and event source from the cursor until shortly
// before now; see the package comment. A page is one answer.
func (l *Lookup) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		left := false // whoever left the loop is told nothing more, not of a cancelled read either
		r := &lookupRun{lookup: l, yield: func(p extract.Page, err error) bool {
			left = !yield(p, err)
			return !left
		}}
		if err := r.all(ctx, from); err != nil && !left {
			yield(extract.Page{}, fmt.Errorf("look up events of account %s: %w", l.opts.AccountID, err))
		}
	}
}

// errStopped says that the caller left the loop.
var errStopped = errors.New("stopped")
