package serve_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/verify"
)

// wantNothingLeft wants no temporary files while nothing runs, and no copies of
// states but the newest two of each.
func (w *world) wantNothingLeft() {
	for _, pattern := range []string{"tmp/*", "state/*tmp*", "state/*-wal", "state/*.read*", "state/.new*"} {
		names, err := filepath.Glob(filepath.Join(w.dir, pattern))
		if err != nil || len(names) > 0 {
			w.t.Errorf("%s: left behind: %v, %v", time.Now(), names, err)
		}
	}
	const sources, each = 4, 3 // the object, and two copies
	if n := w.shared.Len(); n > sources*each {
		w.t.Errorf("%s: %d objects of states in the store, want %d at most", time.Now(), n, sources*each)
	}
}

// wantRuns holds what was run against the schedules: every five minutes of the
// time that passed, whatever the clocks said, but for the two times that each
// slow run was still under way.
func (w *world) wantRuns() {
	w.t.Helper()
	last := w.end.Add(-time.Minute)
	audit := int64(last.Sub(w.begin)/(5*time.Minute)) + 1
	quiet := int64(last.Sub(w.begin.Add(2*time.Minute))/(5*time.Minute)) + 1
	skipped := 2 * w.slow.Load()
	if skipped == 0 {
		w.t.Error("no run was slow")
	}
	wantMetric(w.t, w.service, fmt.Sprintf(`idtrail_job_runs_total{job="audit",result="done"} %d`, audit-skipped))
	wantMetric(w.t, w.service, fmt.Sprintf(`idtrail_job_skipped_total{job="audit"} %d`, skipped))
	wantMetric(w.t, w.service, fmt.Sprintf(`idtrail_job_runs_total{job="quiet",result="done"} %d`, quiet))
	wantMetric(w.t, w.service, `idtrail_job_skipped_total{job="quiet"} 0`)
	wantMetric(w.t, w.service, `idtrail_job_skipped_total{job="nightly"} 0`)
}

// wantNights wants one run of the nightly job a night, on each date.
func (w *world) wantNights() {
	w.t.Helper()
	due := 0
	for day := w.begin; day.Before(w.end); day = day.AddDate(0, 0, 1) {
		for _, day := range []time.Time{day, w.end} {
			if at := time.Date(day.Year(), day.Month(), day.Day(), 2, 31, 0, 0, w.zone); at.Before(w.begin) || !at.Before(w.end) {
				continue
			}
			if n := w.nights[day.Format(time.DateOnly)]; n != 1 {
				w.t.Errorf("the night of %s: %d runs, want 1", day.Format(time.DateOnly), n)
			}
		}
		due++
	}
	if len(w.nights) > due || len(w.nights) == 0 {
		w.t.Errorf("nights with runs: %d, want about %d", len(w.nights), due)
	}
}

// wantRecords wants every sign-in up to the last run to be landed once, and to
// have come to the receiver.
func (w *world) wantRecords() {
	w.t.Helper()
	for src, offset := range map[*tenant]time.Duration{&w.acme: 0, &w.quiet: 2 * time.Minute} {
		// The last run; the first, too, reads the ten minutes before its cursor.
		last := w.begin.Add(offset + w.end.Add(-time.Minute).Sub(w.begin.Add(offset)).Truncate(5*time.Minute))
		want, got := src.expected(w.begin.Add(-10*time.Minute), last), w.totals[src.name]
		if got.landed != want || got.read != got.landed+got.repeated {
			w.t.Errorf("%s: read %d, landed %d, repeated %d, want %d landed", src.name, got.read, got.landed, got.repeated, want)
		}
		if n := w.siem.next[src.prefix]; n*60 < last.Unix() {
			w.t.Errorf("%s: the receiver has the sign-ins before minute %d, want all before %d", src.name, n, last.Unix()/60)
		}
	}
	if w.siem.notices < w.totals["acme"].runs {
		w.t.Errorf("the receiver was told of %d things beside, want one a run at least", w.siem.notices)
	}
}

// wantVerified reads everything as an auditor does.
func (w *world) wantVerified(deep bool) {
	w.t.Helper()
	began := time.Now()
	r, err := verify.Run(w.t.Context(), verify.Options{Raw: w.raw, Lake: w.lake, Keys: w.keys, HaveKeys: true, Deep: deep, TempDir: w.dir})
	if err != nil || !r.OK() || len(r.Sources) != 4 {
		w.t.Errorf("verify: %v, %d sources, %+v", err, len(r.Sources), r.Findings[:min(len(r.Findings), 5)])
	}
	for _, s := range r.Sources {
		if s.Records != w.totals[s.Source].landed || s.Signed != s.Notes || s.Proven != s.Segments {
			w.t.Errorf("verify %s: %d records, want %d; %d of %d notes signed, %d of %d segments proven",
				s.Source, s.Records, w.totals[s.Source].landed, s.Signed, s.Notes, s.Proven, s.Segments)
		}
		if s.Records == 0 {
			continue
		}
		sink := s.Sinks[0]
		if sink.Records+sink.Pending != s.Records || sink.Rejected > 0 || sink.Events+sink.Users != sink.Records {
			w.t.Errorf("verify %s: %+v", s.Source, sink)
		}
		w.t.Logf("verified %s: %d records, %d segments, %d notes, %d flushes", s.Source, s.Records, s.Segments, s.Notes, sink.Flushes)
	}
	w.t.Logf("verify took %s (deep: %v)", time.Since(began).Round(time.Millisecond), deep)
}

