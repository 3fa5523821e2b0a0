package fake

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// Transport calls a handler without a network, so that a client can be tested
// where sockets cannot go (a testing/synctest bubble). Cut connections look as
// they do over a network: no answer, or a body that ends too early. The body
// arrives once the handler has returned.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	req := r.Clone(r.Context())
	req.RequestURI = r.URL.RequestURI()
	req.Host = r.URL.Host
	if req.Body == nil {
		req.Body = http.NoBody
	}
	defer func() { _ = req.Body.Close() }()
	w := &memoryWriter{header: http.Header{}}
	cut := serve(t.handler, w, req)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.response(r, cut)
}

// serve reports whether the handler cut the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			cut = true
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

type memoryWriter struct {
	header http.Header
	sent   http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// FlushError does nothing: all is there once the handler has returned.
func (w *memoryWriter) FlushError() error { return nil }

func (w *memoryWriter) response(r *http.Request, cut bool) (*http.Response, error) {
	if cut && w.status == 0 {
		return nil, io.EOF
	}
	w.WriteHeader(http.StatusOK)
	var body io.Reader = &w.body
	if cut {
		body = io.MultiReader(body, endTooEarly{})
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

type endTooEarly struct{}

func (endTooEarly) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
