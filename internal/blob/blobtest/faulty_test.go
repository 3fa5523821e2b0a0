package blobtest_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

var errLost = errors.New("lost")

// operations do each operation once on a store that holds "old".
func operations(t *testing.T, s blob.Store, old blob.Info) map[string]func(context.Context) error {
	t.Helper()
	return map[string]func(context.Context) error{
		blobtest.OpGet: func(ctx context.Context) error {
			_, _, err := s.Get(ctx, "old")
			return err
		},
		blobtest.OpHead: func(ctx context.Context) error {
			_, err := s.Head(ctx, "old")
			return err
		},
		blobtest.OpPutNew: func(ctx context.Context) error {
			_, err := s.PutNew(ctx, "new", strings.NewReader("new"))
			return err
		},
		blobtest.OpPutMatch: func(ctx context.Context) error {
			_, err := s.PutMatch(ctx, "old", old.ETag, strings.NewReader("changed"))
			return err
		},
		blobtest.OpDelete: func(ctx context.Context) error { return s.Delete(ctx, "old") },
		blobtest.OpList: func(ctx context.Context) error {
			for _, err := range s.List(ctx, "", "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func TestFaulty(t *testing.T) {
	// What the store holds after each operation that is done.
	done := map[string]map[string]string{
		blobtest.OpPutNew:   {"old": "old", "new": "new"},
		blobtest.OpPutMatch: {"old": "changed"},
		blobtest.OpDelete:   {},
	}
	untouched := map[string]string{"old": "old"}
	for _, op := range []string{
		blobtest.OpGet, blobtest.OpHead, blobtest.OpPutNew, blobtest.OpPutMatch, blobtest.OpList, blobtest.OpDelete,
	} {
		for _, lost := range []string{"request", "answer"} {
			t.Run(op+" "+lost, func(t *testing.T) {
				m := blobtest.NewMemory()
				old, err := m.PutNew(t.Context(), "old", strings.NewReader("old"))
				if err != nil {
					t.Fatal(err)
				}
				var calls []string
				hook := func(op, key string) error {
					calls = append(calls, op+" "+key)
					return errLost
				}
				f := &blobtest.Faulty{Store: m}
				want := untouched
				if lost == "request" {
					f.Before = hook
				} else {
					f.After = hook
					if w, ok := done[op]; ok {
						want = w
					}
				}
				if err := operations(t, f, old)[op](t.Context()); !errors.Is(err, errLost) {
					t.Errorf("got %v, want the hook's error", err)
				}
				if len(calls) != 1 || !strings.HasPrefix(calls[0], op+" ") {
					t.Errorf("calls = %q, want one of %s", calls, op)
				}
				if got := contents(m); !maps.Equal(got, want) {
					t.Errorf("the store holds %v, want %v", got, want)
				}
			})
		}
	}
}

// TestFaultyOwnErrors: After is for what is done.
func TestFaultyOwnErrors(t *testing.T) {
	f := &blobtest.Faulty{Store: blobtest.NewMemory(), After: func(string, string) error { return errLost }}
	if _, err := f.Head(t.Context(), "none"); !errors.Is(err, blob.ErrNotExist) || errors.Is(err, errLost) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

// TestFaultyList: the answer is lost behind the last object.
func TestFaultyList(t *testing.T) {
	m := blobtest.NewMemory()
	for _, key := range []string{"a", "b"} {
		if _, err := m.PutNew(t.Context(), key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	f := &blobtest.Faulty{Store: m, After: func(string, string) error { return io.ErrUnexpectedEOF }}
	var keys []string
	var last error
	for info, err := range f.List(t.Context(), "", "") {
		keys, last = append(keys, info.Key), err
	}
	if !slices.Equal(keys, []string{"a", "b", ""}) || !errors.Is(last, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v, want both and then the error", keys, last)
	}
}

func contents(m *blobtest.Memory) map[string]string {
	got := map[string]string{}
	for key, content := range m.Objects() {
		got[key] = string(content)
	}
	return got
}
