package extract

import (
	"strconv"
	"strings"
	"time"
)

// snapshotForm is how a snapshot's id tells when it began.
const snapshotForm = "20060102T150405Z"

// setBack is where the numbers of snapshots begin that are named while the clock
// is behind the newest one: none within a second comes near.
const setBack = 1_000_000

// NameSnapshot names a snapshot that begins now, other than all before it, of
// which newest is what it returned the last time ("" for the first); the source
// keeps it in its cursor. Names go by seconds, so that snapshots of one second are
// numbered; and one that begins before the newest, as the clock was set back, bears
// a number made of the parts of its second.
func NameSnapshot(now time.Time, newest string) (id, newestNow string) {
	id = now.UTC().Format(snapshotForm)
	last, number, _ := strings.Cut(newest, "-")
	switch {
	case id > last:
		return id, id
	case id < last:
		return id + "-" + strconv.Itoa(setBack+now.Nanosecond()), newest
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		n = 1 // the first of its second
	}
	id += "-" + strconv.Itoa(n+1)
	return id, id
}
