package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
)

// Account is an account of somebody who was asked for.
type Account struct {
	Source   string `json:"source"`
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	// Email is its address, if it is verified.
	Email     string `json:"email,omitempty"`
	PersonKey string `json:"person_key,omitempty"`
	// Rule linked the account to its partner, "" if it has none.
	Rule reconcile.Rule `json:"link_rule,omitempty"`
	// Named says by what it is the one that was asked for; "" if it is linked to
	// that, or a candidate.
	Named Name `json:"named_by,omitempty"`
	// From and To bound when it was so, where that is over; else they are nil,
	// and all that names the account is the person's.
	From *time.Time `json:"valid_from,omitempty"`
	To   *time.Time `json:"valid_to,omitempty"`
}

// Name is what an account is named by.
type Name string

// The names, the surest first.
const (
	ByID            Name = "id"
	ByPersonKey     Name = "person_key"
	ByVerifiedEmail Name = "verified_email"
	ByUserName      Name = "user_name"
	ByEmail         Name = "unverified_email"
)

// Profile is what the tables of the lake say of whom was asked for.
type Profile struct {
	// Accounts are those of the person, the ones that were named first.
	Accounts []Account `json:"accounts"`
	// Candidates are accounts that may be the same person's, but nothing proves
	// it: they have the same e-mail address, or are called the same.
	Candidates []Account `json:"candidates,omitempty"`
}

// Resolve returns the accounts of whoever is called who: by an id, a person key,
// an e-mail address that is verified or a user name; those in any case of letters.
// It reads the newest snapshots of table users, table persons, which
// [reconcile.History] describes, and of table drift the candidates of the last
// comparisons. What is not in them is not known, and no error.
//
// An address that is not verified proves nothing: an account that has it is a
// candidate. So are accounts that are only called who, where they are not of one
// person: nothing says which of them is meant.
func Resolve(ctx context.Context, store blob.Store, who string) (Profile, error) {
	r := resolver{store: store, who: who, users: map[account]*userRow{}}
	if err := r.readUsers(ctx, r.isNamed); err != nil {
		return Profile{}, fmt.Errorf("look up users: %w", err)
	}
	named, err := r.histories(ctx, func(p *reconcile.Person) bool { return r.nameOf(p) != "" })
	if err != nil {
		return Profile{}, err
	}
	keys, doubtful := r.keysOf(named)
	all := named
	if len(keys) > 0 {
		all, err = r.histories(ctx, func(p *reconcile.Person) bool {
			return r.nameOf(p) != "" || slices.Contains(keys, p.PersonKey)
		})
	}
	if err != nil {
		return Profile{}, err
	}
	profile := r.profile(all, keys)
	for _, h := range doubtful {
		profile.Candidates = append(profile.Candidates, r.accountOf(h.newest()))
	}
	similar, err := candidates(ctx, store, profile.Accounts)
	if err != nil {
		return Profile{}, err
	}
	profile.Candidates = append(profile.Candidates, similar...)
	profile.tidy()
	return profile, r.addEmails(ctx, profile.Accounts)
}

// account is what names an account.
type account struct{ source, id string }

// resolver looks somebody up.
type resolver struct {
	store blob.Store
	who   string
	// users are those who are called who, with those read since.
	users map[account]*userRow
}

// userRow are the columns of table users that name a user.
type userRow struct {
	UserID        string `json:"user_id" parquet:"user_id"`
	UserName      string `json:"user_name" parquet:"user_name"`
	Email         string `json:"email" parquet:"email,optional"`
	EmailVerified *bool  `json:"email_verified" parquet:"email_verified,optional"`
}

func (u *userRow) verified() bool { return u.EmailVerified != nil && *u.EmailVerified }

// readUsers keeps the users that are wanted, of the newest snapshot of each source.
func (r *resolver) readUsers(ctx context.Context, wanted func(source string, u *userRow) bool) error {
	snapshots, err := lake.Open(r.store).NewestUsers(ctx)
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		for _, key := range s.Keys {
			for u, err := range lake.ReadColumns[userRow](ctx, r.store, key) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
				if wanted(s.Source, &u) {
					r.users[account{s.Source, u.UserID}] = &u
				}
			}
		}
	}
	return nil
}

func (r *resolver) isNamed(_ string, u *userRow) bool {
	return u.UserID == r.who || strings.EqualFold(u.UserName, r.who) || u.Email != "" && strings.EqualFold(u.Email, r.who)
}

