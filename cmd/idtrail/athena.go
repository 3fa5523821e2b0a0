package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	awsathena "github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
)

// athenaFlags are how athena was called.
type athenaFlags struct {
	install            bool
	database, dialect  string
	location, firstDay string
	workgroup, output  string
	connection         string
	sources            []string
	list               bool
	query              string
	set                map[string]string
	withTables         bool
}

func (a *app) athenaCommand() *cobra.Command {
	var f athenaFlags
	cmd := &cobra.Command{
		Use:   "athena",
		Short: "Print or install tables, views and audit queries for Athena",
		Long: `Athena prints the statements that make the lake queryable in Amazon Athena, or
in DuckDB: tables with projected partitions for the sources of the config,
views (v_events, v_users, v_drift, v_gaps), and a library of audit queries.

With --install it makes tables and views in Glue and saves the queries in a
workgroup. It changes only what it has made itself, and may be run again at any
time: after an upgrade, and after a source was added to the config.`,
		Example: `  idtrail athena --list                            what queries there are
  idtrail athena --query password_spray --set users=20 --set days=7
  idtrail athena > lake.sql                        tables, views and queries
  idtrail athena --dialect duckdb --tables > lake.sql && duckdb -init lake.sql
  idtrail athena --install --workgroup audit --output s3://acme-athena/results`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.athena(cmd.Context(), f) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.install, "install", false, "make tables and views in Glue, and save the queries")
	fs.StringVar(&f.database, "database", "idtrail", "database of Glue")
	fs.StringVar(&f.dialect, "dialect", "athena", "athena or duckdb")
	fs.StringVar(&f.location, "location", "", "where the lake is, if not where the config says: s3://bucket/prefix")
	fs.StringVar(&f.firstDay, "first-day", "", "first day that queries see (default "+schema.DefaultFirstDay+")")
	fs.StringSliceVar(&f.sources, "source", nil, "sources of the lake besides those of the config")
	fs.BoolVar(&f.list, "list", false, "only list the queries")
	fs.StringVar(&f.query, "query", "", "only this query")
	fs.StringToStringVar(&f.set, "set", nil, "parameters of the query: name=value")
	fs.BoolVar(&f.withTables, "tables", false, "only tables and views")
	fs.StringVar(&f.workgroup, "workgroup", "primary", "workgroup of Athena")
	fs.StringVar(&f.output, "output", "", "where Athena puts results, where the workgroup does not say: s3://bucket/prefix")
	fs.StringVar(&f.connection, "connection", "", "connection of the config to install with (default: as the lake is opened)")
	return cmd
}

