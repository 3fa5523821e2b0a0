package reconcile_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// What is spilled comes back as it was, nil and empty apart.
func FuzzUser(f *testing.F) {
	f.Add("auth0|1", "ada", "a@x.io", true, uint8(0), int64(0))
	f.Add("", "\x00\xff", strings.Repeat("x", 300), false, uint8(255), int64(-1))
	f.Fuzz(func(t *testing.T, a, b, c string, yes bool, which uint8, ms int64) {
		want := schema.User{UserID: a, UserName: b, EmailNorm: c, LinkID: a, Active: yes}
		list := [][]string{nil, {}, {a}, {a, b, ""}}[which%4]
		want.Groups, want.Organizations = list, list
		want.EmailVerified = []*bool{nil, &yes}[which>>2&1]
		if which>>3&1 == 1 {
			want.Identities = []schema.Identity{{Provider: a, Connection: b, UserID: c, IsSocial: want.EmailVerified}}
			want.Attributes = map[string]string{a: b, b: c}
		}
		if which>>4&1 == 1 {
			want.CreatedAt = new(time.UnixMilli(ms).UTC())
		}
		got, err := reconcile.DecodeUser(reconcile.AppendUser(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Bytes that were damaged are an error or another user, and no panic.
func FuzzDecode(f *testing.F) {
	f.Add(reconcile.AppendUser(nil, &schema.User{UserID: "auth0|1", Groups: []string{"a"}}))
	f.Add(reconcile.AppendDrift(nil, &reconcile.Drift{Type: reconcile.MFA, LeftID: "a\x00b"}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = reconcile.DecodeUser(b)
		_, _ = reconcile.DecodeDrift(b)
		_, _, _ = reconcile.CutKey(b)
	})
}

// Keys sort as their texts do, and none is the beginning of another.
func FuzzKey(f *testing.F) {
	f.Add("a", "a\x00", "x")
	f.Add("", "\x00\x01", "\xff")
	f.Fuzz(func(t *testing.T, a, b, rest string) {
		ka, kb := reconcile.AppendKey(nil, a), reconcile.AppendKey(nil, b)
		if got, want := bytes.Compare(append(ka, rest...), kb) < 0, a < b; a != b && got != want {
			t.Errorf("%q before %q: got %v, want %v", a, b, got, want)
		}
		key, left, ok := reconcile.CutKey(append(ka, rest...))
		if !ok || key != a || string(left) != rest {
			t.Errorf("%q, %q: got %q, %q, %v", a, rest, key, left, ok)
		}
	})
}

func TestDriftRoundTrip(t *testing.T) {
	want := reconcile.Drift{
		Type: reconcile.Candidate, Severity: "low", Confidence: "exact", PersonKey: "k", LeftID: "a\x00", LeftName: "b\x00\xff",
		RightID: "c", RightName: "\x00\x01", Rule: "K1", Field: "f", LeftValue: "", RightValue: "v", Detail: "d",
	}
	got, err := reconcile.DecodeDrift(reconcile.AppendDrift(nil, &want))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
