package config_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

var errVault = errors.New("the vault is shut; open it")

// vaulted is the good file with references of vaults in it.
var vaulted = strings.NewReplacer(
	"client_id: id", `client_id: "${secretsmanager:idtrail#id}"`, "${env:SECRET}", "${ssm:/idtrail/secret}",
).Replace(base)

func TestFetch(t *testing.T) {
	type contextKey struct{}
	var asked []string
	o := options(map[string]string{config.EnvText: vaulted})
	o.Fetch = map[string]config.Fetch{}
	for _, scheme := range []string{config.SchemeSecretsManager, config.SchemeSSM} {
		o.Fetch[scheme] = func(ctx context.Context, name string) (string, error) {
			if ctx.Value(contextKey{}) != true {
				t.Error("got another context than the caller's")
			}
			asked = append(asked, scheme+" "+name)
			return hidden, nil
		}
	}
	c, err := config.Load(context.WithValue(t.Context(), contextKey{}, true), o)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Connections["acme"].Auth0; a.ClientID != hidden || a.ClientSecret.Reveal() != hidden {
		t.Errorf("got client id %q, secret %q", a.ClientID, a.ClientSecret.Reveal())
	}
	if want := []string{"secretsmanager idtrail#id", "ssm /idtrail/secret"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	want := []config.Reference{
		{Scheme: "secretsmanager", Name: "idtrail#id", Key: "connections.acme.client_id"},
		{Scheme: "ssm", Name: "/idtrail/secret", Key: "connections.acme.client_secret"},
	}
	if diff := cmp.Diff(want, c.References); diff != "" {
		t.Error(diff)
	}
	o.Fetch, o.SkipSecrets = nil, true
	if c, err = config.Load(t.Context(), o); err != nil || !slices.Equal(c.References, want) {
		t.Errorf("without secrets: got references %v, error %v", c.References, err)
	}
}

func TestFetchFails(t *testing.T) {
	o := options(nil)
	refuse := func(context.Context, string) (string, error) { return "", errVault }
	o.Fetch = map[string]config.Fetch{config.SchemeSecretsManager: refuse, config.SchemeSSM: refuse}
	_, err := config.Parse([]byte(vaulted), "t.yaml", o)
	if !errors.Is(err, errVault) {
		t.Fatalf("got error %v, want the vault's", err)
	}
	want := []config.Problem{
		{Line: 4, Column: 47, Key: "connections.acme.client_id", Message: "${secretsmanager:idtrail#id}: the vault is shut", Hint: "open it"},
		{Line: 4, Column: 94, Key: "connections.acme.client_secret", Message: "${ssm:/idtrail/secret}: the vault is shut", Hint: "open it"},
	}
	var file *config.Error
	if !errors.As(err, &file) {
		t.Fatalf("got a %T", err)
	}
	if diff := cmp.Diff(want, file.Problems); diff != "" {
		t.Error(diff)
	}
	empty := func(context.Context, string) (string, error) { return "", nil }
	o.Fetch = map[string]config.Fetch{config.SchemeSecretsManager: empty, config.SchemeSSM: empty}
	if _, err := config.Parse([]byte(vaulted), "t.yaml", o); err == nil || !strings.Contains(err.Error(), "${ssm:/idtrail/secret} is empty") {
		t.Errorf("got error %v, want it to say what is empty", err)
	}
}

// TestPipeWithoutAWriter: a reference to one is an empty secret, and no wait that
// nothing ends.
func TestPipeWithoutAWriter(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	o := options(nil)
	o.Dir = dir
	_, err := config.Parse([]byte(strings.Replace(base, "${env:SECRET}", "${file:pipe}", 1)), "t.yaml", o)
	if err == nil || !strings.Contains(err.Error(), "${file:pipe} is empty") {
		t.Errorf("got %v, want that it is empty", err)
	}
}
