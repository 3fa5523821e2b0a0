package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/denial"
)

const (
	// throttledTries are some ten minutes: longer than any burst another tool
	// of the account makes.
	throttledTries = 60
	failedTries    = 8
	maxBackoff     = 20 * time.Second
)

// lookupClient asks one region, below a rate.
type lookupClient struct {
	*cloudtrail.Client
	region string
}

// newClient makes a client of a region. Every attempt of a call first takes
// its turn with limit, if there is one.
func newClient(cfg aws.Config, region string, limit *rate.Limiter) (*lookupClient, error) {
	client := cloudtrail.NewFromConfig(cfg, func(o *cloudtrail.Options) {
		o.Region, o.RetryMaxAttempts = region, 0
		o.Retryer = newPatience()
		if limit != nil {
			o.APIOptions = append(o.APIOptions, limited(limit))
		}
	})
	if err := blob.CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return nil, fmt.Errorf("reach CloudTrail in %s: %w", region, err)
	}
	return &lookupClient{Client: client, region: region}, nil
}

// limited waits behind the step that retries, so that no attempt goes past the
// limit, and before the one that signs, so that none is signed too early.
func limited(limit *rate.Limiter) func(*middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("idtrailRate", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if err := turn(ctx, limit); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		return next.HandleFinalize(ctx, in)
	})
	return func(s *middleware.Stack) error { return s.Finalize.Insert(wait, "Retry", middleware.After) }
}

// turn waits for a turn. Unlike the limiter's own Wait, it fails when the
// context has ended, not when it will have.
func turn(ctx context.Context, limit *rate.Limiter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mine := limit.Reserve()
	timer := time.NewTimer(mine.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		mine.Cancel()
		return ctx.Err()
	}
}

// Limits are the rates of a program's lookups, one for each account and region.
// They may be used concurrently.
type Limits struct {
	mu    sync.Mutex
	rates map[string]*rate.Limiter
}

// NewLimits returns none so far.
func NewLimits() *Limits { return &Limits{rates: map[string]*rate.Limiter{}} }

// of returns the limit of an account in a region. The lowest rate asked for
// holds for all.
func (l *Limits) of(account, region string, perSecond float64) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.rates[account+"/"+region]
	if limit == nil {
		limit = rate.NewLimiter(rate.Limit(perSecond), 1)
		l.rates[account+"/"+region] = limit
	}
	if limit.Limit() > rate.Limit(perSecond) {
		limit.SetLimit(rate.Limit(perSecond))
	}
	return limit
}

// patience retries what is throttled for minutes, and other failures as often
// as the SDK's users do. It keeps count of one call at a time.
type patience struct {
	*retry.Standard
	throttles retry.IsErrorThrottles

	mu     sync.Mutex
	failed int // of the attempts of this call, those that were not throttled
}

func newPatience() *patience {
	return &patience{
		Standard: retry.NewStandard(func(o *retry.StandardOptions) {
			o.RateLimiter, o.MaxBackoff = ratelimit.None, maxBackoff
		}),
		throttles: retry.DefaultThrottles,
	}
}

// MaxAttempts is what throttling is given.
func (p *patience) MaxAttempts() int { return throttledTries }

// RetryDelay ends the call where it failed too often.
func (p *patience) RetryDelay(attempt int, err error) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if attempt == 1 {
		p.failed = 0
	}
	if p.throttles.IsErrorThrottle(err) != aws.TrueTernary {
		p.failed++
	}
	if p.failed >= failedTries {
		return 0, fmt.Errorf("gave up after %d tries: %w", attempt, err)
	}
	return p.Standard.RetryDelay(min(attempt, 10), err)
}

// setClients makes a client for every region, and finds out the account.
func (l *Lookup) setClients(ctx context.Context) error {
	if l.opts.AccountID == "" {
		account, err := callerAccount(ctx, l.opts.AWS, l.opts.Regions[0])
		if err != nil {
			return err
		}
		l.opts.AccountID = account
	}
	if l.opts.Limits == nil {
		l.opts.Limits = NewLimits()
	}
	l.regions = map[string]*lookupClient{}
	for _, region := range l.opts.Regions {
		c, err := newClient(l.opts.AWS, region, l.opts.Limits.of(l.opts.AccountID, region, l.opts.Rate))
		if err != nil {
			return err
		}
		l.regions[region] = c
	}
	return nil
}

func callerAccount(ctx context.Context, cfg aws.Config, region string) (string, error) {
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.Region = region })
	if err := blob.CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return "", fmt.Errorf("reach STS: %w", err)
	}
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("ask STS for the account (or set account): %w", blob.ExplainCall(err))
	}
	return aws.ToString(out.Account), nil
}

// hasCode says whether AWS answered with one of these error codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}

func isDenied(err error) bool {
	return hasCode(err, "AccessDeniedException", "AccessDenied", "UnauthorizedOperation")
}

// refusal is what AWS said of a call that it refused for want of a right.
func refusal(err error, action string) *denial.Error {
	message := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		message = api.ErrorMessage()
	}
	e := denial.Of(message, action, "*")
	e.Err = blob.ExplainCall(err)
	return e
}

// silent is a denial whose words stand before it.
type silent struct{ denied *denial.Error }

func (s *silent) Error() string { return s.denied.Err.Error() }

func (s *silent) Unwrap() error { return s.denied }

// explain says why a call to CloudTrail failed, and what to do about it.
func explain(err error, action string) error {
	switch {
	case isDenied(err):
		e := refusal(err, action)
		if e.Blocked() || e.Action != action {
			return e
		}
		return fmt.Errorf(`access denied: grant %s on "*": %w`, action, &silent{e})
	case hasCode(err, "UnrecognizedClientException", "InvalidClientTokenId"):
		return fmt.Errorf("the region may not be enabled for the account: %w", blob.ExplainCall(err))
	default:
		return blob.ExplainCall(err)
	}
}
