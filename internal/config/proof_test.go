package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

// publicKey is a key as idtrail keygen prints it.
const publicKey = "acme+d7cb677b+AeXR6YYUufWdWpREfNmdcozI0hm+1CVtVKT19iFoYSel"

func TestStateInS3(t *testing.T) {
	text := strings.Replace(base, "state: state", "state: {url: s3://bucket/state/, region: eu-west-1, kms_key: k}", 1)
	c := mustParse(t, text)
	if diff := cmp.Diff(config.Store{URL: "s3://bucket/state", Region: "eu-west-1", KMSKey: "k"}, c.State); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	dir := c.StateDir()
	if !strings.HasPrefix(dir, "/home/me/.cache/idtrail/state-") || c.Limits.TempDir != dir+"/tmp" {
		t.Errorf("got cache %s and temp_dir %s, want both in the home's cache", dir, c.Limits.TempDir)
	}
	other := mustParse(t, strings.Replace(text, "bucket/state", "bucket/state2", 1))
	if other.StateDir() == dir {
		t.Error("two states share a cache")
	}
	named := mustParse(t, "state_cache: cache\n"+text)
	if named.StateDir() != "/etc/idtrail/cache" || named.Limits.TempDir != "/etc/idtrail/cache/tmp" {
		t.Errorf("got %s and %s, want the cache named", named.StateDir(), named.Limits.TempDir)
	}
}

// TestStateNeedsACache: a container may have no home.
func TestStateNeedsACache(t *testing.T) {
	text := strings.Replace(base, "state: state", "state: s3://bucket/state", 1)
	env := map[string]string{"SECRET": hidden}
	_, err := config.Parse([]byte(text), "t.yaml", options(env))
	if err == nil || !strings.Contains(err.Error(), "state_cache: is missing, and neither XDG_CACHE_HOME nor HOME is set") {
		t.Errorf("got %v, want that a state_cache is missing", err)
	}
	env["XDG_CACHE_HOME"] = "/var/cache"
	c, err := config.Parse([]byte(text), "t.yaml", options(env))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(c.StateDir(), "/var/cache/idtrail/state-") {
		t.Errorf("got %s, want a folder in $XDG_CACHE_HOME", c.StateDir())
	}
}

func TestProofs(t *testing.T) {
	text := strings.Replace(base, "lake: lake", "lake: {url: s3://bucket/lake, kms_key: k, region: eu-west-1, tags: {a: b}}", 1)
	c := mustParse(t, text+`signing_key: "${env:SECRET}"
verify_keys: [`+publicKey+`]
retention: {raw: 400d, lake: 730d}
manifests: {lock: {mode: compliance, days: 400}, tags: {c: d}}
`)
	if c.SigningKey.Reveal() != hidden || !cmp.Equal(c.VerifyKeys, []string{publicKey}) {
		t.Errorf("got keys %q and %v", c.SigningKey.Reveal(), c.VerifyKeys)
	}
	const day = 24 * time.Hour
	if want := (config.Retention{Raw: 400 * day, Lake: 730 * day}); c.Retention != want {
		t.Errorf("retention: got %v, want %v", c.Retention, want)
	}
	want := config.Store{
		URL: "s3://bucket/lake", KMSKey: "k", Region: "eu-west-1", Tags: map[string]string{"c": "d"},
		Lock: config.Lock{Mode: "compliance", Days: 400},
	}
	if diff := cmp.Diff(want, c.Manifests); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
	if c.Lake.Lock != (config.Lock{}) {
		t.Errorf("the lake is locked: %v", c.Lake.Lock)
	}
	own := mustParse(t, text+"manifests: s3://proofs/x\n")
	if diff := cmp.Diff(config.Store{URL: "s3://proofs/x"}, own.Manifests); diff != "" {
		t.Errorf("manifests of their own place (-want +got):\n%s", diff)
	}
}

func TestProofWarnings(t *testing.T) {
	for _, tt := range []struct{ name, add, want string }{
		{"nobody looks at the signatures", `signing_key: "${env:SECRET}"`, "signing_key: there are no verify_keys"},
		{"locked for longer than kept", "raw: {url: s3://bucket/raw, lock: {mode: governance, days: 500}}\nretention: {raw: 400d}", "retention.raw: is shorter than raw.lock.days"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, base+tt.add+"\n")
			if len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0].String(), tt.want) {
				t.Errorf("got %v, want one warning: %s", c.Warnings, tt.want)
			}
		})
	}
}
