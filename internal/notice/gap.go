package notice

import (
	"fmt"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Gap tells of a span of time whose records were lost before they could be
// read. It is dated when it was declared; start_time and end_time are the span.
func Gap(g schema.Gap) schema.Event {
	e := header{
		activity: ActivityGap,
		uid:      fmt.Sprintf("gap/%s/%d/%s", g.Source, g.Segment, gapDigest(g)),
		at:       g.DeclaredAt, severity: high, status: schema.StatusFailure,
		message: fmt.Sprintf("Records of source %s from %s to %s may be lost: %s.", g.Source, clock(g.From), clock(g.To), clip(g.Reason)),
	}.event()
	span(&e, g.From, g.To)
	e.StatusDetail = clip(g.Reason)
	text(&e, "source", g.Source)
	text(&e, "stream", g.Stream)
	text(&e, "reason", g.Reason)
	text(&e, "input", g.Input)
	number(&e, "segment", g.Segment)
	return e
}

// gapDigest tells the gaps of one segment apart; their order there is not known
// here.
func gapDigest(g schema.Gap) string {
	return digest(g.Stream, millis(g.From), millis(g.To), g.Reason, g.Input, millis(g.DeclaredAt))
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
