package cognito

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/tidwall/gjson"
	"golang.org/x/time/rate"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// Check proves credentials, rights and reachability: DescribeUserPool, one user
// of ListUsers, the list of groups, and a call for every section of settings to
// tell which are denied. It is an error only where users cannot be read.
func (s *Source) Check(ctx context.Context) ([]extract.Finding, error) {
	pool, err := s.describePool(ctx)
	what := "user pool " + s.opts.UserPoolID
	if err != nil {
		return []extract.Finding{finding(what, err)}, fmt.Errorf("check %s: %w", what, err)
	}
	found := []extract.Finding{s.poolFinding(what, pool)}
	if err := s.oneUser(ctx); err != nil {
		return append(found, finding("users", err)), fmt.Errorf("check users of %s: %w", s.opts.UserPoolID, err)
	}
	found = append(found, extract.Finding{What: "users", OK: true})
	if !s.opts.SkipGroups {
		_, err := s.firstGroup(ctx)
		found = append(found, finding("groups", err))
	}
	if s.opts.SkipSettings {
		return found, nil
	}
	more, err := s.probe(ctx, pool)
	if err != nil {
		return found, fmt.Errorf("check settings of %s: %w", s.opts.UserPoolID, err)
	}
	return append(found, more...), nil
}

func (s *Source) poolFinding(what string, pool poolData) extract.Finding {
	if pool.err != nil {
		return finding(what, pool.err)
	}
	users := pool.data.Get("EstimatedNumberOfUsers").Int()
	return extract.Finding{
		What: what, OK: true, Hint: "about " + extract.Many(users, "user"), Volume: &extract.Volume{Records: users},
	}
}

func finding(what string, err error) extract.Finding {
	f := extract.Finding{What: what, OK: err == nil}
	if err != nil {
		f.Hint, f.Err = err.Error(), err
	}
	return f
}

func (s *Source) oneUser(ctx context.Context) error {
	_, err := s.client.pool(ctx, []*rate.Limiter{s.client.users}, func(o func(*idp.Options)) error {
		_, err := s.client.idp.ListUsers(ctx, &idp.ListUsersInput{UserPoolId: &s.opts.UserPoolID, Limit: aws.Int32(1)}, o)
		return err
	})
	return err
}

// firstGroup reads one group and one member of it.
func (s *Source) firstGroup(ctx context.Context) (name string, err error) {
	body, err := s.call(ctx, "ListGroups", func(o func(*idp.Options)) error {
		_, err := s.client.idp.ListGroups(ctx, &idp.ListGroupsInput{UserPoolId: &s.opts.UserPoolID, Limit: aws.Int32(1)}, o)
		return err
	})
	name = gjson.GetBytes(body, "Groups.0.GroupName").Str
	if err != nil || name == "" {
		return name, err
	}
	_, err = s.client.pool(ctx, []*rate.Limiter{s.client.users}, func(o func(*idp.Options)) error {
		_, err := s.client.idp.ListUsersInGroup(ctx, &idp.ListUsersInGroupInput{UserPoolId: &s.opts.UserPoolID, GroupName: &name, Limit: aws.Int32(1)}, o)
		return err
	})
	return name, err
}

// probe tells of every section of settings whether it may be read.
func (s *Source) probe(ctx context.Context, pool poolData) ([]extract.Finding, error) {
	var found []extract.Finding
	told := map[string]bool{}
	x := &sections{source: s, pool: pool, probe: true, refused: map[string][]error{}}
	x.give = func(records []schema.Raw) error {
		for _, r := range records {
			v := gjson.ParseBytes(r.Bytes)
			section, state := v.Get("section").Str, v.Get("state").Str
			// One finding a section, and a worse one beside it.
			if key := section + "/" + state; !told[key] && (state == schema.SettingDenied || !told[section]) {
				told[key], told[section] = true, true
				hint := v.Get("detail").Str
				if state == schema.SettingUnsupported {
					hint = "not to be had here: " + hint
				}
				found = append(found, extract.Finding{What: "settings: " + section, OK: state != schema.SettingDenied, Hint: hint})
			}
		}
		return nil
	}
	err := x.read(ctx)
	for i, f := range found {
		if !f.OK {
			found[i].Err = errors.Join(x.refused[strings.TrimPrefix(f.What, "settings: ")]...)
		}
	}
	return found, err
}
