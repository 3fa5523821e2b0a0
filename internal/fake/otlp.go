package fake

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	otlpPath     = "/v1/logs"
	otlpProtobuf = "application/x-protobuf"
	// otlpMaxBody is what the specification recommends.
	otlpMaxBody = 20 << 20
)

// OTLPOptions say how a receiver of OTLP logs answers. The zero value takes
// whatever is valid, from anybody.
type OTLPOptions struct {
	// Path it listens on; default /v1/logs.
	Path string
	// Headers each request must have.
	Headers map[string]string
	// MaxBody is the largest body it takes, decompressed; default 20 MiB.
	MaxBody int64
	// Poison says which records make it refuse the whole request with 400.
	Poison func(OTLPRecord) bool
	// Partial says how many of a request's records it throws away, the last ones,
	// and what it says of it; with 0 and a message, it only warns.
	Partial func(OTLPCall) (rejected int, message string)
	// JSON makes it answer in JSON, which the specification does not allow to a
	// request in protobuf and some do.
	JSON bool
	// CountOnly keeps no records, for measurements.
	CountOnly bool
	// Now is the receiver's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it.
	Fault func(OTLPCall) *OTLPFault
}

// OTLPFault is what goes wrong with one call.
type OTLPFault struct {
	Fault
	// Kept says that the records are kept all the same: only the answer goes
	// wrong.
	Kept bool
}

// OTLPCall is one request that [OTLP] saw.
type OTLPCall struct {
	// N counts all calls, from 1.
	N            int
	Method, Path string
	// Records in it, if it could be read, and Bytes of its body, decompressed.
	Records int
	Bytes   int64
	At      time.Time
	// Status that was sent: 0 while it is not known, or where none was sent.
	Status int
	Agent  string
}

// OTLP is a receiver of OTLP logs: an http.Handler that decodes with
// OpenTelemetry's own types and is strict: it takes no field that they do not
// know, no key twice, and no empty envelope. It may be used concurrently.
type OTLP struct {
	opts OTLPOptions

	mu      sync.Mutex
	records []OTLPRecord
	kept    int64
	calls   []OTLPCall
}

var _ http.Handler = (*OTLP)(nil)

// NewOTLP makes a receiver that holds nothing.
func NewOTLP(opts OTLPOptions) *OTLP {
	opts.Path = cmp.Or(opts.Path, otlpPath)
	opts.MaxBody = cmp.Or(opts.MaxBody, otlpMaxBody)
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &OTLP{opts: opts}
}

// Records returns what it holds, in the order it came.
func (o *OTLP) Records() []OTLPRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.records)
}

// Kept counts what it holds, or would but for CountOnly.
func (o *OTLP) Kept() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept
}

// Calls returns what was asked so far.
func (o *OTLP) Calls() []OTLPCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// SetFault replaces what goes wrong from now on; nil for nothing.
func (o *OTLP) SetFault(fault func(OTLPCall) *OTLPFault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opts.Fault = fault
}

// ServeHTTP implements http.Handler.
func (o *OTLP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, status, reason := o.read(r)
	var records []OTLPRecord
	if status == 0 {
		var err error
		if records, err = o.decode(body); err != nil {
			status, reason = http.StatusBadRequest, err.Error()
		}
	}
	n, fault, now := o.begin(OTLPCall{
		Method: r.Method, Path: r.URL.Path, Records: len(records), Bytes: int64(len(body)), Agent: r.UserAgent(),
	})
	a := o.problem(status, reason)
	if status == 0 && (fault == nil || fault.Kept) {
		a = o.keep(n, records)
	}
	var spoilt *Fault
	if fault != nil {
		spoilt = &fault.Fault
	}
	sent := spoilt.send(w, r, a, now)
	o.mu.Lock()
	o.calls[n].Status = sent
	o.mu.Unlock()
}

func (o *OTLP) begin(call OTLPCall) (int, *OTLPFault, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.opts.Now()
	call.N, call.At = len(o.calls)+1, now
	o.calls = append(o.calls, call)
	if o.opts.Fault == nil {
		return len(o.calls) - 1, nil, now
	}
	return len(o.calls) - 1, o.opts.Fault(call), now
}

