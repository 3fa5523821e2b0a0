package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/tempfile"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
)

// Where the tables of reconcile lie. Persons is one object, replaced whole: it
// carries its history in its rows.
const (
	personsParquet = "persons/persons.parquet"
	personsJSON    = "persons_json/persons.ndjson.gz"
)

// Reconcile says which two sources to compare, and how.
type Reconcile struct {
	Left, Right Source
	Options     reconcile.Options
}

// ReconcileReport is what came of one comparison.
type ReconcileReport struct {
	Left    string             `json:"left"`
	Right   string             `json:"right"`
	Summary *reconcile.Summary `json:"summary,omitempty"`
	// Objects are the keys written in the lake.
	Objects []string `json:"objects,omitempty"`
	// Waiting says why there was nothing to compare yet.
	Waiting string `json:"waiting,omitempty"`
	Error   string `json:"error,omitempty"`
	Err     error  `json:"-"`
}

// Compare compares the newest complete snapshots of two sources. The caller
// closes the result. ErrNoSnapshot.
func (p *Pipeline) Compare(ctx context.Context, r Reconcile) (*reconcile.Result, error) {
	left, err := p.side(ctx, r.Left)
	if err != nil {
		return nil, err
	}
	right, err := p.side(ctx, r.Right)
	if err != nil {
		return nil, err
	}
	if r.Options.TempDir == "" {
		r.Options.TempDir = p.TempDir
	}
	res, err := reconcile.Compare(ctx, left, right, r.Options)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", r.Left.Name, r.Right.Name, err)
	}
	return res, nil
}

func (p *Pipeline) side(ctx context.Context, source Source) (reconcile.Side, error) {
	snap, err := p.Snapshot(ctx, source.Name)
	if err != nil {
		return reconcile.Side{}, err
	}
	return reconcile.Side{Source: source.Name, Snapshot: snap.Snapshot, Users: p.Users(ctx, source, snap)}, nil
}

// Reconcile makes every comparison, writes drift and reports to the lake, and
// carries the table persons forward. A comparison that fails stops no other.
func (p *Pipeline) Reconcile(ctx context.Context, pairs []Reconcile) []ReconcileReport {
	reports := make([]ReconcileReport, len(pairs))
	var sides []Source
	for _, pair := range pairs {
		sides = append(sides, pair.Left, pair.Right)
	}
	if err := p.checkOwner(ctx, sides); err != nil {
		for i, pair := range pairs {
			reports[i].Left, reports[i].Right = pair.Left.Name, pair.Right.Name
			reports[i].set(err)
		}
		return reports
	}
	var results []*reconcile.Result
	for i, pair := range pairs {
		within, end := p.begin(ctx, Step{Name: StepReconcile, Left: pair.Left.Name, Right: pair.Right.Name})
		res, err := p.compareAndWrite(within, pair, &reports[i])
		if res != nil {
			results = append(results, res)
		}
		reports[i].set(err)
		end(reports[i].Err, reports[i].counts()...)
		p.tellDrift(ctx, pair, reports[i])
	}
	if err := p.writePersons(ctx, results); err != nil && len(reports) > 0 {
		last := &reports[len(reports)-1]
		last.set(errors.Join(last.Err, fmt.Errorf("write persons: %w", err)))
	}
	for _, res := range results {
		if err := res.Close(); err != nil {
			p.log().Warn("temporary files of a comparison were not removed", "error", err)
		}
	}
	return reports
}

func (r *ReconcileReport) set(err error) {
	switch {
	case errors.Is(err, ErrNoSnapshot):
		r.Waiting = err.Error()
	case err != nil:
		r.Err, r.Error = err, err.Error()
	}
}

func (p *Pipeline) compareAndWrite(ctx context.Context, pair Reconcile, report *ReconcileReport) (*reconcile.Result, error) {
	report.Left, report.Right = pair.Left.Name, pair.Right.Name
	res, err := p.Compare(ctx, pair)
	if err != nil {
		return nil, err
	}
	report.Summary = &res.Summary
	report.Objects, err = p.writeDrift(ctx, res)
	p.trace("drift.written")
	return res, err
}

