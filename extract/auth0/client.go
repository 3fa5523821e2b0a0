package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/auth0/go-auth0/management"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"golang.org/x/time/rate"
)

const (
	tokenPath = "/oauth/token" //nolint:gosec // a path
	// tokenSlack renews a token before it runs out on the way.
	tokenSlack = time.Minute
	userAgent  = "idtrail"
)

// client calls one tenant's Management API: go-auth0 makes and sends the
// requests, [retry] below it repeats them.
//
// The token is fetched here, not by go-auth0: its token source tries two ways
// of sending the secret, each with its own retries (six requests for a wrong
// secret), cannot be cancelled with the call, and does not show the scopes.
type client struct {
	opts Options
	base *url.URL
	http *http.Client

	mu    sync.Mutex
	token grant
	api   *management.Management
}

// grant is a token with what it allows.
type grant struct {
	Text    string
	Scopes  []string
	Expires time.Time
}

func newClient(opts Options) (*client, error) {
	base, err := parseDomain(opts.Domain)
	if err != nil {
		return nil, err
	}
	if opts.ClientID == "" || (opts.ClientSecret == "") == (opts.PrivateKey == "") {
		return nil, errors.New("configure auth0: client_id and either client_secret or private_key are needed")
	}
	if opts.PrivateKey != "" {
		if _, err := signAssertion(opts, base, opts.Now()); err != nil {
			return nil, err
		}
	}
	if opts.Audience == "" {
		opts.Audience = base.JoinPath("api/v2").String() + "/"
	}
	c := &client{opts: opts, base: base}
	c.http = &http.Client{Transport: newRetry(opts)}
	return c, nil
}

func newRetry(opts Options) *retry {
	t := &retry{
		base:    opts.Transport,
		limiter: rate.NewLimiter(rate.Limit(opts.Rate), opts.Burst),
		timeout: opts.Timeout,
		accept:  acceptable,
		now:     opts.Now,
		log:     opts.Logger,
	}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	return t
}

// acceptable refuses answers that say 200 and are none.
func acceptable(r *http.Request, body []byte) error {
	if strings.HasSuffix(r.URL.Path, tokenPath) {
		_, err := parseGrant(body, time.Time{})
		return err
	}
	if strings.HasSuffix(r.URL.Path, "/logs") {
		_, err := split(body)
		return err
	}
	return acceptableJSON(r.URL.Path, body)
}

// parseDomain reads a host ("acme.eu.auth0.com") or a URL. Plain HTTP would
// show the secret to the network: it is for this machine only.
func parseDomain(domain string) (*url.URL, error) {
	text := domain
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("read domain %q: want a host such as acme.eu.auth0.com", hostOnly(domain))
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("read domain %q: want https (http only on this machine)", u.Host)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

// hostOnly drops what may stand before an @ in a mistyped domain.
func hostOnly(domain string) string { return domain[strings.LastIndex(domain, "@")+1:] }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// call is a call of the Management API: a GET of a path, or a POST of what is to
// be sent as JSON.
type call struct {
	path  []string
	query url.Values
	post  any
	// scope the call needs, for the words of a refusal.
	scope string
}

// get reads a path of one segment.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, http.Header, error) {
	return c.do(ctx, call{path: []string{path}, query: query, scope: "read:" + path})
}

// do makes the call and returns the answer, its body whole and in memory. A
// token Auth0 does not take any more is renewed once.
func (c *client) do(ctx context.Context, in call) ([]byte, http.Header, error) {
	body, header, err := c.try(ctx, in)
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusUnauthorized && !errors.Is(err, ErrCredentials) {
		c.forget()
		body, header, err = c.try(ctx, in)
	}
	return body, header, explain(err, in.scope)
}

