package athena

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// Stray is something of the lake that no table covers: rows nobody sees, and no
// query says so.
type Stray struct {
	// Table whose folder it is in, and the source there; Source is "" where the
	// folder is not one of a source.
	Table  string `json:"table"`
	Source string `json:"source,omitempty"`
	// Key of the first such object.
	Key string `json:"key"`
	// Reason it is not covered, and what helps.
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

// Cover is what of its folder a table reads.
type Cover struct {
	// Sources it has partitions of; where it has none by source, they do not count.
	Sources []string
	// FirstDay is the first day it reads; [schema.DefaultFirstDay] if "".
	FirstDay string
	// Everything says that it reads all that lies in partitions, as DuckDB does.
	Everything bool
}

func (c Cover) knows(source string) bool { return c.Everything || slices.Contains(c.Sources, source) }

// Covers returns what the tables cover that o makes, by their names.
func (o Options) Covers() map[string]Cover {
	covers := map[string]Cover{}
	for _, t := range o.Tables {
		covers[t.Name] = Cover{Sources: o.sourcesOf(t.Name), FirstDay: o.FirstDay, Everything: o.Dialect == schema.DialectDuckDB}
	}
	return covers
}

// Uncovered returns what of a lake the tables do not cover: sources they do not
// know (any more), days before the first and days behind tomorrow, and objects
// that lie elsewhere than partitions do. A table without a cover is left out. It
// looks at the ends of each partition only: some calls for each table and source.
func Uncovered(ctx context.Context, store blob.Store, tables []schema.Table, covers map[string]Cover, now time.Time) ([]Stray, error) {
	var strays []Stray
	for _, t := range tables {
		cover, ok := covers[t.Name]
		if !ok {
			continue
		}
		found, err := coverage{store: store, Cover: cover, table: t, now: now}.strays(ctx)
		if err != nil {
			return nil, fmt.Errorf("look what tables cover: %w", err)
		}
		strays = append(strays, found...)
	}
	return strays, nil
}

// coverage is a table that is held against its folder.
type coverage struct {
	store blob.Store
	Cover
	table schema.Table
	now   time.Time
}

func (c coverage) strays(ctx context.Context) ([]Stray, error) {
	if len(c.table.Partitions) == 0 {
		return nil, nil
	}
	if !slices.Contains(c.table.Partitions, "source") {
		return c.days(ctx, c.table.Name+"/", "")
	}
	var strays []Stray
	prefix := c.table.Name + "/"
	for after := ""; ; {
		key, err := c.first(ctx, prefix, after)
		if err != nil || key == "" {
			return strays, err
		}
		part, _, isFolder := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		name, isSource := strings.CutPrefix(part, "source=")
		switch {
		case !isFolder || !isSource:
			strays = append(strays, c.misplaced(key, ""))
		case !c.knows(name):
			strays = append(strays, Stray{
				Table: c.table.Name, Source: name, Key: key, Reason: "the table has no source " + name + ": no query sees these rows",
				Hint: "make the tables with idtrail athena --source " + name + ", or with the source in the config",
			})
		default:
			found, err := c.days(ctx, prefix+part+"/", name)
			if err != nil {
				return nil, err
			}
			strays = append(strays, found...)
		}
		after = prefix + part + "0" // "0" is next to "/"
		if !isFolder {
			after = key
		}
	}
}

// days looks at both ends of the days below a prefix.
func (c coverage) days(ctx context.Context, prefix, source string) ([]Stray, error) {
	firstDay := cmp.Or(c.FirstDay, schema.DefaultFirstDay)
	stray := func(key, reason, hint string) Stray {
		return Stray{Table: c.table.Name, Source: source, Key: key, Reason: reason, Hint: hint}
	}
	var strays []Stray
	key, err := c.first(ctx, prefix, "")
	if err != nil || key == "" {
		return nil, err
	}
	switch day, ok := dayOf(key, prefix); {
	case !ok:
		strays = append(strays, c.misplaced(key, source))
	case day < firstDay && !c.Everything:
		strays = append(strays, stray(key, "day "+day+" is before "+firstDay+", the first day of the tables", "make the tables with an earlier --first-day"))
	}
	// Whatever sorts behind the objects of tomorrow.
	tomorrow := c.now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	last, err := c.first(ctx, prefix, prefix+"dt="+tomorrow+"0")
	if err != nil || last == "" || last == key && len(strays) > 0 {
		return strays, err
	}
	if day, ok := dayOf(last, prefix); ok {
		if c.Everything {
			return strays, nil
		}
		return append(strays, stray(last, "day "+day+" is behind tomorrow", "it is seen from the day before on; is the clock of the machine right that wrote it?")), nil
	}
	return append(strays, c.misplaced(last, source)), nil
}

func (c coverage) misplaced(key, source string) Stray {
	return Stray{
		Table: c.table.Name, Source: source, Key: key, Reason: "it lies in no partition of the table",
		Hint: "idtrail did not write it: move it out of the lake",
	}
}

func dayOf(key, prefix string) (day string, ok bool) {
	part, _, isFolder := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	day, isDay := strings.CutPrefix(part, "dt=")
	_, err := time.Parse(time.DateOnly, day)
	return day, isFolder && isDay && err == nil
}

// first is the first key behind after, "" if there is none.
func (c coverage) first(ctx context.Context, prefix, after string) (string, error) {
	for info, err := range c.store.List(ctx, prefix, after) {
		if err != nil {
			return "", fmt.Errorf("list %s: %w", prefix, err)
		}
		return info.Key, nil
	}
	return "", nil
}
