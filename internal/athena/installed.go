package athena

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/idtrail/idtrail/schema"
)

// Installed returns what the tables in Glue cover, by their names, and what they
// lack of what [Installer.Install] would make: whole tables, sources and columns.
// It changes nothing, and needs nothing but to read tables.
func (i *Installer) Installed(ctx context.Context) (map[string]Cover, []Stray, error) {
	covers := map[string]Cover{}
	var lacks []Stray
	for _, t := range i.Tables {
		there, err := i.table(ctx, t.Name)
		if err != nil {
			return nil, nil, err
		}
		if reason := i.lack(there, t); reason != "" {
			lacks = append(lacks, Stray{Table: t.Name, Reason: reason, Hint: i.again()})
			continue
		}
		cover := coverOf(there)
		for _, source := range i.Sources {
			if source.in(t.Name) && slices.Contains(t.Partitions, "source") && !slices.Contains(cover.Sources, source.Name) {
				lacks = append(lacks, Stray{
					Table: t.Name, Source: source.Name, Hint: i.again(),
					Reason: "the table does not know this source of the config: no query sees its rows",
				})
			}
		}
		covers[t.Name] = cover
	}
	return covers, lacks, nil
}

func (i *Installer) again() string {
	return "idtrail athena --install --database " + i.Database
}

// lack says what is wrong with a table as a whole.
func (i *Installer) lack(there *types.Table, t schema.Table) string {
	switch {
	case there == nil:
		return fmt.Sprintf("database %s has no such table", i.Database)
	case i.checkTable(there, t) != nil:
		return i.checkTable(there, t).Error()
	}
	for _, c := range columnsOf(t) {
		if !slices.ContainsFunc(there.StorageDescriptor.Columns, func(h types.Column) bool { return aws.ToString(h.Name) == *c.Name }) {
			return fmt.Sprintf("the table, made by an older version, lacks column %s", *c.Name)
		}
	}
	return ""
}

// coverOf reads what a table projects.
func coverOf(t *types.Table) Cover {
	first, _, _ := strings.Cut(t.Parameters["projection.dt.range"], ",")
	return Cover{Sources: strings.Split(t.Parameters["projection.source.values"], ","), FirstDay: first}
}
