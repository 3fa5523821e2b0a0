package pipeline

import (
	"slices"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

// Sink is a sink as the pipeline delivers to it.
type Sink struct {
	load.Sink
	// Start is where a sink begins that is new to the state of a source.
	// Planners begin at the beginning, whatever it says: their flush records
	// are to be contiguous.
	Start Start
	// Every is how long at least lies between two deliveries of one source; 0
	// delivers in each run. Planners know by themselves when they are due.
	Every time.Duration
	// Sources are the only ones it is given; nil for all.
	Sources []string
	// Shape filters and redacts its events; nil gives all, as they are.
	Shape Shaper
}

// Start is a place in the records landed of a source; the zero value is their
// beginning.
type Start struct {
	// Now is behind all that is landed when the sink is first seen.
	Now bool
	// At is the first record, in landed order, whose event happened then or
	// later.
	At time.Time
}

// Shaper says which events a sink gets, and in which form.
type Shaper interface {
	// Apply returns the event as the sink is to get it, which is e itself where
	// nothing is to be changed: e is shared, and never changed in place. keep is
	// false for an event that the sink is not to get.
	Apply(e *schema.Event) (out *schema.Event, keep bool)
}

// takes says whether the sink is given a source at all.
func (s Sink) takes(source string) bool {
	return s.Sources == nil || slices.Contains(s.Sources, source)
}

// streams says whether any sink of events takes the source.
func (p *Pipeline) streams(source string) bool {
	return slices.ContainsFunc(p.Sinks, func(s Sink) bool {
		_, plans := s.planner()
		return s.takes(source) && !plans
	})
}

// planner is the sink, where it is one that plans large batches.
func (s Sink) planner() (load.Planner, bool) {
	p, ok := s.Sink.(load.Planner)
	return p, ok
}
