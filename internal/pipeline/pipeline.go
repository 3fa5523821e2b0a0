package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// Source is a source as the pipeline runs it.
type Source struct {
	Name string
	// Kind is its kind in the config; it stands, with its identity, in every
	// segment.
	Kind string
	// Open makes the source once its state is held: sources of files look up
	// there what they have finished.
	Open func(extract.Ledger) (extract.Source, error)
	// Since is where a first run begins.
	Since time.Time
	// Mapper maps its records.
	Mapper Mapper
}

// Mapper maps a landed record, as transform.Mapper does.
type Mapper interface {
	Map(kind schema.Kind, line []byte, landedAt time.Time) (transform.Result, error)
}

var _ Mapper = (*transform.Mapper)(nil)

// Limits bound a run. Zero values take the defaults.
type Limits struct {
	// A segment is written when it holds SegmentBytes of lines (8 MiB),
	// SegmentRecords (10,000), or is SegmentAge old (60 s).
	SegmentBytes   int64
	SegmentRecords int64
	SegmentAge     time.Duration
	// SortBytes of lines are sorted in memory; more spills to TempDir (32 MiB).
	SortBytes int
	// FlushBytes of lines are the most that one flush covers (2 GiB).
	FlushBytes int64
	// Sources run side by side (4).
	Sources int
	// Deliver is how long one run may deliver to a sink (30 min); the rest
	// waits for the next run.
	Deliver time.Duration
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.SegmentBytes, 8<<20)
	setDefault(&l.SegmentRecords, 10_000)
	setDefault(&l.SegmentAge, time.Minute)
	setDefault(&l.SortBytes, 32<<20)
	setDefault(&l.FlushBytes, 2<<30)
	setDefault(&l.Sources, 4)
	setDefault(&l.Deliver, 30*time.Minute)
	return l
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Pipeline runs sources into sinks. Its fields are set before the first run and
// not changed after.
type Pipeline struct {
	// State opens the states of sources; nil for those in StateDir, a folder on a
	// local disk.
	State    state.Opener
	StateDir string
	// Raw is where segments lie; Lake, where reports, drift and persons go.
	Raw, Lake blob.Store
	Sinks     []Sink
	// Manifests is where notes about the evidence go, in a folder of that name;
	// nil for the lake. Signer signs them; the zero value does not. Keys are
	// those that notes of earlier runs may be signed with.
	Manifests blob.Store
	Signer    proof.Signer
	Keys      proof.Verifier
	// Label marks an event that a sink of events is to get, before it is filtered
	// or redacted; it is called from several goroutines. What a lake gets is not
	// labelled: it holds only what the record says. It may be nil.
	Label  func(*schema.Event)
	Limits Limits
	// TempDir is for what does not fit into memory.
	TempDir string
	Log     *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Progress is told, from several goroutines, what a run has done so far; it
	// may be nil.
	Progress func(Progress)
	// Observer is told of the run's steps as they begin and end; it may be nil.
	Observer Observer
	// Trace is told each step of the protocol when it is done, for tests that
	// stop a run there; it may be nil.
	Trace func(step string)

	flushing sync.Mutex
}

// StageLand is the stage in which a source is read.
const StageLand = "land"

// Progress of one source.
type Progress struct {
	Source string
	// Stage is StageLand, or the name of the sink that is delivered to.
	Stage   string
	Records int64
	Bytes   int64
}

// Report of a run.
type Report struct {
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended"`
	Sources []SourceReport `json:"sources"`
}

// SourceReport is what a run did with one source. The counts and times are of
// reading and landing in this run: read = landed + repeated + filtered.
type SourceReport struct {
	Source string `json:"source"`
	Kind   string `json:"kind"`
	// Held says that another process holds the source: nothing was done.
	Held bool `json:"held,omitempty"`
	state.Run
	Adopted int64 `json:"adopted,omitempty"`
	// LastDrain is when the source was last read to its end, by this run or
	// another.
	LastDrain time.Time    `json:"last_drain,omitzero"`
	Sinks     []SinkReport `json:"sinks"`
	Err       error        `json:"-"`
}

// SinkReport is what a run gave one sink of one source: records = mapped +
// rejected, and events + users + settings = mapped + fanned out. For sinks of
// events, gaps are among the events, as fanned out, and, unless it is Waiting,
// events = accepted + skipped + rejected + filtered of Sent.
type SinkReport struct {
	Sink string `json:"sink"`
	state.Tally
	Sent load.Sent `json:"sent,omitzero"`
	// Waiting says that what is pending was sent, and that its receiver has not
	// said yet that it is stored.
	Waiting bool `json:"waiting,omitempty"`
	// NotDue says that the sink's pace let this run pass.
	NotDue bool `json:"not_due,omitempty"`
	// Notices is nil for a planner, which is given none.
	Notices *NoticeReport `json:"notices,omitempty"`
	Objects int64         `json:"objects"`
	Bytes   int64         `json:"bytes"`
	// Seconds it took.
	Seconds float64 `json:"seconds"`
	// Pending, for a sink of events, counts no users.
	Pending state.Pending `json:"pending"`
	Error   string        `json:"error,omitempty"`
	Err     error         `json:"-"`
}

