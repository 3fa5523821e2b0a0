package auth0_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/fake"
)

// faults is all that goes wrong once and well the next time.
func faults() map[string]*fake.Fault {
	echo := `{"statusCode":500,"error":"` + secret + `","message":"` + secret + `"}`
	return map[string]*fake.Fault{
		"500":                {Status: 500, Body: echo},
		"502 web page":       {Status: 502, Body: "<html>" + secret},
		"503":                {Status: 503},
		"503 retry after":    {Status: 503, ResetIn: 5 * time.Second, RetryAfter: true},
		"408":                {Status: 408},
		"dropped":            {Drop: true},
		"cut at once":        {Truncate: 1},
		"cut in a record":    {Truncate: 700},
		"hangs":              {Hang: true},
		"slow body":          {Slow: 10 * time.Minute},
		"200 object":         {Status: 200, Body: `{}`},
		"200 totals":         {Status: 200, Body: `{"logs":[],"total":0}`},
		"200 empty":          {Status: 200},
		"200 null":           {Status: 200, Body: "null"},
		"200 web page":       {Status: 200, Body: "<html>[]</html>"},
		"200 cut array":      {Status: 200, Body: `[{"log_id":"1"}`},
		"200 cut string":     {Status: 200, Body: `[{"log_id":"1]`},
		"200 bad nesting":    {Status: 200, Body: `[}{]`},
		"200 garbage":        {Status: 200, Body: "\x00\x01\x02"},
		"429 reset 2s":       fake.TooMany(2*time.Second, false),
		"429 reset 60s":      fake.TooMany(time.Minute, false),
		"429 retry after":    fake.TooMany(time.Minute, true),
		"429 reset in past":  fake.TooMany(-time.Minute, false),
		"429 without header": fake.TooMany(0, false),
	}
}

// Each fault at the first, a middle and the last call: nothing lost, nothing
// doubled, one call more.
func TestFaultsOnce(t *testing.T) {
	const calls = 5 // four pages of 50 and the empty one
	for name, f := range faults() {
		for _, n := range []int{1, 3, calls} {
			t.Run(fmt.Sprintf("%s at call %d", name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := series(200, time.Now())
					x := newTenant(all, fake.Auth0Options{MaxTake: 50, Fault: fake.OnCalls(fake.LogsPath, f, n)})
					sameIDs(t, idsIn(x.mustRead(t, "")), idsOf(all))
					if got := x.Count(fake.LogsPath); got != calls+1 {
						t.Errorf("got %d calls, want %d", got, calls+1)
					}
					if got := x.Count(fake.TokenPath); got != 1 {
						t.Errorf("got %d token requests, want 1", got)
					}
				})
			})
		}
	}
}

// The same for the token: two requests, never a page lost.
func TestTokenFaults(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := series(10, time.Now())
				x := newTenant(all, fake.Auth0Options{Fault: fake.OnCalls(fake.TokenPath, f, 1)})
				sameIDs(t, idsIn(x.mustRead(t, "")), idsOf(all))
				if got := x.Count(fake.TokenPath); got != 2 {
					t.Errorf("got %d token requests, want 2", got)
				}
				x.SetFault(func(c fake.Call) *fake.Fault {
					if c.Path == fake.TokenPath {
						return f
					}
					return nil
				})
				_, err := x.read(t, "")
				hidesSecret(t, err)
				if err == nil || strings.Contains(err.Error(), "/oauth/token") {
					t.Errorf("token faulty for ever: got error %v", err)
				}
			})
		})
	}
}

// What stays wrong ends in one error; the pages before it stand, and a later
// run goes on behind them.
func TestFaultsForEver(t *testing.T) {
	for name, f := range faults() {
		limited := f.ResetIn != 0 || f.Status == http.StatusTooManyRequests
		for _, n := range []int{1, 3, 5} {
			t.Run(fmt.Sprintf("%s from call %d", name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := series(200, time.Now())
					x := newTenant(all, fake.Auth0Options{MaxTake: 50, Fault: func(c fake.Call) *fake.Fault {
						if c.Path == fake.LogsPath && c.PathN >= n {
							return f
						}
						return nil
					}})
					pages, err := x.read(t, "")
					if err == nil || len(pages) != n-1 {
						t.Fatalf("got %d pages and error %v, want %d pages and an error", len(pages), err, n-1)
					}
					hidesSecret(t, err)
					if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
						t.Errorf("error %v says that the caller gave up", err)
					}
					if got, want := x.Count(fake.LogsPath), n-1+6; got != want && !limited {
						t.Errorf("got %d calls, want %d: six attempts", got, want)
					}
					x.SetFault(nil)
					from := extract.Cursor("")
					if n > 1 {
						from = next(pages)
					}
					got := append(idsIn(pages), idsIn(x.mustRead(t, from))...)
					slices.Sort(got)
					sameIDs(t, slices.Compact(got), idsOf(all))
				})
			})
		}
	}
}

