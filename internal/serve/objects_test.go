package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/serve"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// ticking is a tenant in which somebody signs in every minute. Its cursor is the
// minute; the last ten are read again.
type ticking struct{ name string }

func (s ticking) Name() string { return s.name }

func (ticking) Overlap() time.Duration { return 10 * time.Minute }

func (ticking) Start(t time.Time) extract.Cursor { return cursorOf(t) }

func cursorOf(t time.Time) extract.Cursor { return extract.Cursor(fmt.Sprint(t.Unix() / 60)) }

func (s ticking) Pages(_ context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		var begin int64
		if err := json.Unmarshal([]byte(from), &begin); err != nil {
			yield(extract.Page{}, err)
			return
		}
		now := time.Now()
		page := extract.Page{Next: cursorOf(now)}
		for minute := begin - 10; minute < now.Unix()/60; minute++ {
			page.Records = append(page.Records, signIn(minute))
		}
		yield(page, nil)
	}
}

func signIn(minute int64) schema.Raw {
	at := time.Unix(minute*60, 0).UTC()
	id := fmt.Sprintf("900%053d", minute)
	line := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","user_id":"auth0|%d","ip":"192.0.2.1"}`, id, at.Format("2006-01-02T15:04:05.000Z"), minute%50)
	return schema.Raw{Kind: schema.KindAuth0Log, ID: id, Time: at, Bytes: []byte(line)}
}

// TestObjectsOfADay runs real jobs every five minutes for two days, and counts
// what they leave of a source: about one object of events an hour, one flush
// record for each, one segment a run, and some bytes of state for each segment.
func TestObjectsOfADay(t *testing.T) {
	if testing.Short() {
		t.Skip("two days of runs are long")
	}
	dir := t.TempDir()
	raw, store := blobtest.NewMemory(), blobtest.NewMemory()
	sizes := map[int]int64{}
	synctest.Test(t, func(t *testing.T) {
		until(time.Date(2026, 5, 3, 23, 59, 0, 0, time.UTC))
		sink := lake.NewParquet(lake.Options{
			Name: "lake", Store: store, TempDir: dir, Writer: "test", Mapping: transform.Version, Every: time.Hour,
			MaxBytes: 256 << 20, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		p := &pipeline.Pipeline{StateDir: filepath.Join(dir, "state"), Raw: raw, Lake: store, Sinks: []pipeline.Sink{{Sink: sink}}, TempDir: dir, Now: time.Now}
		var sources []pipeline.Source
		for _, name := range []string{"acme"} {
			sources = append(sources, pipeline.Source{
				Name: name, Kind: "script", Mapper: &transform.Mapper{}, Since: time.Now(),
				Open: func(extract.Ledger) (extract.Source, error) { return ticking{name}, nil },
			})
		}
		o := options(serve.Job{Name: "audit", Schedule: mustParse(t, "*/5 * * * *", time.UTC), Run: func(ctx context.Context) serve.Result {
			for _, r := range p.Run(ctx, sources).Sources {
				if r.Failed() {
					t.Errorf("run failed: %v %+v", r.Err, r.Sinks)
					return serve.Failed
				}
			}
			return serve.Done
		}})
		s := serve.New(o)
		stop := start(t, s)
		for day := 4; day < 6; day++ {
			until(time.Date(2026, 5, day+1, 0, 0, 30, 0, time.UTC))
			sizes[day] = stateSize(t, filepath.Join(dir, "state", "acme.db"))
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		// Both days from 0:00 on, and the one of the midnight after.
		wantMetric(t, s, `idtrail_job_runs_total{job="audit",result="done"} 577`)
		wantMetric(t, s, `idtrail_job_skipped_total{job="audit"} 0`)
	})
	counts := map[string]int{}
	for _, m := range []*blobtest.Memory{store, raw} {
		for key := range m.Objects() {
			counts[kindOf(key)]++
		}
	}
	t.Logf("objects: %v; bytes of state by day: %v", counts, sizes)
	if grown := sizes[5] - sizes[4]; grown > 100<<10 {
		t.Errorf("the state grew by %d bytes in a day of 288 segments, want at most 100 KiB", grown)
	}
	const days = 2
	for _, table := range []string{"events source=acme dt=2026-05-04", "events source=acme dt=2026-05-05"} {
		if n := counts[table]; n < 23 || n > 30 {
			t.Errorf("%s: %d objects, want about one an hour", table, n)
		}
	}
	if n := counts["flushes acme"]; n < 24*days || n > 30*days {
		t.Errorf("%d flush records of a source in %d days, want about one an hour", n, days)
	}
	if n := counts["segments acme"]; n < 576 || n > 580 {
		t.Errorf("%d segments of a source, want one a run, and the first", n)
	}
}

// kindOf groups keys by table, source and day.
func kindOf(key string) string {
	parts := strings.Split(key, "/")
	switch {
	case parts[0] == "events":
		return strings.Join(parts[:3], " ")
	case parts[0] == "flushes":
		return "flushes " + parts[2]
	case strings.HasSuffix(key, ".ndjson.zst"):
		return "segments " + parts[len(parts)-2]
	default:
		return parts[0]
	}
}

func stateSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
