package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// far is everything the program talks with, each at a name of its own, behind
// TLS of an authority that no system knows.
type far struct {
	auth0   *fake.Auth0
	vault   *fake.Vault
	sts     *fake.STS
	cognito *fake.Cognito
	datadog *fake.Datadog
	hec     *fake.HEC
	otlp    *fake.OTLP

	// file is the config in S3, which the program asks for as another process.
	file atomic.Value // a []byte
	// ca is the authority's certificate, hosts the address of each name.
	ca    []byte
	hosts map[string]string
}

// The names of the far side.
const (
	farDomain = ".idtrail.example:443"
	farRole   = "arn:aws:iam::123456789012:role/reader"
)

func farNames() []string {
	return []string{"s3", "secrets", "ssm", "sts", "cognito", "tenant", "dd", "hec", "otlp"}
}

func newFar(t *testing.T) *far {
	t.Helper()
	logs := fake.NewTenant(fake.TenantOptions{Users: 20, Logs: 50, Days: 1, End: time.Now()}).Logs()
	f := &far{
		auth0: fake.NewAuth0(fake.Auth0Options{ClientID: "client", ClientSecret: planted}, logs),
		vault: fake.NewVault(fake.VaultOptions{
			Secrets:    map[string]fake.VaultSecret{"idtrail/auth0": {Text: `{"id":"client","secret":"` + planted + `"}`}},
			Parameters: map[string]string{"/idtrail/hec": hecToken, "/idtrail/dd": ddKey, "/idtrail/otlp": otlpAuth},
		}),
		sts:     fake.NewSTS(fake.STSOptions{Roles: map[string]string{farRole: "far-7"}}),
		cognito: fake.NewCognito(fake.CognitoOptions{}),
		datadog: fake.NewDatadog(fake.DatadogOptions{APIKey: ddKey}),
		hec:     fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{hecToken: {}}}),
		otlp:    fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"Authorization": otlpAuth}}),
		hosts:   map[string]string{},
	}
	handlers := map[string]http.Handler{
		"s3": http.HandlerFunc(f.serveFile), "secrets": f.vault, "ssm": f.vault, "sts": f.sts, "cognito": f.cognito,
		"tenant": f.auth0, "dd": f.datadog, "hec": f.hec, "otlp": f.otlp,
	}
	certificate := f.certify(t)
	for name, handler := range handlers {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		server.StartTLS()
		t.Cleanup(server.Close)
		f.hosts[name+farDomain] = server.Listener.Addr().String()
	}
	return f
}

func (f *far) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/conf/idtrail.yaml" {
		http.NotFound(w, r)
		return
	}
	file, _ := f.file.Load().([]byte)
	_, _ = w.Write(file)
}

// certify makes a certificate for all names, and for an address that is this
// machine and yet none that Go keeps from proxies.
func (f *far) certify(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "far"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"*.idtrail.example"}, IPAddresses: []net.IP{net.IPv4zero},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	f.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// outing is one call of the program, and what came of it.
type outing struct {
	dir            string
	proxy          *fake.Proxy
	code           int
	stdout, stderr string
}

