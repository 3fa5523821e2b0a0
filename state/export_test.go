package state

import "time"

// SetClock gives a shared opener other clocks.
func SetClock(o Opener, wall func() time.Time, mono func() time.Duration) {
	o.(*shared).clock = clock{wall: wall, mono: mono}
}
