package blob

import "context"

// Acquire takes the lock of the directory.
func (d *Dir) Acquire(ctx context.Context) (unlock func(), err error) { return d.acquire(ctx) }

// Explain is what errors of the file system become.
var Explain = explain
