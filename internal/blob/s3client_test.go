package blob_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/fake"
)

// bareEnv takes all of AWS's settings out of the environment.
func bareEnv(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name) // Setenv puts it back in the end
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

func TestCheckEndpoint(t *testing.T) {
	tests := []struct {
		endpoint string
		want     string // "" is good
	}{
		{"", ""},
		{"https://s3.example.com", ""},
		{"https://10.0.0.1:9000/", ""},
		{"http://localhost:9000", ""},
		{"http://s3.localhost:9000", ""},
		{"http://127.0.0.1:9000", ""},
		{"http://127.9.9.9", ""},
		{"http://[::1]:9000", ""},
		{"http://s3.example.com", "plain http"},
		{"http://10.0.0.1:9000", "plain http"},
		{"http://[2001:db8::1]", "plain http"},
		{"http://localhost.example.com", "plain http"},
		{"http://127.0.0.1.example.com", "plain http"},
		{"http://user:hushhush@s3.example.com", "plain http"},
		{"s3.example.com", "not of the form"},
		{"ftp://s3.example.com", "not of the form"},
		{"https://", "not of the form"},
		{"https://user:hushhush@s3.example.com:port", "not of the form"},
	}
	for _, test := range tests {
		err := blob.CheckEndpoint(test.endpoint)
		if test.want == "" {
			if err != nil {
				t.Errorf("%q: %v", test.endpoint, err)
			}
			continue
		}
		wantError(t, err, test.want)
		if got, want := errors.Is(err, blob.ErrPlainHTTP), test.want == "plain http"; got != want {
			t.Errorf("%q: is ErrPlainHTTP = %v, want %v", test.endpoint, got, want)
		}
	}
}

func TestNewS3ClientEnvironment(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		t.Run(name, func(t *testing.T) {
			bareEnv(t)
			t.Setenv(name, "http://s3.example.com")
			_, err := blob.NewS3Client(t.Context(), blob.AWSOptions{Region: "eu-west-1"})
			if !errors.Is(err, blob.ErrPlainHTTP) {
				t.Errorf("got %v, want ErrPlainHTTP", err)
			}
			t.Setenv(name, "http://127.0.0.1:1")
			client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if o := client.Options(); !o.UsePathStyle || o.Region == "" {
				t.Errorf("path style %v, region %q, want both", o.UsePathStyle, o.Region)
			}
		})
	}
}

func TestNewS3ClientRegion(t *testing.T) {
	bareEnv(t)
	_, err := blob.NewS3Client(t.Context(), blob.AWSOptions{})
	wantError(t, err, "no AWS region: set it")
	client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	if o := client.Options(); o.UsePathStyle || o.Region != "eu-west-1" || o.BaseEndpoint != nil {
		t.Errorf("path style %v, region %q, endpoint %v, want Amazon's", o.UsePathStyle, o.Region, o.BaseEndpoint)
	}
}

func TestNoCredentials(t *testing.T) {
	bareEnv(t)
	s, err := blob.OpenS3(t.Context(), blob.AWSOptions{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1"}, blob.S3Options{Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context(), "k")
	wantError(t, err, "look up s3://b/k: no usable AWS credentials: configure")
}

func TestAssumeRole(t *testing.T) {
	bareEnv(t)
	f, _ := newFakeS3(t)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	sts := fake.NewSTS(fake.STSOptions{Roles: map[string]string{"arn:aws:iam::1:role/r": "right"}})
	tokens := httptest.NewServer(sts)
	t.Cleanup(tokens.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", tokens.URL)
	for _, id := range []string{"right", "wrong", ""} {
		s, err := blob.OpenS3(t.Context(), blob.AWSOptions{
			Region: "eu-west-1", Endpoint: server.URL, RoleARN: "arn:aws:iam::1:role/r", ExternalID: id, MaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("access", "hushhush", ""),
		}, blob.S3Options{Bucket: "b"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.PutNew(t.Context(), "k"+id, strings.NewReader("x"))
		if id != "right" {
			wantError(t, err, "the role cannot be assumed: check its ARN")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := f.header(http.MethodPut).Get("Authorization"); !strings.Contains(got, "Credential="+fake.AssumedKey+"r/") {
			t.Errorf("signed with %q, want the role's key", got)
		}
	}
	want := fake.STSCall{RoleARN: "arn:aws:iam::1:role/r", Session: "idtrail", ExternalID: "right", Duration: time.Hour, Region: "eu-west-1"}
	if calls := sts.Calls(); len(calls) != 3 || calls[0] != want {
		t.Errorf("got calls of STS %v, want %v first", calls, want)
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://sts.example.com")
	_, err := blob.OpenS3(t.Context(), blob.AWSOptions{Region: "eu-west-1", RoleARN: "arn:aws:iam::1:role/r"}, blob.S3Options{Bucket: "b"})
	if !errors.Is(err, blob.ErrPlainHTTP) {
		t.Errorf("got %v, want ErrPlainHTTP", err)
	}
}

func TestParseS3URL(t *testing.T) {
	tests := []struct {
		text, bucket, prefix string
		bad                  bool
	}{
		{text: "s3://b", bucket: "b"},
		{text: "s3://b/", bucket: "b"},
		{text: "s3://b/p/q/", bucket: "b", prefix: "p/q"},
		{text: "s3://b/p q=é", bucket: "b", prefix: "p q=é"},
		{text: "s3://", bad: true},
		{text: "s3:///p", bad: true},
		{text: "s3://b/p//q", bad: true},
		{text: "s3://b/../q", bad: true},
		{text: "s3://user@b/q", bad: true},
		{text: "https://b/q", bad: true},
		{text: "b/q", bad: true},
	}
	for _, test := range tests {
		bucket, prefix, err := blob.ParseS3URL(test.text)
		if bucket != test.bucket || prefix != test.prefix || (err != nil) != test.bad {
			t.Errorf("ParseS3URL(%q) = %q, %q, %v", test.text, bucket, prefix, err)
		}
	}
}

// The operator's AWS_MAX_ATTEMPTS was ignored, and who had mistyped an endpoint
// waited a minute for the error.
func TestMaxAttempts(t *testing.T) {
	tests := []struct {
		name     string
		env      string
		options  int
		wantHits int64
	}{
		{name: "environment", env: "2", wantHits: 2},
		{name: "options go first", env: "5", options: 1, wantHits: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bareEnv(t)
			t.Setenv("AWS_MAX_ATTEMPTS", test.env)
			var hits atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				hits.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer server.Close()
			client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{
				Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), MaxAttempts: test.options,
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := blob.NewS3(client, blob.S3Options{Bucket: "b"}).Get(t.Context(), "k"); err == nil {
				t.Error("no error")
			}
			if hits.Load() != test.wantHits {
				t.Errorf("%d attempts, want %d", hits.Load(), test.wantHits)
			}
		})
	}
}

// Another authority's certificate is trusted once AWS_CA_BUNDLE names it.
func TestCABundle(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		bareEnv(t)
		f, _ := newFakeS3(t)
		server := httptest.NewTLSServer(f)
		t.Cleanup(server.Close)
		if trusted {
			file := filepath.Join(t.TempDir(), "ca.pem")
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CA_BUNDLE", file)
		}
		s, err := blob.OpenS3(t.Context(), blob.AWSOptions{
			Endpoint: server.URL, MaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
		}, blob.S3Options{Bucket: "b"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.PutNew(t.Context(), "k", strings.NewReader("x"))
		if trusted && err != nil {
			t.Error(err)
		}
		if !trusted {
			wantError(t, err, "certificate")
		}
	}
}
