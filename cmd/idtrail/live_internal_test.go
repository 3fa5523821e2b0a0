package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
)

// writeKeys writes a file of public keys as an operator would have saved it.
// writeCertificate writes one that signs itself.
func writeCertificate(t *testing.T, path string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeKeys(t *testing.T, path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func defaultEventSources(t *testing.T) []string {
	t.Helper()
	c := parseConfig(t, "{name: l, kind: cloudtrail_lookup}")
	return c.Sources[0].CloudTrailLookup.EventSources
}

func parseConfig(t *testing.T, source string) *config.Config {
	t.Helper()
	text := "state: state\nlake: lake\nconnections:\n  aws: {aws: {region: eu-west-1}}\nsources:\n  - " + source + "\n"
	c, err := config.Parse([]byte(text), "test", config.Options{Dir: t.TempDir(), Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awsAlone gives the test an environment of its own.
func awsAlone(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CA_BUNDLE": "", "AWS_ENDPOINT_URL": "",
	} {
		t.Setenv(name, value)
	}
}

const (
	poolSource   = "{name: p, kind: cognito_users, connection: aws, user_pool_id: eu-west-1_P}"
	lookupSource = `{name: l, kind: cloudtrail_lookup, connection: aws, account: "123456789012"}`
	callerSource = "{name: l, kind: cloudtrail_lookup, connection: aws}"
	trailSource  = "{name: t, kind: cloudtrail_trail, connection: aws, bucket: trail}"
)

// Each source of AWS calls the endpoint that the environment names for its
// service, under our name.
func TestAWSEndpoints(t *testing.T) {
	tests := []struct{ source, variable, target string }{
		{poolSource, "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "AWSCognitoIdentityProviderService."},
		{lookupSource, "AWS_ENDPOINT_URL_CLOUDTRAIL", "LookupEvents"},
		{callerSource, "AWS_ENDPOINT_URL_STS", ""},
		{trailSource, "AWS_ENDPOINT_URL_S3", ""},
	}
	for _, tt := range tests {
		t.Run(tt.variable, func(t *testing.T) {
			awsAlone(t)
			var mu sync.Mutex
			var targets, agents []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				targets, agents = append(targets, r.Header.Get("X-Amz-Target")), append(agents, r.UserAgent())
				http.Error(w, `{"__type":"AccessDeniedException","message":"no"}`, http.StatusBadRequest)
			}))
			defer server.Close()
			t.Setenv(tt.variable, server.URL)
			if err := tryOut(t, tt.source); err == nil {
				t.Error("got no error of a server that refuses")
			}
			if len(targets) == 0 || !strings.Contains(targets[0], tt.target) || !strings.Contains(agents[0], "app/idtrail") {
				t.Errorf("got calls %q of %q, want one of %s by idtrail", targets, agents, tt.target)
			}
		})
	}
}

// tryOut makes a source and checks it.
func tryOut(t *testing.T, source string) error {
	t.Helper()
	c := parseConfig(t, source)
	b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	src, err := b.source(t.Context(), c.Sources[0], nil)
	if err != nil {
		return err
	}
	_, err = src.(extract.Checker).Check(t.Context())
	return err
}

// Plain http would show the world what is signed and read.
func TestAWSEndpointsInTheClear(t *testing.T) {
	for source, variable := range map[string]string{
		poolSource: "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", lookupSource: "AWS_ENDPOINT_URL_CLOUDTRAIL",
		callerSource: "AWS_ENDPOINT_URL_STS", trailSource: "AWS_ENDPOINT_URL",
	} {
		awsAlone(t)
		t.Setenv(variable, "http://aws.example")
		if err := tryOut(t, source); !errors.Is(err, blob.ErrPlainHTTP) {
			t.Errorf("%s: got error %v, want ErrPlainHTTP", source, err)
		}
		t.Setenv(variable, "")
	}
}

func TestNoAWSCredentials(t *testing.T) {
	for _, source := range []string{poolSource, trailSource} {
		awsAlone(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		if err := tryOut(t, source); err == nil || !strings.Contains(err.Error(), "no usable AWS credentials: configure") {
			t.Errorf("%s: got error %v, want it to say what to configure", source, err)
		}
	}
}

func TestTrailKeys(t *testing.T) {
	awsAlone(t)
	c := parseConfig(t, "{name: t, kind: cloudtrail_trail, bucket: trail, public_keys: keys}")
	b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	trail := c.Sources[0].CloudTrailTrail
	if _, err := b.trailKeys(t.Context(), trail); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got error %v", err)
	}
	if err := os.WriteFile(trail.PublicKeys, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.trailKeys(t.Context(), trail); err == nil || !strings.Contains(err.Error(), trail.PublicKeys) {
		t.Errorf("no key in the file: got error %v, want the file named", err)
	}
	writeKeys(t, trail.PublicKeys)
	if keys, err := b.trailKeys(t.Context(), trail); err != nil || keys == nil {
		t.Errorf("got keys %v, error %v", keys, err)
	}
}
