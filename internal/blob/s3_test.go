package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// TestS3LostAnswer: the SDK sends a write again whose answer was lost, and S3
// refuses it. That is a success of the first.
func TestS3LostAnswer(t *testing.T) {
	f, client := newFakeS3(t)
	s := newStore(client)
	f.lose = func(r *http.Request, n int) bool { return r.Method == http.MethodPut && n == 1 }
	info, err := s.PutNew(t.Context(), "k", strings.NewReader("content"))
	if err != nil {
		t.Fatalf("PutNew: %v", err)
	}
	if info.ETag != `"e1"` || info.Size != 7 || info.Key != "k" {
		t.Errorf("PutNew = %+v", info)
	}
	f.lose = func(r *http.Request, n int) bool { return r.Method == http.MethodPut && n == 3 }
	if info, err = s.PutMatch(t.Context(), "k", info.ETag, strings.NewReader("other")); err != nil {
		t.Fatalf("PutMatch: %v", err)
	}
	if info.ETag != `"e2"` || f.objects["/bucket/pre/k"].content != "other" {
		t.Errorf("PutMatch = %+v, content %q", info, f.objects["/bucket/pre/k"].content)
	}
	if puts, heads := f.count(http.MethodPut), f.count(http.MethodHead); puts != 4 || heads != 2 {
		t.Errorf("%d puts and %d heads, want 4 and 2", puts, heads)
	}
}

// TestS3Clock: the time of an answer is the server's, however wrong our clock.
func TestS3Clock(t *testing.T) {
	f, client := newFakeS3(t)
	s := newStore(client)
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	f.before = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("Date", at.Format(http.TimeFormat))
		return false
	}
	put, err := s.PutNew(t.Context(), "k", strings.NewReader("one"))
	if err != nil {
		t.Fatal(err)
	}
	match, err := s.PutMatch(t.Context(), "k", put.ETag, strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	body, get, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	for what, info := range map[string]blob.Info{"PutNew": put, "PutMatch": match, "Head": head, "Get": get} {
		if !info.Now.Equal(at) {
			t.Errorf("%s: the clock says %v, want %v", what, info.Now, at)
		}
	}
}

// TestS3EqualContent: what another writer wrote is not ours, be it equal.
func TestS3EqualContent(t *testing.T) {
	f, client := newFakeS3(t)
	if _, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("same")); err != nil {
		t.Fatal(err)
	}
	// The request that would have told is lost before it is done.
	f.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.Method == http.MethodPut && n == 2 {
			cut(t, w)
			return true
		}
		return false
	}
	_, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("same"))
	if !errors.Is(err, blob.ErrExist) {
		t.Errorf("PutNew: got %v, want ErrExist", err)
	}
	_, err = newStore(client).PutMatch(t.Context(), "k", `"stale"`, strings.NewReader("same"))
	if !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutMatch: got %v, want ErrChanged", err)
	}
}

func TestS3Conflict(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 3 {
			return false
		}
		fail(w, http.StatusConflict, "ConditionalRequestConflict")
		return true
	}
	if _, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	if got := f.count(http.MethodPut); got != 4 {
		t.Errorf("%d puts, want 4", got)
	}
	if got := f.objects["/bucket/pre/k"].content; got != "content" {
		t.Errorf("content = %q", got)
	}
}

func TestS3ConflictWithoutEnd(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = always(http.StatusConflict, "ConditionalRequestConflict")
	_, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("x"))
	wantError(t, err, "s3://bucket/pre/k", "gave up after", "ConditionalRequestConflict")
	if got := f.count(http.MethodPut); got < 4 || got > 10 {
		t.Errorf("%d puts, want some", got)
	}
}

func TestS3ConflictCancelled(t *testing.T) {
	f, client := newFakeS3(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.before = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		fail(w, http.StatusConflict, "ConditionalRequestConflict")
		cancel()
		return true
	}
	_, err := newStore(client).PutNew(ctx, "k", strings.NewReader("x"))
	if !errors.Is(err, context.Canceled) || f.count(http.MethodPut) != 1 {
		t.Errorf("got %v after %d puts, want Canceled after one", err, f.count(http.MethodPut))
	}
}