func (c *client) try(ctx context.Context, in call) ([]byte, http.Header, error) {
	m, err := c.manager(ctx)
	if err != nil {
		return nil, nil, err
	}
	uri, method := m.URI(in.path...), http.MethodGet
	if len(in.query) > 0 {
		uri += "?" + in.query.Encode()
	}
	if in.post != nil {
		method = http.MethodPost
	}
	req, err := m.NewRequest(ctx, method, uri, in.post)
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	res, err := m.Do(req)
	if err != nil {
		return nil, nil, strip(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	return body, res.Header, nil
}

// strip takes off what net/http adds: the URL, which says no more than we do.
func strip(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// explain turns the answers a person has to act on into words.
func explain(err error, scope string) error {
	var status *StatusError
	if !errors.As(err, &status) || errors.Is(err, ErrCredentials) {
		return err
	}
	switch status.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is refused; is the domain the tenant's own? (%w)", ErrCredentials, err)
	case http.StatusForbidden:
		return &ScopeError{Scope: scope, Instead: without(status.Expected, scope), err: err}
	default:
		return err
	}
}

// without leaves one out of a list.
func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// manager returns a go-auth0 client with a token that is valid now.
func (c *client) manager(ctx context.Context) (*management.Management, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil && c.opts.Now().Before(c.token.Expires) {
		return c.api, nil
	}
	g, err := c.fetchToken(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch token: %w", err)
	}
	options := []management.Option{
		management.WithClient(c.http),
		management.WithNoRetries(),
		management.WithUserAgent(userAgent),
		management.WithNoAuth0ClientInfo(),
	}
	if c.base.Scheme == "http" {
		options = append(options, management.WithInsecure())
	}
	// After WithInsecure, which sets a token of its own.
	options = append(options, management.WithStaticToken(g.Text))
	m, err := management.New(c.base.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	c.token, c.api = g, m
	return m, nil
}

func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api, c.token = nil, grant{}
}

func (c *client) scopes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.token.Scopes)
}

// fetchToken makes the one request that gets a token.
func (c *client) fetchToken(ctx context.Context) (grant, error) {
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {c.opts.ClientID},
		"audience":   {c.opts.Audience},
	}
	if c.opts.PrivateKey == "" {
		form.Set("client_secret", c.opts.ClientSecret)
	} else {
		assertion, err := signAssertion(c.opts, c.base, c.opts.Now())
		if err != nil {
			return grant{}, err
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	}
	body, err := c.post(ctx, form)
	if err != nil {
		return grant{}, c.explainToken(err)
	}
	return parseGrant(body, c.opts.Now())
}

func (c *client) post(ctx context.Context, form url.Values) ([]byte, error) {
	target := c.base.JoinPath(tokenPath).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", userAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, strip(err)
	}
	defer func() { _ = res.Body.Close() }()
	return io.ReadAll(res.Body)
}

func (c *client) explainToken(err error) error {
	var status *StatusError
	if !errors.As(err, &status) {
		return err
	}
	switch status.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: client_id, or its secret or key, is wrong for %s (%w)", ErrCredentials, c.base.Host, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: the application is not authorised for the API %s (%w)", ErrCredentials, c.opts.Audience, err)
	default:
		return err
	}
}

func parseGrant(body []byte, now time.Time) (grant, error) {
	var t struct {
		Token   string `json:"access_token"`
		Scope   string `json:"scope"`
		Expires int64  `json:"expires_in"`
	}
	// The error is dropped on purpose: it could quote the token.
	if json.Unmarshal(body, &t) != nil || t.Token == "" || strings.ContainsAny(t.Token, "\r\n") {
		return grant{}, errors.New("answer holds no access token")
	}
	life := time.Duration(min(max(t.Expires, 0), 1<<31)) * time.Second
	// A lifetime shorter than twice the slack is used for its first half.
	life -= min(tokenSlack, life/2)
	return grant{Text: t.Token, Scopes: strings.Fields(t.Scope), Expires: now.Add(life)}, nil
}

// signAssertion makes the private key JWT that stands for the secret: RFC 7523
// with the claims Auth0 asks for, good for two minutes.
func signAssertion(opts Options, base *url.URL, now time.Time) (string, error) {
	key, err := jwk.ParseKey([]byte(opts.PrivateKey), jwk.WithPEM(true))
	if err != nil {
		// The cause could quote the key.
		return "", errors.New("read private_key: not a private key in PEM form")
	}
	alg := jwa.SignatureAlgorithm(opts.PrivateKeyAlg)
	if alg == "" {
		alg = jwa.RS256
	}
	t, err := jwt.NewBuilder().
		Issuer(opts.ClientID).Subject(opts.ClientID).Audience([]string{base.String() + "/"}).
		JwtID(randomID()).IssuedAt(now).NotBefore(now).Expiration(now.Add(2 * time.Minute)).
		Build()
	if err != nil {
		return "", fmt.Errorf("make assertion: %w", err)
	}
	t.Options().Enable(jwt.FlattenAudience)
	signed, err := jwt.Sign(t, jwt.WithKey(alg, key))
	if err != nil {
		return "", fmt.Errorf("sign assertion: private_key does not fit %s", alg)
	}
	return string(signed), nil
}
