package athena

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/idtrail/idtrail/schema"
)

// What an [Installer] refuses. All come with a hint.
var (
	// ErrForeign says that a table or view of that name is not idtrail's.
	ErrForeign = errors.New("it is not idtrail's")
	// ErrNewer says that a newer idtrail has made it, with more than we know.
	ErrNewer = errors.New("a newer idtrail has made it")
	// ErrElsewhere says that a table reads another lake.
	ErrElsewhere = errors.New("it reads another lake")
)

// Installer puts tables, views and queries into an account. It changes what it
// made and nothing else, and may be run again at any time.
type Installer struct {
	Glue   *glue.Client
	Athena *athena.Client
	Options
	// Workgroup that queries run in and are saved in; "primary" if "".
	Workgroup string
	// Output is where Athena puts results, s3://…; "" where the workgroup says.
	Output string
	Log    *slog.Logger
}

// Change is what an [Installer] did with one thing.
type Change struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Action is one of the Action constants.
	Action string `json:"action"`
}

// The actions of a [Change].
const (
	ActionCreated   = "created"
	ActionUpdated   = "updated"
	ActionUnchanged = "unchanged"
)

// Install makes database, tables, views and queries, and returns what it did, up
// to an error. Before it changes anything it looks whether all of the names are
// free or its own: [ErrForeign], [ErrNewer], [ErrElsewhere].
func (i *Installer) Install(ctx context.Context) ([]Change, error) {
	there, err := i.look(ctx)
	if err != nil {
		return nil, err
	}
	var done []Change
	for _, step := range []func(context.Context, *found) ([]Change, error){i.database, i.tables, i.views, i.queries} {
		changes, err := step(ctx, there)
		done = append(done, changes...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// found is what there was before.
type found struct {
	database bool
	tables   map[string]*types.Table // views too
}

// claims says whether a table of ours claims the name of a view: one that Athena
// has made, and that was not marked any more.
func (f *found) claims(view string, tables []schema.Table) bool {
	for _, t := range tables {
		if there := f.tables[t.Name]; there != nil && slices.Contains(strings.Fields(there.Parameters[propertyViews]), view) {
			return true
		}
	}
	return false
}

// look reads what there is, and refuses what is not ours.
func (i *Installer) look(ctx context.Context) (*found, error) {
	f := &found{tables: map[string]*types.Table{}}
	_, err := i.Glue.GetDatabase(ctx, &glue.GetDatabaseInput{Name: &i.Database})
	if isMissing(err) {
		return f, nil
	}
	if err != nil {
		return nil, i.explain("read database "+i.Database, "glue:GetDatabase", err)
	}
	f.database = true
	for _, t := range i.Tables {
		there, err := i.table(ctx, t.Name)
		if err == nil && there != nil {
			err = i.checkTable(there, t)
		}
		if err != nil {
			return nil, err
		}
		f.tables[t.Name] = there
	}
	return f, i.lookAtViews(ctx, f)
}

func (i *Installer) lookAtViews(ctx context.Context, f *found) error {
	for _, v := range schema.Views(i.Options.views()) {
		there, err := i.table(ctx, v.Name)
		if err != nil {
			return err
		}
		if there != nil && there.Parameters[schema.PropertyVersion] == "" && !f.claims(v.Name, i.Tables) {
			return i.foreign(KindView, v.Name)
		}
		f.tables[v.Name] = there
	}
	return nil
}

// table reads a table or view; nil if there is none.
func (i *Installer) table(ctx context.Context, name string) (*types.Table, error) {
	out, err := i.Glue.GetTable(ctx, &glue.GetTableInput{DatabaseName: &i.Database, Name: &name})
	switch {
	case isMissing(err):
		return nil, nil //nolint:nilnil // that there is none is an answer
	case err != nil:
		return nil, i.explain("read table "+name, "glue:GetTable", err)
	}
	return out.Table, nil
}

func (i *Installer) foreign(kind, name string) error {
	return &Error{
		err:  fmt.Errorf("%s %s.%s: %w", kind, i.Database, name, ErrForeign),
		Hint: "nothing was changed; install into another --database, or drop it if nobody needs it",
	}
}

func (i *Installer) database(ctx context.Context, f *found) ([]Change, error) {
	change := Change{Kind: KindDatabase, Name: i.Database, Action: ActionUnchanged}
	if f.database {
		return []Change{change}, nil
	}
	_, err := i.Glue.CreateDatabase(ctx, &glue.CreateDatabaseInput{DatabaseInput: &types.DatabaseInput{
		Name: &i.Database, Description: new("Identity audit trail, made by idtrail"),
	}})
	if err != nil && !isThere(err) {
		return nil, i.explain("create database "+i.Database, "glue:CreateDatabase", err)
	}
	change.Action = ActionCreated
	return []Change{change}, nil
}
