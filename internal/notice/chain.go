package notice

import (
	"fmt"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// HeadFacts say how far the chain of a source's segments reaches.
type HeadFacts struct {
	Source, Kind string
	// Identity is the tenant, pool or account the source reads.
	Identity string
	// Seq is the last landed segment, and Header the SHA-256 (hex) of its
	// header, which names the one before, and so the whole chain.
	Seq    int64
	Header string
	// Records in the chain up to and with that segment.
	Records int64
	// At is when the segment was landed.
	At time.Time
}

// Head tells how far a chain reaches. A copy of it outside of the bucket shows
// whether the bucket's evidence was replaced later.
func Head(f HeadFacts) schema.Event {
	e := header{
		activity: ActivityHead,
		uid:      fmt.Sprintf("head/%s/%d", f.Source, f.Seq),
		tenant:   f.Identity, at: f.At, severity: informational, status: schema.StatusSuccess,
		message: fmt.Sprintf("The chain of source %s reaches segment %d with %s.", f.Source, f.Seq, count(f.Records, "record")),
	}.event()
	text(&e, "source", f.Source)
	text(&e, "kind", f.Kind)
	text(&e, "header_sha256", f.Header)
	number(&e, "segment", f.Seq)
	number(&e, "records", f.Records)
	return e
}
