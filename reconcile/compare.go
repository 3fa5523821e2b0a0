package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Summary is what a comparison found, in numbers.
type Summary struct {
	ComparedAt time.Time   `json:"compared_at"`
	Left       SideSummary `json:"left"`
	Right      SideSummary `json:"right"`
	// Linked counts pairs; those with an account out of scope are not compared.
	// Equal pairs have no finding of their own; they may be duplicates.
	Linked           int64          `json:"linked"`
	LinkedByRule     map[Rule]int64 `json:"linked_by_rule"`
	LinkedOutOfScope int64          `json:"linked_out_of_scope"`
	Compared         int64          `json:"compared"`
	Equal            int64          `json:"equal"`
	// Findings counts rows; the maps have an entry for every type and severity,
	// and for the fields and confidences that occur.
	Findings     int64                `json:"findings"`
	ByType       map[Type]int64       `json:"by_type"`
	BySeverity   map[Severity]int64   `json:"by_severity"`
	ByConfidence map[Confidence]int64 `json:"by_confidence"`
	ByField      map[string]int64     `json:"by_field"`
	// Warnings say what makes the findings less than certain.
	Warnings []string `json:"warnings,omitempty"`
}

// SideSummary counts the accounts of one side.
type SideSummary struct {
	Source   string          `json:"source"`
	Kind     schema.Kind     `json:"kind"`
	Snapshot schema.Snapshot `json:"snapshot"`
	Users    int64           `json:"users"`
	InScope  int64           `json:"in_scope"`
	// OutOfScope accounts are only counted.
	OutOfScope int64 `json:"out_of_scope"`
	// Unlinked accounts have no partner; those in scope are reported missing.
	Unlinked int64 `json:"unlinked"`
	// EmailUnverified accounts have an e-mail address that links nobody.
	EmailUnverified int64 `json:"email_unverified"`
	// Repeated counts records with the id of another, which are left out (the
	// one changed last stays), Unidentified those without an id.
	Repeated     int64 `json:"repeated"`
	Unidentified int64 `json:"unidentified"`
}

// Result is a finished comparison. It is to be closed.
type Result struct {
	Summary Summary

	sides  [2]*store
	base   Drift
	rows   *tape
	starts map[Type]run
}

