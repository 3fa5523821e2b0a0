package athena_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsathena "github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
)

func installer(c http.Handler) *athena.Installer {
	cfg := aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
		BaseEndpoint: new("https://aws.test"),
		HTTPClient:   &http.Client{Transport: fake.Transport(c)},
		Retryer:      func() aws.Retryer { return retry.NewStandard() },
	}
	return &athena.Installer{
		Glue: glue.NewFromConfig(cfg), Athena: awsathena.NewFromConfig(cfg), Options: options(),
		Workgroup: "audit", Output: "s3://results/here", Log: slog.New(slog.DiscardHandler),
	}
}

func options() athena.Options {
	return athena.Options{
		Dialect: schema.DialectAthena, Database: "trail", Location: "s3://bucket/lake", Tables: pipeline.Tables(), Version: "v1.2.3",
		Sources: []athena.Source{{Name: "logs", Events: true}, {Name: "users", Snapshots: true}},
	}
}

func install(t *testing.T, i *athena.Installer) []athena.Change {
	t.Helper()
	changes, err := i.Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// actions counts changes by what was done.
func actions(changes []athena.Change) string {
	n := map[string]int{}
	for _, c := range changes {
		n[c.Kind+" "+c.Action]++
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%d %s", n[key], key))
	}
	return strings.Join(parts, ", ")
}

func TestInstall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewCatalog(fake.CatalogOptions{Running: 3})
		i := installer(c)
		tables, queries := len(i.Tables), len(athena.Queries())
		want := fmt.Sprintf("1 database created, %d query created, %d table created, 4 view created", queries, tables)
		if got := actions(install(t, i)); got != want {
			t.Errorf("first: got %s, want %s", got, want)
		}
		for _, q := range c.Queried() {
			if q != [2]string{"audit", "s3://results/here"} {
				t.Errorf("a query ran in %v", q)
			}
		}
		events := c.Table("trail", "events")
		parameters, _ := events["Parameters"].(map[string]any)
		for name, want := range map[string]string{
			"projection.source.values": "logs", "projection.enabled": "true", "idtrail.version": "v1.2.3", "EXTERNAL": "TRUE",
			"storage.location.template": "s3://bucket/lake/events/source=${source}/dt=${dt}/",
		} {
			if got := parameters[name]; got != want {
				t.Errorf("events: %s is %v, want %s", name, got, want)
			}
		}
		if view := c.Table("trail", "v_events"); view["TableType"] != "VIRTUAL_VIEW" || view["ViewOriginalText"] == nil ||
			fmt.Sprint(view["Parameters"].(map[string]any)["presto_view"]) != "true" {
			t.Errorf("v_events lost what makes it a view: %v", view)
		}

		// Again: nothing is done. Another version with another source: tables and
		// their marks are brought up to date.
		want = fmt.Sprintf("1 database unchanged, %d query unchanged, %d table unchanged, 4 view unchanged", queries, tables)
		if got := actions(install(t, installer(c))); got != want {
			t.Errorf("again: got %s, want %s", got, want)
		}
		newer := installer(c)
		newer.Sources = append(newer.Sources, athena.Source{Name: "trail", Events: true})
		newer.Version = "v1.3.0"
		want = fmt.Sprintf("1 database unchanged, %d query unchanged, %d table updated, 4 view unchanged", queries, tables)
		if got := actions(install(t, newer)); got != want {
			t.Errorf("newer: got %s, want %s", got, want)
		}
		if got := c.Table("trail", "events")["Parameters"].(map[string]any)["projection.source.values"]; got != "logs,trail" {
			t.Errorf("sources of events: got %v", got)
		}
		if n := len(c.Saved()); n != queries {
			t.Errorf("%d queries are saved, want %d", n, queries)
		}
	})
}

// TestInstallKeepsNotes: what others have noted in our tables stays, and what is
// not ours is not touched.
func TestInstallKeepsNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewCatalog(fake.CatalogOptions{})
		install(t, installer(c))
		gaps := c.Table("trail", "gaps")
		parameters := maps.Clone(gaps["Parameters"].(map[string]any))
		parameters["owner"], parameters["projection.region.type"] = "audit team", "injected"
		gaps["Parameters"] = parameters
		c.PutTable("trail", gaps)
		if got := actions(install(t, installer(c))); !strings.Contains(got, "1 table updated") {
			t.Errorf("got %s, want one table updated", got)
		}
		got, _ := c.Table("trail", "gaps")["Parameters"].(map[string]any)
		if got["owner"] != "audit team" || got["projection.region.type"] != nil {
			t.Errorf("got %v; want the note kept, and no projection but ours", got)
		}
	})
}

