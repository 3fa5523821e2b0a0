package athena

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/idtrail/idtrail/schema"
)

// propertySQL is the property of a view that holds the hash of what made it.
// Athena keeps a view's SQL in words of its own.
const propertySQL = "idtrail.sql"

// views makes every view, by a query in Athena, and marks it as ours in Glue.
func (i *Installer) views(ctx context.Context, f *found) ([]Change, error) {
	var done []Change
	for _, v := range schema.Views(i.Options.views()) {
		there := f.tables[v.Name]
		change := Change{Kind: KindView, Name: v.Name, Action: ActionCreated}
		sum := sha256.Sum256([]byte(v.SQL))
		marks := map[string]string{schema.PropertyVersion: i.Version, propertySQL: hex.EncodeToString(sum[:])}
		if there != nil {
			change.Action = ActionUpdated
		}
		switch {
		case there != nil && there.Parameters[propertySQL] == marks[propertySQL]:
			change.Action = ActionUnchanged
		default:
			if err := i.query(ctx, "make view "+v.Name, v.SQL); err != nil {
				return done, err
			}
			if err := i.markView(ctx, v.Name, marks); err != nil {
				return done, err
			}
		}
		done = append(done, change)
	}
	return done, nil
}

// markView notes in a view that it is ours: Athena's own statement cannot.
func (i *Installer) markView(ctx context.Context, name string, marks map[string]string) error {
	t, err := i.table(ctx, name)
	if err != nil {
		return err
	}
	if t == nil {
		return fmt.Errorf("mark view %s: Athena made it, and Glue does not have it", name)
	}
	parameters := maps.Clone(t.Parameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	maps.Copy(parameters, marks)
	_, err = i.Glue.UpdateTable(ctx, &glue.UpdateTableInput{
		DatabaseName: &i.Database, VersionId: t.VersionId, SkipArchive: new(true),
		TableInput: &types.TableInput{
			Name: t.Name, Description: t.Description, Owner: t.Owner, TableType: t.TableType, Retention: t.Retention,
			Parameters: parameters, PartitionKeys: t.PartitionKeys, StorageDescriptor: t.StorageDescriptor,
			ViewOriginalText: t.ViewOriginalText, ViewExpandedText: t.ViewExpandedText,
		},
	})
	if err != nil {
		return i.explain("mark view "+name, "glue:UpdateTable", err)
	}
	return nil
}

// The pauses between two looks at a query that runs.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 2 * time.Second
)

// query runs one statement to its end.
func (i *Installer) query(ctx context.Context, doing, sql string) error {
	in := &athena.StartQueryExecutionInput{
		QueryString: &sql, WorkGroup: new(i.workgroup()),
		QueryExecutionContext: &athenatypes.QueryExecutionContext{Database: &i.Database},
	}
	if i.Output != "" {
		in.ResultConfiguration = &athenatypes.ResultConfiguration{OutputLocation: &i.Output}
	}
	started, err := i.Athena.StartQueryExecution(ctx, in)
	if err != nil {
		return i.explain(doing, "athena:StartQueryExecution", err)
	}
	id := started.QueryExecutionId
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		out, err := i.Athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: id})
		if err != nil {
			return i.explain(doing, "athena:GetQueryExecution", err)
		}
		if over, err := i.outcome(doing, out.QueryExecution); over {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			i.stop(ctx, aws.ToString(id))
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// outcome says whether a query is over, and how it went.
func (i *Installer) outcome(doing string, q *athenatypes.QueryExecution) (over bool, err error) {
	if q == nil || q.Status == nil {
		return true, fmt.Errorf("%s: Athena does not say how the query went", doing)
	}
	switch q.Status.State {
	case athenatypes.QueryExecutionStateSucceeded:
		return true, nil
	case athenatypes.QueryExecutionStateFailed, athenatypes.QueryExecutionStateCancelled:
		return true, failed(doing, q)
	default:
		return false, nil
	}
}

// stopTimeout is what stopping a query that nobody waits for may take.
const stopTimeout = 5 * time.Second

// stop stops a query, if it can: it would do no harm to let it run.
func (i *Installer) stop(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if _, err := i.Athena.StopQueryExecution(ctx, &athena.StopQueryExecutionInput{QueryExecutionId: &id}); err != nil {
		i.Log.DebugContext(ctx, "the query was not stopped", "query", id, "error", err)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (i *Installer) workgroup() string {
	if i.Workgroup == "" {
		return "primary"
	}
	return i.Workgroup
}
