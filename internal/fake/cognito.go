package fake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// CognitoOptions say what kind of user pool [Cognito] is. The zero value is one
// without limits, users or settings.
type CognitoOptions struct {
	// PoolID is [PoolID] by default.
	PoolID string
	// Users of the pool; nil for none.
	Users CognitoUsers
	// Settings are what the operations that read settings answer.
	Settings CognitoSettings
	// Quotas are the calls a second of each category; nil for no limit. See
	// [CognitoQuotas]. A bucket holds what a second brings.
	Quotas map[string]float64
	// Pages are the sizes of the pages of one list of users, one after the other
	// and then over again, never more than was asked for; 0 is an empty page with
	// more to come. nil for full pages.
	Pages []int
	// TokenLife is how long page tokens are good; an hour by default.
	TokenLife time.Duration
	// Latency is how long each answer takes.
	Latency time.Duration
	// Denied are operations the caller has no right to, Lacking those that are
	// answered by an error code, whatever is asked.
	Denied  []string
	Lacking map[string]string
	// NoJournal keeps no calls: for so many that they would take memory.
	NoJournal bool
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it. The
	// call's Path is the operation's name.
	Fault func(Call) *Fault
}

// Cognito is a user pool, and the identity pools beside it, as their APIs show
// them (JSON 1.1): an http.Handler. It may be used concurrently.
//
// It only reads. Signatures are not checked, but must be there.
type Cognito struct {
	opts CognitoOptions

	mu      sync.Mutex
	buckets map[string]*cognitoBucket
	calls   []CognitoCall
	total   int
	counts  map[string]int
	tokens  int
}

var _ http.Handler = (*Cognito)(nil)

// CognitoCall is a call with what was asked.
type CognitoCall struct {
	Call
	// Input is the body that came.
	Input json.RawMessage
	// Code is the error code of the answer, "" for none.
	Code string
}

// NewCognito makes a pool.
func NewCognito(opts CognitoOptions) *Cognito {
	if opts.PoolID == "" {
		opts.PoolID = PoolID
	}
	if opts.Users == nil {
		opts.Users = NewCognitoList()
	}
	if opts.TokenLife == 0 {
		opts.TokenLife = time.Hour
	}
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &Cognito{opts: opts, buckets: map[string]*cognitoBucket{}, counts: map[string]int{}}
}

// Calls returns the calls so far, oldest first.
func (c *Cognito) Calls() []CognitoCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Count returns how many calls an operation has seen; "" counts all.
func (c *Cognito) Count(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if operation == "" {
		return c.total
	}
	return c.counts[operation]
}

// Change runs f while no call is answered: for users that change meanwhile.
func (c *Cognito) Change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// SetFault replaces what goes wrong from now on; nil for nothing.
func (c *Cognito) SetFault(fault func(Call) *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.Fault = fault
}

// ServeHTTP answers one call.
func (c *Cognito) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	call, fault := c.note(r, body)
	if c.opts.Latency > 0 {
		wait(r, c.opts.Latency)
	}
	ans, code := c.answer(r, call)
	ans.header.Set("Date", call.At.UTC().Format(http.TimeFormat))
	status := fault.send(w, r, ans, call.At)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.opts.NoJournal {
		c.calls[call.N-1].Status, c.calls[call.N-1].Code = status, code
	}
}

func (c *Cognito) note(r *http.Request, body []byte) (CognitoCall, *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	c.counts[op]++
	c.total++
	call := CognitoCall{Input: bytes.Clone(body), Call: Call{
		N: c.total, PathN: c.counts[op], Method: r.Method, Path: op, At: c.opts.Now(), Agent: r.UserAgent(),
	}}
	if !c.opts.NoJournal {
		c.calls = append(c.calls, call)
	}
	if c.opts.Fault == nil {
		return call, nil
	}
	return call, c.opts.Fault(call.Call)
}