// Compare matches the accounts of two sides and finds what differs. It reads
// each side's users once, keeps a few dozen bytes an account in memory, and the
// rest in temporary files. When ctx ends, so does it.
func Compare(ctx context.Context, left, right Side, o Options) (*Result, error) {
	if err := errors.Join(checkSides(left, right), o.Check()); err != nil {
		return nil, err
	}
	o.spill = cmp.Or(o.spill, defaultSpill)
	r := newResult(left, right, &o)
	if err := r.compare(ctx, &o); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func newResult(left, right Side, o *Options) *Result {
	attrs := [2]map[string]bool{{}, {}}
	for _, a := range o.Attributes {
		attrs[0][a.Left], attrs[1][a.Right] = true, true
	}
	r := &Result{rows: &tape{dir: o.TempDir, limit: o.spill}, starts: map[Type]run{}}
	for i, s := range []Side{left, right} {
		r.sides[i] = &store{
			Side: s, attrs: attrs[i], filter: newFilter([]Filter{o.Scope.Left, o.Scope.Right}[i]),
			sum: SideSummary{Source: s.Source, Kind: s.Kind, Snapshot: s.Snapshot},
		}
	}
	at := left.Snapshot.Begin
	if right.Snapshot.Begin.After(at) {
		at = right.Snapshot.Begin
	}
	if o.Now != nil {
		at = o.Now()
	}
	at = at.UTC().Truncate(time.Millisecond)
	r.base = Drift{
		ComparedAt: at, LeftSource: left.Source, LeftSnapshot: left.Snapshot.ID,
		RightSource: right.Source, RightSnapshot: right.Snapshot.ID,
	}
	r.Summary = newSummary(at)
	return r
}

func newSummary(at time.Time) Summary {
	s := Summary{
		ComparedAt: at, LinkedByRule: map[Rule]int64{}, ByType: map[Type]int64{}, ByField: map[string]int64{},
		BySeverity:   map[Severity]int64{SeverityLow: 0, SeverityMedium: 0, SeverityHigh: 0},
		ByConfidence: map[Confidence]int64{},
	}
	for _, t := range Types() {
		s.ByType[t] = 0
	}
	return s
}

func (r *Result) compare(ctx context.Context, o *Options) error {
	for _, s := range r.sides {
		if err := s.load(ctx, o); err != nil {
			return err
		}
	}
	out := &findings{sides: r.sides, rows: newSpool(o.TempDir, o.spill)}
	m := &matcher{sides: r.sides, out: out}
	err := m.match(ctx, o)
	m.cand = [2][]int32{}
	if err == nil {
		err = newDiffer(o, r.sides, out, &r.Summary).diff(ctx)
	}
	if err != nil {
		return joinClose(err, out.rows)
	}
	r.Summary.Left, r.Summary.Right = r.sides[0].sum, r.sides[1].sum
	r.warn()
	return r.collect(out.rows)
}

// collect writes the sorted findings to the tape and counts them. Two keys may
// have told the same.
func (r *Result) collect(rows *spool) error {
	var last []byte
	err := rows.each(func(rec []byte) error {
		if last != nil && string(last) == string(rec) {
			return nil
		}
		last = append(last[:0], rec...)
		d, err := decodeDrift(rec)
		if err != nil {
			return err
		}
		r.Summary.count(&d)
		from := r.rows.size
		if span, ok := r.starts[d.Type]; ok {
			from = span.from
		}
		err = r.rows.frame(rec)
		r.starts[d.Type] = run{from, r.rows.size}
		return err
	})
	if err == nil {
		err = r.rows.seal()
	}
	if err != nil {
		return fmt.Errorf("keep findings: %w", err)
	}
	return nil
}

func (s *Summary) count(d *Drift) {
	s.Findings++
	s.ByType[d.Type]++
	s.BySeverity[d.Severity]++
	s.ByConfidence[d.Confidence]++
	if d.Field != "" {
		s.ByField[d.Field]++
	}
}

// warn says what makes the findings less than certain.
func (r *Result) warn() {
	for _, s := range r.sides {
		r.warnf(s, s.sum.Users == 0, "the snapshot holds no account")
		read := s.sum.Users + s.sum.Repeated + s.sum.Unidentified
		held, counted := s.Snapshot.Counts["users"]
		r.warnf(s, counted && held != read,
			"the snapshot holds %d accounts, %d could be read: some may be reported as missing wrongly", held, read)
		r.warnf(s, s.sum.Unidentified > 0, "records without an id, left out: %d", s.sum.Unidentified)
		r.warnf(s, s.sum.Users > 0 && len(s.attrs) > 0 && s.withAttrs == 0,
			"no account has an attribute to compare: attributes are not compared")
	}
}

func (r *Result) warnf(s *store, is bool, format string, args ...any) {
	if is {
		r.Summary.Warnings = append(r.Summary.Warnings, s.Source+": "+fmt.Sprintf(format, args...))
	}
}

// Rows hands out the findings: by type, in the order of [Types], then by the
// ids of the accounts. With types named, only these. It may be called again.
func (r *Result) Rows(types ...Type) iter.Seq2[Drift, error] {
	if len(types) == 0 {
		types = Types()
	}
	return func(yield func(Drift, error) bool) {
		for _, t := range types {
			if !r.span(r.starts[t], yield) {
				return
			}
		}
	}
}

func (r *Result) span(s run, yield func(Drift, error) bool) bool {
	f := r.rows.frames(s.from, s.to, 64<<10)
	for {
		rec, err := f.next()
		if errors.Is(err, io.EOF) {
			return true
		}
		var d Drift
		if err == nil {
			d, err = decodeDrift(rec)
		}
		if err != nil {
			yield(Drift{}, fmt.Errorf("read findings: %w", err))
			return false
		}
		d.ComparedAt = r.base.ComparedAt
		d.LeftSource, d.LeftSnapshot = r.base.LeftSource, r.base.LeftSnapshot
		d.RightSource, d.RightSnapshot = r.base.RightSource, r.base.RightSnapshot
		if !yield(d, nil) {
			return false
		}
	}
}

// Close removes the temporary files.
func (r *Result) Close() error {
	return errors.Join(r.rows.close(), r.sides[0].close(), r.sides[1].close())
}