func TestInstallRefuses(t *testing.T) {
	ours := map[string]any{schema.PropertyVersion: "v9"}
	at := func(location string, columns ...any) map[string]any {
		return map[string]any{"Location": location, "Columns": columns}
	}
	for name, tt := range map[string]struct {
		table map[string]any
		want  error
	}{
		"a table of somebody": {map[string]any{"Name": "events", "Parameters": map[string]any{"classification": "csv"}}, athena.ErrForeign},
		"a view of somebody":  {map[string]any{"Name": "v_users", "TableType": "VIRTUAL_VIEW"}, athena.ErrForeign},
		"another lake":        {map[string]any{"Name": "events", "Parameters": ours, "StorageDescriptor": at("s3://other/lake/events/")}, athena.ErrElsewhere},
		"a newer version": {map[string]any{
			"Name": "gaps", "Parameters": ours,
			"StorageDescriptor": at("s3://bucket/lake/gaps", map[string]any{"Name": "who_lost_it", "Type": "string"}),
		}, athena.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewCatalog(fake.CatalogOptions{})
			c.PutTable("trail", tt.table)
			changes, err := installer(c).Install(t.Context())
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			var hinted *athena.Error
			if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "nothing was changed") {
				t.Errorf("got no hint: %v", err)
			}
			for _, call := range c.Calls() {
				if len(changes) > 0 || !strings.HasPrefix(call.Path, "glue:Get") {
					t.Errorf("it called %s, and says it did %v", call.Path, changes)
				}
			}
		})
	}
}

// TestInstallNamedQueries: queries are known by name and database. Those of
// others, and of other databases, stay.
func TestInstallNamedQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewCatalog(fake.CatalogOptions{})
		other := installer(c)
		other.Database = "second"
		install(t, other)
		theirs := installer(c)
		_, err := theirs.Athena.CreateNamedQuery(t.Context(), &awsathena.CreateNamedQueryInput{
			Name: new("failed_logins"), Database: new("trail"), QueryString: new("SELECT 1"), WorkGroup: new("audit"),
		})
		if err != nil {
			t.Fatal(err)
		}
		install(t, installer(c))
		stale := c.Saved()[len(c.Saved())-1]
		_, err = theirs.Athena.UpdateNamedQuery(t.Context(), &awsathena.UpdateNamedQueryInput{
			NamedQueryId: new(stale["NamedQueryId"].(string)), Name: new(stale["Name"].(string)), QueryString: new("SELECT 2"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := actions(install(t, installer(c))); !strings.Contains(got, "1 query updated") {
			t.Errorf("got %s, want one query updated", got)
		}
		n := map[string]int{}
		for _, q := range c.Saved() {
			n[q["Database"].(string)]++
			if q["Name"] == "failed_logins" && q["QueryString"] != "SELECT 1" {
				t.Errorf("somebody's query was changed: %v", q)
			}
			if q["QueryString"] == "SELECT 2" {
				t.Errorf("%v is stale", q["Name"])
			}
		}
		if want := len(athena.Queries()); n["second"] != want || n["trail"] != want+1 {
			t.Errorf("got %v, want %d in each and one of somebody's", n, want)
		}
	})
}

func TestInstallFaults(t *testing.T) {
	const theirWords = "User arn:aws:iam::1:user/secret is not authorized"
	for name, tt := range map[string]struct {
		opts fake.CatalogOptions
		want string // of the error, "" for none
		hint string
	}{
		"throttled": {opts: fake.CatalogOptions{Fault: fake.OnCalls("glue:CreateTable", fake.CatalogFault("ThrottlingException", "Rate exceeded"), 1, 3)}},
		"too often": {
			opts: fake.CatalogOptions{Fault: fake.OnCalls("athena:StartQueryExecution", fake.CatalogFault("TooManyRequestsException", "slow down"), 1, 2, 3)},
			want: "make view v_events: AWS answers TooManyRequestsException", hint: "run it again in a minute",
		},
		"cut":    {opts: fake.CatalogOptions{Fault: fake.OnCalls("glue:GetTable", &fake.Fault{Drop: true}, 2)}},
		"denied": {opts: fake.CatalogOptions{Fault: fake.OnCalls("glue:CreateTable", fake.CatalogFault("AccessDeniedException", theirWords), 2)}, want: "create table users: AWS answers AccessDeniedException", hint: "allow glue:CreateTable on the catalog, database trail"},
		"denied to look": {
			opts: fake.CatalogOptions{Fault: fake.OnCalls("glue:GetDatabase", fake.CatalogFault("AccessDeniedException", theirWords), 1)},
			want: "read database trail: AWS answers AccessDeniedException", hint: "allow glue:GetDatabase",
		},
		"no workgroup": {
			opts: fake.CatalogOptions{Fault: fake.OnCalls("athena:StartQueryExecution", fake.CatalogFault("InvalidRequestException", "WorkGroup is not found."), 1)},
			want: "make view v_events: AWS answers InvalidRequestException", hint: "is there a workgroup audit? does it say where results go?",
		},
		"changed meanwhile": {
			opts: fake.CatalogOptions{Fault: fake.OnCalls("glue:UpdateTable", fake.CatalogFault("ConcurrentModificationException", ""), 1)},
			want: "mark view v_events: AWS answers ConcurrentModificationException", hint: "run it again",
		},
		"a failed query": {
			opts: fake.CatalogOptions{Running: 1, Fails: func(sql string) string {
				if strings.Contains(sql, `"v_users" AS`) {
					return "COLUMN_NOT_FOUND: line 4:1\n" + strings.Repeat("x", 1000)
				}
				return ""
			}},
			want: "make view v_users: the query has ended as failed: COLUMN_NOT_FOUND: line 4:1 xxx", hint: "query q-2 in the console",
		},
		"results denied": {
			opts: fake.CatalogOptions{Fails: func(string) string { return "Access denied when writing output to url: s3://results/here" }},
			want: "Access denied when writing output", hint: "writing where results go",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := fake.NewCatalog(tt.opts)
				_, err := installer(c).Install(t.Context())
				if tt.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				var hinted *athena.Error
				if !errors.As(err, &hinted) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(hinted.Hint, tt.hint) {
					t.Fatalf("got %v (%+v), want %s (%s)", err, hinted, tt.want, tt.hint)
				}
				if len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "user/secret") {
					t.Errorf("the error says too much: %q", err)
				}
			})
		})
	}
}

