package athena

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
)

// namePrefix begins the names of our queries: what has another name, or is of
// another database, is never touched.
const namePrefix = "idtrail: "

// maxDescription is what Athena takes.
const maxDescription = 1024

// queries saves the library, or brings it up to date, by name.
func (i *Installer) queries(ctx context.Context, _ *found) ([]Change, error) {
	there, err := i.saved(ctx)
	if err != nil {
		return nil, err
	}
	var done []Change
	for _, q := range Queries() {
		sql, err := q.SQL(i.Options.views(), nil)
		if err != nil {
			return done, err
		}
		want := types.NamedQuery{
			Name: new(namePrefix + q.Name), Description: new(clip(q.Title+". "+q.Shows, maxDescription)),
			QueryString: &sql, Database: &i.Database, WorkGroup: new(i.workgroup()),
		}
		action, err := i.save(ctx, want, there[*want.Name])
		if err != nil {
			return done, err
		}
		done = append(done, Change{Kind: KindQuery, Name: q.Name, Action: action})
	}
	return done, nil
}

func (i *Installer) save(ctx context.Context, want types.NamedQuery, there *types.NamedQuery) (action string, err error) {
	switch {
	case there == nil:
		_, err = i.Athena.CreateNamedQuery(ctx, &athena.CreateNamedQueryInput{
			Name: want.Name, Description: want.Description, QueryString: want.QueryString, Database: want.Database, WorkGroup: want.WorkGroup,
		})
		if err != nil {
			return "", i.explain("save query "+*want.Name, "athena:CreateNamedQuery", err)
		}
		return ActionCreated, nil
	case aws.ToString(there.QueryString) == *want.QueryString && aws.ToString(there.Description) == *want.Description:
		return ActionUnchanged, nil
	}
	_, err = i.Athena.UpdateNamedQuery(ctx, &athena.UpdateNamedQueryInput{
		NamedQueryId: there.NamedQueryId, Name: want.Name, Description: want.Description, QueryString: want.QueryString,
	})
	if err != nil {
		return "", i.explain("update query "+*want.Name, "athena:UpdateNamedQuery", err)
	}
	return ActionUpdated, nil
}

// saved are our queries of the workgroup, by name. Of two of one name, which two
// installations at once can make, the first counts.
func (i *Installer) saved(ctx context.Context) (map[string]*types.NamedQuery, error) {
	found := map[string]*types.NamedQuery{}
	pages := athena.NewListNamedQueriesPaginator(i.Athena, &athena.ListNamedQueriesInput{WorkGroup: new(i.workgroup())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, i.explain("list queries of workgroup "+i.workgroup(), "athena:ListNamedQueries", err)
		}
		if len(page.NamedQueryIds) == 0 {
			continue
		}
		out, err := i.Athena.BatchGetNamedQuery(ctx, &athena.BatchGetNamedQueryInput{NamedQueryIds: page.NamedQueryIds})
		if err != nil {
			return nil, i.explain("read queries of workgroup "+i.workgroup(), "athena:BatchGetNamedQuery", err)
		}
		for _, q := range out.NamedQueries {
			name := aws.ToString(q.Name)
			if strings.HasPrefix(name, namePrefix) && aws.ToString(q.Database) == i.Database && found[name] == nil {
				found[name] = &q
			}
		}
	}
	return found, nil
}