func (a *app) athena(ctx context.Context, f athenaFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.list {
		return a.listQueries()
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	o, err := athenaOptions(c, f)
	if err != nil {
		return err
	}
	if f.install {
		return a.installAthena(ctx, c, o, f)
	}
	return a.printAthena(ctx, c, o, f)
}

// databaseName is what Athena takes without quotes, in lower case; sourceName what
// the config takes.
var (
	databaseName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,127}$`)
	sourceName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
)

func (f athenaFlags) check() error {
	if f.firstDay != "" {
		if _, err := time.Parse(time.DateOnly, f.firstDay); err != nil {
			return usage("write a day like 2026-01-31", "--first-day %s is no day", f.firstDay)
		}
	}
	switch {
	case f.dialect != string(schema.DialectAthena) && f.dialect != string(schema.DialectDuckDB):
		return usage("write athena or duckdb", "--dialect %s is unknown", f.dialect)
	case !databaseName.MatchString(f.database):
		return usage("write lower-case letters, digits and _", "--database %q is no name for a database", f.database)
	case f.output != "" && !strings.HasPrefix(f.output, "s3://"):
		return usage("write s3://bucket/prefix", "--output %s is not in S3", f.output)
	case len(f.set) > 0 && f.query == "":
		return usage("add --query; idtrail athena --list shows them", "--set needs to know of which query")
	case f.install && f.onlyPrints():
		return usage("leave the other flags out: it installs all of it", "--install does not go with --dialect duckdb, --list, --query or --tables")
	}
	return nil
}

// onlyPrints says whether a flag is set that is for what is printed.
func (f athenaFlags) onlyPrints() bool {
	return f.dialect != string(schema.DialectAthena) || f.list || f.query != "" || f.withTables
}

// athenaOptions are the lake of the config.
func athenaOptions(c *config.Config, f athenaFlags) (athena.Options, error) {
	o := athena.Options{
		Dialect: schema.Dialect(f.dialect), Database: f.database, Location: c.Lake.URL, FirstDay: f.firstDay,
		Version: readVersions().Version, Tables: pipeline.Tables(), Sources: athenaSources(c),
	}
	if f.location != "" {
		o.Location = strings.TrimSuffix(f.location, "/")
	}
	for _, name := range f.sources {
		if !sourceName.MatchString(name) {
			return o, usage("names are lower-case letters, digits and _", "--source %q is no name of a source", name)
		}
		if !slices.ContainsFunc(o.Sources, func(s athena.Source) bool { return s.Name == name }) {
			o.Sources = append(o.Sources, athena.Source{Name: name, Snapshots: true, Events: true})
		}
	}
	if o.Dialect == schema.DialectAthena && !strings.HasPrefix(o.Location, "s3://") && (f.query == "" || f.install) {
		return o, usage("for a lake on disk: --dialect duckdb; for its copy in S3: --location s3://bucket/prefix",
			"Athena reads S3 only, and the lake is at %s", o.Location)
	}
	return o, nil
}

// athenaSources are the sources of a config, as far as their tables go.
func athenaSources(c *config.Config) []athena.Source {
	sources := make([]athena.Source, len(c.Sources))
	for i, s := range c.Sources {
		snapshots := s.Kind == config.KindAuth0Users || s.Kind == config.KindCognitoUsers
		archive := s.Kind == config.KindArchive
		sources[i] = athena.Source{Name: s.Name, Snapshots: snapshots || archive, Events: !snapshots}
	}
	return sources
}

func (a *app) listQueries() error {
	queries := athena.Queries()
	if a.json {
		return a.printJSON(queries)
	}
	rows := [][]string{{"QUERY", "PARAMETERS", "SHOWS"}}
	for _, q := range queries {
		var set []string
		for _, p := range q.Parameters {
			set = append(set, p.Name+"="+p.Default)
		}
		rows = append(rows, []string{q.Name, strings.Join(set, " "), q.Title})
	}
	return a.printTable(rows)
}

func (a *app) printAthena(ctx context.Context, c *config.Config, o athena.Options, f athenaFlags) error {
	var all []athena.Statement
	if f.query == "" {
		has, err := a.tablesThere(ctx, c, o, f)
		if err != nil {
			return err
		}
		all = o.Statements(has)
	}
	if !f.withTables {
		queries, err := chosenQueries(f.query)
		if err != nil {
			return err
		}
		statements, err := o.Queries(queries, f.set)
		if err != nil {
			return &exitError{code: exitUsage, err: err, hint: "idtrail athena --list shows the parameters"}
		}
		all = append(all, statements...)
	}
	if a.json {
		return a.printJSON(all)
	}
	return a.printSQL(o, all)
}

func (a *app) printSQL(o athena.Options, all []athena.Statement) error {
	var b strings.Builder
	if o.Dialect == schema.DialectDuckDB {
		b.WriteString("SET TimeZone = 'UTC';\n\n")
	}
	for _, s := range all {
		if s.Kind == athena.KindQuery && len(all) > 1 {
			fmt.Fprintf(&b, "-- idtrail: %s\n", s.Name)
		}
		b.WriteString(s.SQL + ";\n\n")
	}
	return a.printf("%s", strings.TrimSuffix(b.String(), "\n"))
}

// chosenQueries is the query of a name, or all of them.
func chosenQueries(name string) ([]athena.Query, error) {
	all := athena.Queries()
	if name == "" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(q athena.Query) bool { return q.Name == name })
	if i < 0 {
		names := make([]string, len(all))
		for n, q := range all {
			names[n] = q.Name
		}
		return nil, usage("known: "+strings.Join(names, ", "), "there is no query %s", printable(name))
	}
	return all[i : i+1], nil
}

// tablesThere says of which tables the lake has an object: DuckDB needs one.
func (a *app) tablesThere(ctx context.Context, c *config.Config, o athena.Options, f athenaFlags) (func(string) bool, error) {
	if o.Dialect == schema.DialectAthena || f.location != "" {
		return func(string) bool { return true }, nil
	}
	store, err := a.builder(c).existing(ctx, c.Lake)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, t := range o.Tables {
		if there[t.Name], err = hasObject(ctx, store, t.Name+"/"); err != nil {
			return nil, err
		}
	}
	return func(table string) bool { return there[table] }, nil
}

func hasObject(ctx context.Context, store blob.Store, prefix string) (bool, error) {
	for _, err := range store.List(ctx, prefix, "") {
		if err != nil {
			return false, fmt.Errorf("list %s: %w", prefix, err)
		}
		return true, nil
	}
	return false, nil
}

// installer reaches Glue and Athena, as the lake is opened unless told otherwise.
func (a *app) installer(ctx context.Context, c *config.Config, o athena.Options, f athenaFlags) (*athena.Installer, error) {
	b := a.builder(c)
	access := blob.AWSOptions{Region: c.Lake.Region, RoleARN: c.Lake.RoleARN, ExternalID: c.Lake.ExternalID}
	if f.connection != "" {
		if c.Connections[f.connection].AWS == nil {
			return nil, usage("name one of the config that has aws", "--connection %s is no connection to AWS", printable(f.connection))
		}
		access = b.awsOptions(f.connection)
	}
	cfg, err := blob.LoadAWS(ctx, access)
	if err != nil {
		return nil, err
	}
	installer := &athena.Installer{
		Glue: glue.NewFromConfig(cfg), Athena: awsathena.NewFromConfig(cfg), Options: o,
		Workgroup: f.workgroup, Output: f.output, Log: a.log,
	}
	for _, endpoint := range []*string{installer.Glue.Options().BaseEndpoint, installer.Athena.Options().BaseEndpoint} {
		if endpoint == nil {
			continue
		}
		if err := blob.CheckEndpoint(*endpoint); err != nil {
			return nil, fmt.Errorf("reach database %s: %w", o.Database, err)
		}
	}
	return installer, nil
}

func (a *app) installAthena(ctx context.Context, c *config.Config, o athena.Options, f athenaFlags) error {
	installer, err := a.installer(ctx, c, o, f)
	if err != nil {
		return err
	}
	var changes []athena.Change
	a.term.during(func() string { return "installing into " + o.Database }, func() { changes, err = installer.Install(ctx) })
	if hinted := new(athena.Error); errors.As(err, &hinted) {
		err = withHint(err, hinted.Hint)
	}
	return errors.Join(a.printChanges(o.Database, changes), err)
}

// printChanges says what was done, also where it went wrong in the end.
func (a *app) printChanges(database string, changes []athena.Change) error {
	if a.json {
		return a.printJSON(map[string]any{"database": database, "changes": changes})
	}
	rows := [][]string{{"KIND", "NAME", "DONE"}}
	for _, c := range changes {
		rows = append(rows, []string{c.Kind, c.Name, c.Action})
	}
	if len(rows) == 1 {
		return nil
	}
	return a.printTable(rows)
}
