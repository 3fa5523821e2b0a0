package lake

import (
	"fmt"
	"strings"
	"time"

	"github.com/idtrail/idtrail/load"
)

// layout is how rows are laid out as objects. The value is what the folders of
// a table end with.
type layout string

const (
	parquetLayout layout = ""
	jsonLayout    layout = "_json"
)

func (l layout) extension() string {
	if l == jsonLayout {
		return ".ndjson.gz"
	}
	return ".parquet"
}

// table is the rank of a table in the order rows come in.
type table int

const (
	eventsTable table = iota
	usersTable
	poolsTable
	snapshotsTable
	rejectedTable
	gapsTable
)

func tables() []table {
	return []table{eventsTable, usersTable, poolsTable, snapshotsTable, rejectedTable, gapsTable}
}

func (t table) String() string {
	return [...]string{"events", "users", "pools", "snapshots", "rejected", "gaps"}[t]
}

// bySnapshot says whether a table's days have a folder for each snapshot.
func (t table) bySnapshot() bool { return t == usersTable || t == poolsTable }

// tableOf returns the table of a row, false if the row holds none or several.
func tableOf(r load.Row) (t table, ok bool) {
	n := 0
	for i, set := range [...]bool{r.Event != nil, r.User != nil, r.Setting != nil, r.Snapshot != nil, r.Reject != nil, r.Gap != nil} {
		if set {
			t = table(i)
			n++
		}
	}
	return t, n == 1
}

// count counts n rows of table t.
func count(c *load.Counts, t table, n int64) {
	switch t {
	case eventsTable:
		c.Events += n
	case usersTable:
		c.Users += n
	case poolsTable:
		c.Settings += n
	case snapshotsTable:
		c.Snapshots += n
	case rejectedTable:
		c.Rejects += n
	case gapsTable:
		c.Gaps += n
	}
}

// place is what one object, or its parts, hold: the rows of one table, day and
// snapshot.
type place struct {
	table    table
	day      string
	snapshot string
}

func placeOf(r load.Row) (place, error) {
	t, ok := tableOf(r)
	if !ok {
		return place{}, fmt.Errorf("row at %v: want exactly one thing set", r.At)
	}
	p := place{table: t, day: r.Day}
	if t.bySnapshot() {
		p.snapshot = r.SnapshotID
		if !isPathPart(p.snapshot) {
			return place{}, fmt.Errorf("row at %v: snapshot id %q cannot name a folder", r.At, p.snapshot)
		}
	}
	if _, err := time.Parse(time.DateOnly, p.day); err != nil {
		return place{}, fmt.Errorf("row at %v: day %q is no day", r.At, p.day)
	}
	return p, nil
}

// after says whether p is to come after q.
func (p place) after(q place) bool {
	if p.table != q.table {
		return p.table > q.table
	}
	if p.day != q.day {
		return p.day > q.day
	}
	return p.snapshot > q.snapshot
}

// tablePrefix is where a table's objects of a source begin.
func tablePrefix(l layout, t table, source string) string {
	return t.String() + string(l) + "/source=" + source + "/dt="
}

// objectKey names part n (from 1) of what lies at a place.
func objectKey(l layout, source string, p place, name string, n int) string {
	var b strings.Builder
	b.WriteString(tablePrefix(l, p.table, source) + p.day + "/")
	if p.table.bySnapshot() {
		b.WriteString("snapshot=" + p.snapshot + "/")
	}
	b.WriteString(name)
	if n > 1 {
		fmt.Fprintf(&b, "-p%d", n)
	}
	b.WriteString(l.extension())
	return b.String()
}

// rangeName names the segments from to to-1.
func rangeName(from, to int64) string { return fmt.Sprintf("%012d-%012d", from, to-1) }

// isRangeFrom says whether an object's key is of a range that begins at from.
func isRangeFrom(key string, from int64) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	return strings.HasPrefix(name, fmt.Sprintf("%012d-", from))
}

// dayOfKey returns the day a key is filed under.
func dayOfKey(key string) string {
	_, rest, _ := strings.Cut(key, "/dt=")
	day, _, _ := strings.Cut(rest, "/")
	return day
}

func isPathPart(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == '/' || r == '\\' || r == 0x7f
	})
}
