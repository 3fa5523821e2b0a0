package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
)

const (
	// defaultRelist is many times the minutes in which CloudTrail writes a file
	// after the time its name bears, and covers replication to another bucket.
	defaultRelist = 3 * time.Hour
	// Once a day, older folders are listed again too: copies between buckets
	// and service outages hold files back for longer.
	deepRelist      = 48 * time.Hour
	deepRelistEvery = 24 * time.Hour
)

// ErrUnread says that some objects could not be read: the store refused.
// Everything else was read, and the next run tries them again.
var ErrUnread = errors.New("objects of the trail could not be read")

// TrailOptions say which bucket is read, and how. Name, Store, Bucket and Now
// are needed, and PublicKeys to verify digests.
type TrailOptions struct {
	// Name of the source in the config.
	Name string
	// Store is the whole bucket, Bucket its name.
	Store  blob.Store
	Bucket string
	// Prefix is the trail's prefix: what stands before AWSLogs/ in its keys.
	Prefix string
	// OriginalBucket is the bucket CloudTrail writes to, where Bucket is a
	// replica of it with the same keys; default Bucket.
	OriginalBucket string
	// OrganizationID (o-…) reads that organization's folder only.
	OrganizationID string
	// Accounts and Regions to read; default all that are there.
	Accounts []string
	Regions  []string
	// EventSources are the services whose events are kept, with or without
	// ".amazonaws.com"; nil means those of identity, "all" every one. An event
	// that names no source is kept.
	EventSources []string
	// Relist is how far back folders are listed again on every run; default 3
	// hours. Once a day it is 48.
	Relist time.Duration
	// Ledger knows which files are finished; nil knows of none.
	Ledger extract.Ledger
	// SkipDigests reads the files alone: nothing then proves that none is
	// missing.
	SkipDigests bool
	// PublicKeys give the keys digests are signed with: [NewKeyService] or
	// [ParseKeys].
	PublicKeys PublicKeys
	// Now is the clock; it must be set.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
}

// Trail reads the files of a trail. It may be used by one goroutine at a time.
type Trail struct {
	opts    TrailOptions
	root    string          // where AWSLogs/ is, with a slash behind
	sources map[string]bool // the event sources kept, nil for all
}

var (
	_ extract.Source     = (*Trail)(nil)
	_ extract.Overlapper = (*Trail)(nil)
	_ extract.Identified = (*Trail)(nil)
	_ extract.Checker    = (*Trail)(nil)
	_ extract.Ranger     = (*Trail)(nil)
	_ extract.Skipper    = (*Trail)(nil)
)

// NewTrail makes the source. It touches nothing yet.
func NewTrail(opts TrailOptions) (*Trail, error) {
	t := &Trail{opts: opts}
	if err := t.set(); err != nil {
		return nil, fmt.Errorf("configure cloudtrail trail %q: %w", opts.Name, err)
	}
	return t, nil
}

func (t *Trail) set() error {
	o := &t.opts
	if err := o.check(); err != nil {
		return err
	}
	o.Relist = orElse(o.Relist, defaultRelist)
	o.OriginalBucket = orElse(o.OriginalBucket, o.Bucket)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if p := strings.Trim(o.Prefix, "/"); p != "" {
		t.root = p + "/"
	}
	t.root += "AWSLogs/"
	t.sources = keptSources(o.EventSources)
	return nil
}

func (o *TrailOptions) check() error {
	switch {
	case o.Now == nil:
		return errors.New("no clock")
	case o.Store == nil || o.Bucket == "":
		return errors.New("no bucket")
	case o.Relist < 0:
		return errors.New("relist is negative")
	case !o.SkipDigests && o.PublicKeys == nil:
		return errors.New("no public keys to verify digests with")
	case o.OrganizationID != "" && !strings.HasPrefix(o.OrganizationID, "o-"):
		return fmt.Errorf("organization %q does not begin with o-", o.OrganizationID)
	}
	for _, a := range o.Accounts {
		if !accountForm.MatchString(a) {
			return fmt.Errorf("account %q is not 12 digits", a)
		}
	}
	return nil
}

// keptSources is nil where every source is kept.
func keptSources(given []string) map[string]bool {
	if slices.Contains(given, allSources) {
		return nil
	}
	if len(given) == 0 {
		given = IdentitySources()
	}
	kept := map[string]bool{}
	for _, name := range given {
		kept[fullSource(name)] = true
	}
	return kept
}

// Name is the source's name in the config.
func (t *Trail) Name() string { return t.opts.Name }

// Identity names the bucket and the folder in it.
func (t *Trail) Identity() string { return "cloudtrail:" + t.opts.Bucket + "/" + t.root }

// Overlap is how far back a file may be read that another trail or another
// delivery repeats.
func (t *Trail) Overlap() time.Duration { return max(7*24*time.Hour, t.opts.Relist) }

// Start returns the cursor that reads what was delivered from t on.
func (t *Trail) Start(at time.Time) extract.Cursor {
	return trailCursor{Since: at.UTC().Truncate(time.Second)}.encode()
}

// Pages reads all files that are not finished; see the package comment. The
// error is ErrUnread if some objects could not be read and all others were.
func (t *Trail) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		left := false // whoever left the loop is told nothing more, not of a cancelled read either
		r := &trailRun{trail: t, yield: func(p extract.Page, err error) bool {
			left = !yield(p, err)
			return !left
		}}
		if err := r.all(ctx, from); err != nil && !left {
			yield(extract.Page{}, fmt.Errorf("read trail in %s/%s: %w", t.opts.Bucket, t.root, err))
		}
	}
}
