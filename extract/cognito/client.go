package cognito

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/tidwall/gjson"
	"golang.org/x/time/rate"

	"github.com/idtrail/idtrail/internal/blob"
)

const (
	appID = "idtrail"
	// maxAttempts of a call that fails by transport or with a 5xx.
	maxAttempts = 10
	// maxBackoff is the longest pause between two attempts.
	maxBackoff = 20 * time.Second
	// maxAnswer bounds an answer: 60 users have some 10 MB at the very most.
	maxAnswer = 64 << 20
	// settingsBurst lets a pool of few settings be read at once.
	settingsBurst = 3
)

// client calls the two services. Answers are taken as they are on the wire: the
// SDK signs, sends and reads errors, but does not decode what it is answered,
// so that nothing is lost that it does not know, and no odd value stops a page.
type client struct {
	opts     *Options
	idp      *idp.Client
	identity *cognitoidentity.Client

	// users limits what counts as UserList, mfa AdminGetUser, settings all else;
	// single holds what each operation of settings may do.
	users, mfa, settings *rate.Limiter
	single               func(operation string) *rate.Limiter
}

func newClient(opts *Options) (*client, error) {
	cfg := opts.AWS.Copy()
	cfg.Region = opts.region(opts.UserPoolID)
	cfg.AppID = orElse(cfg.AppID, appID)
	c := &client{
		opts:     opts,
		idp:      idp.NewFromConfig(cfg),
		identity: cognitoidentity.NewFromConfig(cfg),
		users:    rate.NewLimiter(rate.Limit(opts.Rate), 1),
		mfa:      rate.NewLimiter(rate.Limit(opts.MFARate), 1),
		settings: rate.NewLimiter(rate.Limit(opts.SettingsRate*3), settingsBurst),
		single:   limiters(opts.SettingsRate),
	}
	for _, endpoint := range []*string{c.idp.Options().BaseEndpoint, c.identity.Options().BaseEndpoint} {
		if err := blob.CheckEndpoint(aws.ToString(endpoint)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// limiters makes a limiter an operation. It is asked by one goroutine only.
func limiters(perSecond float64) func(string) *rate.Limiter {
	made := map[string]*rate.Limiter{}
	return func(operation string) *rate.Limiter {
		if made[operation] == nil {
			made[operation] = rate.NewLimiter(rate.Limit(perSecond), 1)
		}
		return made[operation]
	}
}

// pool makes a call of cognito-idp: send has to pass on what it is given. The
// answer is a JSON object as it came.
func (c *client) pool(ctx context.Context, limits []*rate.Limiter, send func(func(*idp.Options)) error) ([]byte, error) {
	a := c.attempts(limits)
	err := send(func(o *idp.Options) {
		o.Retryer = a
		o.APIOptions = append(o.APIOptions, a.install)
	})
	return a.answer, explain(ctx, "cognito-idp", err)
}

// identityPool is [client.pool] for cognito-identity, in the region of the pool.
func (c *client) identityPool(ctx context.Context, limits []*rate.Limiter, send func(func(*cognitoidentity.Options)) error) ([]byte, error) {
	a := c.attempts(limits)
	err := send(func(o *cognitoidentity.Options) {
		o.Retryer = a
		o.APIOptions = append(o.APIOptions, a.install)
	})
	return a.answer, explain(ctx, "cognito-identity", err)
}

// attempts are all attempts of one call: the SDK's retryer, told when to give
// up, and the middleware that limits, times and reads each of them.
type attempts struct {
	aws.RetryerV2
	client *client
	limits []*rate.Limiter

	failures  int
	throttles int
	// since is when the present row of throttled answers began.
	since  time.Time
	answer []byte
}

func (c *client) attempts(limits []*rate.Limiter) *attempts {
	standard := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff = maxBackoff
		// The SDK's budget of retries would end a batch job after a hundred
		// throttled answers, whatever its attempts.
		o.RateLimiter = ratelimit.None
	})
	return &attempts{RetryerV2: standard, client: c, limits: limits}
}

// MaxAttempts is without bound for the SDK: IsErrorRetryable counts.
func (a *attempts) MaxAttempts() int { return 0 }

// IsErrorRetryable is asked once for every attempt that failed.
func (a *attempts) IsErrorRetryable(err error) bool {
	if throttled(err) {
		if a.throttles == 0 {
			a.since = a.client.opts.Now()
		}
		a.throttles++
		return a.client.opts.Now().Sub(a.since) < a.client.opts.Throttled
	}
	a.throttles = 0
	again := errors.Is(err, errIncomplete) || errors.Is(err, errTimeout) || a.RetryerV2.IsErrorRetryable(err)
	if !again || slices.Contains(neverCodes, codeOf(err)) {
		return false
	}
	a.failures++
	return a.failures < maxAttempts
}

// RetryDelay grows with the row of like failures.
func (a *attempts) RetryDelay(_ int, err error) (time.Duration, error) {
	n := max(a.failures, 1)
	if a.throttles > 0 {
		n = a.throttles
	}
	a.client.opts.Logger.Debug("call again", slog.Int("failures", a.failures), slog.Int("throttles", a.throttles))
	return a.RetryerV2.RetryDelay(min(n, 32), err)
}

// install puts the middleware where every attempt passes.
func (a *attempts) install(stack *middleware.Stack) error {
	limit := middleware.FinalizeMiddlewareFunc("idtrailAttempt", a.send)
	if err := stack.Finalize.Insert(limit, "Retry", middleware.After); err != nil {
		return fmt.Errorf("install rate limit: %w", err)
	}
	read := middleware.DeserializeMiddlewareFunc("idtrailAnswer", a.read)
	if err := stack.Deserialize.Insert(read, "OperationDeserializer", middleware.After); err != nil {
		return fmt.Errorf("install reader: %w", err)
	}
	return nil
}

// send waits for the limits and bounds one attempt.
func (a *attempts) send(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	for _, l := range a.limits {
		if err := l.Wait(ctx); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("wait for the rate limit: %w", err)
		}
	}
	timed, cancel := context.WithTimeout(ctx, a.client.opts.Timeout)
	defer cancel()
	out, meta, err := next.HandleFinalize(timed, in)
	if err != nil && timed.Err() != nil && ctx.Err() == nil {
		err = errTimeout
	}
	return out, meta, err
}

// read takes the whole body off the wire. Of a good answer the SDK then sees an
// empty object; an error it reads itself.
func (a *attempts) read(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, meta, err := next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, meta, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	_ = response.Body.Close()
	if len(body) > maxAnswer {
		return out, meta, fmt.Errorf("answer is larger than %d MiB", maxAnswer>>20)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		response.Body = io.NopCloser(bytes.NewReader(body))
		return out, meta, nil
	}
	if err != nil || !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return out, meta, errIncomplete
	}
	a.answer = body
	response.Body = io.NopCloser(bytes.NewReader([]byte("{}")))
	return out, meta, nil
}
