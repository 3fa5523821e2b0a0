package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/integration/harness"
)

// asUser is the environment of a user who may do what the statements of
// a policy allow.
func asUser(t *testing.T, server *harness.Server, name string, statements ...string) []string {
	t.Helper()
	document := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	who, err := server.User(t, name, document).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return append(server.Env(), "AWS_ACCESS_KEY_ID="+who.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+who.SecretAccessKey)
}

// allow is a statement that allows actions, as "s3:GetObject s3:PutObject", on
// arn:aws:s3::: and each of the resources.
func allow(actions string, resources ...string) string {
	for i, r := range resources {
		resources[i] = `"arn:aws:s3:::` + r + `"`
	}
	return `{"Effect":"Allow","Action":["` + strings.ReplaceAll(actions, " ", `","`) + `"],"Resource":[` + strings.Join(resources, ",") + `]}`
}

// TestFailures runs into what an operator gets wrong. Each has to be said with
// what failed, where, and what to do; to leave nothing half-written; and to be
// over once it is put right.
func TestFailures(t *testing.T) {
	t.Parallel()
	server := harness.S3With(t, harness.Options{IAM: true})
	tests := []struct {
		name string
		// env is the environment of the failing run.
		env  func(t *testing.T, raw, lake string) []string
		code int
		// says is in the error of each source or, with landed, of each sink; RAW
		// and LAKE stand for the buckets.
		says   []string
		landed bool
		// missing buckets are made once the run has failed.
		missing bool
	}{
		{
			name: "missing bucket", missing: true, code: 1,
			env:  func(*testing.T, string, string) []string { return server.Env() },
			says: []string{"s3://RAW/raw/", "bucket RAW does not exist", "create it"},
		},
		{
			name: "wrong secret", code: 1,
			env: func(*testing.T, string, string) []string {
				return append(server.Env(), "AWS_SECRET_ACCESS_KEY=hunter2-wrong")
			},
			says: []string{"s3://RAW/raw/", "credentials are wrong", "check access key, secret"},
		},
		{
			name: "no credentials", code: 1,
			env: func(*testing.T, string, string) []string {
				return append(server.Env(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
			},
			says: []string{"s3://RAW/raw/", "no usable AWS credentials", "configure a profile, a role or environment variables"},
		},
		{
			name: "no server", code: 1,
			env: func(*testing.T, string, string) []string {
				return append(server.Env(), "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=2")
			},
			says: []string{"s3://RAW/raw/", "no answer", "check network"},
		},
		{
			name: "may only read", code: 1,
			env: func(t *testing.T, raw, lake string) []string {
				t.Helper()
				return asUser(t, server, "reader", allow("s3:GetObject s3:ListBucket", raw, raw+"/*", lake, lake+"/*"))
			},
			says: []string{"write s3://RAW/raw/", "access denied: grant s3:PutObject on arn:aws:s3:::RAW/raw/*"},
		},
		{
			name: "may not list raw", code: 1,
			env: func(t *testing.T, raw, lake string) []string {
				t.Helper()
				return asUser(t, server, "blind", allow("s3:GetObject s3:PutObject", raw+"/*", lake+"/*"))
			},
			says: []string{"list s3://RAW/raw/", "access denied: grant s3:ListBucket on arn:aws:s3:::RAW for prefix raw/"},
		},
		{
			name: "may not write the lake", code: 3, landed: true,
			env: func(t *testing.T, raw, lake string) []string {
				t.Helper()
				return asUser(t, server, "lander", allow("s3:GetObject s3:PutObject s3:ListBucket", raw, raw+"/*"),
					allow("s3:GetObject s3:ListBucket", lake, lake+"/*"))
			},
			says: []string{"s3://LAKE", "access denied: grant s3:PutObject on arn:aws:s3:::LAKE/*"},
		},
		{
			name: "may not list the lake", code: 3, landed: true,
			env: func(t *testing.T, raw, lake string) []string {
				t.Helper()
				env := asUser(t, server, "groping", allow("s3:GetObject s3:PutObject s3:ListBucket", raw, raw+"/*"),
					allow("s3:GetObject s3:PutObject", lake+"/*"))
				return append(env, "AWS_ENDPOINT_URL_S3="+newProxy(t, server, "/"+lake+"/").url)
			},
			says: []string{"s3://LAKE", "access denied", "s3:ListBucket on arn:aws:s3:::LAKE"},
		},
	}
	client := server.Client(t, nil)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw, lake := fmt.Sprintf("raw-%d", i), fmt.Sprintf("lake-%d", i)
			create := func() {
				for _, bucket := range []string{raw, lake} {
					if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !test.missing {
				create()
			}
			s := newSite(t)
			p := place{rawDir: server.Path(raw, "raw"), lakeDir: server.Path(lake, ""), env: server.Env()}
			l := &line{site: s, place: p, total: map[string]sourceReport{}, began: time.Now().UTC()}
			config := s.config(t, "s3://"+raw+"/raw", "s3://"+lake, "./in/trail")
			failed, out := s.run(t, test.env(t, raw, lake), config, test.code)
			named := strings.NewReplacer("RAW", raw, "LAKE", lake)
			for _, source := range failed.Sources {
				wantSaid(t, source, test.landed, named.Replace(strings.Join(test.says, "\n")))
			}
			if strings.Contains(out.Stdout+out.Stderr, "hunter2") || strings.Contains(out.Stdout+out.Stderr, server.Secret) {
				t.Errorf("a secret is told:\n%s\n%s", out.Stdout, out.Stderr)
			}
			if test.missing {
				create()
			} else {
				l.wantNothingHalf(t, failed, test.landed)
			}
			l.mended(t, failed, config)
		})
	}
}

// mended runs again, with everything put right: what was landed is not landed
// anew, and all of it is delivered.
func (l *line) mended(t *testing.T, failed report, config string) {
	t.Helper()
	r, _ := l.site.run(t, l.place.env, config, 0)
	wantDone(t, r)
	l.add(r)
	for name, s := range l.total {
		if before := failed.source(t, name); before.Landed > 0 {
			if s.Landed != 0 {
				t.Errorf("%s: landed %d, and then again %d", name, before.Landed, s.Landed)
			}
			before.Sinks = s.Sinks
			l.total[name] = before
		}
	}
	l.accounts(t)
}

// wantSaid wants what the lines of says hold in the error of the source, or of
// each of its sinks.
func wantSaid(t *testing.T, s sourceReport, landed bool, says string) {
	t.Helper()
	errs := []string{s.Error}
	if landed {
		errs = nil
		for _, k := range s.Sinks {
			errs = append(errs, k.Error)
		}
		if s.Error != "" || s.Landed == 0 || len(errs) != 2 {
			t.Errorf("%s: landed %d, error %q, %d sinks", s.Source, s.Landed, s.Error, len(errs))
		}
	}
	for _, err := range errs {
		for part := range strings.SplitSeq(says, "\n") {
			if !strings.Contains(err, part) {
				t.Errorf("%s: error %q does not say %q", s.Source, err, part)
			}
		}
	}
}

// wantNothingHalf wants whole chains in raw, or nothing there, and in the lake
// no object that a flush writes.
func (l *line) wantNothingHalf(t *testing.T, failed report, landed bool) {
	t.Helper()
	for _, s := range failed.Sources {
		if !landed {
			continue
		}
		if c := readChain(t, l.place.rawDir+"/"+s.Source); c.landed != s.Landed {
			t.Errorf("%s: raw has %d records, the run said %d", s.Source, c.landed, s.Landed)
		}
	}
	if there := files(t, strings.TrimSuffix(l.place.rawDir, "/raw")); !landed && len(there) > 0 {
		t.Errorf("raw has %v", there)
	}
	for name := range files(t, l.place.lakeDir) {
		table, _, _ := strings.Cut(name, "/")
		switch strings.TrimSuffix(table, "_json") {
		case "events", "users", "snapshots", "rejected", "gaps":
			t.Errorf("the lake has %s", name)
		}
	}
}

// TestLeastPrivilege runs everything with no more rights than the docs ask for.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	server := harness.S3With(t, harness.Options{IAM: true})
	raw, lake, in := server.Bucket(t), server.Bucket(t), server.Bucket(t)
	s := newSite(t)
	upload(t, server, in, s.path("in/trail"))
	env := append(asUser(t, server, "idtrail",
		allow("s3:ListBucket", raw, lake, in),
		allow("s3:GetObject", raw+"/raw/*", lake+"/lake/*", in+"/AWSLogs/*"),
		allow("s3:PutObject", raw+"/raw/*", lake+"/lake/*")), "AUTH0_SECRET="+clientSecret)
	config := s.config(t, "s3://"+raw+"/raw", "s3://"+lake+"/lake", "s3://"+in+"/AWSLogs/")
	for _, args := range []string{
		"check", "run", "run", "status", "reconcile report", "find --user auth0|1 --since 60d",
	} {
		out := harness.Idtrail(t, env, append(strings.Fields(args), "-c", config)...)
		if out.Code != 0 {
			t.Errorf("%s: exit code %d\n%s\n%s", args, out.Code, out.Stdout, out.Stderr)
		}
	}
	l := &line{site: s, place: place{lakeDir: server.Path(lake, "lake")}}
	var events int64
	for _, row := range harness.DuckDB(t, l.counts()) {
		n, _ := row["events"].(int64)
		events += n
	}
	if events < siteLogs+siteOldLogs {
		t.Errorf("the lake has %d events", events)
	}
}

