//go:build chaos

package state

import "time"

const second = time.Second / 6
