package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// found is what a check found, where all is well.
type found struct{ records, events, users, repeated int }

func (f found) String() string {
	return fmt.Sprintf("%d records and %d events exactly once, %d rows of users, %d events twice at receivers", f.records, f.events, f.users, f.repeated)
}

// wrongs gathers what is wrong, the first of each kind in words.
type wrongs struct {
	n    map[string]int
	says []string
}

func (w *wrongs) add(what, format string, args ...any) {
	if w.n == nil {
		w.n = map[string]int{}
	}
	if w.n[what]++; w.n[what] <= 5 {
		w.says = append(w.says, what+": "+fmt.Sprintf(format, args...))
	}
}

func (w *wrongs) err() error {
	if len(w.n) == 0 {
		return nil
	}
	return fmt.Errorf("%v\n  %s", w.n, strings.Join(w.says, "\n  "))
}

func (w *world) sources() []string {
	all := []string{"acme", "acme_users", "pool", "history", "old", "files"}
	if w.store != nil {
		all = append(all, "trail")
	}
	return all
}

// check holds everything against what is true.
func (w *world) check(ctx context.Context) (f found, err error) {
	var wrong wrongs
	_, _, rawDir, lakeDir := w.places()
	events, users := map[string]int{}, map[string]int{} // by source and id, what the lake has to hold
	ids := map[string]bool{}
	chains := map[string]*chain{}
	rejected := 0
	for _, source := range w.sources() {
		c, err := readChain(filepath.Join(rawDir, source))
		if err != nil {
			return f, err
		}
		chains[source] = c
		f.records += len(c.records)
		if c.gaps > 0 {
			wrong.add("gap", "%s declares %d gaps, and nothing was lost", source, c.gaps)
		}
		if source == "acme_users" || source == "pool" {
			w.checkSnapshots(source, c, &wrong)
		} else {
			w.checkRecords(source, c, &wrong)
		}
		rejected += expect(source, c, expected{events: events, users: users, ids: ids})
	}
	f.events, f.users = len(events), len(users)
	if err := w.checkLake(ctx, lakeDir, expected{events: events, users: users}, rejected, &wrong); err != nil {
		return f, err
	}
	f.repeated = w.checkReceivers(ids, &wrong)
	w.checkStatus(ctx, chains, &wrong)
	w.checkVerify(ctx, &wrong)
	w.checkLitter(&wrong)
	w.count(f, &wrong)
	return f, wrong.err()
}

func (w *world) count(f found, wrong *wrongs) {
	w.tally.add("records checked, each time anew", f.records)
	w.tally.add("events checked, each time anew", f.events)
	for _, what := range []string{"lost", "doubled", "altered"} {
		w.tally.add(what, wrong.n[what+" in raw"]+wrong.n[what+" in lake"])
	}
}

// checkRecords wants every record once, as it was given.
func (w *world) checkRecords(source string, c *chain, wrong *wrongs) {
	want := w.truth.of(source)
	seen := map[string]int{}
	for _, r := range c.records {
		id := nativeID(source, r.line)
		seen[id]++
		given, ok := want[id]
		switch {
		case !ok:
			wrong.add("made up in raw", "%s: %q", source, id)
		case seen[id] > 1:
			wrong.add("doubled in raw", "%s: %q", source, id)
		case !bytes.Equal(compact(transform.Scrub(kindOf(source), given)), compact(r.line)):
			wrong.add("altered in raw", "%s: %q: given %.300s, landed %.300s", source, id, given, r.line)
		}
	}
	for id := range want {
		if seen[id] == 0 {
			wrong.add("lost in raw", "%s: %q", source, id)
		}
	}
}

func compact(line []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, line) != nil {
		return line
	}
	return b.Bytes()
}

// checkSnapshots wants each complete snapshot to hold once whoever was there.
func (w *world) checkSnapshots(source string, c *chain, wrong *wrongs) {
	users := w.truth.usersOf(source)
	in := map[string]map[string]int{}
	for _, r := range c.records {
		if in[r.snapshot] == nil {
			in[r.snapshot] = map[string]int{}
		}
		id := nativeID(source, r.line)
		if r.kind == schema.KindSetting {
			continue
		}
		in[r.snapshot][id]++
		if _, ok := users[id]; !ok {
			wrong.add("made up in raw", "%s: %q", source, id)
		}
		if in[r.snapshot][id] > 1 {
			wrong.add("doubled in raw", "%s, snapshot %s: %q", source, r.snapshot, id)
		}
	}
	if len(c.complete) == 0 {
		wrong.add("lost in raw", "%s has no complete snapshot", source)
	}
	for snapshot, span := range c.complete {
		for id, since := range users {
			// By a clock that may have been set, to the second.
			if since.Before(span[0].Add(-3*time.Minute)) && in[snapshot][id] == 0 {
				wrong.add("lost in raw", "%s, snapshot %s: %q, there since %s", source, snapshot, id, since.UTC().Format(time.RFC3339))
			}
		}
	}
}