// made is what was made of a kind on one day.
type made struct {
	objects int
	bytes   int64
}

// made are the objects of each kind made on each day, of UTC: all have 24 hours.
func (w *world) made() map[string]map[string]made {
	days := map[string]map[string]made{}
	for _, store := range []*meter{w.raw, w.lake} {
		for info, err := range store.Packed.List(context.Background(), "", "") {
			if err != nil {
				w.t.Fatal(err)
			}
			kind, day := kindOf(info.Key), info.Modified.UTC().Format(time.DateOnly)
			if days[kind] == nil {
				days[kind] = map[string]made{}
			}
			sum := days[kind][day]
			days[kind][day] = made{sum.objects + 1, sum.bytes + info.Size}
		}
	}
	return days
}

// kindOf says of which source a key is, if of one, and what it is.
func kindOf(key string) string {
	parts := strings.Split(key, "/")
	switch {
	case strings.HasSuffix(key, ".ndjson.zst"):
		return parts[0] + " segments"
	case parts[0] == "flushes":
		return parts[2] + " flush records"
	case parts[0] == "manifests":
		return parts[1] + " checkpoints"
	case len(parts) > 1 && strings.HasPrefix(parts[1], "source="):
		return strings.TrimPrefix(parts[1], "source=") + " " + parts[0]
	default:
		return parts[0]
	}
}

// wantFewObjects holds the objects of a source and day against the plan: those
// of the lake's tables are about 30 at most.
func (w *world) wantFewObjects() {
	w.t.Helper()
	plan := map[string]int{
		"acme events": 26, "acme flush records": 25, "acme segments": 290, "acme checkpoints": 289,
		"quiet events": 4, "quiet flush records": 4, "quiet segments": 5, "quiet checkpoints": 5,
		"drift": 1, "drift_json": 1, "reports": 3, "persons": 1, "persons_json": 1, "owner.json": 1,
	}
	for _, source := range []string{"users", "pool"} {
		for what, n := range map[string]int{"users": 1, "snapshots": 1, "flush records": 1, "segments": 2, "checkpoints": 1} {
			plan[source+" "+what] = n
		}
	}
	for kind, days := range w.made() {
		for day, m := range days {
			if m.objects > plan[kind] {
				w.t.Errorf("%s: %d objects of %s, want at most %d", day, m.objects, kind, plan[kind])
			}
		}
	}
}

// wantFlat wants the last period to take what an early one took, by which all
// had begun that does: whatever grows with the time that passed is there for all
// of it.
func (w *world) wantFlat() {
	w.t.Helper()
	first, last := w.seen[min(2, len(w.seen)-2)], w.seen[len(w.seen)-1]
	const ofRuntime = 3 // goroutines that come and go
	if last.goroutines > first.goroutines+ofRuntime || last.descriptors != first.descriptors {
		w.t.Errorf("%d goroutines, %d open files; in %s there were %d and %d",
			last.goroutines, last.descriptors, first.period, first.goroutines, first.descriptors)
	}
	// The stores of this test keep where each object lies.
	const ofObject = 240
	if grown := last.heap - first.heap - ofObject*(last.objects-first.objects); grown > 4<<20 {
		w.t.Errorf("the heap grew by %d KiB", grown>>10)
	}
	// 288 segments of a day are indexed.
	days := int64(max(1, w.end.Sub(w.begin).Hours()/24))
	if grown := last.state - first.state; grown > 80<<10*days {
		w.t.Errorf("the state grew by %d KiB in %d days, want at most 80 a day", grown>>10, days)
	}
	for _, u := range w.sortedUses() {
		if u.period != last.period {
			continue
		}
		then, ok := w.used[use{u.of, u.what, first.period}]
		now := w.used[u]
		if w.p.State != nil {
			// The index of segments is copied, which grows by one with each.
			now.Up, then.Up = 0, 0
		}
		if ok && !now.within(then) {
			w.t.Errorf("a run of %s (%s) took %+v, in %s %+v", u.of, u.what, now, first.period, then)
		}
	}
}

// report logs what there is to know about sizes and costs.
func (w *world) report() {
	for i, s := range w.seen[1:] {
		before := w.seen[i]
		runs := max(1, s.runs-before.runs)
		w.t.Logf("%s: %5.2f ms of CPU a run; heap %d KiB, %d objects, state %d KiB",
			s.period, float64((s.cpu-before.cpu).Microseconds())/1000/float64(runs), s.heap>>10, s.objects, s.state>>10)
	}
	last := w.seen[len(w.seen)-1]
	for _, u := range w.sortedUses() {
		if u.period == last.period {
			w.t.Logf("a run of %s (%s): at most %+v", u.of, u.what, w.used[u])
		}
	}
	for kind, days := range w.made() {
		var sum made
		for _, m := range days {
			sum.objects, sum.bytes = sum.objects+m.objects, sum.bytes+m.bytes
		}
		w.t.Logf("%s: %d objects of %d bytes on %d days", kind, sum.objects, sum.bytes/int64(sum.objects), len(days))
	}
	for _, store := range w.stores() {
		w.t.Logf("requests: %+v", store.count())
	}
}