// nameOf says by what a row is of whom was asked for, "" if it is not.
func (r *resolver) nameOf(p *reconcile.Person) Name {
	u := r.users[account{p.Source, p.UserID}]
	isEmail := u != nil && strings.EqualFold(u.Email, r.who)
	switch {
	case p.UserID == r.who:
		return ByID
	case p.PersonKey == r.who:
		return ByPersonKey
	case isEmail && u.verified():
		return ByVerifiedEmail
	case isEmail: // an address that is the user name, too, is none the surer
		return ByEmail
	case strings.EqualFold(p.UserName, r.who):
		return ByUserName
	default:
		return ""
	}
}

// history is the rows of one account, in their order.
type history []reconcile.Person

// histories returns the whole histories of the accounts one of whose rows is
// wanted. Accounts the table lacks, for their source is compared with none, have
// one of a row made up of what users says.
func (r *resolver) histories(ctx context.Context, wanted func(p *reconcile.Person) bool) ([]history, error) {
	var found []history
	compared := map[string]bool{}
	for h, err := range r.accounts(ctx) {
		if err != nil {
			return nil, fmt.Errorf("look up persons: %w", err)
		}
		compared[h[0].Source] = true
		if slices.ContainsFunc(h, func(p reconcile.Person) bool { return wanted(&p) }) {
			found = append(found, slices.Clone(h))
		}
	}
	for a, u := range r.users {
		p := reconcile.Person{Source: a.source, UserID: a.id, UserName: u.UserName, PersonKey: reconcile.PersonKey(a.id)}
		if !compared[a.source] && wanted(&p) {
			found = append(found, history{p})
		}
	}
	return found, nil
}

// accounts yields the table account by account, as it is sorted; nothing where
// there is none. Each is valid until the next.
func (r *resolver) accounts(ctx context.Context) iter.Seq2[history, error] {
	return func(yield func(history, error) bool) {
		var h history
		for p, err := range lake.ReadColumns[reconcile.Person](ctx, r.store, table) {
			if err = cmp.Or(err, ctx.Err()); err != nil {
				if !errors.Is(err, blob.ErrNotExist) {
					yield(nil, err)
				}
				return
			}
			if !h.continues(&p) {
				if !yield(h, nil) {
					return
				}
				h = h[:0]
			}
			h = append(h, p)
		}
		if len(h) > 0 {
			yield(h, nil)
		}
	}
}

// continues says whether a row is of the same account.
func (h history) continues(p *reconcile.Person) bool {
	return len(h) == 0 || h[0].Source == p.Source && h[0].UserID == p.UserID
}

// newest is the row that says how it is, or was in the end.
func (h history) newest() *reconcile.Person { return &h[len(h)-1] }

// keysOf returns the keys of the person, and the accounts that may be of another.
func (r *resolver) keysOf(named []history) (keys []string, doubtful []history) {
	var called, once []history
	for _, h := range named {
		switch name := r.nameOf(h.newest()); {
		case name == ByUserName:
			called = append(called, h)
		case name == ByEmail:
			doubtful = append(doubtful, h)
		case name != "":
			keys = append(keys, h.newest().PersonKey)
		default:
			once = append(once, h)
		}
	}
	if len(keys) == 0 && onePerson(called) {
		keys, called = append(keys, called[0].newest().PersonKey), nil
	}
	doubtful = append(doubtful, called...)
	if len(keys) == 0 && len(doubtful) == 0 {
		keys = r.formerKeys(once)
	}
	slices.Sort(keys)
	return slices.Compact(keys), doubtful
}

// formerKeys are the keys of whoever had a name, or is of a key, that nobody has
// any more.
func (r *resolver) formerKeys(once []history) (keys []string) {
	for _, h := range once {
		for i := range h {
			if r.nameOf(&h[i]) != "" {
				keys = append(keys, h[i].PersonKey)
			}
		}
	}
	return keys
}

func onePerson(all []history) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(h history) bool { return h.newest().PersonKey != all[0].newest().PersonKey })
}

// profile makes accounts of those histories that are of one of the keys.
func (r *resolver) profile(all []history, keys []string) Profile {
	var profile Profile
	for _, h := range all {
		for _, p := range slices.Backward(h) {
			if !slices.Contains(keys, p.PersonKey) || p.UserID == "" {
				continue
			}
			a := r.accountOf(&p)
			if h.newest().PersonKey != p.PersonKey {
				a.From, a.To = h.spanOf(p.PersonKey)
			}
			profile.Accounts = append(profile.Accounts, a)
			break
		}
	}
	return profile
}

func (r *resolver) accountOf(p *reconcile.Person) Account {
	return Account{
		Source: p.Source, UserID: p.UserID, UserName: p.UserName, PersonKey: p.PersonKey, Rule: p.LinkRule, Named: r.nameOf(p),
	}
}

