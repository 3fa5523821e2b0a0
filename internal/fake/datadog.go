package fake

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// The paths [Datadog] answers.
const (
	DatadogLogsPath     = "/api/v2/logs"
	DatadogSeriesPath   = "/api/v2/series"
	DatadogCheckPath    = "/api/v1/check_run"
	DatadogValidatePath = "/api/v1/validate"
)

// What Datadog documents of its log intake: a body's bytes before compression,
// its entries, a log's bytes, and the time a log may have.
const (
	DatadogMaxBody    = 5_000_000
	DatadogMaxEntries = 1000
	DatadogMaxLog     = 1_000_000
	DatadogPast       = 18 * time.Hour
	DatadogFuture     = 2 * time.Hour
)

// DatadogOptions say what kind of intake [Datadog] is.
type DatadogOptions struct {
	// APIKey that is valid; default "key".
	APIKey string
	// Prefix of all paths, as a proxy may have one. Calls are noted without it.
	Prefix string
	// Forget keeps no bodies of logs: for measuring.
	Forget bool
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Lost, where set, is asked at every call what is to go wrong before anything
	// of it is taken: a request that is lost. Fault is asked what is to go wrong
	// with the answer, when all of it is done: an answer that is lost.
	Lost, Fault func(Call) *Fault
	// Refuse, where set, is asked of each log whether its request is to be
	// answered 400, none of it taken.
	Refuse func(DatadogLog) bool
}

// Datadog is an intake for logs, metrics and service checks with its limits: an
// http.Handler. It may be used concurrently. Like the real one it says nothing
// about a log that it cuts off or places at another time; [DatadogLog] does.
type Datadog struct {
	journal
	opts DatadogOptions

	mu     sync.Mutex
	logs   []DatadogLog
	count  int
	checks []DatadogCheck
	series []DatadogSeries
}

var _ http.Handler = (*Datadog)(nil)

// DatadogLog is a log that was taken.
type DatadogLog struct {
	// EventID is its attribute event_id, Tags are its ddtags.
	EventID, Tags string
	// Time it is placed at, At when it was taken.
	Time, At time.Time
	// Truncated logs were larger than is taken whole. Misplaced ones have a time
	// outside of the window.
	Truncated, Misplaced bool
	// Body as sent.
	Body json.RawMessage
}

// DatadogCheck is a service check that was taken.
type DatadogCheck struct {
	Check     string   `json:"check"`
	Host      *string  `json:"host_name"`
	Status    *int     `json:"status"`
	Timestamp int64    `json:"timestamp"`
	Message   string   `json:"message"`
	Tags      []string `json:"tags"`
}

// DatadogSeries is a metric that was taken.
type DatadogSeries struct {
	Metric string         `json:"metric"`
	Type   int            `json:"type"`
	Unit   string         `json:"unit"`
	Tags   []string       `json:"tags"`
	Points []DatadogPoint `json:"points"`
}

// DatadogPoint is a value of a metric.
type DatadogPoint struct {
	Timestamp int64    `json:"timestamp"`
	Value     *float64 `json:"value"`
}

// NewDatadog makes an empty intake.
func NewDatadog(opts DatadogOptions) *Datadog {
	if opts.APIKey == "" {
		opts.APIKey = "key"
	}
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &Datadog{opts: opts}
}

// SetLost and SetFault replace what goes wrong from now on; nil for nothing.
func (d *Datadog) SetLost(lost func(Call) *Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Lost = lost
}

// SetFault replaces what goes wrong with answers from now on; nil for nothing.
func (d *Datadog) SetFault(fault func(Call) *Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Fault = fault
}

// SetRefuse replaces which logs are refused from now on; nil for none.
func (d *Datadog) SetRefuse(refuse func(DatadogLog) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Refuse = refuse
}

// Logs returns what was taken, in order; none with Forget.
func (d *Datadog) Logs() []DatadogLog {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.logs)
}

// Taken returns how many logs were taken.
func (d *Datadog) Taken() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Checks returns the service checks, in order.
func (d *Datadog) Checks() []DatadogCheck {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.checks)
}

// Series returns the metrics, in order.
func (d *Datadog) Series() []DatadogSeries {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.series)
}

// ServeHTTP answers one call.
func (d *Datadog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, under := strings.CutPrefix(r.URL.Path, d.opts.Prefix)
	call, lost, fault := d.note(r, path)
	// A request is lost with its body unread or read: the client cannot tell.
	body, err := d.body(r)
	var ans answer
	switch {
	case lost != nil:
		ans, fault = datadogError(http.StatusServiceUnavailable, "Lost"), lost
	case !under:
		ans = datadogError(http.StatusNotFound, "Not found")
	default:
		ans = d.answer(datadogCall{Call: call, key: r.Header.Get("DD-API-KEY"), contentType: r.Header.Get("Content-Type"), sent: r.ContentLength, body: body, fault: err})
	}
	d.answered(call, d.send(fault, w, r, datadogSent{ans, call}))
}

// datadogSent is an answer and the call it is for.
type datadogSent struct {
	answer
	call Call
}

