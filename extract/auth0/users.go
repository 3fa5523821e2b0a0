package auth0

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/idtrail/idtrail/extract"
)

const (
	// DefaultUsersRate is, in calls a second, a third of the limit Auth0 documents
	// for most of the Management API on its smaller plans, 150 calls a minute
	// with a burst of 10 (Essentials, Professional). At ListPerCall that is 83
	// memberships a second; an Enterprise tenant may set rate: 5. Connections and
	// organizations have lower limits there (50 a minute): what the answers say
	// is left of them slows the calls down further.
	DefaultUsersRate = 150.0 / 60 / 3
	// ListPerCall is the most entries of a list (memberships, connections, …)
	// that are asked for in one call. Auth0 may return fewer.
	ListPerCall = 100
)

const (
	// resumeWithin is how old a snapshot may be to be gone on with: what lies
	// further apart is no one reading of a tenant.
	resumeWithin = 6 * time.Hour
	// jobLife is how long Auth0 keeps a job and its file.
	jobLife = 24 * time.Hour
)

// UsersOptions say which tenant's users are read, and how. Name, Domain,
// ClientID, Now and one of ClientSecret and PrivateKey are needed; everything
// that the application may read is read unless it is skipped.
type UsersOptions struct {
	// Name of the source in the config.
	Name string
	// Domain, ClientID, ClientSecret, PrivateKey, PrivateKeyAlg and Audience are
	// those of [Options].
	Domain        string
	ClientID      string
	ClientSecret  string
	PrivateKey    string
	PrivateKeyAlg string
	Audience      string
	// Rate is the calls a second at most; 0 means a third of the 150 a minute
	// that Auth0 documents for its smaller plans. Every attempt counts, token
	// fetches too; the download of the export is no call of the API.
	Rate float64
	// Burst is how many calls may come at once; default 3, at least Rate.
	Burst int
	// SkipRoles leaves out who has which role, SkipOrganizations who is a member
	// of which organization. Users then say "not known". Each costs a call for
	// every 100 memberships, and at least one for every role or organization.
	SkipRoles         bool
	SkipOrganizations bool
	// SkipSettings leaves out the tenant's settings: connections, applications,
	// roles, organizations, attack protection and so on.
	SkipSettings bool
	// Every is how long a complete snapshot is good: a run that comes earlier
	// than that after the beginning of the last one has nothing to do. 0 makes
	// every run begin a snapshot.
	Every time.Duration
	// Timeout of one attempt of a call, its body included, and of a silence
	// within the download; default 30 s.
	Timeout time.Duration
	// Transport sends the calls and fetches the export; default
	// http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; it must be set.
	Now func() time.Time
	// Logger gets warnings about totals that do not fit, and repeated calls at
	// debug level; nil for none.
	Logger *slog.Logger
}

// Users reads the users of a tenant, snapshot by snapshot. It may be used by
// one goroutine at a time.
type Users struct {
	opts   UsersOptions
	client *client
	// download fetches exports: no API, no token.
	download *http.Client
}

var (
	_ extract.Source     = (*Users)(nil)
	_ extract.Identified = (*Users)(nil)
	_ extract.Checker    = (*Users)(nil)
)

// NewUsers makes the source. It calls nothing yet.
func NewUsers(opts UsersOptions) (*Users, error) {
	if opts.Rate < 0 || opts.Burst < 0 || opts.Every < 0 || opts.Timeout < 0 {
		return nil, errors.New("configure auth0: a rate or a span is negative")
	}
	if opts.Now == nil {
		return nil, errors.New("configure auth0: no clock")
	}
	opts.Rate = orElse(opts.Rate, DefaultUsersRate)
	opts.Burst = orElse(opts.Burst, max(defaultBurst, int(opts.Rate)))
	opts.Timeout = orElse(opts.Timeout, defaultTimeout)
	opts.Logger = orElse(opts.Logger, slog.New(slog.DiscardHandler))
	c, err := newClient(Options{
		Name: opts.Name, Domain: opts.Domain,
		ClientID: opts.ClientID, ClientSecret: opts.ClientSecret,
		PrivateKey: opts.PrivateKey, PrivateKeyAlg: opts.PrivateKeyAlg, Audience: opts.Audience,
		Rate: opts.Rate, Burst: opts.Burst, Timeout: opts.Timeout,
		Transport: opts.Transport, Now: opts.Now, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	u := &Users{opts: opts, client: c}
	u.download = &http.Client{Transport: opts.Transport, CheckRedirect: u.follow}
	return u, nil
}

// Name is the source's name in the config.
func (u *Users) Name() string { return u.opts.Name }

// Identity names the tenant's users by its host.
func (u *Users) Identity() string { return "auth0:" + u.client.base.Host + "/users" }

// Start returns the cursor of a first run: users have no time to begin at.
func (u *Users) Start(time.Time) extract.Cursor { return "" }

// Pages reads one snapshot, or goes on with the one the cursor names: settings
// first, then users. A snapshot whose export is gone is given up, and another
// one begun in its place; the pages tell which one they belong to.
func (u *Users) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		p := &pass{users: u}
		defer p.closeFile()
		err := p.begin(ctx, from)
		for err == nil && p.cur.Phase != phaseDone {
			var page extract.Page
			page, err = p.next(ctx)
			if errors.Is(err, errStale) && !p.fresh {
				u.opts.Logger.WarnContext(ctx, "the snapshot cannot be gone on with, another one begins", "snapshot", p.cur.Snapshot, "reason", err)
				err = p.anew(ctx)
				continue
			}
			if err == nil && !yield(page, nil) {
				return
			}
		}
		if err != nil {
			yield(extract.Page{}, fmt.Errorf("read users of %s: %w", u.client.base.Host, err))
		}
	}
}
