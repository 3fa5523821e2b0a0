package fake

import (
	"crypto/rsa"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The paths [Auth0] answers.
const (
	TokenPath = "/oauth/token" //nolint:gosec // a path
	LogsPath  = "/api/v2/logs"
)

// Auth0Options say what kind of tenant [Auth0] is. The zero value is one
// without limits, whose application is "client" with the secret "secret".
type Auth0Options struct {
	ClientID     string
	ClientSecret string
	// AssertionKey lets the application sign in by private key JWT (RS256).
	AssertionKey *rsa.PublicKey
	// Audience is the identifier of the Management API; default
	// http://HOST/api/v2/ (https with TLS) of the host that was asked.
	Audience string
	// Scopes granted to the application; default read:logs and read:users.
	Scopes []string
	// TokenLifetime is 24 h by default.
	TokenLifetime time.Duration
	// MaxTake caps a page whatever take says: 100 (default) or 50.
	MaxTake int
	// Retention hides records older than that, in silence; 0 keeps all.
	Retention time.Duration
	// Burst and PerSecond are the token bucket of the Management API; no Burst,
	// no limit.
	Burst     int
	PerSecond float64
	// Directory is who and what there is beside logs; nil for nothing.
	Directory *Directory
	// Export says how exports of users go.
	Export ExportOptions
	// ByPage answers lists by page and per_page only, as if take were not known.
	ByPage bool
	// Now is the server's clock, time.Now by default. A record whose id is
	// later than it does not exist yet.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it.
	Fault func(Call) *Fault
}

// Auth0 is a tenant as its API shows it: an http.Handler. It may be used
// concurrently.
type Auth0 struct {
	journal
	opts Auth0Options

	mu     sync.Mutex
	logs   logStore
	tokens map[string]token
	issued int
	bucket float64
	filled time.Time
	jobs   map[string]exportJob
}

var _ http.Handler = (*Auth0)(nil)

type token struct {
	expires time.Time
	scopes  []string
}

// NewAuth0 makes a tenant with these logs; nil for none.
func NewAuth0(opts Auth0Options, logs Logs) *Auth0 {
	if opts.ClientID == "" {
		opts.ClientID, opts.ClientSecret = "client", "secret"
	}
	if opts.Scopes == nil {
		opts.Scopes = []string{"read:logs", "read:users"}
	}
	if opts.TokenLifetime == 0 {
		opts.TokenLifetime = 24 * time.Hour
	}
	if opts.MaxTake == 0 {
		opts.MaxTake = 100
	}
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	if opts.Directory == nil {
		opts.Directory = &Directory{}
	}
	a := &Auth0{opts: opts, tokens: map[string]token{}, jobs: map[string]exportJob{}}
	a.logs.base = logs
	a.bucket, a.filled = float64(opts.Burst), opts.Now()
	return a
}

// Insert adds records, wherever their log_id sorts: below a cursor, they are
// late ones.
func (a *Auth0) Insert(records ...[]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		a.logs.insert(r)
	}
}

// SetFault replaces what goes wrong from now on; nil for nothing.
func (a *Auth0) SetFault(fault func(Call) *Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opts.Fault = fault
}

// SetScopes changes what the application is granted. Tokens issued so far keep what
// they had.
func (a *Auth0) SetScopes(scopes ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opts.Scopes = scopes
}

// Revoke makes every token issued so far invalid.
func (a *Auth0) Revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}

// ServeHTTP answers one call.
func (a *Auth0) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, fault := a.note(r)
	var ans answer
	switch r.URL.Path {
	case TokenPath:
		ans = a.token(r)
	case ExportFilePath:
		ans = a.exportFile(r)
	default:
		ans = a.management(r)
	}
	// The dates of net/http are the machine's; a client may measure by them.
	ans.header.Set("Date", call.At.UTC().Format(http.TimeFormat))
	a.answered(call, fault.send(w, r, ans, call.At))
}

func (a *Auth0) note(r *http.Request) (Call, *Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.enter(r, r.URL.Path, a.opts.Now())
	if a.opts.Fault == nil {
		return c, nil
	}
	return c, a.opts.Fault(c)
}

// management answers the Management API: limit first, then token, then scope.
func (a *Auth0) management(r *http.Request) answer {
	header, ok := a.spend()
	if !ok {
		f := TooMany(0, false)
		return answer{status: f.Status, header: header, body: []byte(f.Body)}
	}
	ans := a.authorised(r)
	maps.Copy(ans.header, header)
	return ans
}

func (a *Auth0) authorised(r *http.Request) answer {
	scopes, ok := a.bearer(r)
	switch {
	case !ok:
		return apiError(http.StatusUnauthorized, "Invalid token", "")
	case r.URL.Path != LogsPath && !strings.HasPrefix(r.URL.Path, LogsPath+"/"):
		return a.directory(r, scopes)
	case r.Method != http.MethodGet:
		return apiError(http.StatusMethodNotAllowed, "Method Not Allowed", "")
	case !slices.Contains(scopes, "read:logs") && !slices.Contains(scopes, "read:logs_users"):
		return apiError(http.StatusForbidden, "Insufficient scope; expected any of: read:logs,read:logs_users", "insufficient_scope")
	}
	if id, one := strings.CutPrefix(r.URL.Path, LogsPath+"/"); one {
		return a.oneLog(id)
	}
	return a.listLogs(r)
}

