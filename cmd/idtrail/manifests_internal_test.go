package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

// TestManifestsContract: a lake with manifests elsewhere is a store like others.
func TestManifestsContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		return withManifests{Store: openDir(t), manifests: openDir(t)}
	})
}

func openDir(t *testing.T) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestManifestsLieElsewhere(t *testing.T) {
	lake, notes := openDir(t), openDir(t)
	both := withManifests{Store: lake, manifests: notes}
	put := func(s blob.Store, keys ...string) {
		t.Helper()
		for _, key := range keys {
			if _, err := s.PutNew(t.Context(), key, strings.NewReader(key)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(both, "events/a", "manifests/acme/1.note", "manifest", "manifests0", "users/b")
	put(lake, "manifests/stray")
	put(notes, "other")
	for _, tt := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", []string{"events/a", "manifest", "manifests/acme/1.note", "manifests0", "users/b"}},
		{"", "manifests/b", []string{"manifests0", "users/b"}},
		{"manifest", "", []string{"manifest", "manifests/acme/1.note", "manifests0"}},
		{"manifests/", "", []string{"manifests/acme/1.note"}},
		{"manifests/acme/", "manifests/acme/1.note", nil},
		{"users/", "", []string{"users/b"}},
	} {
		if diff := cmp.Diff(tt.want, keysOf(t, both, tt.prefix, tt.after)); diff != "" {
			t.Errorf("list %q after %q (-want +got):\n%s", tt.prefix, tt.after, diff)
		}
	}
	if got := keysOf(t, notes, "manifests/", ""); !slices.Equal(got, []string{"manifests/acme/1.note"}) {
		t.Errorf("the notes' place holds %v", got)
	}
	for i, info := range infosOf(t, both, "manifests/") {
		r, err := both.OpenAt(t.Context(), info)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range both.List(ctx, "", "") {
		if err == nil {
			t.Error("a list goes on after the context has ended")
		}
	}
}

func infosOf(t *testing.T, s blob.Store, prefix string) []blob.Info {
	t.Helper()
	var all []blob.Info
	for info, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info)
	}
	return all
}

func keysOf(t *testing.T, s blob.Store, prefix, after string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}
