package demo_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/demo"
)

func options(dir string) demo.Options {
	return demo.Options{Dir: dir, Users: 100, Logs: 50, Trail: 40, Days: 1, End: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
}

func start(t *testing.T, o demo.Options) *demo.Site {
	t.Helper()
	site, err := demo.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// load reads the demo's config as the program does.
func load(t *testing.T, site *demo.Site) *config.Config {
	t.Helper()
	c, err := config.Load(t.Context(), config.Options{Path: site.Config, Env: func(name string) (string, bool) {
		return site.Secret, name == demo.SecretVar
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "demo")
	site := start(t, options(dir))
	c := load(t, site)
	if len(c.Sources) != 5 || len(c.Reconcile) != 1 || len(c.Warnings) != 0 {
		t.Errorf("config: got %d sources, %d comparisons and warnings %v, want 5, 1 and none", len(c.Sources), len(c.Reconcile), c.Warnings)
	}
	for _, s := range c.Sources {
		if s.Archive == nil {
			continue
		}
		if _, err := os.Stat(s.Archive.Path); err != nil {
			t.Errorf("source %s: %v", s.Name, err)
		}
	}
	for _, path := range []string{dir, site.Config} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: got %v, error %v, want it for its owner only", path, info.Mode(), err)
		}
	}
	// The tenant answers until Close, and not after.
	url := c.Connections["northwind"].Auth0.Domain
	if _, err := http.Get(url); err != nil {
		t.Errorf("before Close: %v", err)
	}
	if err := site.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the tenant still answers after Close")
	}
}

func TestStartAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	left := filepath.Join(dir, "lake", "left.parquet")
	for range 2 {
		site := start(t, options(dir))
		if _, err := os.Stat(left); err == nil {
			t.Error("what an earlier demo left is still there")
		}
		if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := site.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An empty folder is nobody's.
func TestStartInEmptyFolder(t *testing.T) {
	if err := start(t, options(t.TempDir())).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStartRefusesForeignFolder(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs.txt")
	if err := os.WriteFile(theirs, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Start(t.Context(), options(dir)); !errors.Is(err, demo.ErrNotOurs) {
		t.Errorf("got error %v, want %v", err, demo.ErrNotOurs)
	}
	if b, err := os.ReadFile(theirs); err != nil || string(b) != "theirs" {
		t.Errorf("their file: got %q, error %v, want it as it was", b, err)
	}
	if _, err := demo.Start(t.Context(), options(theirs)); err == nil {
		t.Error("a file in the place of the folder: got no error")
	}
}
