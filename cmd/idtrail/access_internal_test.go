package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/fake"
)

// Each place in S3 is asked as the role it names, by its external id, and no
// other place is.
func TestStoreRoles(t *testing.T) {
	awsAlone(t)
	var mu sync.Mutex
	keys := map[string]string{} // by bucket
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		keys[bucket], _, _ = strings.Cut(key, "/")
		http.NotFound(w, r)
	}))
	defer s3.Close()
	t.Setenv("AWS_ENDPOINT_URL_S3", s3.URL)
	roles, places := map[string]string{}, map[string]string{"state": "", "lake": "lake-7", "raw": "raw-7", "manifests": "proof-7"}
	text := ""
	for place, id := range places {
		text += fmt.Sprintf("%s: {url: s3://the-%s/x, region: eu-west-1", place, place)
		if id != "" {
			role := "arn:aws:iam::123456789012:role/" + place
			roles[role] = id
			text += fmt.Sprintf(", role_arn: %q, external_id: %s", role, id)
		}
		text += "}\n"
	}
	sts := fake.NewSTS(fake.STSOptions{Roles: roles})
	server := httptest.NewServer(sts)
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	text += "state_cache: cache\nsources: [{name: a, kind: archive, format: auth0_logs, path: in}]\n"
	c, err := config.Parse([]byte(text), "test", config.Options{Dir: t.TempDir(), Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	for place, s := range map[string]config.Store{"state": c.State, "lake": c.Lake, "raw": c.Raw, "manifests": c.Manifests} {
		store, err := b.store(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Head(t.Context(), "k"); err == nil {
			t.Errorf("%s: got no error of a place without objects", place)
		}
		want := fake.AssumedKey + place
		if places[place] == "" {
			want = "AKIATEST"
		}
		if got := keys["the-"+place]; got != want {
			t.Errorf("%s: asked with key %q, want %q", place, got, want)
		}
	}
	if n := len(sts.Calls()); n != len(roles) {
		t.Errorf("got %d calls of STS, want %d", n, len(roles))
	}
}

// What lies with the lake goes by the lake's role.
func TestStoreRoleOfTheLake(t *testing.T) {
	c := parseLake(t, `{url: s3://the-lake/x, role_arn: "arn:aws:iam::123456789012:role/lake", external_id: lake-7}`)
	for name, s := range map[string]config.Store{"raw": c.Raw, "manifests": c.Manifests} {
		if s.RoleARN != c.Lake.RoleARN || s.ExternalID != "lake-7" {
			t.Errorf("%s: got role %q with %q, want the lake's", name, s.RoleARN, s.ExternalID)
		}
	}
	if c.State.RoleARN != "" {
		t.Errorf("state: got role %q, want none", c.State.RoleARN)
	}
}

func parseLake(t *testing.T, lake string) *config.Config {
	t.Helper()
	text := "state: state\nlake: " + lake + "\nsources: [{name: a, kind: archive, format: auth0_logs, path: in}]\n"
	c, err := config.Parse([]byte(text), "test", config.Options{Dir: t.TempDir(), Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExamplesOfSecrets: what docs/SECRETS.md shows of a config works as it stands.
func TestExamplesOfSecrets(t *testing.T) {
	text, err := os.ReadFile("../../docs/SECRETS.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(examples) != 2 {
		t.Errorf("found %d examples, want 2", len(examples))
	}
	fetch := func(context.Context, string) (string, error) { return "value", nil }
	o := config.Options{
		Dir: t.TempDir(), Env: func(string) (string, bool) { return "", false },
		Fetch: map[string]config.Fetch{config.SchemeSecretsManager: fetch, config.SchemeSSM: fetch},
	}
	for _, example := range examples {
		whole := "state: state\nsources: [{name: a, kind: archive, format: auth0_logs, path: in}]\n" + example[1]
		if !strings.Contains(whole, "lake:\n") {
			whole += "lake: lake\n"
		}
		if _, err := config.Parse([]byte(whole), "example", o); err != nil {
			t.Errorf("%v in\n%s", err, whole)
		}
	}
}
