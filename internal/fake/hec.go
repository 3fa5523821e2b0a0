package fake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The paths [HEC] answers; HECEventPath under its aliases too.
const (
	HECEventPath  = "/services/collector/event"
	HECAckPath    = "/services/collector/ack"
	HECHealthPath = "/services/collector/health"
)

// HECOptions say what kind of Splunk [HEC] is. The zero value takes the token
// "token", which has no acknowledgement, for any index.
type HECOptions struct {
	Tokens map[string]HECToken
	// MaxContent is max_content_length, in bytes after decompression; 0 for
	// Splunk's default, 838,860,800.
	MaxContent int64
	// AckPolls is how many times an ack id is said to be false before it is
	// true, AckAfter how long it takes.
	AckPolls int
	AckAfter time.Duration
	// Halfway keeps the events of a refused request that stand before the one
	// that is refused.
	Halfway bool
	// Discard counts events and keeps none.
	Discard bool
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it.
	Fault func(Call) *HECFault
}

// HECToken is what a token may do.
type HECToken struct {
	// Ack says that it has indexer acknowledgement.
	Ack      bool
	Disabled bool
	// Indexes it may write to; nil for all.
	Indexes []string
	// Refuse, where set, says of an event that its envelope is not to be taken,
	// with one of HEC's codes of a 400; 0 takes it.
	Refuse func(HECEvent) int
}

// HECFault is a [Fault] with a say in whether the events were taken.
type HECFault struct {
	Fault
	// Taken says that the call did its work before the answer was spoilt. Else it
	// never arrived.
	Taken bool
	// Code answers with that code of HEC and the status that belongs to it.
	Code int
}

// OnHEC gives the fault to calls of a path: to those whose PathN is among calls,
// or without any to all.
func OnHEC(path string, fault *HECFault, calls ...int) func(Call) *HECFault {
	return func(c Call) *HECFault {
		if c.Path == path && (len(calls) == 0 || slices.Contains(calls, c.PathN)) {
			return fault
		}
		return nil
	}
}

// HECEvent is one event that was taken.
type HECEvent struct {
	Time       json.Number       `json:"time"`
	Host       string            `json:"host"`
	Source     string            `json:"source"`
	Sourcetype string            `json:"sourcetype"`
	Index      string            `json:"index"`
	Event      json.RawMessage   `json:"event"`
	Fields     map[string]string `json:"fields"`
	// Channel and AckID of the request it came in.
	Channel string `json:"-"`
	AckID   int64  `json:"-"`
}

// HEC is a Splunk HTTP Event Collector: an http.Handler, as strict as Splunk is
// documented to be. It may be used concurrently.
type HEC struct {
	journal
	opts HECOptions

	mu       sync.Mutex
	events   []HECEvent
	taken    int
	channels map[string]*hecChannel
}

var _ http.Handler = (*HEC)(nil)

// hecChannel holds the ack ids of a channel: they count from 0.
type hecChannel struct {
	next int64
	acks map[int64]*hecAck
}

type hecAck struct {
	at    time.Time
	polls int
}

// NewHEC makes a collector without events.
func NewHEC(opts HECOptions) *HEC {
	if opts.Tokens == nil {
		opts.Tokens = map[string]HECToken{"token": {}}
	}
	if opts.MaxContent == 0 {
		opts.MaxContent = 838_860_800
	}
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &HEC{opts: opts, channels: map[string]*hecChannel{}}
}

// SetFault replaces what goes wrong from now on; nil for nothing.
func (h *HEC) SetFault(fault func(Call) *HECFault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.Fault = fault
}

// SetToken adds a token, or replaces it.
func (h *HEC) SetToken(name string, t HECToken) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.Tokens = maps.Clone(h.opts.Tokens)
	h.opts.Tokens[name] = t
}

// SetAcks changes how long acknowledgements take from now on.
func (h *HEC) SetAcks(polls int, after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.AckPolls, h.opts.AckAfter = polls, after
}

// Restart forgets the channels: ack ids count from 0 again, and the same one
// may mean another request. Events that were taken stay.
func (h *HEC) Restart() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.channels)
}

// Crash is a [HEC.Restart] that loses the events of every request it has not
// said to be stored.
func (h *HEC) Crash() {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.events)
	h.events = slices.DeleteFunc(h.events, func(e HECEvent) bool {
		c := h.channels[e.Channel]
		return c != nil && c.acks[e.AckID] != nil
	})
	h.taken -= before - len(h.events)
	clear(h.channels)
}

// Events returns what was taken, in its order.
func (h *HEC) Events() []HECEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// Taken returns how many events were taken.
func (h *HEC) Taken() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken
}

// ServeHTTP answers one call.
func (h *HEC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, fault := h.note(r)
	ans := answer{status: http.StatusOK, header: jsonHeader()}
	if fault == nil || fault.Taken {
		ans = h.answer(r)
	}
	var spoil *Fault
	if fault != nil {
		spoil = &fault.Fault
		if fault.Code != 0 {
			ans = fault.recode(ans)
		}
	}
	h.answered(call, spoil.send(w, r, ans, call.At))
}

// recode gives an answer another code; one that means success keeps the ack id.
func (f *HECFault) recode(a answer) answer {
	b := hecAnswer(f.Code, -1)
	if b.status == http.StatusOK && bytes.Contains(a.body, []byte("ackId")) {
		b.body = bytes.Replace(a.body, []byte(`"code":0`), fmt.Appendf(nil, `"code":%d`, f.Code), 1)
	}
	return b
}

func (h *HEC) note(r *http.Request) (Call, *HECFault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.enter(r, r.URL.Path, h.opts.Now())
	if h.opts.Fault == nil {
		return c, nil
	}
	return c, h.opts.Fault(c)
}

