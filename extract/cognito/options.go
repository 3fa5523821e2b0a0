package cognito

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/extract"
)

const (
	// defaultRate is a third of the UserList quota, 30 calls a second for the
	// whole account and region, not adjustable, and shared with production.
	// https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
	defaultRate = 10
	// defaultSettingsRate is a third of what one operation on the settings of
	// one pool may do: 5 calls a second.
	defaultSettingsRate = 5.0 / 3
	// defaultMFARate is a twelfth of the UserRead quota, 120 calls a second.
	defaultMFARate = 10
	defaultTimeout = 30 * time.Second
	// defaultThrottled is how long one call may be throttled without a break.
	defaultThrottled = 15 * time.Minute
)

// Options say which user pool is read, and how. Name, UserPoolID, AWS and Now
// are needed.
type Options struct {
	// Name of the source in the config.
	Name string
	// UserPoolID, as eu-west-1_Ab1Cd2Ef3. The region in it is the one called.
	UserPoolID string
	// IdentityPoolIDs (eu-west-1:UUID) are identity pools whose settings and
	// roles are read along.
	IdentityPoolIDs []string
	// AWS says how to reach AWS. Its retryer is not used: see [Source].
	AWS aws.Config
	// Rate is the calls of ListUsers and ListUsersInGroup a second at most, both
	// together, repeated ones too. Default 10, a third of the quota. 60 users a
	// call: at 10, a million users take 28 minutes.
	Rate float64
	// SettingsRate is the calls a second of any one operation that reads
	// settings (three times that for all of them); default 5/3, a third of the
	// quota. MFARate is that of AdminGetUser; default 10.
	SettingsRate, MFARate float64
	// Shards is into how many parts, by the first hex digits of sub, the users
	// are listed: 1, 16 or 256. 0 chooses by the pool's estimated size, 16 where
	// that is not to be had. With 1, listing can never be faster than one call
	// after the other.
	Shards int
	// SkipGroups leaves out groups and memberships, SkipSettings all settings.
	SkipGroups, SkipSettings bool
	// MFA names groups for whose members AdminGetUser is called: the only call
	// that tells of second factors other than SMS. It costs one call for each
	// member, and AWS may bill each of them as an active user of the month:
	// meant for a group of administrators, not for everybody.
	MFA []string
	// Every is how long a complete snapshot is good: a run that comes earlier
	// than that after the beginning of the last one has nothing to do. 0 makes
	// every run begin a snapshot.
	Every time.Duration
	// Timeout of one attempt of a call; default 30 s.
	Timeout time.Duration
	// Throttled is how long a call goes on while it is throttled; default 15
	// minutes. Then the run fails; the next one resumes.
	Throttled time.Duration
	// Now is the clock; it must be set.
	Now func() time.Time
	// Logger gets warnings and, at debug level, repeated calls; nil for none.
	Logger *slog.Logger
}

var (
	poolPattern     = regexp.MustCompile(`^[\w-]{1,44}_[0-9A-Za-z]{1,55}$`)
	identityPattern = regexp.MustCompile(`^[\w-]{1,55}:[0-9A-Fa-f-]{1,55}$`)
	regionPattern   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)
)

// check refuses what cannot work and sets the defaults.
func (o *Options) check() error {
	if err := errors.Join(o.checkPools(), o.checkNumbers()); err != nil {
		return err
	}
	switch {
	case len(o.MFA) > 0 && o.SkipGroups:
		return errors.New("second factors are asked for by group, but groups are left out")
	case o.Now == nil:
		return errors.New("no clock")
	}
	o.Rate = orElse(o.Rate, defaultRate)
	o.SettingsRate = orElse(o.SettingsRate, defaultSettingsRate)
	o.MFARate = orElse(o.MFARate, defaultMFARate)
	o.Timeout = orElse(o.Timeout, defaultTimeout)
	o.Throttled = orElse(o.Throttled, defaultThrottled)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (o *Options) checkPools() error {
	if !poolPattern.MatchString(o.UserPoolID) {
		return fmt.Errorf("user pool id %q: want a form such as eu-west-1_Ab1Cd2Ef3", o.UserPoolID)
	}
	if o.region(o.UserPoolID) == "" {
		return errors.New("no AWS region")
	}
	for _, id := range o.IdentityPoolIDs {
		if !identityPattern.MatchString(id) {
			return fmt.Errorf("identity pool id %q: want a form such as eu-west-1:UUID", id)
		}
	}
	return nil
}

func (o *Options) checkNumbers() error {
	if min(o.Rate, o.SettingsRate, o.MFARate) < 0 || min(o.Every, o.Timeout, o.Throttled) < 0 {
		return errors.New("a rate or a span is negative")
	}
	if !slices.Contains([]int{0, 1, 16, 256}, o.Shards) {
		return fmt.Errorf("shards is %d: want 1, 16 or 256", o.Shards)
	}
	return nil
}

// region is the one a pool's id names; that of the AWS configuration where the
// id is not AWS's own (an emulator's).
func (o *Options) region(poolID string) string {
	if prefix := poolID[:strings.LastIndexAny(poolID, "_:")]; regionPattern.MatchString(prefix) {
		return prefix
	}
	return o.AWS.Region
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Source reads one user pool. It may be used by one goroutine at a time.
//
// Calls that fail by transport or with a 5xx are tried ten times; throttled
// ones go on for Options.Throttled, with pauses up to 20 seconds. There is no
// other level of retries.
type Source struct {
	opts   Options
	client *client
}

var (
	_ extract.Source     = (*Source)(nil)
	_ extract.Identified = (*Source)(nil)
	_ extract.Checker    = (*Source)(nil)
)

// New makes the source. It calls nothing yet.
func New(opts Options) (*Source, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("configure cognito: %w", err)
	}
	c, err := newClient(&opts)
	if err != nil {
		return nil, fmt.Errorf("configure cognito: %w", err)
	}
	return &Source{opts: opts, client: c}, nil
}

// Name is the source's name in the config.
func (s *Source) Name() string { return s.opts.Name }

// Identity names the user pool.
func (s *Source) Identity() string { return s.opts.identity() }

func (o *Options) identity() string { return "cognito:" + o.region(o.UserPoolID) + "/" + o.UserPoolID }

// Start is the same for every t: a snapshot is always whole.
func (s *Source) Start(time.Time) extract.Cursor { return "" }
