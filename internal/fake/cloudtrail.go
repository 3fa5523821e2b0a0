package fake

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The operations [CloudTrail] answers.
const (
	LookupEvents      = "LookupEvents"
	ListPublicKeys    = "ListPublicKeys"
	GetCallerIdentity = "GetCallerIdentity" // of STS, for the account's number
)

const (
	cloudTrailTarget = "CloudTrail_20131101."
	// lookupReach is how long LookupEvents shows an event.
	lookupReach   = 90 * 24 * time.Hour
	lookupMaxPage = 50
)

// CloudTrailOptions say how an account's CloudTrail answers. The zero value has
// no limits.
type CloudTrailOptions struct {
	// Account is what STS says; default AccountID.
	Account string
	// PerSecond and Burst are the token bucket of LookupEvents, one for each
	// region; AWS grants 2. No PerSecond, no limit. Burst is 1 by default.
	PerSecond float64
	Burst     int
	// TokenLifetime is how long a paging token holds; 0 for ever.
	TokenLifetime time.Duration
	// MaxPage caps a page whatever is asked for; default 50.
	MaxPage int
	// EmptyPages puts a page without events, but with a token, before each that
	// has some.
	EmptyPages bool
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it.
	Fault func(TrailCall) *Fault
}

// TrailCall is one request that [CloudTrail] saw.
type TrailCall struct {
	// N counts all calls, OpN those of this operation in this region; from 1.
	N, OpN int
	// Op is the operation, Region the one it was signed for.
	Op, Region string
	// Source is the event source asked for, and Token whether a page behind the
	// first was.
	Source string
	Token  bool
	At     time.Time
	// Status that was sent: 0 while it is not known, or where none was sent.
	Status int
	Agent  string
}

// CloudTrail is an account's CloudTrail in all regions: an http.Handler that
// speaks JSON 1.1. Which region is asked, the signature's scope says. It may be
// used concurrently.
type CloudTrail struct {
	opts CloudTrailOptions

	mu      sync.Mutex
	events  []lookupEvent // newest first
	keys    []signingKey
	calls   []TrailCall
	perOp   map[string]int
	buckets map[string]*tokenBucket
}

var _ http.Handler = (*CloudTrail)(nil)

type lookupEvent struct {
	at      time.Time
	visible time.Time
	id      string
	region  string
	source  string
	item    map[string]any
}

type signingKey struct {
	region   string
	from, to time.Time
	key      *rsa.PublicKey
}

type tokenBucket struct {
	tokens float64
	filled time.Time
}

// NewCloudTrail makes an account without events.
func NewCloudTrail(opts CloudTrailOptions) *CloudTrail {
	opts.Account = cmp.Or(opts.Account, AccountID)
	opts.Burst = cmp.Or(opts.Burst, 1)
	opts.MaxPage = cmp.Or(opts.MaxPage, lookupMaxPage)
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &CloudTrail{opts: opts, perOp: map[string]int{}, buckets: map[string]*tokenBucket{}}
}

// Add records events, which LookupEvents shows from visible on (zero: at once):
// later than they happened, they are late ones. Data events are never shown.
func (c *CloudTrail) Add(visible time.Time, records ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range records {
		c.events = append(c.events, newLookupEvent(text, visible))
	}
	slices.SortStableFunc(c.events, func(a, b lookupEvent) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.id, a.id))
	})
}

// AddItem records an event by the item of the API's answer, as it is: without
// CloudTrailEvent, say.
func (c *CloudTrail) AddItem(region string, at time.Time, item map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, _ := item["EventId"].(string)
	source, _ := item["EventSource"].(string)
	item["EventTime"] = epoch(at)
	c.events = append(c.events, lookupEvent{at: at, id: id, region: region, source: source, item: item})
	slices.SortStableFunc(c.events, func(a, b lookupEvent) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.id, a.id))
	})
}

func newLookupEvent(text []byte, visible time.Time) lookupEvent {
	var rec struct {
		ID       string           `json:"eventID"`
		Time     string           `json:"eventTime"`
		Name     string           `json:"eventName"`
		Source   string           `json:"eventSource"`
		Region   string           `json:"awsRegion"`
		ReadOnly bool             `json:"readOnly"`
		Category string           `json:"eventCategory"`
		Identity *json.RawMessage `json:"userIdentity"`
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		panic(fmt.Sprintf("fake: event is no JSON: %v", err))
	}
	at, err := time.Parse(time.RFC3339, rec.Time)
	if err != nil {
		at, err = time.Parse("20060102T150405Z", rec.Time)
	}
	if err != nil {
		panic(fmt.Sprintf("fake: event %s has the time %q", rec.ID, rec.Time))
	}
	e := lookupEvent{at: at, visible: visible, id: rec.ID, region: rec.Region, source: rec.Source, item: map[string]any{
		"EventId": rec.ID, "EventName": rec.Name, "EventSource": rec.Source, "EventTime": epoch(at),
		"ReadOnly": fmt.Sprint(rec.ReadOnly), "CloudTrailEvent": string(text), "Resources": []any{},
	}}
	if rec.Category == "Data" {
		e.region = "" // no lookup finds it
	}
	return e
}

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// AddKey is a key that digests of a region were signed with, for some time.
func (c *CloudTrail) AddKey(region string, key *rsa.PublicKey, from, to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = append(c.keys, signingKey{region, from, to, key})
}

