package schema

import "time"

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
