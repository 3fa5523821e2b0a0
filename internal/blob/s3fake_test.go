package blob_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/internal/blob"
)

// fakeS3 is as much of S3 as it takes to see what the store does when S3 does
// not what it should. The store itself is tested against a real server.
type fakeS3 struct {
	t testing.TB
	// before answers a request in place of the fake, if it returns true. It
	// is given the request's number among those of its method.
	before func(w http.ResponseWriter, r *http.Request, n int) bool
	// lose cuts the connection after the request was done.
	lose func(r *http.Request, n int) bool

	mu      sync.Mutex
	objects map[string]fakeObject
	calls   map[string]int
	last    map[string]*http.Request // by method
	writes  int
}

type fakeObject struct {
	content, etag string
	header        http.Header
}

// newFakeS3 starts the fake and returns it with a client that waits little.
func newFakeS3(t *testing.T) (*fakeS3, *s3.Client) {
	t.Helper()
	f := &fakeS3{t: t, objects: map[string]fakeObject{}, calls: map[string]int{}, last: map[string]*http.Request{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, fastClient(t, server.URL, 5)
}

func fastClient(t *testing.T, endpoint string, attempts int) *s3.Client {
	t.Helper()
	client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{
		Endpoint:     endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("access", "hushhush", ""),
		StallTimeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s3.New(client.Options(), func(o *s3.Options) {
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts = attempts
			so.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		})
	})
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[r.Method]++
	f.last[r.Method] = r
	n := f.calls[r.Method]
	if f.before != nil && f.before(w, r, n) {
		return
	}
	if f.lose == nil || !f.lose(r, n) {
		f.serve(w, r)
		return
	}
	f.serve(httptest.NewRecorder(), r)
	cut(f.t, w)
}

func (f *fakeS3) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPut:
		f.put(w, r)
	case http.MethodDelete:
		delete(f.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := f.objects[r.URL.Path]
		if !ok {
			fail(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		for name, values := range o.header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				w.Header()[name] = values
			}
		}
		w.Header().Set("ETag", o.etag)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(o.content))
	}
}

func (f *fakeS3) put(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("fake S3: read body: %v", err)
	}
	sum := sha256.Sum256(content)
	if got, want := r.Header.Get("X-Amz-Checksum-Sha256"), base64.StdEncoding.EncodeToString(sum[:]); got != want {
		f.t.Errorf("fake S3: checksum of %d bytes is %q, header says %q", len(content), want, got)
	}
	old, ok := f.objects[r.URL.Path]
	match := r.Header.Get("If-Match")
	switch {
	case r.Header.Get("If-None-Match") == "*" && ok, match != "" && ok && match != old.etag:
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	case match != "" && !ok:
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	f.writes++
	o := fakeObject{content: string(content), etag: fmt.Sprintf("%q", fmt.Sprint("e", f.writes)), header: r.Header}
	f.objects[r.URL.Path] = o
	w.Header().Set("ETag", o.etag)
}

// count is how often a method was called.
func (f *fakeS3) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// header is that of the last request of a method.
func (f *fakeS3) header(method string) http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[method].Header
}

// fail answers as S3 does.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "REQ1")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>it said %s</Message></Error>", code, code)
}

// cut ends the connection without an answer.
func cut(t testing.TB, w http.ResponseWriter) {
	t.Helper()
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Errorf("hijack: %v", err)
		return
	}
	_ = conn.Close()
}

// always fails all requests.
func always(status int, code string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		fail(w, status, code)
		return true
	}
}

func newStore(client *s3.Client) *blob.S3 {
	return blob.NewS3(client, blob.S3Options{Bucket: "bucket", Prefix: "pre"})
}