// TestInstallGoesOn: an installation cut off at any call is finished by the
// next, and does nothing twice.
func TestInstallGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := fake.NewCatalog(fake.CatalogOptions{})
		install(t, installer(whole))
		calls := len(whole.Calls())
		for cut := 1; cut <= calls; cut++ {
			c := fake.NewCatalog(fake.CatalogOptions{Fault: func(call fake.Call) *fake.Fault {
				if call.N == cut {
					return fake.CatalogFault("AccessDeniedException", "")
				}
				return nil
			}})
			_, err := installer(c).Install(t.Context())
			if _, hinted := errors.AsType[*athena.Error](err); !hinted {
				t.Fatalf("cut at call %d: %v", cut, err)
			}
			_, err = installer(c).Install(t.Context())
			if err != nil {
				t.Fatalf("after a cut at call %d (%s): %v", cut, c.Calls()[cut-1].Path, err)
			}
			if sql := fmt.Sprint(c.Table("trail", "v_gaps")["Parameters"].(map[string]any)["idtrail.sql"]); len(sql) != 64 {
				t.Errorf("after a cut at call %d: v_gaps is not marked", cut)
			}
			if n := len(c.Saved()); n != len(athena.Queries()) {
				t.Errorf("after a cut at call %d: %d queries saved", cut, n)
			}
		}
	})
}

// TestInstallInterrupted: whoever stops it stops the query it waits for.
func TestInstallInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewCatalog(fake.CatalogOptions{Running: 1_000_000})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := installer(c).Install(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the context's", err)
		}
		if c.Count("athena:StopQueryExecution") != 1 {
			t.Error("the query was left running")
		}
		if looks := c.Count("athena:GetQueryExecution"); looks > 2000 {
			t.Errorf("looked %d times in an hour", looks)
		}
	})
}

// TestInstalled: what has changed since is told, and nothing is changed.
func TestInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewCatalog(fake.CatalogOptions{Running: 1})
		look := func(what string, edit func(i *athena.Installer), want ...string) map[string]athena.Cover {
			t.Helper()
			i := installer(c)
			edit(i)
			covers, lacks, err := i.Installed(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range lacks {
				got = append(got, strings.TrimSpace(l.Table+" "+l.Source))
				if l.Reason == "" || !strings.Contains(l.Hint, "--install --database trail") {
					t.Errorf("%s: reason %q, hint %q", what, l.Reason, l.Hint)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: lacks %q, want %q", what, got, want)
			}
			return covers
		}
		as := func(*athena.Installer) {}
		var all []string
		for _, table := range options().Tables {
			all = append(all, table.Name)
		}
		if covers := look("before", as, all...); len(covers) != 0 {
			t.Errorf("before: got %v, want nothing covered", covers)
		}
		i := installer(c)
		i.FirstDay = "2025-02-03"
		install(t, i)
		covers := look("after", as)
		if got := covers["events"]; !slices.Equal(got.Sources, []string{"logs"}) || got.FirstDay != "2025-02-03" {
			t.Errorf("events: got %v", got)
		}
		if len(covers) != len(all) {
			t.Errorf("got %d tables covered, want %d", len(covers), len(all))
		}
		look("a source more", func(i *athena.Installer) {
			i.Sources = append(i.Sources, athena.Source{Name: "trail", Events: true})
		}, "events trail", "rejected trail", "gaps trail")
		look("a source less", func(i *athena.Installer) { i.Sources = i.Sources[:1] })
		look("another lake", func(i *athena.Installer) { i.Location = "s3://other" }, all...)
		look("a column more", func(i *athena.Installer) {
			i.Tables = slices.Clone(i.Tables)
			i.Tables[0].Columns = append(slices.Clone(i.Tables[0].Columns), schema.Column{Name: "newer", Type: "string"})
		}, "events")
	})
}
