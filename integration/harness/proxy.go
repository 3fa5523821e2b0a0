package harness

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Proxy stands between a sink and a receiver. It keeps what passes, and does the
// harm it is told to.
type Proxy struct {
	// URL is where the sink is to send to, without a path.
	URL string

	target string
	plain  bool
	client *http.Client
	closed chan struct{}

	mu    sync.Mutex
	fault func(Call) *Fault
	calls []*Call
}

// Call is a request that came to a [Proxy].
type Call struct {
	// N counts all calls, PathN those of this path, from 1.
	N, PathN     int
	Method, Path string
	Header       http.Header
	// Body is decompressed.
	Body []byte
	// Received is what the receiver answered with; 0 if it did not get the
	// request. Told is what the sink was answered; 0 if it was not.
	Received, Told int
	// Answer is the body of the receiver's answer.
	Answer []byte
}

// Fault is what a [Proxy] does with a request instead of passing it on. Lose cuts
// the connection before the receiver sees the request, LoseAnswer after it
// answered. Hang leaves the sink without an answer until it gives up, with
// LoseAnswer after the receiver had the request. Alter passes the request on with
// these headers, or without those that have no value. Otherwise the sink is
// answered with Status, Header and Body, and the receiver sees nothing.
type Fault struct {
	Lose, LoseAnswer, Hang bool
	Alter                  map[string]string
	Status                 int
	Header                 http.Header
	Body                   string
}

// passes says whether the receiver gets the request.
func (f *Fault) passes() bool { return f == nil || f.LoseAnswer || f.Alter != nil }

// NewProxy starts a proxy before the receiver at target. A plain one passes on
// bodies decompressed.
func NewProxy(t testing.TB, target string, plain bool) *Proxy {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	p := &Proxy{target: target, plain: plain, client: &http.Client{Transport: transport}, closed: make(chan struct{})}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		close(p.closed) // what hangs ends
		server.Close()
		transport.CloseIdleConnections()
	})
	p.URL = server.URL
	return p
}

// SetFault lets f judge each call from now on; nil lets all pass.
func (p *Proxy) SetFault(f func(Call) *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Calls are those of the path so far, or all if the path is empty.
func (p *Proxy) Calls(path string) []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var calls []Call
	for _, c := range p.calls {
		if path == "" || c.Path == path {
			calls = append(calls, *c)
		}
	}
	return calls
}

// ServeHTTP passes on a request, or does harm to it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the sink was killed
	}
	plain, err := unpacked(r.Header, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	call := &Call{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: plain}
	fault := p.keep(call)
	if fault.passes() {
		if p.plain {
			body = plain
		}
		// Whoever asked may be killed meanwhile: what was sent is on its way.
		header := p.pass(context.WithoutCancel(r.Context()), p.request(call, fault), body)
		if fault == nil || !fault.LoseAnswer {
			p.answer(w, call, header)
			return
		}
	}
	p.harm(w, r, call, fault)
}

// request is the call as the receiver is to see it.
func (p *Proxy) request(call *Call, f *Fault) request {
	header := call.Header.Clone()
	if p.plain {
		header.Del("Content-Encoding")
	}
	if f != nil {
		for name, value := range f.Alter {
			header.Del(name)
			if value != "" {
				header.Set(name, value)
			}
		}
	}
	return request{call, header}
}

// request is a call with other headers.
type request struct {
	*Call
	header http.Header
}

// keep notes the call, and asks what harm to do to it.
func (p *Proxy) keep(call *Call) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
	call.N = len(p.calls)
	for _, c := range p.calls {
		if c.Path == call.Path {
			call.PathN++
		}
	}
	if p.fault == nil {
		return nil
	}
	return p.fault(*call)
}

// pass sends the request to the receiver, and returns its answer's header. One
// that cannot be reached answers 502.
func (p *Proxy) pass(ctx context.Context, r request, body []byte) http.Header {
	status, header, answer, err := p.send(ctx, r, body)
	if err != nil {
		status, header, answer = http.StatusBadGateway, http.Header{}, []byte(err.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Received, r.Answer = status, answer
	return header
}

func (p *Proxy) send(ctx context.Context, r request, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, p.target+r.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = r.header
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

// answer answers the sink as the receiver did.
func (p *Proxy) answer(w http.ResponseWriter, call *Call, header http.Header) {
	for name, values := range header {
		w.Header()[name] = slices.Clone(values)
	}
	w.Header().Del("Content-Length")
	p.told(call, call.Received)
	w.WriteHeader(call.Received)
	_, _ = w.Write(call.Answer) // the sink may be killed
}

func (p *Proxy) harm(w http.ResponseWriter, r *http.Request, call *Call, f *Fault) {
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-p.closed:
		}
		panic(http.ErrAbortHandler)
	case f.Lose || f.LoseAnswer:
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), f.Header)
	p.told(call, f.Status)
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body) // the sink may be killed
}

func (p *Proxy) told(call *Call, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call.Told = status
}

// unpacked is the body, decompressed as the header says.
func unpacked(header http.Header, body []byte) ([]byte, error) {
	switch encoding := header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	default:
		return nil, fmt.Errorf("the proxy knows no encoding %q", encoding)
	}
}