// send writes the seconds until a rate limit's reset, as Datadog does, where
// other vendors write a time.
func (d *Datadog) send(f *Fault, w http.ResponseWriter, r *http.Request, s datadogSent) int {
	if f == nil || f.ResetIn == 0 {
		return f.send(w, r, s.answer, s.call.At)
	}
	f2 := *f
	f2.ResetIn = 0
	f2.Header = f.Header.Clone()
	if f2.Header == nil {
		f2.Header = http.Header{}
	}
	f2.Header.Set("X-RateLimit-Reset", strconv.Itoa(int(f.ResetIn.Seconds())))
	return f2.send(w, r, s.answer, s.call.At)
}

func (d *Datadog) note(r *http.Request, path string) (c Call, lost, fault *Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c = d.enter(r, path, d.opts.Now())
	if d.opts.Lost != nil {
		lost = d.opts.Lost(c)
	}
	if d.opts.Fault != nil {
		fault = d.opts.Fault(c)
	}
	return c, lost, fault
}

var errTooLong = errors.New("the body is too long")

// body is unpacked; one byte more than any call may have is enough to know.
func (*Datadog) body(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	var err error
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		in, err = gzip.NewReader(r.Body)
	case "deflate":
		in, err = zlib.NewReader(r.Body)
	default:
		err = errors.New("unknown content encoding")
	}
	if err != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		return nil, err
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(in, datadogMaxAny+1))
	if err == nil && n > datadogMaxAny {
		err = errTooLong
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return b.Bytes(), err
}

// datadogCall is a call with its body unpacked, or why it cannot be.
type datadogCall struct {
	Call
	key, contentType string
	sent             int64 // bytes, compressed
	body             []byte
	fault            error
}

func (d *Datadog) answer(c datadogCall) answer {
	handle, method := d.takeLogs, http.MethodPost
	switch c.Path {
	case DatadogLogsPath:
	case DatadogSeriesPath:
		handle = d.takeSeries
	case DatadogCheckPath:
		handle = d.takeChecks
	case DatadogValidatePath:
		handle, method = func(datadogCall) answer { return datadogOK(http.StatusOK, `{"valid":true}`) }, http.MethodGet
	default:
		return datadogError(http.StatusNotFound, "Not found")
	}
	switch {
	case c.Method != method:
		return datadogError(http.StatusMethodNotAllowed, "Method not allowed")
	case c.key == "" && c.Path != DatadogValidatePath:
		return datadogError(http.StatusUnauthorized, "Unauthorized")
	case c.key != d.opts.APIKey:
		return datadogError(http.StatusForbidden, "Forbidden")
	}
	if ans, bad := c.refused(); bad {
		return ans
	}
	return handle(c)
}

// refused says what is wrong with a body, whatever it is about.
func (c datadogCall) refused() (answer, bool) {
	switch {
	case errors.Is(c.fault, errTooLong):
		return datadogError(http.StatusRequestEntityTooLarge, "Payload too large"), true
	case c.fault != nil:
		return datadogError(http.StatusBadRequest, "Bad request"), true
	case c.Method == http.MethodPost && !strings.HasPrefix(c.contentType, "application/json"):
		return datadogError(http.StatusBadRequest, "Bad content type"), true
	default:
		return answer{}, false
	}
}

func (d *Datadog) takeLogs(c datadogCall) answer {
	if len(c.body) > DatadogMaxBody {
		return datadogError(http.StatusRequestEntityTooLarge, "Payload too large")
	}
	if !gjson.ValidBytes(c.body) {
		return datadogError(http.StatusBadRequest, "Invalid JSON")
	}
	root := gjson.ParseBytes(c.body)
	entries := []gjson.Result{root}
	if root.IsArray() {
		entries = root.Array()
	}
	if len(entries) > DatadogMaxEntries {
		return datadogError(http.StatusBadRequest, "Too many entries")
	}
	logs := make([]DatadogLog, 0, len(entries))
	for _, e := range entries {
		if !e.IsObject() || e.Get("message").Type != gjson.String {
			return datadogError(http.StatusBadRequest, "A log has no message")
		}
		logs = append(logs, d.log(e, c.At))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opts.Refuse != nil && slices.ContainsFunc(logs, d.opts.Refuse) {
		return datadogError(http.StatusBadRequest, "Refused")
	}
	d.count += len(logs)
	if !d.opts.Forget {
		d.logs = append(d.logs, logs...)
	}
	return datadogOK(http.StatusAccepted, `{}`)
}

func (d *Datadog) log(e gjson.Result, now time.Time) DatadogLog {
	l := DatadogLog{At: now, Time: now}
	switch at := e.Get("timestamp"); at.Type {
	case gjson.Number:
		l.Time = time.UnixMilli(at.Int())
	case gjson.String:
		if t, err := time.Parse(time.RFC3339Nano, at.String()); err == nil {
			l.Time = t
		}
	default:
	}
	l.Truncated = len(e.Raw) > DatadogMaxLog
	l.Misplaced = now.Sub(l.Time) > DatadogPast || l.Time.Sub(now) > DatadogFuture
	if !d.opts.Forget {
		// A copy: what is a part of the body would keep all of it.
		l.Body = json.RawMessage(e.Raw)
		l.EventID, l.Tags = strings.Clone(e.Get("event_id").String()), strings.Clone(e.Get("ddtags").String())
	}
	return l
}

func datadogOK(status int, body string) answer {
	return answer{status: status, header: jsonHeader(), body: []byte(body)}
}

func datadogError(status int, text string) answer {
	body, _ := json.Marshal(map[string][]string{"errors": {text}})
	return answer{status: status, header: jsonHeader(), body: body}
}