// spend takes a call out of the bucket.
func (a *Auth0) spend() (http.Header, bool) {
	h := http.Header{}
	if a.opts.Burst == 0 {
		return h, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Now()
	a.bucket = min(float64(a.opts.Burst), a.bucket+now.Sub(a.filled).Seconds()*a.opts.PerSecond)
	a.filled = now
	ok := a.bucket >= 1
	if ok {
		a.bucket--
	}
	missing := max(1-a.bucket, 0) / a.opts.PerSecond
	reset := now.Add(time.Duration(math.Ceil(missing * float64(time.Second))))
	h.Set("X-RateLimit-Limit", strconv.Itoa(a.opts.Burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(int(a.bucket)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix()+1, 10))
	return h, ok
}

func (a *Auth0) bearer(r *http.Request) ([]string, bool) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	defer a.mu.Unlock()
	t, known := a.tokens[text]
	if !ok || !known || !a.opts.Now().Before(t.expires) {
		return nil, false
	}
	return t.scopes, true
}

// page is where a list of logs begins and how much of it there is.
type page struct {
	from string
	take int
}

func (a *Auth0) listLogs(r *http.Request) answer {
	q := r.URL.Query()
	if !q.Has("from") && !q.Has("take") {
		return a.search(q)
	}
	take := 50
	if q.Has("take") {
		n, err := strconv.Atoi(q.Get("take"))
		if err != nil || n < 1 || n > 100 {
			return apiError(http.StatusBadRequest, "Query validation error: 'take' must be between 1 and 100.", "invalid_query_string")
		}
		take = n
	}
	ids, body := a.collect(page{from: q.Get("from"), take: min(take, a.opts.MaxTake)})
	next := q.Get("from")
	if len(ids) > 0 {
		next = ids[len(ids)-1]
	}
	h := jsonHeader()
	link := url.URL{Scheme: scheme(r), Host: r.Host, Path: LogsPath}
	link.RawQuery = url.Values{"from": {next}, "take": {strconv.Itoa(take)}}.Encode()
	h.Set("Link", "<"+link.String()+`>; rel="next"`)
	return answer{status: http.StatusOK, header: h, body: body}
}

func (a *Auth0) collect(p page) (ids []string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body = append(body, '[')
	for id, record := range a.logs.after(max(p.from, a.oldest()), a.newest()) {
		if len(ids) == p.take {
			break
		}
		if len(ids) > 0 {
			body = append(body, ',')
		}
		ids, body = append(ids, id), append(body, record()...)
	}
	return ids, append(body, ']')
}

// oldest and newest bound the ids there are now.
func (a *Auth0) oldest() string {
	if a.opts.Retention == 0 {
		return ""
	}
	return SyntheticLogID(a.opts.Now().Add(-a.opts.Retention))
}

func (a *Auth0) newest() string { return SyntheticLogID(a.opts.Now().Add(time.Second)) }

// search answers what is no checkpoint call: pages over the newest 1,000.
func (a *Auth0) search(q url.Values) answer {
	number, per, ok := paging(q)
	switch {
	case !ok:
		return apiError(http.StatusBadRequest, "Query validation error: 'page' and 'per_page' must be numbers, per_page at most 100.", "invalid_query_string")
	case (number+1)*per > 1000:
		return apiError(http.StatusBadRequest, "You can only page through the first 1000 records.", "invalid_paging")
	case q.Get("q") != "":
		return apiError(http.StatusBadRequest, "This server does not search.", "invalid_query_string")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	hits := a.logs.window(a.oldest(), a.newest(), strings.HasSuffix(q.Get("sort"), ":1"))
	hits = hits[min(number*per, len(hits)):min((number+1)*per, len(hits))]
	list := []json.RawMessage{}
	for _, record := range hits {
		list = append(list, record())
	}
	return answer{status: http.StatusOK, header: jsonHeader(), body: searchBody(q, list, number*per)}
}

func searchBody(q url.Values, list []json.RawMessage, start int) []byte {
	body := []byte{'['}
	for i, r := range list {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r...)
	}
	body = append(body, ']')
	if q.Get("include_totals") != "true" {
		return body
	}
	n := strconv.Itoa(len(list))
	head := `{"start":` + strconv.Itoa(start) + `,"limit":` + n + `,"length":` + n + `,"total":` + n + `,"logs":`
	return append(append([]byte(head), body...), '}')
}

func paging(q url.Values) (number, per int, ok bool) {
	per = 50
	var err error
	if q.Has("page") {
		if number, err = strconv.Atoi(q.Get("page")); err != nil {
			return 0, 0, false
		}
	}
	if q.Has("per_page") {
		if per, err = strconv.Atoi(q.Get("per_page")); err != nil {
			return 0, 0, false
		}
	}
	return number, per, number >= 0 && per >= 1 && per <= 100
}

func (a *Auth0) oneLog(id string) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id > a.oldest() && id <= a.newest() {
		for found, record := range a.logs.from(id, a.newest()) {
			if found != id {
				break
			}
			return answer{status: http.StatusOK, header: jsonHeader(), body: record()}
		}
	}
	return apiError(http.StatusNotFound, "The log does not exist.", "inexistent_log")
}

func jsonHeader() http.Header {
	return http.Header{"Content-Type": {"application/json; charset=utf-8"}}
}

func scheme(r *http.Request) string {
	if r.TLS != nil || r.URL.Scheme == "https" {
		return "https"
	}
	return "http"
}

// apiError is an error of the Management API; code may be missing, as there.
func apiError(status int, message, code string) answer {
	body, _ := json.Marshal(struct {
		Status  int    `json:"statusCode"`
		Error   string `json:"error"`
		Message string `json:"message"`
		Code    string `json:"errorCode,omitempty"`
	}{status, http.StatusText(status), message, code})
	return answer{status: status, header: jsonHeader(), body: body}
}
