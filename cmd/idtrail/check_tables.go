package main

import (
	"context"
	"errors"
	"strings"

	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/schema"
)

// tables looks for rows that no query sees: in the lake, and, where a database of
// Glue is named, for what its tables do not know. Without one the tables are
// those that idtrail athena would make. Lake is nil where there is none yet.
func (k *checker) tables(ctx context.Context, c *config.Config, lake blob.Store, database string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store("tables")
	f := athenaFlags{database: database, dialect: string(schema.DialectAthena)}
	if database == "" && !c.Lake.S3() {
		f.dialect = string(schema.DialectDuckDB)
	}
	o, err := athenaOptions(c, f)
	if err != nil {
		k.failed("tables", database, err)
		return
	}
	covers := o.Covers()
	if database != "" {
		if covers = k.installed(ctx, c, o, f); covers == nil {
			return
		}
	}
	k.uncovered(ctx, lake, o, covers)
}

// installed adds what the tables of the database lack; nil if they cannot be
// looked at.
func (k *checker) installed(ctx context.Context, c *config.Config, o athena.Options, f athenaFlags) map[string]athena.Cover {
	installer, err := k.a.installer(ctx, c, o, f)
	var covers map[string]athena.Cover
	var lacks []athena.Stray
	if err == nil {
		covers, lacks, err = installer.Installed(ctx)
	}
	if hinted := new(athena.Error); errors.As(err, &hinted) {
		err = withHint(err, hinted.Hint)
	}
	if err != nil {
		k.failed("tables", f.database, err)
		return nil
	}
	for _, l := range lacks {
		k.add(checked{Part: "tables", Name: strings.TrimSpace(l.Table + " " + l.Source), State: checkWarning, What: l.Reason, Hint: l.Hint})
	}
	if len(lacks) == 0 {
		k.add(checked{Part: "tables", State: checkOK, What: "those of database " + f.database + " know every source of the config"})
	}
	return covers
}

// uncovered adds what lies in the lake where no table reads it.
func (k *checker) uncovered(ctx context.Context, lake blob.Store, o athena.Options, covers map[string]athena.Cover) {
	if lake == nil {
		return
	}
	strays, err := athena.Uncovered(ctx, lake, o.Tables, covers, k.a.Now())
	if err != nil {
		k.failed("tables", "", err)
		return
	}
	for _, s := range strays {
		k.add(checked{
			Part: "tables", Name: strings.TrimSpace(s.Table + " " + s.Source), State: checkWarning,
			What: s.Key + ": " + s.Reason, Hint: s.Hint,
		})
	}
	if len(strays) == 0 {
		k.add(checked{Part: "tables", State: checkOK, What: "nothing in the lake lies where no table reads it"})
	}
}
