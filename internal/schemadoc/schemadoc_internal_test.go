package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/schema"
)

const root = "../.."

// The document is what the types and the mapping say now.
func TestSchemaIsFresh(t *testing.T) {
	t.Parallel()
	want, err := write(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "SCHEMA.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/SCHEMA.md is stale: make docs (-want +got)\n%s", diff)
	}
}

// A table that a query engine is told of is one that is described, and as a
// query engine is told.
func TestEveryTableIsDescribed(t *testing.T) {
	for _, table := range schema.Tables() {
		row, ok := rowTypes[table.Name]
		if !ok {
			t.Errorf("table %s is not described", table.Name)
			continue
		}
		described := map[string]string{}
		for _, c := range columnsOf(row) {
			described[c.path] = c.sqlType
		}
		for _, leaf := range table.Leaves() {
			list := slices.ContainsFunc(columnsOf(row), func(c column) bool {
				return strings.HasPrefix(c.path, leaf.Name+"[].")
			})
			if described[leaf.Name] != leaf.Type && !list {
				t.Errorf("%s.%s: described as %q, is %q", table.Name, leaf.Name, described[leaf.Name], leaf.Type)
			}
		}
	}
}

// What changing a field shows is where it goes.
func TestTrace(t *testing.T) {
	s, err := newSample(schema.KindAuth0User, []byte(`{"user":{"user_id":"auth0|1","email":"ada@acme.example","blocked":true,
		"created_at":"2026-01-01T00:00:00.000Z","app_metadata":{"department":"x"}},"roles":[{"name":"admin"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	learned := &trace{
		takes: map[schema.Kind]map[string]map[string]int{}, alters: map[schema.Kind]map[string]map[string]int{},
		constant: map[schema.Kind]map[string]string{}, examples: map[string]map[string]string{"users": {}},
	}
	learned.learn("users", s)
	for path, want := range map[string]string{
		"user_id": "Auth0: `user_id`", "email_norm": "Auth0: `email`", "active": "Auth0: by `blocked`", "created_at": "Auth0: `created_at`",
		"roles": "Auth0: `roles[].name`", "attributes": "Auth0: `app_metadata.department`", "locale": "nothing yet",
	} {
		if got := learned.source("users", path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// Long lists are shown by what they have in common.
func TestGather(t *testing.T) {
	got := gather(map[string]int{"a.b.c": 1, "a.b.d": 2, "a.b.e": 1, "a.f": 1, "g": 7}, 3)
	if diff := cmp.Diff(map[string]int{"a.b.*": 2, "a.f": 1, "g": 7}, got); diff != "" {
		t.Error(diff)
	}
}