// TestS3OtherConflict: not every 409 goes away.
func TestS3OtherConflict(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = always(http.StatusConflict, "InvalidBucketState")
	_, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("x"))
	wantError(t, err, "409 InvalidBucketState")
	if got := f.count(http.MethodPut); got != 1 {
		t.Errorf("%d puts, want one", got)
	}
}

// TestS3DeletedInBetween: refused, and then it is gone.
func TestS3DeletedInBetween(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.Method == http.MethodPut && n == 1 {
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return true
		}
		return r.URL.Path == "/bucket" // the bucket is there
	}
	if _, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Errorf("PutNew: %v", err)
	}
	if _, err := newStore(client).PutMatch(t.Context(), "gone", `"e"`, strings.NewReader("x")); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("PutMatch: got %v, want ErrNotExist", err)
	}
}

// TestS3Retries: the SDK sends the whole body again.
func TestS3Retries(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 2 {
			return false
		}
		_, _ = io.CopyN(io.Discard, r.Body, 100)
		fail(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	}
	content := strings.Repeat("0123456789", 10_000)
	if _, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if got := f.objects["/bucket/pre/k"].content; got != content {
		t.Errorf("%d bytes arrived, want %d", len(got), len(content))
	}
}

func TestS3Headers(t *testing.T) {
	f, client := newFakeS3(t)
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	s := blob.NewS3(client, blob.S3Options{
		Bucket: "bucket", KMSKey: "arn:aws:kms:eu-west-1:1:key/k", StorageClass: "GLACIER_IR",
		Tags: map[string]string{"a b": "c+d", "team": "x"}, LockMode: "COMPLIANCE", LockDays: 30,
		Now: func() time.Time { return now },
	})
	if _, err := s.PutNew(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"If-None-Match":                                   "*",
		"X-Amz-Server-Side-Encryption":                    "aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":     "arn:aws:kms:eu-west-1:1:key/k",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
		"X-Amz-Storage-Class":                             "GLACIER_IR",
		"X-Amz-Tagging":                                   "a%20b=c%2Bd&team=x",
		"X-Amz-Object-Lock-Mode":                          "COMPLIANCE",
		"X-Amz-Object-Lock-Retain-Until-Date":             "2026-03-05T03:05:06Z",
		"X-Amz-Meta-Idtrail-Sha256":                       "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		"Content-Encoding":                                "",
		"X-Amz-Trailer":                                   "",
	}
	got := f.header(http.MethodPut)
	for name, value := range want {
		if got.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, got.Get(name), value)
		}
	}
	if agent := got.Get("User-Agent"); !strings.Contains(agent, "app/idtrail") {
		t.Errorf("user agent = %q, want app/idtrail in it", agent)
	}
}