// The reset a minute away is waited for, not a guess of ten seconds; one that
// is hours away is not, and says so.
func TestReset(t *testing.T) {
	tests := []struct {
		reset time.Duration
		after bool
		ok    bool
	}{
		{2 * time.Second, false, true},
		{2 * time.Second, true, true},
		{time.Minute, false, true},
		{time.Minute, true, true},
		{10 * time.Minute, false, true},
		{3 * time.Hour, false, false},
		{3 * time.Hour, true, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.reset, tt.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTenant(series(10, time.Now()), fake.Auth0Options{Fault: fake.OnCalls(fake.LogsPath, fake.TooMany(tt.reset, tt.after), 1)})
				begin := time.Now()
				_, err := x.read(t, "")
				took := time.Since(begin)
				if tt.ok && (err != nil || took < tt.reset || took > tt.reset+2*time.Second) {
					t.Errorf("took %v and error %v, want %v and a little", took, err, tt.reset)
				}
				if !tt.ok && (err == nil || took > time.Second || !strings.Contains(err.Error(), "rate limited until")) {
					t.Errorf("took %v and error %v, want an error at once", took, err)
				}
			})
		})
	}
}

// The reset is by the server's clock: ours may be wrong.
func TestResetByServerClock(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			x := newTenant(nil, fake.Auth0Options{
				Now:   func() time.Time { return time.Now().Add(skew) },
				Fault: fake.OnCalls(fake.LogsPath, fake.TooMany(time.Minute, false), 1),
			})
			begin := time.Now()
			x.mustRead(t, "")
			if took := time.Since(begin); took < time.Minute || took > time.Minute+2*time.Second {
				t.Errorf("server's clock %v off: took %v, want a minute", skew, took)
			}
		})
	}
}

// A wait for the limit ends with the context.
func TestCancelWhileWaiting(t *testing.T) {
	for name, f := range map[string]*fake.Fault{
		"reset": fake.TooMany(5*time.Minute, false), "hang": {Hang: true}, "backoff": {Status: 500}, "slow": {Slow: time.Hour},
	} {
		for _, path := range []string{fake.TokenPath, fake.LogsPath} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newTenant(series(10, time.Now()), fake.Auth0Options{Fault: fake.OnCalls(path, f, 1)})
					ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
					defer cancel()
					begin := time.Now()
					for _, err := range x.logs(t).Pages(ctx, "") {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("got %v, want the context's end", err)
						}
					}
					if took := time.Since(begin); took != 200*time.Millisecond {
						t.Errorf("took %v, want 200ms", took)
					}
				})
			})
		}
	}
}

// The rate holds over retries too, and the server's limit is never hit.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(3000, time.Now()), fake.Auth0Options{
			MaxTake: 50, Burst: 10, PerSecond: 100.0 / 60,
			Fault: fake.OnCalls(fake.LogsPath, &fake.Fault{Status: 500}, 5, 6, 7),
		})
		x.opts.Rate, x.opts.Burst = 0, 0 // the defaults
		begin := time.Now()
		x.mustRead(t, "")
		took := time.Since(begin)
		calls := x.Calls()
		if want := float64(len(calls)-3) / (100.0 / 60 / 3); took.Seconds() < want-1 || took.Seconds() > want+20 {
			t.Errorf("%d calls took %v, want about %.0fs", len(calls), took, want)
		}
		for _, c := range calls {
			if c.Status == http.StatusTooManyRequests {
				t.Fatalf("call %d was refused", c.N)
			}
		}
	})
}

// With its own rate too high, the client slows down by what the answers say is
// left, and leaves something to production.
func TestEasesOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(3000, time.Now()), fake.Auth0Options{MaxTake: 50, Burst: 10, PerSecond: 1})
		x.mustRead(t, "")
		refused := 0
		for _, c := range x.Calls() {
			if c.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused > 0 {
			t.Errorf("%d calls of %d were refused", refused, len(x.Calls()))
		}
	})
}

