package notice

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// DriftFacts say what a comparison of two sources' users found, in numbers.
type DriftFacts struct {
	// Left and Right are the sources, LeftSnapshot and RightSnapshot what was
	// compared of them.
	Left, Right                 string
	LeftSnapshot, RightSnapshot string
	ComparedAt                  time.Time
	// Linked are pairs of accounts.
	Linked int64
	// Findings counts all; ByType and BySeverity (low, medium, high) say which.
	Findings           int64
	ByType, BySeverity map[string]int64
	// Error is why they could not be compared, "" if they were. It is cut to
	// 500 bytes and must hold no personal data.
	Error string
}

// Drift tells what a comparison found. With findings its severity is Medium, or
// High if one of them is.
func Drift(f DriftFacts) schema.Event {
	h := header{
		activity: ActivityDrift,
		uid:      f.uid(), at: f.ComparedAt, severity: informational, status: schema.StatusSuccess,
		message: fmt.Sprintf("The users of %s and %s were compared: %s linked, %s.",
			f.Left, f.Right, count(f.Linked, "pair"), count(f.Findings, "finding")),
	}
	switch {
	case f.Error != "":
		h.severity, h.status = high, schema.StatusFailure
		h.message = fmt.Sprintf("Comparing the users of %s and %s failed: %s", f.Left, f.Right, clip(f.Error))
	case f.BySeverity["high"] > 0:
		h.severity = high
	case f.Findings > 0:
		h.severity = medium
	}
	e := h.event()
	e.StatusDetail = clip(f.Error)
	text(&e, "left", f.Left)
	text(&e, "right", f.Right)
	text(&e, "left_snapshot", f.LeftSnapshot)
	text(&e, "right_snapshot", f.RightSnapshot)
	text(&e, "error", clip(f.Error))
	number(&e, "linked", f.Linked)
	number(&e, "findings", f.Findings)
	for _, name := range slices.Sorted(maps.Keys(f.ByType)) {
		number(&e, "by_type."+name, f.ByType[name])
	}
	for _, name := range slices.Sorted(maps.Keys(f.BySeverity)) {
		number(&e, "by_severity."+name, f.BySeverity[name])
	}
	return e
}

// uid names the comparison by its snapshots: comparing them again finds the
// same. One that failed may have none, and is named by its time.
func (f DriftFacts) uid() string {
	if f.Error != "" {
		return fmt.Sprintf("drift/%s/%s/failed/%d", f.Left, f.Right, f.ComparedAt.UnixMilli())
	}
	return "drift/" + strings.Join([]string{f.Left, f.Right, f.LeftSnapshot, f.RightSnapshot}, "/")
}
