package state

import (
	"testing"
	"time"
)

// SetClock gives a shared opener other clocks.
func SetClock(o Opener, wall func() time.Time, mono func() time.Duration) {
	o.(*shared).clock = clock{wall: wall, mono: mono}
}

// Break has a state be unreadable.
func Break(t *testing.T, d *DB) {
	t.Helper()
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
}
