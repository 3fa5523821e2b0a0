package lake

import (
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

// encoder writes the rows of one table, one file after the other. The same rows
// give the same bytes.
type encoder interface {
	begin(f *tempFile) error
	add(r load.Row) error
	finish() error
}

func newEncoder(l layout, t table, writer string) encoder {
	if l == jsonLayout {
		return &jsonEncoder{}
	}
	switch t {
	case eventsTable:
		return &parquetEncoder[schema.Event]{
			row: func(r load.Row) schema.Event { return *r.Event },
			p:   newEventsFile(writer),
		}
	case usersTable:
		return &parquetEncoder[schema.User]{row: userOf, p: newParquetFile[schema.User](writer)}
	case poolsTable:
		return &parquetEncoder[schema.Setting]{row: settingOf, p: newParquetFile[schema.Setting](writer)}
	case snapshotsTable:
		return &parquetEncoder[schema.SnapshotRow]{
			row: func(r load.Row) schema.SnapshotRow { return r.Snapshot.Row() },
			p:   newParquetFile[schema.SnapshotRow](writer),
		}
	case rejectedTable:
		return &parquetEncoder[schema.Reject]{
			row: func(r load.Row) schema.Reject { return *r.Reject },
			p:   newParquetFile[schema.Reject](writer),
		}
	default:
		return &parquetEncoder[schema.Gap]{
			row: func(r load.Row) schema.Gap { return *r.Gap },
			p:   newParquetFile[schema.Gap](writer),
		}
	}
}

// newEventsFile returns a writer of files of events.
func newEventsFile(writer string) *parquetFile[schema.Event] {
	p := newParquetFile[schema.Event](writer, "time")
	p.eachName = eachName
	return p
}

func userOf(r load.Row) schema.User {
	u := *r.User
	u.SnapshotID = r.SnapshotID
	return u
}

func settingOf(r load.Row) schema.Setting {
	s := *r.Setting
	s.SnapshotID = r.SnapshotID
	return s
}

// rowValue returns what a row holds, as it stands in its table.
func rowValue(r load.Row) any {
	switch {
	case r.Event != nil:
		return r.Event
	case r.User != nil:
		return userOf(r)
	case r.Setting != nil:
		return settingOf(r)
	case r.Snapshot != nil:
		return r.Snapshot.Row()
	case r.Reject != nil:
		return r.Reject
	default:
		return r.Gap
	}
}

// payloadOf is about how many bytes of payload a row holds.
func payloadOf(r load.Row) int {
	switch {
	case r.Event != nil:
		return 2 * len(r.Event.RawData) // most of it stands in its columns again
	case r.User != nil:
		return 2 * len(r.User.RawData)
	case r.Setting != nil:
		return len(r.Setting.Data)
	case r.Reject != nil:
		return len(r.Reject.RawData)
	default:
		return 0
	}
}

// parquetEncoder is an encoder over a parquetFile.
type parquetEncoder[T any] struct {
	row func(load.Row) T
	p   *parquetFile[T]
}

func (e *parquetEncoder[T]) begin(f *tempFile) error { return e.p.begin(f) }
func (e *parquetEncoder[T]) add(r load.Row) error    { return e.p.add(e.row(r), payloadOf(r)) }
func (e *parquetEncoder[T]) finish() error           { return e.p.finish() }

// jsonEncoder is an encoder over a jsonFile.
type jsonEncoder struct{ jsonFile }

func (e *jsonEncoder) add(r load.Row) error { return e.jsonFile.add(rowValue(r)) }
