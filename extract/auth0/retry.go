package auth0

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxAttempts = 6
	// maxLimited bounds how often one call waits for the rate limit.
	maxLimited = 20
	firstDelay = 500 * time.Millisecond
	maxDelay   = 30 * time.Second
	// maxReset is the longest rate limit that is waited for.
	maxReset = 15 * time.Minute
	// maxBody bounds a page: 100 records of the largest kind seen are under
	// 1 MiB.
	maxBody  = 64 << 20
	maxError = 64 << 10
)

// retry is the one place where calls are repeated: on 429 until the reset the
// vendor names, on 5xx, timeouts, cut connections, bodies that end too early or
// that accept refuses. An attempt is good only once its whole body is in
// memory. It also keeps the rate, for every attempt.
//
// go-auth0's own retries are off: they wait 10 s at most, do not repeat 5xx and
// do not see a truncated body.
type retry struct {
	base    http.RoundTripper
	limiter *rate.Limiter
	timeout time.Duration
	accept  func(r *http.Request, body []byte) error
	now     func() time.Time
	log     *slog.Logger

	mu        sync.Mutex
	notBefore time.Time
}

// RoundTrip returns the first good answer. Others than 2xx come as a
// *StatusError.
func (t *retry) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	var spent budget
	for {
		res, err := t.attempt(r)
		if err == nil {
			t.easeOff(res.Header)
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		wait, again := spent.next(err, t.now())
		if !again {
			return nil, spent.giveUp(err)
		}
		t.log.DebugContext(ctx, "auth0 call will be repeated", "reason", err, "wait", wait)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// budget counts what one call has cost. Waiting for a rate limit is counted
// apart: it is no failure of the server.
type budget struct{ failed, limited int }

// next says how long to wait before the call is repeated, and whether it is.
func (b *budget) next(err error, now time.Time) (time.Duration, bool) {
	var status *StatusError
	if !errors.As(err, &status) || !status.limited() {
		b.failed++
		return backoff(b.failed - 1), repeatable(err) && b.failed < maxAttempts
	}
	b.limited++
	wait := backoff(b.limited - 1)
	if !status.Reset.IsZero() {
		// The jitter keeps many clients from coming back at once.
		wait = max(status.Reset.Sub(now), 0) + jitter(time.Second) + time.Millisecond
	}
	return wait, b.limited < maxLimited && wait <= maxReset
}

// limited says whether to wait for a limit rather than count a failure.
func (e *StatusError) limited() bool {
	return e.Status == http.StatusTooManyRequests || !e.Reset.IsZero()
}

func (b *budget) giveUp(err error) error {
	var status *StatusError
	if errors.As(err, &status) && !status.Reset.IsZero() {
		return fmt.Errorf("rate limited until %s: %w", status.Reset.UTC().Format(time.RFC3339), err)
	}
	if n := b.failed + b.limited; n > 1 {
		return fmt.Errorf("after %d attempts: %w", n, err)
	}
	return err
}

// attempt makes one call under its own timeout and reads its body.
func (t *retry) attempt(r *http.Request) (*http.Response, error) {
	if err := t.takeTurn(r.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	defer cancel()
	req := r.Clone(ctx)
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, fmt.Errorf("rewind request: %w", err)
		}
		req.Body = body
	}
	res, err := t.base.RoundTrip(req)
	if err == nil {
		res, err = t.read(r, res)
	} else {
		err = transient{err}
	}
	if err != nil && ctx.Err() != nil && r.Context().Err() == nil {
		// Not wrapped: the caller's own deadline has not passed.
		return nil, transient{fmt.Errorf("no whole answer within %s", t.timeout)}
	}
	return res, err
}

func (t *retry) read(r *http.Request, res *http.Response) (*http.Response, error) {
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, t.statusError(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, transient{fmt.Errorf("read answer: %w", err)}
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("read answer: larger than %d bytes", maxBody)
	}
	if err := t.accept(r, body); err != nil {
		return nil, transient{err}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.Request = r
	return res, nil
}

// statusError keeps of an error answer what cannot hold a secret.
func (t *retry) statusError(res *http.Response) error {
	e := &StatusError{Status: res.StatusCode}
	var body struct {
		Error     string `json:"error"`
		ErrorCode string `json:"errorCode"`
		Message   string `json:"message"`
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxError))
	if json.Unmarshal(text, &body) == nil {
		e.Code = word(body.ErrorCode)
		if e.Code == "" {
			e.Code = word(body.Error)
		}
		e.Expected = expected(body.Message)
	}
	limited := res.StatusCode == http.StatusTooManyRequests
	if limited || res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "" {
		e.Reset = t.reset(res.Header)
	}
	return e
}

// word returns s if it is a short code, else "".
func word(s string) string {
	if len(s) > 40 {
		return ""
	}
	for _, c := range s {
		if c != '_' && c != ' ' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return s
}

// reset reads when the limit is over: Retry-After (seconds or a date), else
// X-RateLimit-Reset (epoch seconds), by the server's clock where it tells it.
func (t *retry) reset(h http.Header) time.Time {
	now := t.now()
	if after := h.Get("Retry-After"); after != "" {
		if s, err := strconv.Atoi(after); err == nil && s >= 0 {
			return now.Add(time.Duration(min(s, 1<<31)) * time.Second)
		}
		if date, err := http.ParseTime(after); err == nil {
			return now.Add(date.Sub(serverTime(h, now)))
		}
	}
	epoch, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || epoch <= 0 {
		return time.Time{}
	}
	return now.Add(time.Unix(epoch, 0).Sub(serverTime(h, now)))
}

func serverTime(h http.Header, fallback time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return fallback
}

// easeOff holds the next call back when little of the tenant's limit is left:
// production shares it. What remains is spread until the reset.
func (t *retry) easeOff(h http.Header) {
	limit, err1 := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	left, err2 := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	reset := t.reset(h)
	if err1 != nil || err2 != nil || left > limit/5 || reset.IsZero() {
		return
	}
	pause := reset.Sub(t.now()) / time.Duration(max(left, 0)+1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notBefore = t.now().Add(min(pause, time.Minute))
}

// takeTurn waits for the rate and for what easeOff asked. It does not use
// Limiter.Wait, which fails at once where the deadline comes first and hides
// the context's error.
func (t *retry) takeTurn(ctx context.Context) error {
	t.mu.Lock()
	pause := t.notBefore.Sub(t.now())
	t.mu.Unlock()
	turn := t.limiter.Reserve()
	if err := sleep(ctx, max(turn.Delay(), pause)); err != nil {
		turn.Cancel()
		return err
	}
	return nil
}

// transient marks what may go well the next time.
type transient struct{ error }

// Unwrap returns the cause.
func (e transient) Unwrap() error { return e.error }

func repeatable(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Status == http.StatusRequestTimeout || status.Status >= 500
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	return errors.As(err, &transient{})
}

// backoff doubles from half a second, with jitter over its upper half.
func backoff(failed int) time.Duration {
	d := min(firstDelay<<failed, maxDelay)
	return d/2 + jitter(d/2)
}

func jitter(d time.Duration) time.Duration {
	return rand.N(max(d, 1)) //nolint:gosec // jitter is no secret
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