// Failed says whether the source, or a sink of it, failed.
func (r SourceReport) Failed() bool {
	if r.Err != nil {
		return true
	}
	for _, s := range r.Sinks {
		if s.Err != nil {
			return true
		}
	}
	return false
}

// Run extracts, lands and delivers every source once. What fails of one source
// or sink is in its report and stops no other; the order of the reports is that
// of the sources.
func (p *Pipeline) Run(ctx context.Context, sources []Source) Report {
	report := Report{Started: p.now(), Sources: make([]SourceReport, len(sources))}
	limits := p.Limits.withDefaults()
	foreign := p.checkOwner(ctx, sources)
	// Sources wait for their vendors' rate limits most of the time, so they run
	// side by side; flushes, which need memory and disk, one at a time.
	var group errgroup.Group
	group.SetLimit(limits.Sources)
	for i, source := range sources {
		group.Go(func() error {
			err := p.guard(source.Name, "", func() { report.Sources[i] = p.runSource(ctx, source, limits, foreign) })
			if err != nil {
				report.Sources[i] = SourceReport{Source: source.Name, Kind: source.Kind, Run: state.Run{Error: err.Error()}, Err: err}
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return no error: it is in the reports
	report.Ended = p.now()
	return report
}

// runSource runs a source, unless something is against it.
func (p *Pipeline) runSource(ctx context.Context, source Source, limits Limits, against error) SourceReport {
	r := SourceReport{Source: source.Name, Kind: source.Kind, Run: state.Run{Started: p.now()}}
	err := against
	if err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error {
			ctx, end := p.begin(ctx, Step{Name: StepSource, Source: source.Name})
			p.landAndDeliver(ctx, st, source, limits, &r)
			end(r.Err)
			return r.Err
		})
	}
	if errors.Is(err, state.ErrHeld) {
		r.Held = true
		return r
	}
	if r.Err = err; err != nil {
		r.Error = err.Error()
	}
	return r
}

func (p *Pipeline) landAndDeliver(ctx context.Context, st *state.DB, source Source, limits Limits, r *SourceReport) {
	l := &lander{p: p, st: st, source: source, limits: limits, run: &r.Run, stream: segment.MainStream}
	within, end := p.begin(ctx, Step{Name: StepLand, Source: source.Name})
	r.Err = l.land(within)
	r.Adopted = l.adopted
	end(r.Err, r.counts()...)
	// The run is remembered, and what was landed delivered, even where reading
	// failed; a run that was told to stop starts nothing new.
	r.Ended = p.now()
	if r.Err != nil {
		r.Error = r.Err.Error()
	}
	if ctx.Err() != nil {
		return
	}
	r.Err = errors.Join(r.Err, st.AddRun(ctx, r.Run), l.noteStuck(ctx, r.Err))
	first, err := noteRun(ctx, l, r)
	r.Err = errors.Join(r.Err, err)
	p.trace("run.noted")
	// Where what raw holds is in doubt, nothing more is built on it; that it is,
	// is told.
	v := &delivery{p: p, st: st, source: source, limits: limits, identity: l.identity, firstNotice: first, noticesOnly: errors.Is(r.Err, errChain)}
	if !v.noticesOnly {
		r.Err = errors.Join(r.Err, v.finishChanges(ctx, r.Adopted > 0))
	}
	r.Sinks = v.all(ctx)
	if ctx.Err() == nil && l.src != nil && !v.noticesOnly {
		within, end := p.begin(ctx, Step{Name: StepCheckpoint, Source: source.Name})
		err := p.checkpoint(within, st, source, l.identity)
		end(err)
		if err != nil && r.Err == nil && r.Failed() {
			// The lake is at fault, as its sink tells; the next run signs.
			p.log().Warn("no checkpoint was written", "source", source.Name, "error", err.Error())
			err = nil
		}
		r.Err = errors.Join(r.Err, err)
	}
	r.LastDrain, err = st.LastDrain(ctx)
	if ctx.Err() == nil {
		r.Err = errors.Join(r.Err, err)
	}
}

func (p *Pipeline) now() time.Time {
	if p.Now != nil {
		return p.Now().UTC()
	}
	return time.Now().UTC()
}

func (p *Pipeline) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.New(slog.DiscardHandler)
}

func (p *Pipeline) trace(step string) {
	if p.Trace != nil {
		p.Trace(step)
	}
}

func (p *Pipeline) progress(v Progress) {
	if p.Progress != nil {
		p.Progress(v)
	}
}
