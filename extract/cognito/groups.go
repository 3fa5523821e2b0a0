package cognito

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/idtrail/idtrail/schema"
)

const (
	// pageSize is the most any list of users or groups gives.
	pageSize = 60
	// maxRestarts of a list whose token is not taken any more.
	maxRestarts = 5
	// maxIdle is how many pages in a row may bring nothing new.
	maxIdle = 1000
)

// listGroups reads the definitions of all groups.
func (s *Source) listGroups(ctx context.Context) ([]gjson.Result, error) {
	return s.client.list(ctx, "Groups", func(token *string) ([]byte, error) {
		return s.client.pool(ctx, s.client.slow("ListGroups"), func(o func(*idp.Options)) error {
			_, err := s.client.idp.ListGroups(ctx, &idp.ListGroupsInput{
				UserPoolId: &s.opts.UserPoolID, Limit: aws.Int32(pageSize), NextToken: token,
			}, o)
			return err
		})
	})
}

// slow are the limits of an operation on settings.
func (c *client) slow(operation string) []*rate.Limiter {
	return []*rate.Limiter{c.single(operation), c.settings}
}

// list reads all pages of a list that fits into memory.
func (c *client) list(ctx context.Context, member string, call func(token *string) ([]byte, error)) ([]gjson.Result, error) {
	var all []gjson.Result
	p := pager{}
	for !p.done {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		body, err := call(p.token)
		if err != nil {
			if p.restart(err) {
				all = nil
				continue
			}
			return nil, err
		}
		page := gjson.GetBytes(body, member).Array()
		all = append(all, page...)
		if err := p.turn(gjson.GetBytes(body, "NextToken").Str, len(page) > 0, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pager follows the tokens of one list. Only an absent token ends it: a short
// page does not, nor does an empty one.
type pager struct {
	token *string
	// turned holds the hashes of all tokens so far: one that comes again would
	// never end.
	turned   map[uint64]struct{}
	restarts int
	idle     int
	done     bool
}

// turn goes on to the next page. fresh says that the page brought something
// new; known is how much there is that is not.
func (p *pager) turn(token string, fresh bool, known int) error {
	p.idle++
	if fresh {
		p.idle = 0
	}
	if token == "" {
		p.done = true
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(token))
	if _, again := p.turned[h.Sum64()]; again || p.idle > maxIdle+known/8 {
		return ErrStuck
	}
	if p.turned == nil {
		p.turned = map[uint64]struct{}{}
	}
	p.turned[h.Sum64()] = struct{}{}
	p.token = &token
	return nil
}

// restart says whether the list is to be read from its beginning: its token is
// older than an hour, or lost.
func (p *pager) restart(err error) bool {
	if p.token == nil || p.restarts >= maxRestarts || !slices.Contains(tokenCodes, codeOf(err)) {
		return false
	}
	p.token, p.turned, p.idle = nil, nil, 0
	p.restarts++
	return true
}

// readMembers reads who is in which group, several groups at a time: only so is
// the rate reached where an answer takes longer than a call may be apart.
func (s *Source) readMembers(ctx context.Context, groups []gjson.Result) (*members, error) {
	var names []string
	for _, g := range groups {
		names = append(names, g.Get("GroupName").Str)
	}
	m := newMembers(names)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(s.workers())
	for i, name := range m.names {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			if err := s.readGroup(ctx, m, i); err != nil {
				return fmt.Errorf("read members of group %q: %w", name, err)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	m.seal()
	return m, nil
}

// workers is how many lists are read at a time: enough for answers that take
// two seconds, within reason. The limiter spaces their calls.
func (s *Source) workers() int { return min(max(int(2*s.opts.Rate), 2), 32) }

// readGroup reads one group. One that is deleted meanwhile has no members.
func (s *Source) readGroup(ctx context.Context, m *members, group int) error {
	p := pager{}
	for !p.done {
		body, err := s.client.pool(ctx, []*rate.Limiter{s.client.users}, func(o func(*idp.Options)) error {
			_, err := s.client.idp.ListUsersInGroup(ctx, &idp.ListUsersInGroupInput{
				UserPoolId: &s.opts.UserPoolID, GroupName: &m.names[group], Limit: aws.Int32(pageSize), NextToken: p.token,
			}, o)
			return err
		})
		switch {
		case err == nil:
		case p.restart(err):
			continue
		case codeOf(err) == "ResourceNotFoundException":
			return nil
		default:
			return err
		}
		subs := subsIn(body)
		m.add(group, subs)
		if err := p.turn(gjson.GetBytes(body, "NextToken").Str, len(subs) > 0, 0); err != nil {
			return err
		}
	}
	return nil
}

func subsIn(body []byte) []string {
	var subs []string
	gjson.GetBytes(body, "Users").ForEach(func(_, user gjson.Result) bool {
		if id := schema.KindCognitoUser.ID([]byte(user.Raw)); id != "" {
			subs = append(subs, id)
		}
		return true
	})
	return subs
}