// run runs the program where nothing but the proxy, or the machine itself, can be
// reached. The url says where a name is.
func (f *far) run(t *testing.T, url func(name string) string, proxy fake.ProxyOptions, env ...string) outing {
	t.Helper()
	o := outing{dir: t.TempDir(), proxy: fake.NewProxy(proxy)}
	server := httptest.NewServer(o.proxy)
	t.Cleanup(server.Close)
	ca := filepath.Join(o.dir, "ca.pem")
	if err := os.WriteFile(ca, f.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	f.file.Store([]byte(f.config(url)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "idtrail", "run", "-c", "s3://conf/idtrail.yaml")
	cmd.Dir = o.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir,
		"HTTPS_PROXY=http://idtrail:" + planted + "@" + server.Listener.Addr().String(),
		"AWS_CA_BUNDLE=" + ca, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=secret", "AWS_MAX_ATTEMPTS=1",
		"AWS_ENDPOINT_URL_S3=" + url("s3"), "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + url("secrets"), "AWS_ENDPOINT_URL_SSM=" + url("ssm"),
		"AWS_ENDPOINT_URL_STS=" + url("sts"), "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=" + url("cognito"),
	}
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o.code, o.stdout, o.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	if strings.Contains(o.stdout+o.stderr, planted) {
		t.Error("a secret shows")
	}
	return o
}

func (f *far) config(url func(name string) string) string {
	return fmt.Sprintf(`state: state
lake: lake
connections:
  acme:
    auth0: %s
    client_id: "${secretsmanager:idtrail/auth0#id}"
    client_secret: "${secretsmanager:idtrail/auth0#secret}"
    ca_file: ca.pem
  prod: {aws: {role_arn: %q, external_id: far-7}}
sources:
  - {name: acme, kind: auth0_logs, connection: acme, rate: 100}
  - {name: pool, kind: cognito_users, connection: prod, user_pool_id: %s, settings: false, groups: false}
sinks:
  - {name: lake, kind: parquet}
  - {name: dd, kind: datadog, url: %q, api_key: "${ssm:/idtrail/dd}", ca_file: ca.pem}
  - {name: hec, kind: splunk_hec, url: %q, token: "${ssm:/idtrail/hec}", ca_file: ca.pem}
  - {name: otel, kind: otlp, url: %q, headers: {Authorization: "${ssm:/idtrail/otlp}"}, ca_file: ca.pem}
`, url("tenant"), farRole, fake.PoolID, url("dd"), url("hec"), url("otlp"))
}

// arrived checks that everything on the far side was reached.
func (f *far) arrived(t *testing.T, o outing) {
	t.Helper()
	if o.code != exitDone {
		t.Fatalf("got exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if n := f.vault.Count(fake.CallGetSecretValue); n != 1 {
		t.Errorf("the secret with two keys was fetched %d times, want once", n)
	}
	for name, n := range map[string]int{
		"auth0": f.auth0.Count(fake.LogsPath), "cognito": f.cognito.Count("ListUsers"), "ssm": f.vault.Count(fake.CallGetParameter),
		"datadog": len(f.datadog.Logs()), "hec": len(f.hec.Events()), "otlp": len(f.otlp.Records()),
	} {
		if n == 0 {
			t.Errorf("%s got nothing", name)
		}
	}
	want := fake.STSCall{RoleARN: farRole, Session: "idtrail", ExternalID: "far-7", Duration: time.Hour, Region: "eu-west-1"}
	if calls := f.sts.Calls(); len(calls) != 1 || calls[0] != want {
		t.Errorf("got calls of STS %v, want %v", calls, want)
	}
}

func byName(name string) string { return "https://" + name + strings.TrimSuffix(farDomain, ":443") }

// TestProxy: names that only the proxy can resolve are reached, each through it.
// It has to be a process of its own: net/http reads the environment once. It has
// to be names: net/http sends nothing that goes to loopback through a proxy.
func TestProxy(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	o := f.run(t, byName, fake.ProxyOptions{Hosts: f.hosts, User: "idtrail", Password: planted})
	f.arrived(t, o)
	var want []string
	for _, name := range farNames() {
		want = append(want, name+farDomain)
	}
	if got := slices.Sorted(slices.Values(o.proxy.Asked())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("asked for %q by the proxy, want %q", got, want)
	}
}

// TestNoProxy: what NO_PROXY names is reached without it.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	o := f.run(t, func(name string) string {
		_, port, err := net.SplitHostPort(f.hosts[name+farDomain])
		if err != nil {
			t.Fatal(err)
		}
		return "https://0.0.0.0:" + port
	}, fake.ProxyOptions{}, "NO_PROXY=0.0.0.0")
	f.arrived(t, o)
	if got := o.proxy.Asked(); len(got) > 0 {
		t.Errorf("asked for %q by the proxy, want nothing", got)
	}
}

// TestProxyRefuses: it is told that it is the proxy, and never by which password.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lacks string // what the proxy does not let through
		code  int
	}{
		{"config", "s3", exitUsage},
		{"vault", "ssm", exitFailed},
		{"tenant", "tenant", exitPartly},
		{"receiver", "dd", exitPartly},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			delete(f.hosts, tt.lacks+farDomain)
			o := f.run(t, byName, fake.ProxyOptions{Hosts: f.hosts, User: "idtrail", Password: planted})
			const want = "the proxy of the environment (HTTPS_PROXY) answered 403"
			if o.code != tt.code || !strings.Contains(o.stderr, want) {
				t.Errorf("got exit code %d, want %d and %q\n%s%s", o.code, tt.code, want, o.stdout, o.stderr)
			}
		})
	}
}
