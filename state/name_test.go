package state_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/state"
)

// A process that was killed while it named a folder left its file there for good.
func TestNamingLeavesNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(t *testing.T, dir, name string)
	}{
		{"killed before the name was there", func(t *testing.T, dir, _ string) {
			t.Helper()
			left := filepath.Join(dir, ".new-123")
			before := time.Now().Add(-time.Hour)
			if err := os.WriteFile(left, []byte("other\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(left, before, before); err != nil {
				t.Fatal(err)
			}
		}},
		{"killed after", func(t *testing.T, dir, name string) {
			t.Helper()
			if err := os.Link(filepath.Join(dir, "state.id"), filepath.Join(dir, ".new-123")); err != nil {
				t.Fatal(name, err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			name, err := state.Local(dir).Name()
			if err != nil {
				t.Fatal(err)
			}
			tt.leave(t, dir, name)
			if again, err := state.Local(dir).Name(); err != nil || again != name {
				t.Errorf("got %s, error %v, want %s", again, err, name)
			}
			wantOnlyID(t, dir)
		})
	}
}

func wantOnlyID(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "state.id" {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// Whoever names a folder at the same time gets the same name.
func TestNamingAtOnce(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		names := make([]string, 8)
		var group sync.WaitGroup
		for i := range names {
			group.Go(func() {
				name, err := state.Local(dir).Name()
				if err != nil {
					t.Error(err)
				}
				names[i] = name
			})
		}
		group.Wait()
		for _, name := range names {
			if name != names[0] || !strings.HasPrefix(name, "local:") {
				t.Errorf("got %v", names)
			}
		}
		wantOnlyID(t, dir)
	}
}