func TestS3PlainHeaders(t *testing.T) {
	f, client := newFakeS3(t)
	if _, err := newStore(client).PutNew(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for name := range f.header(http.MethodPut) {
		for _, part := range []string{"Encryption", "Tagging", "Object-Lock", "Storage-Class"} {
			if strings.Contains(name, part) {
				t.Errorf("header %s was not asked for", name)
			}
		}
	}
}

// TestS3LockNeedsClock: a lock that was asked for is never left out.
func TestS3LockNeedsClock(t *testing.T) {
	f, client := newFakeS3(t)
	for _, o := range []blob.S3Options{
		{Bucket: "bucket", LockMode: "COMPLIANCE", LockDays: 1},
		{Bucket: "bucket", LockMode: "COMPLIANCE", Now: time.Now},
	} {
		_, err := blob.NewS3(client, o).PutNew(t.Context(), "k", strings.NewReader("x"))
		wantError(t, err, "lock mode COMPLIANCE")
	}
	if got := f.count(http.MethodPut); got != 0 {
		t.Errorf("%d puts, want none", got)
	}
}

func TestS3Answers(t *testing.T) {
	put := func(s *blob.S3) error {
		_, err := s.PutNew(t.Context(), "k", strings.NewReader("x"))
		return err
	}
	get := func(s *blob.S3) error {
		_, _, err := s.Get(t.Context(), "k")
		return err
	}
	list := func(s *blob.S3) error {
		for _, err := range s.List(t.Context(), "", "") {
			return err
		}
		return nil
	}
	tests := []struct {
		name   string
		status int
		code   string
		call   func(*blob.S3) error
		want   []string
	}{
		{"put denied", 403, "AccessDenied", put, []string{
			"write s3://bucket/pre/k: access denied: grant s3:PutObject on arn:aws:s3:::bucket/pre/*",
			"s3:PutObjectTagging", "kms:GenerateDataKey on KEY", "403 AccessDenied: it said AccessDenied (request REQ1)",
		}},
		{"get denied", 403, "AccessDenied", get, []string{"read s3://bucket/pre/k", "s3:GetObject", "s3:ListBucket"}},
		{"list denied", 403, "AccessDenied", list, []string{"list s3://bucket/pre:", "s3:ListBucket on arn:aws:s3:::bucket for prefix pre/*"}},
		{"bucket", 404, "NoSuchBucket", put, []string{"bucket bucket does not exist"}},
		{"bucket, list", 404, "NoSuchBucket", list, []string{"bucket bucket does not exist"}},
		{"expired", 400, "ExpiredToken", get, []string{"credentials have expired"}},
		{"secret", 403, "SignatureDoesNotMatch", list, []string{"credentials are wrong"}},
		{"clock", 403, "RequestTimeTooSkewed", put, []string{"clock is wrong"}},
		{"region", 301, "PermanentRedirect", put, []string{"bucket bucket is in another region, eu-north-1: configure"}},
		{"key", 400, "KMS.DisabledException", put, []string{`KMS key "KEY" cannot be used`}},
		{"unknown", 400, "Odd", put, []string{"write s3://bucket/pre/k: 400 Odd: it said Odd"}},
		{"down", 500, "InternalError", put, []string{"500 InternalError"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, client := newFakeS3(t)
			f.before = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("X-Amz-Bucket-Region", "eu-north-1")
				fail(w, test.status, test.code)
				return true
			}
			err := test.call(blob.NewS3(client, blob.S3Options{
				Bucket: "bucket", Prefix: "pre", KMSKey: "KEY", Tags: map[string]string{"a": "b"},
			}))
			wantError(t, err, test.want...)
		})
	}
}

// TestS3HeadOfMissing: S3 gives Head one answer for a missing object and for a
// missing bucket.
func TestS3HeadOfMissing(t *testing.T) {
	tests := []struct {
		name      string
		bucket    int
		wantExist bool
	}{
		{"bucket there", http.StatusOK, true},
		{"bucket not to be asked for", http.StatusForbidden, true},
		{"no bucket", http.StatusNotFound, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, client := newFakeS3(t)
			f.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.URL.Path == "/bucket" {
					w.WriteHeader(test.bucket)
				} else {
					w.WriteHeader(http.StatusNotFound)
				}
				return true
			}
			s := newStore(client)
			for range 2 {
				_, err := s.Head(t.Context(), "k")
				if got := errors.Is(err, blob.ErrNotExist); got != test.wantExist {
					t.Errorf("Head: %v", err)
				}
				if !test.wantExist {
					wantError(t, err, "bucket bucket does not exist")
				}
			}
			if got := f.count(http.MethodHead); test.wantExist && got != 3 {
				t.Errorf("%d heads, want 3: the bucket is asked for once", got)
			}
		})
	}
}

func TestS3Silence(t *testing.T) {
	f, client := newFakeS3(t)
	f.before = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		<-r.Context().Done()
		return true
	}
	_, err := newStore(client).Head(t.Context(), "k")
	wantError(t, err, "no answer: check network")
	if got := f.count(http.MethodHead); got != 5 {
		t.Errorf("%d attempts, want 5", got)
	}
}

// TestS3BrokenBodies: a content that ends early or hangs is never taken for
// whole.
func TestS3BrokenBodies(t *testing.T) {
	for name, end := range map[string]func(http.ResponseWriter, *http.Request){
		"cut":  func(w http.ResponseWriter, _ *http.Request) { cut(t, w) },
		"hang": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			f, client := newFakeS3(t)
			f.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, "only the beginning")
				_ = http.NewResponseController(w).Flush()
				end(w, r)
				return true
			}
			r, info, err := newStore(client).Get(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			wantError(t, err, "read s3://bucket/pre/k: ")
			if len(got) >= 1000 || info.Size != 1000 {
				t.Errorf("read %d of %d bytes, want less than 1000", len(got), info.Size)
			}
			_ = r.Close()
		})
	}
}

