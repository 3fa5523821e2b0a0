//go:build !chaos

package stream

import "time"

// ackTimeout is after how long what was not acknowledged is sent again. Under
// the tag chaos, whose tests wait for it, it is shorter.
const ackTimeout = 300 * time.Second
