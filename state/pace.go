//go:build !chaos

package state

import "time"

// second is what the times of leases are counted in. Under the tag chaos, whose
// tests wait for leases to run out, it is shorter.
const second = time.Second
