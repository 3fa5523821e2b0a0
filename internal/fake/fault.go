package fake

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Call is one request the server saw, for tests that count them.
type Call struct {
	// N counts all calls, PathN those with this path; both from 1.
	N, PathN int
	Method   string
	Path     string
	Query    url.Values
	At       time.Time
	// Status that was sent: 0 while it is not known, or where none was sent.
	Status int
	// Agent is the User-Agent, Telemetry whether an Auth0-Client header came.
	Agent     string
	Telemetry bool
}

// Fault is what happens to one call instead of, or on top of, its answer.
type Fault struct {
	// Status, Header and Body replace the answer where Status is set.
	Status int
	Header http.Header
	Body   string
	// ResetIn announces a rate limit's reset that far from now in
	// X-RateLimit-Reset, and with RetryAfter in Retry-After too.
	ResetIn    time.Duration
	RetryAfter bool
	// Drop cuts the connection before a byte of the answer.
	Drop bool
	// Truncate cuts the connection after so many bytes of the body.
	Truncate int
	// Slow waits this long in the middle of the body.
	Slow time.Duration
	// Hang answers nothing until the client gives up.
	Hang bool
}

// TooMany is the 429 of a used-up rate limit.
func TooMany(reset time.Duration, retryAfter bool) *Fault {
	return &Fault{
		Status:     http.StatusTooManyRequests,
		ResetIn:    reset,
		RetryAfter: retryAfter,
		Body: `{"statusCode":429,"error":"Too Many Requests","message":"Too many requests. ` +
			`Check the X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset headers.","errorCode":"too_many_requests"}`,
	}
}

// OnCalls gives the fault to the calls of a path whose PathN is among calls.
func OnCalls(path string, fault *Fault, calls ...int) func(Call) *Fault {
	return func(c Call) *Fault {
		for _, n := range calls {
			if c.Path == path && c.PathN == n {
				return fault
			}
		}
		return nil
	}
}

// answer is a whole answer, ready to be sent or spoilt.
type answer struct {
	status int
	header http.Header
	body   []byte
	// stream writes the body instead, without a length said before.
	stream func(w io.Writer) error
}

// send writes the answer as the fault has it and returns the status the client
// saw, 0 if none. A cut connection is net/http's ErrAbortHandler.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, a answer, now time.Time) int {
	if f == nil {
		return a.write(w)
	}
	switch {
	case f.Hang:
		<-r.Context().Done()
		return 0
	case f.Drop:
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 {
		a = f.replace(a, now)
	}
	return a.spoil(w, r, f)
}

func (f *Fault) replace(a answer, now time.Time) answer {
	b := answer{status: f.Status, header: a.header.Clone(), body: []byte(f.Body)}
	b.header.Del("Link")
	b.header.Del("Content-Encoding")
	maps.Copy(b.header, f.Header)
	if f.ResetIn != 0 {
		b.header.Set("X-RateLimit-Limit", "10")
		b.header.Set("X-RateLimit-Remaining", "0")
		b.header.Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(f.ResetIn).Unix(), 10))
	}
	if f.RetryAfter {
		b.header.Set("Retry-After", strconv.Itoa(int(f.ResetIn.Seconds())))
	}
	return b
}

func (a answer) write(w http.ResponseWriter) int {
	maps.Copy(w.Header(), a.header)
	if a.stream != nil {
		w.WriteHeader(a.status)
		if a.stream(w) != nil {
			panic(http.ErrAbortHandler)
		}
		return a.status
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
	return a.status
}

func (a answer) spoil(w http.ResponseWriter, r *http.Request, f *Fault) int {
	if f.Truncate == 0 && f.Slow == 0 {
		return a.write(w)
	}
	if a.stream != nil {
		return a.spoilStream(w, r, f)
	}
	cut := len(a.body) / 2
	if f.Truncate > 0 {
		cut = min(f.Truncate, len(a.body))
	}
	rest := a.body[cut:]
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:cut])
	_ = http.NewResponseController(w).Flush()
	if f.Slow > 0 {
		wait(r, f.Slow)
	}
	if f.Truncate > 0 {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(rest)
	return a.status
}

// spoilStream waits before the body, or cuts it off.
func (a answer) spoilStream(w http.ResponseWriter, r *http.Request, f *Fault) int {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	if f.Slow > 0 {
		_ = http.NewResponseController(w).Flush()
		wait(r, f.Slow)
	}
	out := io.Writer(w)
	if f.Truncate > 0 {
		out = &cutter{w: w, left: f.Truncate}
	}
	if a.stream(out) != nil {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	return a.status
}

// cutter takes so many bytes and fails then.
type cutter struct {
	w    io.Writer
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p[:min(len(p), c.left)])
	c.left -= n
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func wait(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}
