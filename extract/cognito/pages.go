package cognito

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// Pages reads one snapshot; see the package comment. A cursor of a snapshot
// that is complete begins the next one, but never two within a second.
func (s *Source) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		stored, err := parseCursor(from)
		if err != nil {
			yield(extract.Page{}, err)
			return
		}
		cur, over := stored.resume(s.opts.Now(), s.opts.Every)
		if over {
			return
		}
		left := false // whoever left the loop is told nothing more, not of a cancelled read either
		r := &run{source: s, cur: cur, yield: func(p extract.Page, err error) bool {
			left = !yield(p, err)
			return !left
		}}
		if err := r.all(ctx); err != nil && !left {
			yield(extract.Page{}, fmt.Errorf("read user pool %s: %w", s.opts.UserPoolID, err))
		}
	}
}

// errStopped says that nobody takes pages any more.
var errStopped = errors.New("stopped")

// run is one reading of a snapshot, or of what is left of it.
type run struct {
	source *Source
	cur    cursor
	yield  func(extract.Page, error) bool

	// members is nil where memberships are not read.
	members   *members
	mfa       map[uint32]bool
	mfaDenied atomic.Bool
	// groups is how many there are, settings how many sections were handed on
	// before all of them were.
	groups, settings int64
}

func (r *run) all(ctx context.Context) error {
	if !r.cur.Settings || r.cur.Shards == 0 {
		if err := r.begin(ctx); err != nil {
			return err
		}
	}
	if !r.source.opts.SkipGroups {
		if err := r.readGroups(ctx); err != nil {
			return err
		}
	}
	if !r.cur.Settings {
		r.cur.Settings = true
		if !r.source.opts.SkipSettings {
			r.cur.count(map[string]int64{"settings": r.settings})
		}
		if err := r.give(ctx, nil); err != nil {
			return err
		}
	}
	if err := r.users(ctx); err != nil {
		return err
	}
	return r.end(ctx)
}

// give hands a page on, unless the run is over.
func (r *run) give(ctx context.Context, records []schema.Raw) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.yield(extract.Page{Records: records, Snapshot: r.cur.snapshot(), Next: r.cur.text()}, nil) {
		return errStopped
	}
	return nil
}

// begin reads the pool itself, chooses the shards and reads the settings.
func (r *run) begin(ctx context.Context) error {
	pool, err := r.source.describePool(ctx)
	if err != nil {
		return err
	}
	if r.cur.Shards == 0 {
		estimated := pool.data.Get("EstimatedNumberOfUsers")
		r.cur.Shards = orElse(r.source.opts.Shards, chooseShards(estimated.Int(), estimated.Exists()))
		if estimated.Exists() {
			r.cur.count(map[string]int64{"users_estimated": estimated.Int()})
		}
	}
	if r.source.opts.SkipSettings || r.cur.Settings {
		return nil
	}
	x := &sections{source: r.source, pool: pool, give: func(records []schema.Raw) error { return r.give(ctx, records) }}
	if err := x.read(ctx); err != nil {
		return err
	}
	r.settings += x.count
	return nil
}

// readGroups reads the groups and who is in them. A run that goes on with a
// snapshot reads them again: they are in no cursor.
func (r *run) readGroups(ctx context.Context) error {
	groups, err := r.source.listGroups(ctx)
	if err := r.settle(ctx, "group", groups, err); err != nil {
		return err
	}
	if err != nil {
		return r.settle(ctx, "group_members", nil, err)
	}
	m, err := r.source.readMembers(ctx, groups)
	if err := r.settle(ctx, "group_members", nil, err); err != nil || m == nil {
		return err
	}
	r.members, r.groups, r.mfa = m, int64(len(groups)), map[uint32]bool{}
	for _, name := range r.source.opts.MFA {
		i, ok := slices.BinarySearch(m.names, name)
		if !ok {
			r.source.opts.Logger.Warn("no such group to ask second factors for", slog.String("group", name))
			continue
		}
		r.mfa[uint32(i)] = true //nolint:gosec // a pool has 10,000 groups at most
	}
	return nil
}

