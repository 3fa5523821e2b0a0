package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A run that was killed right after it had made a temporary file left it for good.
func TestMakeTempDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tmp")
	now := time.Now()
	if err := makeTempDir(dir, now); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{
		"idtrail-1.tmp": 25 * time.Hour, "idtrail-reconcile-2": 25 * time.Hour, "idtrail-sort-3": 2 * time.Hour, "persons-4.index": 25 * time.Hour, "other": 25 * time.Hour,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "idtrail-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeTempDir(dir, now); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"idtrail-folder", "idtrail-sort-3", "other", "persons-4.index"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}