// The services and what stands before their operations in X-Amz-Target.
const (
	cognitoTarget         = "AWSCognitoIdentityProviderService."
	cognitoIdentityTarget = "AWSCognitoIdentityService."
)

// answer checks what every call has to pass: form, signature, quota, right.
func (c *Cognito) answer(r *http.Request, call CognitoCall) (answer, string) {
	if code := unfit(r, call.Path); code != "" {
		return cognitoError(code, "")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	op, lacking := call.Path, c.opts.Lacking[call.Path]
	var in map[string]any
	switch {
	case json.Unmarshal(call.Input, &in) != nil:
		return cognitoError("SerializationException", "")
	case !c.spend(op):
		return cognitoError("TooManyRequestsException", "Rate exceeded")
	case slices.Contains(c.opts.Denied, op):
		return cognitoError("AccessDeniedException", "User: arn:aws:sts::"+AccountID+":assumed-role/idtrail/run is not authorized to perform: "+op)
	case lacking != "":
		return cognitoError(lacking, op)
	}
	if id, ok := in["UserPoolId"].(string); ok && id != c.opts.PoolID {
		return cognitoError("ResourceNotFoundException", "User pool "+id+" does not exist.")
	}
	return c.dispatch(op, in)
}

// unfit is the error code of what is no signed call of a known operation.
func unfit(r *http.Request, op string) string {
	target := r.Header.Get("X-Amz-Target")
	known := slices.Contains(cognitoOperations, op) && target == cognitoTarget+op ||
		slices.Contains(cognitoIdentityOperations, op) && target == cognitoIdentityTarget+op
	switch {
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || !known:
		return "UnknownOperationException"
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		return "MissingAuthenticationTokenException"
	default:
		return ""
	}
}

func (c *Cognito) dispatch(op string, in map[string]any) (answer, string) {
	q := cognitoQuery{op: op, in: in}
	switch op {
	case "ListUsers":
		return c.listUsers(q)
	case "ListUsersInGroup":
		return c.listUsersInGroup(q)
	case "AdminGetUser":
		return c.adminGetUser(q)
	default:
		return c.setting(q)
	}
}

// cognitoBucket is what is left of a quota.
type cognitoBucket struct {
	left   float64
	filled time.Time
}

// spend takes a call out of its category's quota, and out of what one operation
// on a pool's settings may do.
func (c *Cognito) spend(op string) bool {
	category := cognitoCategories[op]
	limit, limited := c.opts.Quotas[category]
	if !limited {
		return true
	}
	if !c.take(category, limit) {
		return false
	}
	return !slices.Contains(cognitoCapped, category) || c.take(op, cognitoCap)
}

func (c *Cognito) take(name string, perSecond float64) bool {
	now := c.opts.Now()
	b := c.buckets[name]
	if b == nil {
		b = &cognitoBucket{left: perSecond, filled: now}
		c.buckets[name] = b
	}
	b.left = min(perSecond, b.left+now.Sub(b.filled).Seconds()*perSecond)
	b.filled = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// cognitoError is an error as the services send it: nearly all are a 400.
func cognitoError(code, message string) (answer, string) {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	status := http.StatusBadRequest
	if code == "InternalErrorException" {
		status = http.StatusInternalServerError
	}
	h := cognitoHeader()
	h.Set("X-Amzn-Errortype", code)
	return answer{status: status, header: h, body: body}, code
}

// CognitoFault is an error of the services as a fault of one call.
func CognitoFault(status int, code string) *Fault {
	ans, _ := cognitoError(code, "")
	return &Fault{Status: status, Header: ans.header, Body: string(ans.body)}
}

func cognitoHeader() http.Header {
	return http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Requestid": {"00000000-0000-4000-8000-000000000000"}}
}

func cognitoAnswer(v any) (answer, string) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // made of JSON
	return answer{status: http.StatusOK, header: cognitoHeader(), body: body.Bytes()}, ""
}
