package schema

import "time"

// Setting is one section of a tenant's or pool's settings in a snapshot: the
// pool itself, a client, a provider, …. As a raw record it stands as this JSON.
type Setting struct {
	// Section is the kind of setting in snake_case (user_pool, client).
	Section string `json:"section" parquet:"section,dict"`
	// ID names it within its section, "" where there is only one.
	ID string `json:"id" parquet:"id"`
	// State is ok, denied (we may not read it) or unsupported (the vendor does not
	// offer it here).
	State string `json:"state" parquet:"state,dict"`
	// Detail says more where it is not ok.
	Detail string `json:"detail,omitempty" parquet:"detail,optional"`
	// Data is the vendor's answer, JSON text, with fingerprints in the place of
	// secrets.
	Data string `json:"data,omitempty" parquet:"data,optional"`
	// SnapshotID is the snapshot it was read in; set where it is filed.
	SnapshotID string `json:"snapshot_id,omitempty" parquet:"snapshot_id,optional"`
}

// The states of a setting.
const (
	SettingOK          = "ok"
	SettingDenied      = "denied"      // we may not read it
	SettingUnsupported = "unsupported" // the vendor does not offer it here
)

// SnapshotRow is a row of table snapshots: a [Snapshot] that is complete. A
// snapshot without a row there was cut off and is not to be compared.
type SnapshotRow struct {
	// SnapshotID names it within its source: its begin, "-n" behind it where two
	// begin in one second.
	SnapshotID string `json:"snapshot_id" parquet:"snapshot_id"`
	// BeginAt is when its reading began.
	BeginAt time.Time `json:"begin_at" parquet:"begin_at,timestamp(millisecond)"`
	// EndAt is when it was read to its end.
	EndAt time.Time `json:"end_at" parquet:"end_at,timestamp(millisecond)"`
	// Counts is what the vendor's answer held: users, groups, and so on.
	Counts map[string]int64 `json:"counts,omitempty" parquet:"counts,optional"`
}

// Row returns s as a row of table snapshots.
func (s Snapshot) Row() SnapshotRow {
	return SnapshotRow{SnapshotID: s.ID, BeginAt: s.Begin, EndAt: s.End, Counts: s.Counts}
}