// expected is what has to be in the lake, and at receivers.
type expected struct {
	events, users map[string]int
	ids           map[string]bool
}

// expect maps what raw holds.
func expect(source string, c *chain, x expected) (rejected int) {
	m := &transform.Mapper{SelfClients: []string{"client"}}
	for _, r := range c.records {
		res, err := m.Map(r.kind, r.line, r.at)
		if err != nil {
			rejected++
			continue
		}
		for i := range res.Events {
			e := &res.Events[i]
			x.events[source+" "+e.Metadata.UID]++
			x.ids[schema.EventID(e)] = true
		}
		for _, u := range res.Users {
			x.users[source+" "+r.snapshot+" "+u.UserID]++
		}
	}
	return rejected
}

// checkLake reads every object of the lake.
func (w *world) checkLake(ctx context.Context, dir string, x expected, rejected int, wrong *wrongs) error {
	store, err := blob.OpenDir(dir)
	if err != nil {
		return err
	}
	for _, form := range []string{"", "_json"} {
		events, users, rejects := map[string]int{}, map[string]int{}, 0
		for key, err := range objects(dir) {
			if err != nil {
				return err
			}
			table, rest, _ := strings.Cut(key, "/")
			source, _, _ := strings.Cut(strings.TrimPrefix(rest, "source="), "/")
			switch table {
			case "events" + form:
				err = each(ctx, store, key, func(e schema.Event) { events[source+" "+e.Metadata.UID]++ })
			case "users" + form:
				err = each(ctx, store, key, func(u schema.User) { users[source+" "+snapshotOf(key)+" "+u.UserID]++ })
			case "rejected" + form:
				err = each(ctx, store, key, func(schema.Reject) { rejects++ })
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
		}
		compare("events"+form, events, x.events, wrong)
		compare("users"+form, users, x.users, wrong)
		if rejects != rejected {
			wrong.add("lost in lake", "%d rejects in rejected%s, want %d", rejects, form, rejected)
		}
	}
	return nil
}

func each[T any](ctx context.Context, store blob.Store, key string, f func(T)) error {
	for row, err := range lake.ReadTable[T](ctx, store, key) {
		if err != nil {
			return err
		}
		f(row)
	}
	return nil
}

func snapshotOf(key string) string {
	_, rest, _ := strings.Cut(key, "/snapshot=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

func compare(table string, got, want map[string]int, wrong *wrongs) {
	for key, n := range want {
		if got[key] < n {
			wrong.add("lost in lake", "%s: %s", table, key)
		}
	}
	for key, n := range got {
		if n > want[key] {
			what := "doubled in lake"
			if want[key] == 0 {
				what = "made up in lake"
			}
			wrong.add(what, "%s: %s: %d, want %d", table, key, n, want[key])
		}
	}
}

// objects of a folder, by their keys; half-written ones are not among them.
func objects(dir string) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if name := d.Name(); path != dir && (strings.HasPrefix(name, ".") || name == "tmp" || name == "raw") {
					return fs.SkipDir
				}
				return nil
			}
			key, err := filepath.Rel(dir, path)
			if err == nil && !yield(filepath.ToSlash(key), nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield("", err)
		}
	}
}

// checkReceivers wants every event at every receiver, and nothing there twice
// that no kill and no lost answer explains.
func (w *world) checkReceivers(ids map[string]bool, wrong *wrongs) (repeated int) {
	got := map[string]map[string]int{"hec": hecIDs(w.hec.Events()), "acks": hecIDs(w.acks.Events()), "dd": {}}
	for _, l := range w.datadog.Logs() {
		if !notice(l.Body) {
			got["dd"][l.EventID]++
		}
	}
	for _, sink := range slices.Sorted(maps.Keys(got)) {
		twice := 0
		for id := range ids {
			if got[sink][id] == 0 {
				wrong.add("lost at receiver", "%s: event %s", sink, id)
			}
		}
		for id, n := range got[sink] {
			if !ids[id] {
				wrong.add("made up at receiver", "%s: event %s", sink, id)
			}
			twice += n - 1
		}
		most := w.sent[sink].mayRepeat(len(w.sources()))
		if sink == "acks" {
			// An answer that says what was stored is given once: where it is lost,
			// all it tells of is sent again.
			most *= 8
		}
		if twice > most {
			wrong.add("doubled at receiver", "%s: %d events are there twice, at most %d may be", sink, twice, most)
		}
		repeated += twice
	}
	return repeated
}