// settle records how the reading of groups ended: not being allowed to does not
// void the users.
func (r *run) settle(ctx context.Context, section string, groups []gjson.Result, err error) error {
	x := &sections{source: r.source, give: func(records []schema.Raw) error { return r.give(ctx, records) }}
	wanted := !r.cur.Settings && !r.source.opts.SkipSettings
	if !wanted {
		x.give = func([]schema.Raw) error { return nil }
	}
	switch {
	case err != nil:
		err = x.put(section, "", nil, err)
	case section == "group":
		err = x.putAll(section, "GroupName", groups)
	default:
		err = x.put(section, "", nil, nil)
	}
	if err != nil {
		return err
	}
	if wanted {
		r.settings += x.count
	}
	return x.flush()
}

// users reads the shards that are not done, some at a time. Pages come in an
// order that depends on what is read only, not on which answer came first.
func (r *run) users(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	readers, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		_ = readers.Wait() // they return nothing: what went wrong is in their pages
	}()
	rows := &rows{run: r, start: func(h *shard) chan listing {
		out := make(chan listing, 1)
		readers.Go(func() error { h.read(ctx, out); return nil })
		return out
	}}
	for _, name := range shardNames(r.cur.Shards) {
		if !slices.Contains(r.cur.Done, name) {
			rows.waiting = append(rows.waiting, name)
		}
	}
	return rows.read(ctx)
}

// rows are the shards that are read at the moment.
type rows struct {
	run     *run
	start   func(*shard) chan listing
	waiting []string
	open    []row
}

type row struct {
	name string
	out  chan listing
}

func (s *rows) read(ctx context.Context) error {
	for {
		for len(s.open) < s.run.source.workers() && len(s.waiting) > 0 {
			name := s.waiting[0]
			s.waiting = s.waiting[1:]
			h := &shard{run: s.run, prefix: name, seen: map[subKey]struct{}{}}
			s.open = append(s.open, row{name, s.start(h)})
		}
		if len(s.open) == 0 {
			return nil
		}
		if err := s.turn(ctx); err != nil {
			return err
		}
	}
}

// turn takes a page of every open shard.
func (s *rows) turn(ctx context.Context) error {
	var left []row
	for _, o := range s.open {
		var page listing
		select {
		case page = <-o.out:
		case <-ctx.Done():
			return ctx.Err()
		}
		if page.err != nil {
			return fmt.Errorf("read shard %q: %w", o.name, page.err)
		}
		if page.last {
			s.run.cur.finish(o.name, page.counts)
		} else {
			left = append(left, o)
		}
		if err := s.run.give(ctx, page.records); err != nil {
			return err
		}
	}
	s.open = left
	return nil
}

// end hands on the page that completes the snapshot.
func (r *run) end(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.compare()
	counts := map[string]int64{}
	maps.Copy(counts, r.cur.Counts)
	if r.members != nil {
		counts["groups"], counts["memberships"] = r.groups, r.members.count()
	}
	var records []schema.Raw
	if len(r.mfa) > 0 && !r.source.opts.SkipSettings {
		records = []schema.Raw{r.mfaSetting()}
	}
	snap := r.cur.snapshot()
	snap.Complete, snap.End, snap.Counts = true, r.source.opts.Now().UTC(), counts
	over := cursor{Snapshot: r.cur.Snapshot, Started: r.cur.Started, Newest: r.cur.Newest, Finished: true}
	r.yield(extract.Page{Records: records, Snapshot: snap, Next: over.text()}, nil)
	return nil
}

// mfaSetting tells whether second factors could be asked for.
func (r *run) mfaSetting() schema.Raw {
	s := schema.Setting{Section: "user_mfa", State: schema.SettingOK}
	if r.mfaDenied.Load() {
		s.State, s.Detail = schema.SettingDenied, "AdminGetUser"
	}
	return settingRecord(s)
}

// compare warns where far fewer users came than AWS estimates; its number is
// some hours old, and no proof.
func (r *run) compare() {
	got, estimated := r.cur.Counts["users"], r.cur.Counts["users_estimated"]
	if got < estimated-estimated/50-pageSize {
		r.source.opts.Logger.Warn("fewer users than estimated", slog.Int64("users", got), slog.Int64("estimated", estimated))
	}
}
