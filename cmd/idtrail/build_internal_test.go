package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/shape"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// The config package imports none of ours, so its words are held against those
// of the packages that use them here.
func TestWordsOfTheConfig(t *testing.T) {
	check := func(what string, got, want []string) {
		t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("fields to compare", config.CompareFields(), reconcile.CompareFields())
	check("statuses", config.Statuses(), []string{
		schema.UserActive, schema.UserPending, schema.UserResetRequired, schema.UserDisabled, schema.UserUnknown,
	})
	check("source kinds", slices.Collect(maps.Keys(sourceKinds())), []string{
		config.KindAuth0Logs, config.KindAuth0Users, config.KindCognitoUsers,
		config.KindCloudTrailLookup, config.KindCloudTrailTrail, config.KindArchive,
	})
	check("event sources", defaultEventSources(t), cloudtrail.IdentitySources())
	check("sink kinds", slices.Collect(maps.Keys(sinkKinds())), []string{
		config.KindParquet, config.KindJSON, config.KindDatadog, config.KindSplunkHEC, config.KindOTLP,
	})
	for _, class := range config.EventClasses() {
		for _, severity := range config.Severities() {
			_, err := shape.New(shape.Options{Classes: []string{class}, MinSeverity: severity, Redact: []shape.Rule{
				{Fields: []string{"ip"}, With: config.RedactDrop},
				{Fields: []string{"phone"}, With: config.RedactMask},
				{Fields: []string{"email"}, With: config.RedactPseudonym, Key: make([]byte, 16)},
			}})
			if err != nil {
				t.Errorf("class %s, severity %s: %v", class, severity, err)
			}
		}
	}
	check("Datadog's sites", config.DatadogSites(), datadog.Sites())
	if config.LeastRaw != pipeline.LeastRawAge {
		t.Errorf("the least retention of raw is %v in the config, and %v in the pipeline", config.LeastRaw, pipeline.LeastRawAge)
	}
}

// TestExampleBuilds makes every source, store and option of the example file.
func TestExampleBuilds(t *testing.T) {
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, t.TempDir()+"/none")
	}
	text, err := os.ReadFile("../../idtrail.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Keys of RSA are long: the connection that has one is not used.
	private, _, err := proof.GenerateKey("acme")
	if err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		if name == "IDTRAIL_SIGNING_KEY" {
			return private, true
		}
		if name == "SMTP_URL" {
			return "smtps://user:password@smtp.example", true
		}
		if strings.Contains(name, "HEARTBEAT") || strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_WEBHOOK") {
			return "https://hooks.example/x", true
		}
		return "value-of-16-characters", true
	}
	dir := t.TempDir()
	writeKeys(t, filepath.Join(dir, "trail-keys.pem"))
	for _, name := range []string{"tenant-ca.pem", "proxy-ca.pem", "splunk-ca.pem", "otel-ca.pem", "acme-ca.pem"} {
		writeCertificate(t, filepath.Join(dir, name))
	}
	fetch := map[string]config.Fetch{config.SchemeSecretsManager: func(context.Context, string) (string, error) { return "key", nil }}
	c, err := config.Parse(text, "example", config.Options{Dir: dir, Env: env, Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	for _, s := range c.Sources {
		source, err := b.source(t.Context(), s, nil)
		if err != nil {
			t.Errorf("source %s: %v", s.Name, err)
			continue
		}
		if source.Name() != s.Name {
			t.Errorf("got source %s, want %s", source.Name(), s.Name)
		}
		if id, ok := source.(extract.Identified); s.Name == "trail" && (!ok || !strings.Contains(id.Identity(), "s3://example-trail/AWSLogs/123456789012/CloudTrail/")) {
			t.Errorf("got identity %v, want the prefix in S3", id.Identity())
		}
	}
	p, err := b.pipeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sinks) != len(c.Sinks) || p.Lake.URL() != "s3://example-idtrail/lake" || p.Raw.URL() != "s3://example-idtrail-evidence/raw" {
		t.Errorf("got %d sinks, lake %s, raw %s", len(p.Sinks), p.Lake.URL(), p.Raw.URL())
	}
	targets, err := (&builder{config: c}).targets()
	if err != nil || len(targets) != len(c.Notify) {
		t.Errorf("got %d targets, %v", len(targets), err)
	}
	o := b.reconcileOptions(c.Reconcile[0])
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	if got := o.Scope.Left.EmailDomains; !slices.Equal(got, []string{"example.com"}) {
		t.Errorf("scope: got e-mail domains %v", got)
	}
}

