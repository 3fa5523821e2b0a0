//go:build chaos

package stream

import "time"

const ackTimeout = 5 * time.Second
