package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// proof is a test as docs/DELIVERY.md names it: `package.Test`.
var proof = regexp.MustCompile("`([a-z][a-z0-9/_]*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// TestProofsExist: a document that names a test which is gone proves nothing.
func TestProofsExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/DELIVERY.md")
	if err != nil {
		t.Fatal(err)
	}
	all := proof.FindAllStringSubmatch(string(text), -1)
	if len(all) < 60 {
		t.Errorf("found %d tests named, which is too few: the form of their names has changed", len(all))
	}
	for _, name := range all {
		if !hasTest(t, filepath.Join("../..", name[1]), name[2]) {
			t.Errorf("%s has no %s", name[1], name[2])
		}
	}
}

// hasTest says whether a test file of the folder has that function.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ` + name + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			return true
		}
	}
	return false
}
