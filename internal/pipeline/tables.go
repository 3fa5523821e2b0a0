package pipeline

import (
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// Tables returns every table of a lake: those of package schema, and those that
// Reconcile writes.
func Tables() []schema.Table {
	return append(schema.Tables(),
		schema.WholeTableOf("persons", reconcile.Person{}),
		schema.TableOf("drift", reconcile.Drift{}, "dt"),
	)
}