func TestCredentials(t *testing.T) {
	tests := []struct {
		name   string
		server fake.Auth0Options
		change func(o *auth0.Options)
		want   error
		tokens int
	}{
		{"wrong secret", fake.Auth0Options{}, func(o *auth0.Options) { o.ClientSecret = secret + "x" }, auth0.ErrCredentials, 1},
		{"wrong client", fake.Auth0Options{}, func(o *auth0.Options) { o.ClientID = "other" }, auth0.ErrCredentials, 1},
		{"wrong audience", fake.Auth0Options{Audience: "https://acme.eu.auth0.com/api/v2/"}, func(o *auth0.Options) { o.Domain = "login.acme.example" }, auth0.ErrCredentials, 1},
		{"custom domain", fake.Auth0Options{Audience: "https://acme.eu.auth0.com/api/v2/"}, func(o *auth0.Options) {
			o.Domain, o.Audience = "login.acme.example", "https://acme.eu.auth0.com/api/v2/"
		}, nil, 1},
		{"no scope", fake.Auth0Options{Scopes: []string{"read:users"}}, func(*auth0.Options) {}, auth0.ErrScope, 1},
		{"other scope", fake.Auth0Options{Scopes: []string{"read:logs_users"}}, func(*auth0.Options) {}, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTenant(series(10, time.Now()), tt.server)
				tt.change(&x.opts)
				_, err := x.read(t, "")
				hidesSecret(t, err)
				if !errors.Is(err, tt.want) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				if errors.Is(tt.want, auth0.ErrScope) && !strings.Contains(err.Error(), "read:logs") {
					t.Errorf("error %v does not name the scope", err)
				}
				if got := x.Count(fake.TokenPath); got != tt.tokens {
					t.Errorf("got %d token requests, want %d", got, tt.tokens)
				}
			})
		})
	}
}

// Tokens run out and are revoked in the middle of a run.
func TestTokenRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := series(200, time.Now())
		x := newTenant(all, fake.Auth0Options{MaxTake: 50, TokenLifetime: time.Hour})
		var got []string
		for p, err := range x.logs(t).Pages(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				got = append(got, r.ID)
			}
			switch len(got) {
			case 50:
				x.Revoke()
			case 100:
				time.Sleep(2 * time.Hour)
			case 150:
				time.Sleep(time.Hour - time.Second) // too close to the end to be used
			}
		}
		sameIDs(t, got, idsOf(all))
		if n := x.Count(fake.TokenPath); n != 4 {
			t.Errorf("got %d token requests, want 4", n)
		}
		if n := x.Count(fake.LogsPath); n != 5+1 {
			t.Errorf("got %d calls, want one more than pages: for the revoked token", n)
		}
	})
}

// A token that is refused again and again is one error, not a loop.
func TestTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(nil, fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
			if c.Path == fake.LogsPath {
				return &fake.Fault{Status: 401, Body: `{"error":"Unauthorized"}`}
			}
			return nil
		}})
		if _, err := x.read(t, ""); !errors.Is(err, auth0.ErrCredentials) {
			t.Errorf("got error %v, want ErrCredentials", err)
		}
		if n := len(x.Calls()); n != 4 {
			t.Errorf("got %d calls, want 2 of each", n)
		}
	})
}

// A redirect would carry the token elsewhere.
func TestNoRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &fake.Fault{Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/"}}}
		x := newTenant(nil, fake.Auth0Options{Fault: fake.OnCalls(fake.LogsPath, away, 1)})
		if _, err := x.read(t, ""); err == nil || len(x.Calls()) != 2 {
			t.Errorf("got error %v after %d calls, want one after 2", err, len(x.Calls()))
		}
	})
}

func TestPrivateKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		all := series(10, time.Now())
		x := newTenant(all, fake.Auth0Options{AssertionKey: &key.PublicKey})
		x.opts.ClientSecret = ""
		x.opts.PrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		sameIDs(t, idsIn(x.mustRead(t, "")), idsOf(all))
		x.opts.ClientID = "other"
		if _, err := x.read(t, ""); !errors.Is(err, auth0.ErrCredentials) {
			t.Errorf("got error %v, want ErrCredentials", err)
		}
		x.opts.PrivateKeyAlg = "ES256"
		if _, err := auth0.NewLogs(x.opts); err == nil {
			t.Error("an RSA key was taken for ES256")
		}
	})
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		server fake.Auth0Options
		secret string
		want   []bool
		fails  bool
	}{
		{"good", fake.Auth0Options{}, secret, []bool{true, true, true}, false},
		{"no scope", fake.Auth0Options{Scopes: []string{}}, secret, []bool{true, false, false}, true},
		{"narrow scope", fake.Auth0Options{Scopes: []string{"read:logs_users"}}, secret, []bool{true, false, true}, false},
		{"wrong secret", fake.Auth0Options{}, "no", []bool{false}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTenant(series(10, time.Now()), tt.server)
				x.opts.ClientSecret = tt.secret
				findings, err := x.logs(t).Check(t.Context())
				var got []bool
				for _, f := range findings {
					got = append(got, f.OK)
					if !f.OK && f.Hint == "" {
						t.Errorf("%s: no hint", f.What)
					}
				}
				if !slices.Equal(got, tt.want) || (err != nil) != tt.fails {
					t.Errorf("got %+v and error %v, want %v and an error: %v", findings, err, tt.want, tt.fails)
				}
				if n := len(x.Calls()); n > 3 {
					t.Errorf("a check made %d calls", n)
				}
			})
		})
	}
}