func hecIDs(events []fake.HECEvent) map[string]int {
	ids := map[string]int{}
	for _, e := range events {
		if !notice(e.Event) {
			ids[e.Fields["event_id"]]++
		}
	}
	return ids
}

// notice says whether an event is one of idtrail's own.
func notice(body []byte) bool {
	for _, path := range []string{"metadata.log_name", "ocsf.metadata.log_name"} {
		if gjson.GetBytes(body, path).String() == "idtrail" {
			return true
		}
	}
	return false
}

// status is what is read of status --json.
type status struct {
	Sources []struct {
		Source string
		Totals struct{ Records, Segments int }
		Gaps   int `json:"gaps_total"`
		Sinks  []struct {
			Sink    string
			Waiting bool
			Pending struct{ Records, Gaps int }
			Tally   struct{ Records, Rejected int }
			Notices *struct{ Pending struct{ Count int } }
		}
		Error string
	}
}

func (w *world) status(ctx context.Context) (s status, err error) {
	p, err := w.start(ctx, w.anyHost(), nil, "status", "--json")
	if err != nil {
		return s, err
	}
	p.wait(runLimit)
	_ = w.steps(p)
	if p.code != 0 {
		return s, fmt.Errorf("status: it ended with %d: %s %s", p.code, gjson.Get(p.out.String(), "error"), p.last())
	}
	return s, json.Unmarshal(p.out.Bytes(), &s)
}

// left is what is still to be done.
func (w *world) left(ctx context.Context) (string, error) {
	s, err := w.status(ctx)
	if err != nil {
		return "", err
	}
	var left []string
	for _, source := range s.Sources {
		for _, k := range source.Sinks {
			if k.Pending.Records > 0 || k.Waiting || k.Notices != nil && k.Notices.Pending.Count > 0 {
				left = append(left, fmt.Sprintf("%s waits for %s: %+v", source.Source, k.Sink, k))
			}
		}
	}
	return strings.Join(left, "; "), nil
}

// checkStatus holds the counts that people are shown against raw.
func (w *world) checkStatus(ctx context.Context, chains map[string]*chain, wrong *wrongs) {
	s, err := w.status(ctx)
	if err != nil {
		wrong.add("status", "%v", err)
		return
	}
	for _, source := range s.Sources {
		c := chains[source.Source]
		if c == nil || source.Totals.Records != len(c.records) || source.Totals.Segments != c.segments || source.Gaps != 0 {
			wrong.add("status", "%s: %+v; raw has %d records in %d segments", source.Source, source.Totals, len(c.records), c.segments)
		}
	}
}

// checkVerify has the program verify its own work, deeply.
func (w *world) checkVerify(ctx context.Context, wrong *wrongs) {
	p, err := w.start(ctx, w.anyHost(), nil, "--json", "verify", "--deep")
	if err != nil {
		wrong.add("verify", "%v", err)
		return
	}
	p.wait(2 * time.Minute)
	_ = w.steps(p)
	if p.code != 0 {
		text := p.out.String()
		if r := gjson.Get(text, "findings"); r.Exists() {
			text = r.Raw
		}
		wrong.add("verify", "it ended with %d: %.3000s %s", p.code, text, p.last())
	}
}

// checkLitter wants no file left that a run should have removed.
func (w *world) checkLitter(wrong *wrongs) {
	for _, pattern := range []string{"lake/tmp/*", "lake/raw/tmp/*", "state/tmp/*", "state/.*", "cache-*/tmp/*", "cache-*/.*", "cache-*/*.tmp-*"} {
		files, _ := filepath.Glob(w.path(pattern)) // the patterns are well formed
		for _, f := range files {
			name := filepath.Base(f)
			if strings.HasPrefix(name, "persons-") || name == ".lock" {
				continue // the index stays, and what is left of making one goes when it is made again
			}
			info, err := os.Stat(f)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				wrong.add("litter", "%v", err)
				continue
			}
			wrong.add("litter", "%s, %d bytes, of %s", f, info.Size(), info.ModTime())
		}
	}
}
