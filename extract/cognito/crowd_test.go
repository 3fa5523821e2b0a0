package cognito_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

// crowd reads n users in two groups; look is called now and then.
func crowd(tb testing.TB, n int, look func()) {
	tb.Helper()
	server := fake.NewCognito(fake.CognitoOptions{Users: fake.CognitoCrowd(n), NoJournal: true})
	src, err := cognito.New(cognito.Options{
		Name: "pool", UserPoolID: fake.PoolID, AWS: config(server), Now: time.Now, Rate: 1e9, SettingsRate: 1e9, SkipSettings: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	users, tenth, pages := 0, 0, 0
	var counts map[string]int64
	for page, err := range src.Pages(context.Background(), "") {
		if err != nil {
			tb.Fatal(err)
		}
		for _, r := range page.Records {
			if r.Kind == schema.KindCognitoUser {
				users++
				if strings.Contains(string(r.Bytes), `"tenth"`) {
					tenth++
				}
			}
		}
		if pages++; pages%500 == 1 {
			look()
		}
		counts = page.Snapshot.Counts
	}
	if users != n || tenth != n/10 || counts["memberships"] != int64(n+n/10) {
		tb.Fatalf("got %d users, %d of them in the second group, counts %v", users, tenth, counts)
	}
}

// highWater is the most memory this process has had, as the kernel counts it:
// the fake is in it.
func highWater(tb testing.TB) int64 {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip("no /proc here")
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kib << 10
		}
	}
	tb.Fatal("no VmHWM")
	return 0
}

// TestCrowd: what is held grows with memberships and the shards that are open,
// not with users.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100,000 users")
	}
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := live(), int64(0)
	crowd(t, 100_000, func() { most = max(most, live()) })
	// 110,000 memberships are 1.7 MB; the subs seen in open shards up to 6 MB.
	if got := (most - before) >> 10; got > 16<<10 {
		t.Errorf("%d KiB are held, want 16 MiB at most", got)
	}
}

// BenchmarkMillion is to be run alone: its peak is that of the whole process.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		crowd(b, 1_000_000, func() {})
		b.ReportMetric(float64(highWater(b)>>20), "peak-MiB")
	}
}