// Over real sockets: connections are cut, bodies end early, cancelled calls
// return.
func TestSockets(t *testing.T) {
	all := series(200, time.Now())
	for name, f := range map[string]*fake.Fault{"dropped": {Drop: true}, "cut": {Truncate: 700}, "empty": {Status: 200}} {
		t.Run(name, func(t *testing.T) {
			x := newTenant(all, fake.Auth0Options{MaxTake: 50, Fault: fake.OnCalls(fake.LogsPath, f, 2)})
			server := httptest.NewServer(x)
			defer server.Close()
			x.opts.Domain, x.opts.Transport = server.URL, server.Client().Transport
			sameIDs(t, idsIn(x.mustRead(t, "")), idsOf(all))
			// net/http may itself repeat what was dropped on a used connection.
			if got := x.Count(fake.LogsPath); got < 6 || got > 7 {
				t.Errorf("got %d calls, want 6 or 7", got)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	x := newTenant(nil, fake.Auth0Options{})
	x.opts.Domain, x.opts.Transport = server.URL, http.DefaultTransport
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, err := range x.logs(t).Pages(ctx, "") {
		if err == nil {
			t.Error("got a page from nobody")
		}
	}
}

// An untrusted certificate does not get better by asking again.
func TestUntrustedCertificate(t *testing.T) {
	x := newTenant(nil, fake.Auth0Options{})
	server := httptest.NewUnstartedServer(x)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	x.opts.Domain = server.URL
	x.opts.Transport = &http.Transport{}
	begin := time.Now()
	_, err := x.read(t, "")
	if err == nil || time.Since(begin) > 400*time.Millisecond {
		t.Errorf("took %v and error %v, want an error at once", time.Since(begin), err)
	}
}

func TestContract(t *testing.T) {
	begin := time.Now()
	all := series(60, begin)
	// The fixture's server never moves on, so that its clock cannot end a run.
	make1 := func(fault func(fake.Call) *fake.Fault) (*tenant, extract.Source) {
		x := newTenant(all, fake.Auth0Options{MaxTake: 7, Now: func() time.Time { return begin }, Fault: fault})
		src, err := auth0.NewLogs(x.opts)
		if err != nil {
			t.Fatal(err)
		}
		return x, src
	}
	from := func() extract.Cursor { _, src := make1(nil); return src.Start(begin.Add(-45 * time.Minute)) }()
	extracttest.Run(t, extracttest.Harness{
		New:     func(*testing.T, extract.Ledger) extract.Source { _, src := make1(nil); return src },
		From:    from,
		Repeats: true,
		Want:    idsOf(all[15:]),
		Failing: func(*testing.T, extract.Ledger) extract.Source {
			_, src := make1(fake.OnCalls(fake.LogsPath, &fake.Fault{Status: 403}, 3))
			return src
		},
		ErrWant: auth0.ErrScope,
		Stalled: func(*testing.T) (extract.Source, <-chan struct{}) {
			stuck := make(chan struct{})
			_, src := make1(func(c fake.Call) *fake.Fault {
				if c.Path == fake.LogsPath && c.PathN == 2 {
					close(stuck)
					return &fake.Fault{Hang: true}
				}
				return nil
			})
			return src, stuck
		},
	})
}

// The first reading of a range gives every record once: only a resume overlaps.
func TestNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(60, time.Now()), fake.Auth0Options{MaxTake: 7})
		ids := idsIn(x.mustRead(t, ""))
		slices.Sort(ids)
		if n := len(slices.Compact(ids)); n != 60 {
			t.Errorf("got %d different ids, want 60", n)
		}
	})
}

type errorBody struct{ io.Reader }

func (errorBody) Close() error { return nil }

// A body without end is bounded.
func TestEndlessBody(t *testing.T) {
	x := newTenant(nil, fake.Auth0Options{})
	inner := x.opts.Transport
	calls := 0
	x.opts.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != fake.LogsPath {
			return inner.RoundTrip(r)
		}
		calls++
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: errorBody{endless{}}}, nil
	})
	if _, err := x.read(t, ""); err == nil || !strings.Contains(err.Error(), "larger than") || calls != 1 {
		t.Errorf("got error %v after %d calls, want one that names the bound", err, calls)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
