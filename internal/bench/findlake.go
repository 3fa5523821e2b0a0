package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

// findDays is how many days the lake spans.
const findDays = 365

// yearLake is a lake of a year, which is made once and kept.
type yearLake struct {
	dir    string
	events int
	// filesADay of each source, as many as flushes: 24 with every: 1h.
	filesADay int
	people    int
	from      time.Time
}

func (y *yearLake) done() string { return filepath.Join(y.dir, "done") }

// make makes the lake with the lake's own writer, flush by flush, unless it is
// there. One that was cut off is gone on with, since finished flushes are known by
// their records.
func (y *yearLake) make(ctx context.Context) error {
	if _, err := os.Stat(y.done()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(y.dir, 0o700); err != nil {
		return err
	}
	store, err := blob.OpenDir(y.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "making a lake of %d events in %s, once\n", y.events, y.dir)
	crowd := newCrowd(y.people, y.from)
	if _, err := lake.WriteTable(ctx, store, "persons/persons.parquet", crowd.persons); err != nil && !errors.Is(err, blob.ErrExist) {
		return err
	}
	sink := lake.NewParquet(lake.Options{Name: "lake", Store: store, Writer: "bench", Mapping: 1})
	for _, source := range []string{usersSource, poolSource} {
		if err := y.snapshot(ctx, sink, crowd, source); err != nil {
			return err
		}
	}
	for i := range findDays * y.filesADay {
		for source, share := range map[string]float64{tenantSource: 0.8, trailSource: 0.2} {
			if err := y.flush(ctx, sink, crowd, source, i, share); err != nil {
				return err
			}
		}
		if i%(y.filesADay*10) == 0 {
			fmt.Fprintf(os.Stderr, "day %d of %d\n", i/y.filesADay, findDays)
		}
	}
	return os.WriteFile(y.done(), nil, 0o600)
}

// snapshot writes the users of a side.
func (y *yearLake) snapshot(ctx context.Context, sink *lake.Sink, crowd *crowd, source string) error {
	day, id := y.from.Format(time.DateOnly), source+"-1"
	return flushRows(ctx, sink, source, 1, func(yield func(load.Row, error) bool) {
		for u := range crowd.users(source) {
			if !yield(load.Row{Day: day, SnapshotID: id, User: u}, nil) {
				return
			}
		}
		yield(load.Row{Day: day, Snapshot: &schema.Snapshot{ID: id, Begin: y.from, End: y.from, Complete: true}}, nil)
	})
}

// flushRows makes one segment's rows a flush, unless it is one.
func flushRows(ctx context.Context, sink *lake.Sink, source string, segment int64, rows iter.Seq2[load.Row, error]) error {
	plan, err := sink.Plan(ctx, source, segment, segment+1)
	if err != nil || plan.Done {
		return err
	}
	_, err = sink.Deliver(ctx, load.Batch{
		Source: source, From: load.Position{Segment: segment}, To: load.Position{Segment: segment + 1}, Mapping: 1, Rows: rows,
	})
	return err
}

// flush writes the events of the i-th span of a source.
func (y *yearLake) flush(ctx context.Context, sink *lake.Sink, crowd *crowd, source string, i int, share float64) error {
	span := 24 * time.Hour / time.Duration(y.filesADay)
	begin := y.from.Add(time.Duration(i) * span)
	n := int(share * float64(y.events) / findDays / float64(y.filesADay) * busy(begin))
	return flushRows(ctx, sink, source, int64(i)+1, func(yield func(load.Row, error) bool) {
		for k := range n {
			e := crowd.event(source, begin.Add(span*time.Duration(k)/time.Duration(n)).Truncate(time.Millisecond))
			if !yield(load.Row{Day: e.TimeDT.Format(time.DateOnly), Event: e}, nil) {
				return
			}
		}
	})
}

// busy is how much goes on at a time of day, 1 on average: a third by night, more
// than half as much again by day.
func busy(at time.Time) float64 {
	if h := at.Hour(); h >= 7 && h < 19 {
		return 1.6
	}
	return 0.4
}
