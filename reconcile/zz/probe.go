// Package zz is.
package zz

import (
	"os"
	"time"

	_ "github.com/idtrail/idtrail/extract"
	_ "github.com/idtrail/idtrail/internal/blob"
	_ "github.com/idtrail/idtrail/internal/blob/blobtest"
	_ "github.com/idtrail/idtrail/load"
	_ "github.com/idtrail/idtrail/schema"
)

// X is.
func X() time.Time { _ = os.Getenv("x"); return time.Now() }