// writeDrift writes a comparison's findings as tables and as reports for
// people. They can be made anew from the snapshots, so they replace what stands
// under their names.
func (p *Pipeline) writeDrift(ctx context.Context, res *reconcile.Result) ([]string, error) {
	s := res.Summary
	day := s.ComparedAt.UTC().Format(time.DateOnly)
	pair := fmt.Sprintf("%s-%s-%s-%s", s.Left.Source, s.Right.Source, s.Left.Snapshot.ID, s.Right.Snapshot.ID)
	var keys []string
	for _, key := range []string{"drift/dt=" + day + "/" + pair + ".parquet", "drift_json/dt=" + day + "/" + pair + ".ndjson.gz"} {
		if err := replaceTable(ctx, p.Lake, key, res.Rows()); err != nil {
			return keys, err
		}
		keys = append(keys, key)
	}
	writers := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"drift.html", func(w io.Writer) error { return reconcile.WriteHTML(w, s, res.Rows(), reconcile.HTMLOptions{}) }},
		{"drift.json", func(w io.Writer) error { return reconcile.WriteJSON(w, s, res.Rows()) }},
		{"drift.csv", func(w io.Writer) error { return reconcile.WriteCSV(w, res.Rows()) }},
	}
	for _, w := range writers {
		key := "reports/dt=" + day + "/" + pair + "/" + w.name
		if err := p.replaceFile(ctx, key, w.write); err != nil {
			return keys, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// replaceFile writes an object through a temporary file without a name.
func (p *Pipeline) replaceFile(ctx context.Context, key string, write func(io.Writer) error) (err error) {
	f, err := tempfile.New(p.TempDir, "report")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := write(f); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	_, err = replacing{p.Lake}.PutNew(ctx, key, f)
	return err
}

// replacing is a store whose PutNew replaces an object that is there.
type replacing struct{ blob.Store }

func (s replacing) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	info, err := s.Store.PutNew(ctx, key, body)
	if !errors.Is(err, blob.ErrExist) {
		return info, err
	}
	there, err := s.Head(ctx, key)
	if err != nil {
		return info, err
	}
	return s.PutMatch(ctx, key, there.ETag, body)
}

func replaceTable[T any](ctx context.Context, store blob.Store, key string, rows iter.Seq2[T, error]) error {
	_, err := lake.WriteRows(ctx, replacing{store}, key, rows)
	return err
}

// writePersons carries the table persons forward by what was compared.
func (p *Pipeline) writePersons(ctx context.Context, results []*reconcile.Result) error {
	if len(results) == 0 {
		return nil
	}
	begin := map[string]time.Time{}
	var current []iter.Seq2[reconcile.Person, error]
	for _, res := range results {
		current = append(current, res.Persons(ctx))
		for _, side := range []reconcile.SideSummary{res.Summary.Left, res.Summary.Right} {
			begin[side.Source] = side.Snapshot.Begin
		}
	}
	history := reconcile.History{Previous: p.persons(ctx), Current: reconcile.MergePersons(current...), Begin: begin}
	if err := replaceTable(ctx, p.Lake, personsParquet, history.Rows()); err != nil {
		return err
	}
	p.trace("persons.written")
	// The JSON copy is made from the table, so that both say the same.
	return replaceTable(ctx, p.Lake, personsJSON, p.persons(ctx))
}

// persons reads the table as it stands; before the first time it is empty.
func (p *Pipeline) persons(ctx context.Context) iter.Seq2[reconcile.Person, error] {
	return func(yield func(reconcile.Person, error) bool) {
		for row, err := range lake.ReadTable[reconcile.Person](ctx, p.Lake, personsParquet) {
			if errors.Is(err, blob.ErrNotExist) {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