// TestS3ReadAtChecksTag: a server that does not heed If-Match.
func TestS3ReadAtChecksTag(t *testing.T) {
	f, client := newFakeS3(t)
	s := newStore(client)
	info, err := s.PutNew(t.Context(), "k", strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenAt(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if n, err := r.ReadAt(buf, 4); n != 3 || err != nil || string(buf) != "456" {
		t.Errorf("ReadAt = %q, %v", buf[:n], err)
	}
	f.before = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("ETag", `"other"`)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "456")
		return true
	}
	if _, err := r.ReadAt(buf, 4); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
}

// page is an answer to ListObjectsV2.
func page(next string, keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>%v</IsTruncated>", next != "")
	if next != "" {
		fmt.Fprintf(&b, "<NextContinuationToken>%s</NextContinuationToken>", next)
	}
	for _, key := range keys {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size><ETag>\"e\"</ETag></Contents>", key)
	}
	return b.String() + "</ListBucketResult>"
}

func TestS3List(t *testing.T) {
	tests := []struct {
		name  string
		pages []string // "" is a failure
		want  []string
		err   string
	}{
		{"pages", []string{page("t", "pre/a+b", "pre/c%2Bd"), page("u"), page("", "pre/%C3%A9%01")}, []string{"a b", "c+d", "é\x01"}, ""},
		{"failure", []string{page("t", "pre/a"), ""}, []string{"a"}, "403 AccessDenied"},
		{"disorder", []string{page("t", "pre/b"), page("", "pre/a")}, []string{"b"}, "do not list in order"},
		{"twice", []string{page("", "pre/a", "pre/a")}, []string{"a"}, "do not list in order"},
		{"outside", []string{page("", "other/a")}, nil, "not below the prefix"},
		{"encoding", []string{page("", "pre/%zz")}, nil, "%zz"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, client := newFakeS3(t)
			f.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if test.pages[n-1] == "" {
					fail(w, http.StatusForbidden, "AccessDenied")
					return true
				}
				_, _ = io.WriteString(w, test.pages[n-1])
				return true
			}
			var got []string
			var gotErr error
			for info, err := range newStore(client).List(t.Context(), "", "") {
				if gotErr != nil {
					t.Error("went on after an error")
				}
				if gotErr = err; err == nil {
					got = append(got, info.Key)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("keys = %q, want %q", got, test.want)
			}
			if test.err == "" && gotErr != nil {
				t.Error(gotErr)
			}
			if test.err != "" {
				wantError(t, gotErr, test.err)
			}
		})
	}
}

func TestS3TooLarge(t *testing.T) {
	f, client := newFakeS3(t)
	_, err := newStore(client).PutNew(t.Context(), "k", io.NewSectionReader(zeros{}, 0, math.MaxInt64))
	wantError(t, err, "in one piece")
	if got := f.count(http.MethodPut); got != 0 {
		t.Errorf("%d puts, want none", got)
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func TestS3RefusesKeys(t *testing.T) {
	_, client := newFakeS3(t)
	for _, key := range []string{"a\xff", "a//b", "../a", ""} {
		if _, err := newStore(client).PutNew(t.Context(), key, strings.NewReader("x")); !errors.Is(err, blob.ErrKey) {
			t.Errorf("PutNew(%q): got %v, want ErrKey", key, err)
		}
	}
}

func TestS3URL(t *testing.T) {
	for prefix, want := range map[string]string{"": "s3://b", "/": "s3://b", "p": "s3://b/p", "/p/q/": "s3://b/p/q"} {
		if got := blob.NewS3(nil, blob.S3Options{Bucket: "b", Prefix: prefix}).URL(); got != want {
			t.Errorf("URL with prefix %q = %q, want %q", prefix, got, want)
		}
	}
}

// wantError wants an error with all these parts, and without the secret.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "hushhush") {
		t.Errorf("error %q tells the secret", err)
	}
}

func TestS3Metadata(t *testing.T) {
	f, client := newFakeS3(t)
	s := newStore(client)
	if _, err := s.PutNew(t.Context(), "a", strings.NewReader("a")); err != nil {
		t.Fatal(err)
	}
	notes, err := s.Metadata(t.Context(), "a")
	if err != nil || notes["idtrail-sha256"] == "" {
		t.Errorf("got %v, %v, want the note of the content's hash", notes, err)
	}
	if _, err := s.Metadata(t.Context(), "none"); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("got %v for no object, want ErrNotExist", err)
	}
	_ = f
}