// spanOf is from when to when the account was of a key, whatever was in between.
func (h history) spanOf(key string) (from, to *time.Time) {
	for _, p := range h {
		if p.PersonKey == key {
			if from == nil {
				from = &p.ValidFrom
			}
			to = p.ValidTo
		}
	}
	return from, to
}

// addEmails adds the addresses that are verified: who signs in with one in vain is
// known by that alone.
func (r *resolver) addEmails(ctx context.Context, accounts []Account) error {
	of := map[account]*Account{}
	for i := range accounts {
		of[account{accounts[i].Source, accounts[i].UserID}] = &accounts[i]
	}
	missing := false
	for a := range of {
		missing = missing || r.users[a] == nil
	}
	if missing {
		err := r.readUsers(ctx, func(source string, u *userRow) bool { return of[account{source, u.UserID}] != nil })
		if err != nil {
			return fmt.Errorf("look up users: %w", err)
		}
	}
	for a, to := range of {
		if u := r.users[a]; u != nil && u.verified() {
			to.Email = u.Email
		}
	}
	return nil
}

// tidy puts the accounts in order, and takes those off the candidates.
func (p *Profile) tidy() {
	order := func(a, b Account) int {
		return cmp.Or(rank(a.Named)-rank(b.Named), cmp.Compare(a.Source, b.Source), cmp.Compare(a.UserID, b.UserID))
	}
	slices.SortFunc(p.Accounts, order)
	seen := map[account]bool{}
	for _, a := range p.Accounts {
		seen[account{a.Source, a.UserID}] = true
	}
	slices.SortFunc(p.Candidates, order)
	p.Candidates = slices.DeleteFunc(p.Candidates, func(a Account) bool {
		again := seen[account{a.Source, a.UserID}]
		seen[account{a.Source, a.UserID}] = true
		return again
	})
}

func rank(n Name) int {
	if i := slices.Index([]Name{ByID, ByPersonKey, ByVerifiedEmail, ByUserName, ByEmail}, n); i >= 0 {
		return i
	}
	return 5
}

// driftRow are the columns of table drift that tell of candidates.
type driftRow struct {
	ComparedAt  time.Time      `json:"compared_at" parquet:"compared_at,timestamp(millisecond)"`
	LeftSource  string         `json:"left_source" parquet:"left_source,dict"`
	RightSource string         `json:"right_source" parquet:"right_source,dict"`
	Type        reconcile.Type `json:"type" parquet:"type,dict"`
	LeftID      string         `json:"left_id" parquet:"left_id,optional"`
	LeftName    string         `json:"left_name" parquet:"left_name,optional"`
	RightID     string         `json:"right_id" parquet:"right_id,optional"`
	RightName   string         `json:"right_name" parquet:"right_name,optional"`
}

// candidates are the accounts that comparisons found to have the same e-mail
// address as one of the person's: the newest of each pair of sources, on the last
// day there were any.
func candidates(ctx context.Context, store blob.Store, of []Account) ([]Account, error) {
	if len(of) == 0 {
		return nil, nil
	}
	keys, err := lastDay(ctx, store)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, a := range of {
		known[a.UserID] = true
	}
	type pair struct{ left, right string }
	newest := map[pair]time.Time{}
	found := map[pair][]Account{}
	for _, key := range keys {
		for d, err := range lake.ReadColumns[driftRow](ctx, store, key) {
			if err != nil {
				return nil, fmt.Errorf("look up candidates: %w", err)
			}
			p := pair{d.LeftSource, d.RightSource}
			if d.ComparedAt.After(newest[p]) {
				newest[p], found[p] = d.ComparedAt, nil
			}
			if d.ComparedAt.Equal(newest[p]) && d.Type == reconcile.Candidate && known[d.LeftID] != known[d.RightID] {
				found[p] = append(found[p], d.other(known))
			}
		}
	}
	return slices.Concat(slices.Collect(maps.Values(found))...), nil
}

// other is the one of a pair that is not known.
func (d *driftRow) other(known map[string]bool) Account {
	if known[d.RightID] {
		return Account{Source: d.LeftSource, UserID: d.LeftID, UserName: d.LeftName}
	}
	return Account{Source: d.RightSource, UserID: d.RightID, UserName: d.RightName}
}

// driftPrefix is where the findings of comparisons lie, by day.
const driftPrefix = "drift/"

// lastDay returns the keys of the comparisons of the last day that has any.
func lastDay(ctx context.Context, store blob.Store) ([]string, error) {
	var keys []string
	folder := ""
	for info, err := range store.List(ctx, driftPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("look up candidates: %w", err)
		}
		if f := path.Dir(info.Key); f != folder {
			folder, keys = f, nil
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}
