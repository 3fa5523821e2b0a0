package cognito

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/tidwall/gjson"
	"golang.org/x/time/rate"

	"github.com/idtrail/idtrail/schema"
)

// listing is what one page of a shard gave.
type listing struct {
	records []schema.Raw
	// last says that the shard is read; counts then tell of the whole of it.
	last   bool
	counts map[string]int64
	err    error
}

// shardNames are the prefixes of sub, in order.
func shardNames(n int) []string {
	var names []string
	switch n {
	case 1:
		return []string{""}
	case 16:
		for i := range n {
			names = append(names, fmt.Sprintf("%x", i))
		}
	default:
		for i := range 256 {
			names = append(names, fmt.Sprintf("%02x", i))
		}
	}
	return names
}

// chooseShards: a shard costs a call more than it has full pages, and one that
// is cut off has to be read again.
func chooseShards(estimated int64, known bool) int {
	switch {
	case known && estimated < 1000:
		return 1
	case estimated < 400_000:
		return 16
	default:
		return 256
	}
}

// shard reads the users whose sub begins with one prefix.
type shard struct {
	run    *run
	prefix string
	// seen are the users that were handed on: a list that is read again, or
	// whose order changes, gives some twice.
	seen map[subKey]struct{}
	mfa  int64
}

// read hands pages on until the shard is read, out is not taken from any more
// or something fails.
func (h *shard) read(ctx context.Context, out chan<- listing) {
	defer close(out)
	err := h.pages(ctx, func(l listing) error {
		select {
		case out <- l:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		select {
		case out <- listing{err: err}:
		case <-ctx.Done():
		}
	}
}

func (h *shard) pages(ctx context.Context, give func(listing) error) error {
	filter := ""
	if h.prefix != "" {
		filter = `sub ^= "` + h.prefix + `"`
	}
	p := pager{}
	for !p.done {
		body, err := h.run.source.listUsers(ctx, filter, p.token)
		if err != nil {
			if p.restart(err) {
				continue
			}
			return err
		}
		records, err := h.records(ctx, body)
		if err != nil {
			return err
		}
		if err := p.turn(gjson.GetBytes(body, "PaginationToken").Str, len(records) > 0, len(h.seen)); err != nil {
			return err
		}
		if len(records) == 0 {
			continue
		}
		if err := give(listing{records: records}); err != nil {
			return err
		}
	}
	found, err := h.lookUp(ctx)
	if err != nil {
		return err
	}
	counts := map[string]int64{"users": int64(len(h.seen))}
	if len(h.run.mfa) > 0 {
		counts["mfa_asked"] = h.mfa
	}
	return give(listing{records: found, last: true, counts: counts})
}

// lookUp asks for the users that are in a group and were not listed: they moved
// between pages, or are too new for the list.
func (h *shard) lookUp(ctx context.Context) ([]schema.Raw, error) {
	if h.run.members == nil {
		return nil, nil
	}
	var found []schema.Raw
	for _, k := range h.run.members.missing(h.prefix, h.seen) {
		body, err := h.run.source.listUsers(ctx, `sub ^= "`+k.prefix()+`"`, nil)
		if err != nil {
			return nil, err
		}
		records, err := h.records(ctx, body)
		if err != nil {
			return nil, err
		}
		found = append(found, records...)
	}
	return found, nil
}

// listUsers reads one page. AttributesToGet stays unset: it is an error where
// one user has no such attribute.
func (s *Source) listUsers(ctx context.Context, filter string, token *string) ([]byte, error) {
	in := &idp.ListUsersInput{UserPoolId: &s.opts.UserPoolID, Limit: aws.Int32(pageSize), PaginationToken: token}
	if filter != "" {
		in.Filter = &filter
	}
	return s.client.pool(ctx, []*rate.Limiter{s.client.users}, func(o func(*idp.Options)) error {
		_, err := s.client.idp.ListUsers(ctx, in, o)
		return err
	})
}

// records wraps the users of a page that are new.
func (h *shard) records(ctx context.Context, body []byte) ([]schema.Raw, error) {
	var out []schema.Raw
	for _, user := range gjson.GetBytes(body, "Users").Array() {
		id := schema.KindCognitoUser.ID([]byte(user.Raw))
		k, _ := keyOf(id)
		if _, again := h.seen[k]; again && id != "" {
			continue
		}
		h.seen[k] = struct{}{}
		line, err := h.wrap(ctx, user, k)
		if err != nil {
			return nil, err
		}
		out = append(out, schema.Raw{Kind: schema.KindCognitoUser, ID: schema.KindCognitoUser.ID(line), Bytes: line})
	}
	return out, nil
}

// wrap puts what other calls said beside the user.
func (h *shard) wrap(ctx context.Context, user gjson.Result, k subKey) ([]byte, error) {
	line := append(make([]byte, 0, len(user.Raw)+64), `{"user":`...)
	line = append(line, user.Raw...)
	line = append(line, `,"groups":`...)
	if h.run.members == nil {
		return append(line, `null}`...), nil
	}
	line = append(line, h.run.members.groups(k)...)
	if h.run.members.inAny(k, h.run.mfa) {
		factors, err := h.run.factors(ctx, user.Get("Username").Str)
		if err != nil {
			return nil, err
		}
		if factors != nil {
			h.mfa++
			line = append(append(line, `,"mfa":`...), factors...)
		}
	}
	return append(line, '}'), nil
}

// factors asks AdminGetUser what second factors a user has; nil where it does
// not say: the user is gone, or we may not ask.
func (r *run) factors(ctx context.Context, username string) ([]byte, error) {
	if username == "" || r.mfaDenied.Load() {
		return nil, nil
	}
	s := r.source
	body, err := s.client.pool(ctx, []*rate.Limiter{s.client.mfa}, func(o func(*idp.Options)) error {
		_, err := s.client.idp.AdminGetUser(ctx, &idp.AdminGetUserInput{UserPoolId: &s.opts.UserPoolID, Username: &username}, o)
		return err
	})
	switch {
	case err == nil:
		return factorsIn(body), nil
	case codeOf(err) == "UserNotFoundException":
		return nil, nil
	case errors.Is(err, ErrDenied) || slices.Contains(neverCodes, codeOf(err)):
		r.mfaDenied.Store(true)
		return nil, nil
	default:
		return nil, err
	}
}

// factorsIn takes out what ListUsers does not tell. A user without factors has
// no list at all; as we have asked, it is an empty one.
func factorsIn(body []byte) []byte {
	list := "[]"
	if v := gjson.GetBytes(body, "UserMFASettingList"); v.IsArray() {
		list = v.Raw
	}
	out := []byte(`{"UserMFASettingList":` + list)
	for _, name := range []string{"PreferredMfaSetting", "MFAOptions"} {
		if v := gjson.GetBytes(body, name); v.Exists() {
			out = append(out, `,"`+name+`":`+v.Raw...)
		}
	}
	return append(out, '}')
}
