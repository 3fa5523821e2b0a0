package fake_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

func TestTenantLogs(t *testing.T) {
	x := fake.NewTenant(fake.TenantOptions{Seed: 1, Users: 200, Logs: 5000, Days: 4})
	logs, again := x.Logs(), fake.NewTenant(fake.TenantOptions{Seed: 1, Users: 200, Logs: 5000, Days: 4}).Logs()
	other := fake.NewTenant(fake.TenantOptions{Seed: 2, Users: 200, Logs: 5000, Days: 4}).Logs()
	codes, last, differ := map[string]bool{}, "", false
	for i := range logs.Len() {
		id, rec := logs.ID(i), logs.Log(i)
		if id <= last || len(id) != 56 {
			t.Fatalf("record %d: id %s behind %s", i, id, last)
		}
		last = id
		if got := schema.KindAuth0Log.ID(rec); got != id || !json.Valid(rec) {
			t.Fatalf("record %d has the id %s, want %s, or is no JSON: %.200s", i, got, id, rec)
		}
		if at := schema.KindAuth0Log.Time(rec); !at.IsZero() && (at.Before(x.Begin().Add(-time.Minute)) || at.After(x.End())) {
			t.Errorf("record %d is of %v", i, at)
		}
		if !bytes.Equal(rec, again.Log(i)) {
			t.Fatalf("record %d differs from the same seed's", i)
		}
		differ = differ || !bytes.Equal(rec, other.Log(i))
		var head struct{ Type any }
		_ = json.Unmarshal(rec, &head)
		if s, ok := head.Type.(string); ok {
			codes[s] = true
		}
	}
	if !differ || len(codes) < 40 {
		t.Errorf("another seed differs: %v; got %d codes", differ, len(codes))
	}
	if odd := x.Oddities(); len(odd) != 20 {
		t.Errorf("got %d kinds of odd records: %v", len(odd), odd)
	}
}

// Every secret that is said to be planted is somewhere, else a search for it
// would prove nothing.
func TestTenantSecrets(t *testing.T) {
	x := fake.NewTenant(fake.TenantOptions{Seed: 3, Users: 600, Logs: 20000, Trail: 1000})
	var all bytes.Buffer
	logs := x.Logs()
	for i := range logs.Len() {
		all.Write(logs.Log(i))
	}
	if _, err := x.WriteAuth0Users(&all); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := x.WriteTrail(dir); err != nil {
		t.Fatal(err)
	}
	for _, text := range readTrail(t, dir) {
		all.Write(text)
	}
	for _, s := range x.Secrets() {
		if !bytes.Contains(all.Bytes(), []byte(s)) {
			t.Errorf("secret %s is nowhere", s)
		}
	}
}

func TestTenantUsers(t *testing.T) {
	x := fake.NewTenant(fake.TenantOptions{Seed: 4, Users: 1000})
	var left, right bytes.Buffer
	nLeft, err := x.WriteAuth0Users(&left)
	if err != nil {
		t.Fatal(err)
	}
	nRight, err := x.WriteCognitoUsers(&right)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(&left); lines.Scan(); {
		id := schema.KindAuth0User.ID(lines.Bytes())
		if id == "" || seen[id] {
			t.Errorf("auth0 user %q comes twice or has no id", id)
		}
		seen[id] = true
	}
	var list struct{ Users []json.RawMessage }
	if err := json.Unmarshal(right.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, u := range list.Users {
		id := schema.KindCognitoUser.ID(u)
		if id == "" || seen[id] {
			t.Errorf("cognito user %q comes twice or has no id", id)
		}
		seen[id] = true
	}
	if len(list.Users) != nRight || len(seen) != nLeft+nRight || nLeft < 950 || nRight < 930 {
		t.Errorf("got %d and %d users, %d ids", nLeft, nRight, len(seen))
	}
	drift := x.Drift()
	for _, kind := range []string{
		"missing_left", "missing_right", "attribute", "status", "groups", "mfa", "duplicate", "link_conflict", "candidate",
	} {
		if drift[kind] == 0 {
			t.Errorf("no drift of type %s", kind)
		}
	}
}

func TestTenantTrail(t *testing.T) {
	x := fake.NewTenant(fake.TenantOptions{Seed: 5, Trail: 2000, Days: 3})
	dir := t.TempDir()
	counts, err := x.WriteTrail(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := readTrail(t, dir)
	ids, records := map[string]bool{}, 0
	for name, text := range files {
		if !strings.Contains(name, "/AWSLogs/"+fake.AccountID+"/CloudTrail/") {
			t.Errorf("file %s", name)
		}
		var list struct{ Records []json.RawMessage }
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range list.Records {
			records++
			ids[schema.KindCloudTrail.ID(r)] = true
			if schema.KindCloudTrail.Time(r).IsZero() {
				t.Errorf("record without a time: %.200s", r)
			}
		}
	}
	if len(files) != counts.Files || records != counts.Records || len(ids) != counts.Events ||
		counts.Events != 2000 || counts.Repeats == 0 || counts.Events+counts.Repeats != counts.Records ||
		counts.Identity == 0 || counts.Identity == counts.Events {
		t.Errorf("got %d files, %d records, %d ids, want %+v", len(files), records, len(ids), counts)
	}
}

// readTrail unpacks the files below dir, by their name.
func readTrail(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		_, err = b.ReadFrom(z)
		files[filepath.ToSlash(name)] = b.Bytes()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Small companies have what there is room for, and nothing fails.
func TestTenantSmall(t *testing.T) {
	for users := 1; users < 60; users += 7 {
		x := fake.NewTenant(fake.TenantOptions{Users: users, Logs: users, Trail: users, Days: 1})
		for i := range x.Logs().Len() {
			if !json.Valid(x.Logs().Log(i)) {
				t.Errorf("%d users: record %d is no JSON", users, i)
			}
		}
		if _, err := x.WriteTrail(t.TempDir()); err != nil {
			t.Error(err)
		}
		if len(slices.Sorted(slices.Values(x.Secrets()))) == 0 {
			t.Error("no secrets")
		}
	}
}

func BenchmarkTenantLogs(b *testing.B) {
	logs := fake.NewTenant(fake.TenantOptions{Users: 2000, Logs: 50000, Days: 5}).Logs()
	n := 0
	for i := 0; b.Loop(); i++ {
		n += len(logs.Log(i % logs.Len()))
	}
	b.SetBytes(int64(n / b.N))
}
