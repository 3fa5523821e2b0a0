// Package pipeline is the one place where the stages meet: it lands what
// sources read as segments, delivers what was landed to every sink, and
// reconciles the users of two sources.
//
// The order of things is the promise. A page is durable as part of a segment
// before its cursor moves; the cursor never waits for a sink; each sink has a
// position of its own, moved only after the sink kept what lies before it.
// Each step is safe to repeat, so a run that was killed anywhere is finished by
// the next one.
//
// It knows no vendor and no destination: sources, mappings and sinks are handed
// in.
package pipeline
