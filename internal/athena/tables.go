package athena

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/idtrail/idtrail/schema"
)

// The classes that read Parquet in Hive's words, which Glue wants spelled out.
const (
	parquetInput  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
	parquetOutput = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
	parquetSerde  = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
)

// propertyViews is the property of our tables that names the views that are ours
// too. It is there before they are: Athena cannot mark what it makes, and a view
// that was made and not marked would be nobody's.
const propertyViews = "idtrail.views"

func (i *Installer) viewNames() string {
	var names []string
	for _, v := range schema.Views(i.Options.views()) {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

// tables makes every table, or brings it up to date.
func (i *Installer) tables(ctx context.Context, f *found) ([]Change, error) {
	var done []Change
	for _, t := range i.Tables {
		action, err := i.putTable(ctx, t, f.tables[t.Name])
		if err != nil {
			return done, err
		}
		done = append(done, Change{Kind: KindTable, Name: t.Name, Action: action})
	}
	return done, nil
}

func (i *Installer) putTable(ctx context.Context, t schema.Table, there *types.Table) (action string, err error) {
	want := i.tableInput(t)
	if there == nil {
		_, err := i.Glue.CreateTable(ctx, &glue.CreateTableInput{DatabaseName: &i.Database, TableInput: want})
		if err != nil {
			return "", i.explain("create table "+t.Name, "glue:CreateTable", err)
		}
		return ActionCreated, nil
	}
	// What others have noted in a table of ours stays.
	want.Parameters = merged(there.Parameters, want.Parameters)
	if sameTable(there, want) {
		return ActionUnchanged, nil
	}
	_, err = i.Glue.UpdateTable(ctx, &glue.UpdateTableInput{
		DatabaseName: &i.Database, TableInput: want, VersionId: there.VersionId, SkipArchive: new(true),
	})
	if err != nil {
		return "", i.explain("update table "+t.Name, "glue:UpdateTable", err)
	}
	return ActionUpdated, nil
}

// tableInput is a table as Glue takes it.
func (i *Installer) tableInput(t schema.Table) *types.TableInput {
	o := i.ddl(t)
	parameters := map[string]string{"EXTERNAL": "TRUE", propertyViews: i.viewNames()}
	for _, p := range t.Properties(o) {
		parameters[p[0]] = p[1]
	}
	keys := make([]types.Column, len(t.Partitions))
	for n, p := range t.Partitions {
		keys[n] = types.Column{Name: &p, Type: new("string")}
	}
	return &types.TableInput{
		Name:          &t.Name,
		Description:   new("Made by idtrail; docs/SCHEMA.md tells what its columns mean"),
		TableType:     new("EXTERNAL_TABLE"),
		Parameters:    parameters,
		PartitionKeys: keys,
		StorageDescriptor: &types.StorageDescriptor{
			Columns:      columnsOf(t),
			Location:     new(t.Location(o)),
			InputFormat:  new(parquetInput),
			OutputFormat: new(parquetOutput),
			SerdeInfo: &types.SerDeInfo{
				SerializationLibrary: new(parquetSerde), Parameters: map[string]string{"serialization.format": "1"},
			},
		},
	}
}

// columnsOf are the columns with types as Glue writes them: nothing in them is
// quoted.
func columnsOf(t schema.Table) []types.Column {
	columns := make([]types.Column, len(t.Columns))
	for n, c := range t.Columns {
		columns[n] = types.Column{Name: &c.Name, Type: new(strings.ReplaceAll(c.TypeText(), "`", ""))}
	}
	return columns
}

// checkTable says whether a table that is there may be brought up to date.
func (i *Installer) checkTable(there *types.Table, t schema.Table) error {
	version := there.Parameters[schema.PropertyVersion]
	if version == "" {
		return i.foreign(KindTable, t.Name)
	}
	storage := there.StorageDescriptor
	if storage == nil {
		storage = &types.StorageDescriptor{}
	}
	if at, want := aws.ToString(storage.Location), t.Location(i.ddl(t)); folder(at) != folder(want) {
		return &Error{
			err:  fmt.Errorf("table %s.%s: %w, at %s and not at %s", i.Database, t.Name, ErrElsewhere, at, want),
			Hint: "nothing was changed; install each lake into a --database of its own, or drop the tables of this one",
		}
	}
	known := columnsOf(t)
	for _, c := range storage.Columns {
		// Columns are only ever added: what we do not know, a newer one has added.
		if !slices.ContainsFunc(known, func(k types.Column) bool { return *k.Name == aws.ToString(c.Name) }) {
			return &Error{
				err:  fmt.Errorf("table %s.%s: %w (%s): it has a column %s", i.Database, t.Name, ErrNewer, version, aws.ToString(c.Name)),
				Hint: "nothing was changed; install with that version, or a newer one",
			}
		}
	}
	return nil
}

func folder(location string) string { return strings.TrimSuffix(location, "/") + "/" }

func merged(there, want map[string]string) map[string]string {
	all := maps.Clone(there)
	// What projects a partition is ours alone: a key that has gone must go.
	maps.DeleteFunc(all, func(name, _ string) bool {
		return strings.HasPrefix(name, "projection.") || strings.HasPrefix(name, "idtrail.")
	})
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, want)
	return all
}

// sameTable says whether a table is as it is wanted.
func sameTable(there *types.Table, want *types.TableInput) bool {
	storage := there.StorageDescriptor
	return storage != nil && maps.Equal(there.Parameters, want.Parameters) &&
		aws.ToString(storage.Location) == *want.StorageDescriptor.Location &&
		aws.ToString(storage.InputFormat) == parquetInput &&
		sameColumns(storage.Columns, want.StorageDescriptor.Columns) &&
		sameColumns(there.PartitionKeys, want.PartitionKeys)
}

func sameColumns(a, b []types.Column) bool {
	return slices.EqualFunc(a, b, func(a, b types.Column) bool {
		return aws.ToString(a.Name) == aws.ToString(b.Name) && aws.ToString(a.Type) == aws.ToString(b.Type)
	})
}
