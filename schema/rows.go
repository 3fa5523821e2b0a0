package schema

import "time"

// UserRow is a row of table users: a [User] with the snapshot it was read in.
// The snapshot stands in the row as well as in the object's path, so that a
// query engine that lists a day's folder can tell snapshots apart without a
// partition key of its own for them.
type UserRow struct {
	SnapshotID string `json:"snapshot_id" parquet:"snapshot_id,dict"`
	User
}

// SnapshotRow is a row of table snapshots: a [Snapshot] that is complete. A
// snapshot without a row there was cut off and is not to be compared.
type SnapshotRow struct {
	SnapshotID string    `json:"snapshot_id" parquet:"snapshot_id"`
	BeginAt    time.Time `json:"begin_at" parquet:"begin_at,timestamp(millisecond)"`
	EndAt      time.Time `json:"end_at" parquet:"end_at,timestamp(millisecond)"`
	// Counts is what the vendor's answer held: users, groups, and so on.
	Counts map[string]int64 `json:"counts,omitempty" parquet:"counts,optional"`
}

// Row returns s as a row of table snapshots.
func (s Snapshot) Row() SnapshotRow {
	return SnapshotRow{SnapshotID: s.ID, BeginAt: s.Begin, EndAt: s.End, Counts: s.Counts}
}