// TestWriteHeaders looks at every write on its way to S3: that it is
// conditional, encrypted with the key, tagged and filed as the config says.
func TestWriteHeaders(t *testing.T) {
	t.Parallel()
	server := harness.S3(t)
	raw, lake := server.Bucket(t), server.Bucket(t)
	proxy := newProxy(t, server, "")
	const key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	s := newSite(t)
	place := func(bucket, class string) string {
		return fmt.Sprintf("{url: s3://%s/x, kms_key: %q, tags: {team: identity}, storage_class: %s}", bucket, key, class)
	}
	s.run(t, append(server.Env(), "AWS_ENDPOINT_URL_S3="+proxy.url), s.config(t, place(raw, "STANDARD"), place(lake, "STANDARD_IA"), "./in/trail"), 0)
	if len(proxy.puts) < 40 {
		t.Fatalf("%d writes went through the proxy", len(proxy.puts))
	}
	for _, put := range proxy.puts {
		want := map[string]string{
			"X-Amz-Server-Side-Encryption":                    "aws:kms",
			"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":     key,
			"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
			"X-Amz-Tagging": "team=identity",
		}
		if strings.HasPrefix(put.URL.Path, "/"+lake+"/") {
			want["X-Amz-Storage-Class"] = "STANDARD_IA"
		}
		for name, value := range want {
			if got := put.Header.Get(name); got != value {
				t.Errorf("%s has %s: %q, want %q", put.URL.Path, name, got, value)
			}
		}
		if put.Header.Get("If-None-Match") != "*" && put.Header.Get("If-Match") == "" {
			t.Errorf("%s is written without a condition", put.URL.Path)
		}
	}
}

// proxy stands before a server and keeps the requests that write.
type proxy struct {
	url  string
	mu   sync.Mutex
	puts []*http.Request
}

// newProxy starts a proxy. Below the path blind, if there is one, it answers as
// AWS does to who may not list: it does not say that an object is missing.
func newProxy(t *testing.T, server *harness.Server, blind string) *proxy {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it was signed
		},
		ModifyResponse: func(r *http.Response) error {
			if blind != "" && r.StatusCode == http.StatusNotFound && strings.HasPrefix(r.Request.URL.Path, blind) {
				deny(r)
			}
			return nil
		},
	}
	p := &proxy{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			p.mu.Lock()
			p.puts = append(p.puts, r.Clone(r.Context()))
			p.mu.Unlock()
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.url = front.URL
	return p
}

// deny turns an answer into 403.
func deny(r *http.Response) {
	_ = r.Body.Close() // it is replaced
	text := `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`
	if r.Request.Method == http.MethodHead {
		text = ""
	}
	r.StatusCode, r.Status = http.StatusForbidden, "403 Forbidden"
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
}