// read returns the body, or the status and the reason it is refused for. Who may
// not come in is told so with what they came with, as receivers do that are not
// careful.
func (o *OTLP) read(r *http.Request) (body []byte, status int, reason string) {
	for _, name := range slices.Sorted(maps.Keys(o.opts.Headers)) {
		if got := r.Header.Get(name); got != o.opts.Headers[name] {
			return nil, http.StatusUnauthorized, fmt.Sprintf("%s %q is not known here", name, got)
		}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.Path != o.opts.Path:
		return nil, http.StatusNotFound, "no such path"
	case r.Method != http.MethodPost:
		return nil, http.StatusMethodNotAllowed, "POST only"
	case kind != otlpProtobuf:
		return nil, http.StatusUnsupportedMediaType, "protobuf only"
	}
	plain, err := otlpPlain(r)
	if err != nil {
		return nil, http.StatusBadRequest, err.Error()
	}
	if plain == nil {
		return nil, http.StatusUnsupportedMediaType, "gzip or nothing"
	}
	body, err = io.ReadAll(io.LimitReader(plain, o.opts.MaxBody+1))
	if err != nil {
		return nil, http.StatusBadRequest, "the body cannot be read"
	}
	if int64(len(body)) > o.opts.MaxBody {
		return body, http.StatusRequestEntityTooLarge, "too large"
	}
	return body, 0, ""
}

func otlpPlain(r *http.Request) (io.Reader, error) {
	switch r.Header.Get("Content-Encoding") {
	case "":
		return r.Body, nil
	case "gzip":
		return gzip.NewReader(r.Body)
	}
	return nil, nil //nolint:nilnil // an encoding that is not known
}

// decode reads an ExportLogsServiceRequest. LogsData is the same on the wire,
// and comes without gRPC.
func (o *OTLP) decode(body []byte) ([]OTLPRecord, error) {
	var data logs.LogsData
	if err := proto.Unmarshal(body, &data); err != nil {
		return nil, errors.New("no ExportLogsServiceRequest")
	}
	records, err := otlpRecords(&data, !o.opts.CountOnly)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		if o.opts.Poison != nil && o.opts.Poison(rec) {
			return records, errors.New("a record is invalid")
		}
	}
	return records, nil
}

// keep stores records and answers.
func (o *OTLP) keep(n int, records []OTLPRecord) answer {
	o.mu.Lock()
	defer o.mu.Unlock()
	rejected, message := 0, ""
	if o.opts.Partial != nil {
		rejected, message = o.opts.Partial(o.calls[n])
	}
	taken := records[:len(records)-max(0, min(rejected, len(records)))]
	o.kept += int64(len(taken))
	if !o.opts.CountOnly {
		o.records = append(o.records, taken...)
	}
	return o.success(int64(rejected), message)
}

func (o *OTLP) success(rejected int64, message string) answer {
	if o.opts.JSON {
		partial := map[string]any{}
		if rejected != 0 || message != "" {
			partial["partialSuccess"] = map[string]string{"rejectedLogRecords": strconv.FormatInt(rejected, 10), "errorMessage": message}
		}
		body, err := json.Marshal(partial)
		if err != nil {
			panic(err) // of strings
		}
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	}
	var body []byte
	if rejected != 0 || message != "" {
		var partial []byte
		partial = protowire.AppendTag(partial, 1, protowire.VarintType)
		partial = protowire.AppendVarint(partial, uint64(rejected)) //nolint:gosec // how protobuf has what is below 0
		partial = protowire.AppendTag(partial, 2, protowire.BytesType)
		partial = protowire.AppendString(partial, message)
		body = protowire.AppendTag(body, 1, protowire.BytesType)
		body = protowire.AppendBytes(body, partial)
	}
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {otlpProtobuf}}, body: body}
}

// problem is a google.rpc.Status.
func (o *OTLP) problem(status int, reason string) answer {
	var body []byte
	body = protowire.AppendTag(body, 2, protowire.BytesType)
	body = protowire.AppendString(body, reason)
	return answer{status: status, header: http.Header{"Content-Type": {otlpProtobuf}}, body: body}
}