func (h *HEC) answer(r *http.Request) answer {
	switch r.URL.Path {
	case HECHealthPath, HECHealthPath + "/1.0":
		return onlyFor(r, http.MethodGet, func() answer { return hecAnswer(17, -1) })
	case HECEventPath, HECEventPath + "/1.0", "/services/collector":
		return onlyFor(r, http.MethodPost, func() answer { return h.collect(r) })
	case HECAckPath:
		return onlyFor(r, http.MethodPost, func() answer { return h.acks(r) })
	default:
		return answer{
			status: http.StatusNotFound, header: jsonHeader(),
			body: []byte(`{"text":"The requested URL was not found on this server.","code":404}`),
		}
	}
}

func onlyFor(r *http.Request, method string, f func() answer) answer {
	if r.Method != method {
		return hecPage(http.StatusMethodNotAllowed)
	}
	return f()
}

// token finds the token of a call; else what is answered instead.
func (h *HEC) token(r *http.Request) (HECToken, *answer) {
	refuse := func(code int) (HECToken, *answer) {
		a := hecAnswer(code, -1)
		return HECToken{}, &a
	}
	if r.URL.Query().Has("token") {
		return refuse(16)
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return refuse(2)
	}
	name, found := strings.CutPrefix(header, "Splunk ")
	if !found || name == "" {
		return refuse(3)
	}
	h.mu.Lock()
	t, known := h.opts.Tokens[name]
	h.mu.Unlock()
	switch {
	case !known:
		return refuse(4)
	case t.Disabled:
		return refuse(1)
	default:
		return t, nil
	}
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// channel finds the channel of a call whose token has acknowledgement.
func channelOf(r *http.Request) (string, *answer) {
	name := r.Header.Get("X-Splunk-Request-Channel")
	if name == "" {
		name = r.URL.Query().Get("channel")
	}
	code := 0
	switch {
	case name == "":
		code = 10
	case !guid.MatchString(name):
		code = 11
	default:
		return name, nil
	}
	a := hecAnswer(code, -1)
	return "", &a
}

// collect takes the events of one request: all or, but for Halfway, none.
func (h *HEC) collect(r *http.Request) answer {
	t, refused := h.token(r)
	if refused != nil {
		return *refused
	}
	body, refused := h.body(r)
	if refused != nil {
		return *refused
	}
	channel := ""
	if t.Ack {
		if channel, refused = channelOf(r); refused != nil {
			return *refused
		}
	}
	events, code := parseHEC(body, t)
	if code != 0 {
		if h.opts.Halfway {
			h.take(events, channel)
		}
		return hecAnswer(code, len(events))
	}
	ack := h.take(events, channel)
	if !t.Ack {
		return hecAnswer(0, -1)
	}
	return answer{
		status: http.StatusOK, header: jsonHeader(),
		body: []byte(`{"text":"Success","code":0,"ackId":` + strconv.FormatInt(ack, 10) + `}`),
	}
}

// body reads and decompresses. What is wrong with either is answered with a page
// of HTML, as by Splunk's web server, not by the collector.
func (h *HEC) body(r *http.Request) ([]byte, *answer) {
	fail := func(a answer) ([]byte, *answer) { return nil, &a }
	in := io.Reader(r.Body)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return fail(hecAnswer(6, -1))
		}
		in = z
	default:
		return fail(hecPage(http.StatusUnsupportedMediaType))
	}
	body, err := io.ReadAll(io.LimitReader(in, h.opts.MaxContent+1))
	switch {
	case err != nil:
		return fail(hecAnswer(6, -1))
	case int64(len(body)) > h.opts.MaxContent:
		return fail(hecPage(http.StatusRequestEntityTooLarge))
	default:
		return body, nil
	}
}

// take keeps events and gives their request an ack id, if it has a channel.
func (h *HEC) take(events []HECEvent, channel string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	ack := int64(0)
	if channel != "" {
		c := h.channels[channel]
		if c == nil {
			c = &hecChannel{acks: map[int64]*hecAck{}}
			h.channels[channel] = c
		}
		ack = c.next
		c.next++
		c.acks[ack] = &hecAck{at: h.opts.Now()}
	}
	h.taken += len(events)
	if h.opts.Discard {
		return ack
	}
	for _, e := range events {
		e.Channel, e.AckID = channel, ack
		h.events = append(h.events, e)
	}
	return ack
}

// acks says of each id whether its request is stored: true once, and false for
// whatever it does not know.
func (h *HEC) acks(r *http.Request) answer {
	t, refused := h.token(r)
	if refused != nil {
		return *refused
	}
	if !t.Ack {
		return hecAnswer(14, -1)
	}
	channel, refused := channelOf(r)
	if refused != nil {
		return *refused
	}
	body, refused := h.body(r)
	if refused != nil {
		return *refused
	}
	var asked struct {
		Acks []int64 `json:"acks"`
	}
	if len(body) == 0 {
		return hecAnswer(5, -1)
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return hecAnswer(6, -1)
	}
	said := map[string]bool{}
	for _, id := range asked.Acks {
		said[strconv.FormatInt(id, 10)] = h.stored(channel, id)
	}
	text, _ := json.Marshal(map[string]any{"acks": said})
	return answer{status: http.StatusOK, header: jsonHeader(), body: text}
}

func (h *HEC) stored(channel string, id int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[channel]
	if c == nil || c.acks[id] == nil {
		return false
	}
	a := c.acks[id]
	a.polls++
	if a.polls <= h.opts.AckPolls || h.opts.Now().Sub(a.at) < h.opts.AckAfter {
		return false
	}
	delete(c.acks, id)
	return true
}
