package lake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// UsersOf are the users of one snapshot.
type UsersOf struct {
	Source   string
	Snapshot schema.SnapshotRow
	// Keys are the objects of table users that hold them, for [ReadTable] and
	// [ReadColumns].
	Keys []string
}

// NewestUsers returns the newest complete snapshot of each source that has one, by
// source.
func (r *Reader) NewestUsers(ctx context.Context) ([]UsersOf, error) {
	var all []UsersOf
	for _, l := range []layout{parquetLayout, jsonLayout} {
		sources, err := r.sourcesOf(ctx, snapshotsTable.String()+string(l)+"/source=")
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			if slices.ContainsFunc(all, func(u UsersOf) bool { return u.Source == source }) {
				continue // in both layouts
			}
			u, err := r.newestUsers(ctx, l, source)
			if err != nil {
				return nil, err
			}
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b UsersOf) int { return cmp.Compare(a.Source, b.Source) })
	return all, nil
}

func (r *Reader) newestUsers(ctx context.Context, l layout, source string) (UsersOf, error) {
	u := UsersOf{Source: source}
	var last []blob.Info
	for info, err := range r.objects(ctx, l, snapshotsTable, source, "") {
		if err != nil {
			return u, err
		}
		if len(last) > 0 && dayOfKey(last[0].Key) != dayOfKey(info.Key) {
			last = last[:0]
		}
		last = append(last, info)
	}
	day := ""
	for _, info := range last {
		day = dayOfKey(info.Key)
		for row, err := range ReadTable[schema.SnapshotRow](ctx, r.store, info.Key) {
			if err != nil {
				return u, err
			}
			if cmp.Or(row.BeginAt.Compare(u.Snapshot.BeginAt), cmp.Compare(row.SnapshotID, u.Snapshot.SnapshotID)) > 0 {
				u.Snapshot = row
			}
		}
	}
	prefix := tablePrefix(l, usersTable, source) + day + "/snapshot=" + u.Snapshot.SnapshotID + "/"
	for info, err := range r.store.List(ctx, prefix, "") {
		if err != nil {
			return u, fmt.Errorf("list %s: %w", prefix, err)
		}
		u.Keys = append(u.Keys, info.Key)
	}
	return u, nil
}