func TestMapperOfASource(t *testing.T) {
	c := &config.Config{Connections: map[string]config.Connection{
		"a": {Auth0: &config.Auth0{ClientID: "self"}}, "b": {AWS: &config.AWS{}},
	}}
	b := &builder{config: c, now: func() time.Time { return time.Unix(1_000_000, 0) }}
	kept := config.UserOptions{PhoneRegion: "DE", Attributes: []string{"a"}, LinkAttribute: "x"}
	for _, source := range []config.Source{
		{Archive: &config.Archive{PhoneRegion: "DE", Attributes: []string{"a"}, LinkAttribute: "x"}},
		{Auth0Users: &config.Auth0Users{UserOptions: kept}},
		{CognitoUsers: &config.CognitoUsers{UserOptions: kept}},
	} {
		m := b.mapper(source)
		if !slices.Equal(m.SelfClients, []string{"self"}) || m.PhoneRegion != "DE" || len(m.Attributes) != 1 || m.LinkAttribute != "x" {
			t.Errorf("got %+v", m)
		}
	}
	s := b.pipelineSource(t.Context(), config.Source{
		Name: "n", Kind: config.KindAuth0Logs, Auth0Logs: &config.Auth0Logs{Since: config.Since{Span: time.Hour}},
	})
	if want := time.Unix(1_000_000-3600, 0); !s.Since.Equal(want) {
		t.Errorf("since: got %v, want %v", s.Since, want)
	}
}

func TestCutLast(t *testing.T) {
	for url, want := range map[string]string{
		"s3://b/c.yaml": "s3://b|c.yaml", "s3://b/x/c.yaml": "s3://b/x|c.yaml", "s3://b": "", "s3://b/": "", "s3://": "",
	} {
		folder, key, ok := cutLast(url)
		if got := folder + "|" + key; ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %s, %v; want %s", url, got, ok, want)
		}
	}
}

// TestConfigInS3 reads the config from a bucket; relative paths count from
// where the program runs.
func TestConfigInS3(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	const text = "{state: state, lake: lake, sources: [{name: trail, kind: archive, format: cloudtrail, path: in}]}"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bucket/conf/idtrail.yaml" {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Tue, 17 Nov 2026 10:00:00 GMT")
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
		"AWS_CONFIG_FILE": dir + "/none", "AWS_SHARED_CREDENTIALS_FILE": dir + "/none",
	} {
		t.Setenv(name, value)
	}
	load := func(url string) (*config.Config, error) {
		a := &app{configPath: url, dir: dir, log: slog.New(slog.DiscardHandler)}
		a.Env = func(string) (string, bool) { return "", false }
		return a.config(t.Context(), withSecrets)
	}
	c, err := load("s3://bucket/conf/idtrail.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.State.URL != dir+"/state" || c.File != "s3://bucket/conf/idtrail.yaml" {
		t.Errorf("got state %s of %s", c.State.URL, c.File)
	}
	if _, err := load("s3://bucket/conf/other.yaml"); !errors.Is(err, config.ErrNotFound) || exitCode(err) != exitUsage {
		t.Errorf("no such object: got %v, want ErrNotFound and exit code 2", err)
	}
	if _, err := load("s3://bucket"); exitCode(err) != exitUsage {
		t.Errorf("no object named: got %v, want exit code 2", err)
	}
}
