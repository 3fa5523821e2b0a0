package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
)

// EraseTables takes a person out of what was made of snapshots beside them: the
// tables persons and drift, of all days. Reports that were made for people are
// removed where the drift they show held the person. The tables are derived, and
// written anew by every comparison: no proof speaks of them, and no note does.
// Cut off, it is finished by being called again. It returns how many rows and
// objects went.
func (p *Pipeline) EraseTables(ctx context.Context, o EraseOptions) (rows, objects int64, err error) {
	if err := o.check(); err != nil {
		return 0, 0, err
	}
	x := &tableEraser{p: p, dry: o.DryRun, concerns: &eraser{}}
	for _, n := range o.Names {
		x.concerns.names = append(x.concerns.names, strings.ToLower(strings.TrimSpace(n)))
	}
	for _, key := range []string{personsParquet, personsJSON} {
		if _, err := eraseRows(ctx, x, key, isPerson); err != nil {
			return x.rows, x.objects, fmt.Errorf("erase from persons: %w", err)
		}
	}
	if err := x.drift(ctx); err != nil {
		return x.rows, x.objects, fmt.Errorf("erase from drift: %w", err)
	}
	return x.rows, x.objects, nil
}

type tableEraser struct {
	p             *Pipeline
	dry           bool
	concerns      *eraser
	rows, objects int64
}

func (x *tableEraser) is(texts ...string) bool {
	return x.concerns.concerns([]byte(strings.Join(texts, "\n")))
}

func isPerson(x *tableEraser, row *reconcile.Person) bool { return x.is(row.UserID, row.UserName) }

func isDrift(x *tableEraser, row *reconcile.Drift) bool {
	return x.is(row.LeftID, row.LeftName, row.RightID, row.RightName, row.LeftValue, row.RightValue)
}

func (x *tableEraser) drift(ctx context.Context) error {
	for _, prefix := range []string{"drift/", "drift_json/"} {
		for info, err := range x.p.Lake.List(ctx, prefix, "") {
			if err != nil {
				return err
			}
			found, err := eraseRows(ctx, x, info.Key, isDrift)
			if err == nil && found {
				err = x.reports(ctx, info.Key)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// reports removes the reports of a comparison.
func (x *tableEraser) reports(ctx context.Context, drift string) error {
	day := path.Base(path.Dir(drift))
	pair, _, _ := strings.Cut(path.Base(drift), ".")
	for info, err := range x.p.Lake.List(ctx, "reports/"+day+"/"+pair+"/", "") {
		if err != nil {
			return err
		}
		x.objects++
		if x.dry {
			continue
		}
		if err := x.p.lake().Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// eraseRows writes a table again without the rows that are the person's.
func eraseRows[T any](ctx context.Context, x *tableEraser, key string, is func(*tableEraser, *T) bool) (found bool, err error) {
	before := x.rows
	for row, err := range lake.ReadTable[T](ctx, x.p.Lake, key) {
		if errors.Is(err, blob.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if is(x, &row) {
			x.rows++
		}
	}
	if x.rows == before {
		return false, nil
	}
	x.objects++
	if x.dry {
		return true, nil
	}
	return true, replaceTable(ctx, x.p.lake(), key, others(ctx, x, key, is))
}

func others[T any](ctx context.Context, x *tableEraser, key string, is func(*tableEraser, *T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range lake.ReadTable[T](ctx, x.p.Lake, key) {
			if err == nil && is(x, &row) {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
