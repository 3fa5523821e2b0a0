package notice

import (
	"fmt"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// RunFacts say how a run went for one source. Read = Landed + Repeated +
// Filtered.
type RunFacts struct {
	Source, Kind string
	// Identity is the tenant, pool or account the source reads.
	Identity       string
	Started, Ended time.Time
	Read, Landed   int64
	Repeated       int64
	Filtered       int64
	// Gaps were declared and records Rejected by the mapping in this run.
	Gaps, Rejected int64
	// Error is why the source could not be read to its end, "" if it was. It is
	// cut to 500 bytes and must hold no personal data.
	Error string
}

// Run tells how a run went for one source. It is a failure with an Error,
// partial with gaps or rejects, else a success.
func Run(f RunFacts) schema.Event {
	h := header{
		activity: ActivityRun,
		uid:      fmt.Sprintf("run/%s/%d", f.Source, f.Started.UnixMilli()),
		tenant:   f.Identity, at: f.Ended, severity: informational, status: schema.StatusSuccess,
		message: fmt.Sprintf("Source %s was read: %s landed.", f.Source, count(f.Landed, "record")),
	}
	switch {
	case f.Error != "":
		h.severity, h.status = high, schema.StatusFailure
		h.message = fmt.Sprintf("Reading source %s failed after %s: %s", f.Source, count(f.Landed, "landed record"), clip(f.Error))
	case f.Gaps > 0:
		h.severity, h.status = medium, schema.StatusOther
		h.message = fmt.Sprintf("Source %s was read with %s: %s landed.", f.Source, count(f.Gaps, "gap"), count(f.Landed, "record"))
	case f.Rejected > 0:
		h.severity, h.status = low, schema.StatusOther
		h.message = fmt.Sprintf("Source %s was read: %s landed, %s could not be mapped.", f.Source, count(f.Landed, "record"), count(f.Rejected, "record"))
	}
	e := h.event()
	span(&e, f.Started, f.Ended)
	e.StatusDetail = clip(f.Error)
	text(&e, "source", f.Source)
	text(&e, "kind", f.Kind)
	text(&e, "error", clip(f.Error))
	number(&e, "read", f.Read)
	number(&e, "landed", f.Landed)
	number(&e, "repeated", f.Repeated)
	number(&e, "filtered", f.Filtered)
	number(&e, "gaps", f.Gaps)
	number(&e, "rejected", f.Rejected)
	number(&e, "took_ms", f.Ended.Sub(f.Started).Milliseconds())
	return e
}