// TrailFingerprint names a key, as ListPublicKeys and digests do here.
func TrailFingerprint(key *rsa.PublicKey) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return hex.EncodeToString(sum[:16])
}

// SetFault replaces what goes wrong from now on; nil for nothing.
func (c *CloudTrail) SetFault(fault func(TrailCall) *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.Fault = fault
}

// Calls returns what was asked so far.
func (c *CloudTrail) Calls() []TrailCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Throttled is the answer to a call too many.
func Throttled() *Fault {
	return &Fault{Status: http.StatusBadRequest, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`}
}

// AWSError is an answer with an error of JSON 1.1.
func AWSError(code string) *Fault {
	body, err := json.Marshal(map[string]string{"__type": code, "message": "made up by the test"})
	if err != nil {
		panic(err) // of strings
	}
	return &Fault{Status: http.StatusBadRequest, Body: string(body)}
}

// lookupRequest is the body of every operation here.
type lookupRequest struct {
	StartTime  *float64 `json:"StartTime"`
	EndTime    *float64 `json:"EndTime"`
	MaxResults *int     `json:"MaxResults"`
	NextToken  string   `json:"NextToken,omitempty"`
	Attributes []struct {
		Key   string `json:"AttributeKey"`
		Value string `json:"AttributeValue"`
	} `json:"LookupAttributes"`
}

// ServeHTTP implements http.Handler.
func (c *CloudTrail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client is gone
	}
	var req lookupRequest
	_ = json.Unmarshal(body, &req) // what is none is refused below
	call := TrailCall{
		Op: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), cloudTrailTarget), Region: scopeRegion(r),
		Token: req.NextToken != "", Agent: r.UserAgent(),
	}
	if strings.Contains(string(body), "Action="+GetCallerIdentity) {
		call.Op = GetCallerIdentity
	}
	if len(req.Attributes) > 0 {
		call.Source = req.Attributes[0].Value
	}
	n, fault, now := c.begin(call)
	status := fault.send(w, r, c.answer(n, req), now)
	c.mu.Lock()
	c.calls[n].Status = status
	c.mu.Unlock()
}

// scopeRegion is the region of Credential=KEY/DAY/REGION/SERVICE/aws4_request.
func scopeRegion(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 2 {
		return parts[2]
	}
	return ""
}

func (c *CloudTrail) begin(call TrailCall) (int, *Fault, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opts.Now()
	c.perOp[call.Op+call.Region]++
	call.N, call.OpN, call.At = len(c.calls)+1, c.perOp[call.Op+call.Region], now
	c.calls = append(c.calls, call)
	if c.opts.Fault == nil {
		return len(c.calls) - 1, nil, now
	}
	return len(c.calls) - 1, c.opts.Fault(call), now
}

func (c *CloudTrail) answer(n int, req lookupRequest) answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[n]
	switch {
	case call.Op == GetCallerIdentity:
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/xml"}}, body: fmt.Appendf(nil,
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
				`<Arn>arn:aws:iam::%s:role/backup</Arn><UserId>AROAEXAMPLE</UserId><Account>%s</Account>`+
				`</GetCallerIdentityResult></GetCallerIdentityResponse>`, c.opts.Account, c.opts.Account)}
	case call.Region == "":
		return awsAnswer(http.StatusForbidden, awsFailure("MissingAuthenticationTokenException"))
	case call.Op == ListPublicKeys:
		return awsAnswer(http.StatusOK, c.publicKeys(call.Region, req))
	case call.Op != LookupEvents:
		return awsAnswer(http.StatusBadRequest, awsFailure("UnknownOperationException"))
	case !c.take(call.Region, call.At):
		return awsAnswer(http.StatusBadRequest, awsFailure("ThrottlingException"))
	}
	out, code := c.lookup(call, req)
	if code != "" {
		return awsAnswer(http.StatusBadRequest, awsFailure(code))
	}
	return awsAnswer(http.StatusOK, out)
}

func awsAnswer(status int, body any) answer {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // of maps of strings and numbers
	}
	return answer{status: status, header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, body: b}
}

func awsFailure(code string) map[string]string {
	return map[string]string{"__type": code, "message": code}
}

// take takes a token out of the region's bucket.
func (c *CloudTrail) take(region string, now time.Time) bool {
	if c.opts.PerSecond == 0 {
		return true
	}
	b := c.buckets[region]
	if b == nil {
		b = &tokenBucket{tokens: float64(c.opts.Burst), filled: now}
		c.buckets[region] = b
	}
	b.tokens = math.Min(float64(c.opts.Burst), b.tokens+now.Sub(b.filled).Seconds()*c.opts.PerSecond)
	b.filled = now
	if b.tokens < 0.999 {
		return false
	}
	b.tokens--
	return true
}

// lookupToken goes on behind an event, for the same request.
type lookupToken struct {
	Request string    `json:"r"`
	At      time.Time `json:"t"`
	ID      string    `json:"i"`
	Issued  time.Time `json:"s"`
	Full    bool      `json:"f"` // the empty page was sent
}

func (c *CloudTrail) lookup(call TrailCall, req lookupRequest) (out map[string]any, code string) {
	if code := checkLookup(req); code != "" {
		return nil, code
	}
	token, code := c.token(call, req)
	if code != "" {
		return nil, code
	}
	limit := c.opts.MaxPage
	if req.MaxResults != nil {
		limit = min(limit, *req.MaxResults)
	}
	if c.opts.EmptyPages && !token.Full {
		token.Full = true
		return map[string]any{"Events": []any{}, "NextToken": token.encode()}, ""
	}
	items := []map[string]any{}
	for _, e := range c.events {
		if !c.shows(e, call, req) || !token.before(e) {
			continue
		}
		if len(items) == limit {
			token.Full = false
			return map[string]any{"Events": items, "NextToken": token.encode()}, ""
		}
		items = append(items, e.item)
		token.At, token.ID = e.at, e.id
	}
	return map[string]any{"Events": items}, ""
}

func checkLookup(req lookupRequest) string {
	switch {
	case req.StartTime != nil && req.EndTime != nil && *req.StartTime > *req.EndTime:
		return "InvalidTimeRangeException"
	case req.MaxResults != nil && (*req.MaxResults < 1 || *req.MaxResults > lookupMaxPage):
		return "InvalidMaxResultsException"
	case len(req.Attributes) > 1 || len(req.Attributes) == 1 && req.Attributes[0].Key != "EventSource":
		return "InvalidLookupAttributesException"
	}
	return ""
}

// token is where the request goes on: it holds for that request alone.
func (c *CloudTrail) token(call TrailCall, req lookupRequest) (lookupToken, string) {
	text := req.NextToken
	req.NextToken = ""
	same, err := json.Marshal(req)
	if err != nil {
		panic(err) // strings and numbers
	}
	t := lookupToken{Request: call.Region + string(same), Issued: call.At}
	if text == "" {
		return t, ""
	}
	var given lookupToken
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &given) != nil || given.Request != t.Request {
		return t, "InvalidNextTokenException"
	}
	if c.opts.TokenLifetime > 0 && call.At.Sub(given.Issued) > c.opts.TokenLifetime {
		return t, "InvalidNextTokenException"
	}
	given.Issued = call.At
	return given, ""
}

func (t lookupToken) encode() string {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and times
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// before says whether e comes behind what the token has passed.
func (t lookupToken) before(e lookupEvent) bool {
	return t.At.IsZero() || e.at.Before(t.At) || e.at.Equal(t.At) && e.id < t.ID
}

// shows says whether a request finds an event. Both bounds belong to it.
func (c *CloudTrail) shows(e lookupEvent, call TrailCall, req lookupRequest) bool {
	at := epoch(e.at)
	return e.region == call.Region && !e.visible.After(call.At) && !e.at.Before(call.At.Add(-lookupReach)) &&
		(req.StartTime == nil || at >= *req.StartTime) && (req.EndTime == nil || at <= *req.EndTime) &&
		(len(req.Attributes) == 0 || req.Attributes[0].Value == e.source)
}

func (c *CloudTrail) publicKeys(region string, req lookupRequest) map[string]any {
	list := []map[string]any{}
	for _, k := range c.keys {
		if k.region != region || req.StartTime != nil && epoch(k.to) < *req.StartTime || req.EndTime != nil && epoch(k.from) > *req.EndTime {
			continue
		}
		list = append(list, map[string]any{
			"Fingerprint": TrailFingerprint(k.key), "Value": x509.MarshalPKCS1PublicKey(k.key),
			"ValidityStartTime": epoch(k.from), "ValidityEndTime": epoch(k.to),
		})
	}
	return map[string]any{"PublicKeyList": list}
}
