package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// What a caller of [History.Rows] tells apart.
var (
	// ErrUnsorted says that rows of persons came in the wrong order.
	ErrUnsorted = errors.New("persons are not sorted")
	// ErrStale says that the snapshot compared is older than what is known.
	ErrStale = errors.New("snapshot is older than the persons known")
)

// Person says which person an account belongs to: a row of table persons. An
// account has one open row, and a closed one for each time its link or name was
// another.
type Person struct {
	// Source is the source the account is of.
	Source string `json:"source" parquet:"source,dict"`
	// UserID is its id, as in users.
	UserID string `json:"user_id" parquet:"user_id"`
	// UserName is its name there.
	UserName string `json:"user_name" parquet:"user_name"`
	// PersonKey is the same for all accounts linked to each other: see [PersonKey].
	PersonKey string `json:"person_key" parquet:"person_key"`
	// LinkRule linked the account to its partner, null if it has none.
	LinkRule Rule `json:"link_rule,omitempty" parquet:"link_rule,dict,optional"`
	// ValidFrom is when the account was created, or the snapshot began that first
	// showed it like this.
	ValidFrom time.Time `json:"valid_from" parquet:"valid_from,timestamp(millisecond)"`
	// ValidTo is when the snapshot began that showed it otherwise or no more, null
	// while it holds.
	ValidTo *time.Time `json:"valid_to,omitempty" parquet:"valid_to,optional,timestamp(millisecond)"`
}

// PersonKey is the key of the person an account names: the first 32 hex digits
// of the SHA-256 of its id. For linked accounts it is that of the Auth0 one, so
// it lasts as long as that account, whatever pool it is compared with.
func PersonKey(userID string) string {
	h := sha256.Sum256([]byte(userID))
	return hex.EncodeToString(h[:16])
}

// Persons hands out a row for every account of both sides, in scope or not,
// sorted by source and id. It may be called again until the Result is closed.
func (r *Result) Persons(ctx context.Context) iter.Seq2[Person, error] {
	first := 0
	if r.sides[1].Source < r.sides[0].Source {
		first = 1
	}
	return func(yield func(Person, error) bool) {
		if r.persons(ctx, first, yield) {
			r.persons(ctx, 1-first, yield)
		}
	}
}

// errStop ends a loop whose reader wants no more.
var errStop = errors.New("stop")

func (r *Result) persons(ctx context.Context, side int, yield func(Person, error) bool) bool {
	s, other := r.sides[side], r.sides[1-side]
	ahead := leading(r.sides) == side
	err := s.each(ctx, func(i int32, u *schema.User) error {
		p := Person{
			Source: s.Source, UserID: u.UserID, UserName: u.UserName, PersonKey: PersonKey(u.UserID),
			LinkRule: s.rule[i].rule(), ValidFrom: validFrom(u, s.Snapshot),
		}
		if s.linked(i) && !ahead {
			partner, err := other.at(s.link[i])
			if err != nil {
				return err
			}
			p.PersonKey = PersonKey(partner.UserID)
		}
		if !yield(p, nil) {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		yield(Person{}, fmt.Errorf("read persons: %w", err))
	}
	return err == nil
}

func validFrom(u *schema.User, snap schema.Snapshot) time.Time {
	at := snap.Begin
	if u.CreatedAt != nil && u.CreatedAt.Before(at) {
		at = *u.CreatedAt
	}
	return at.UTC().Truncate(time.Millisecond)
}

// MergePersons merges the persons of several results, each sorted, into one
// sorted sequence. Where several name one account, the row with the best rule
// stays.
func MergePersons(seqs ...iter.Seq2[Person, error]) iter.Seq2[Person, error] {
	return func(yield func(Person, error) bool) {
		readers := make([]*personReader, len(seqs))
		for i, s := range seqs {
			readers[i] = newPersonReader(s)
			defer readers[i].stop()
		}
		for {
			p, ok, err := least(readers)
			if err != nil {
				yield(Person{}, err)
				return
			}
			if !ok || !yield(p, nil) {
				return
			}
		}
	}
}

// least takes the first account off all readers.
func least(readers []*personReader) (best Person, ok bool, err error) {
	for _, r := range readers {
		if r.err != nil {
			return Person{}, false, r.err
		}
		if !r.ok {
			continue
		}
		switch c := comparePersons(r.row, best); {
		case !ok || c < 0:
			best, ok = r.row, true
		case c == 0 && betterRule(r.row, best):
			best = r.row
		}
	}
	for _, r := range readers {
		for ok && r.ok && comparePersons(r.row, best) == 0 {
			r.next()
		}
	}
	return best, ok, nil
}

func betterRule(p, q Person) bool {
	if (p.LinkRule == "") != (q.LinkRule == "") {
		return p.LinkRule != ""
	}
	return cmp.Or(cmp.Compare(p.LinkRule, q.LinkRule), cmp.Compare(p.PersonKey, q.PersonKey)) < 0
}

func comparePersons(p, q Person) int {
	return cmp.Or(cmp.Compare(p.Source, q.Source), cmp.Compare(p.UserID, q.UserID))
}

// personReader looks one row ahead and checks the order.
type personReader struct {
	pull func() (Person, error, bool)
	stop func()
	row  Person
	ok   bool
	err  error
}

func newPersonReader(seq iter.Seq2[Person, error]) *personReader {
	r := &personReader{stop: func() {}}
	if seq == nil {
		return r
	}
	r.pull, r.stop = iter.Pull2(seq)
	r.next()
	return r
}

func (r *personReader) next() {
	last, had := r.row, r.ok
	r.row, r.err, r.ok = r.pull()
	if r.err == nil && r.ok && had && comparePersons(r.row, last) < 0 {
		r.err = fmt.Errorf("source %s: %w", r.row.Source, ErrUnsorted)
	}
	if r.err != nil {
		r.ok = false
	}
}

// History carries the table persons forward.
type History struct {
	// Previous are all rows known, sorted by source and id and, for one account,
	// by ValidFrom: what Rows gave the last time. nil at first.
	Previous iter.Seq2[Person, error]
	// Current are the rows of the present comparison: [Result.Persons], or
	// several merged by [MergePersons].
	Current iter.Seq2[Person, error]
	// Begin is, by source, when the snapshot began that Current shows. Rows of
	// sources not named here stay as they are.
	Begin map[string]time.Time
}

// Rows hands out the rows that hold from now on, in the order Previous wants.
// An account that is as it was keeps its row. One whose link, rule or name has
// changed gets a new one, and the old is closed; one that is gone has its row
// closed. Doing it again with the same snapshots changes nothing. Snapshots are
// to come in their order: one older than a row it would change is refused with
// [ErrStale].
func (h History) Rows() iter.Seq2[Person, error] {
	return func(yield func(Person, error) bool) {
		prev, cur := newPersonReader(h.Previous), newPersonReader(h.Current)
		defer prev.stop()
		defer cur.stop()
		for prev.ok || cur.ok {
			rows, err := h.account(prev, cur)
			if err != nil {
				yield(Person{}, fmt.Errorf("carry persons forward: %w", err))
				return
			}
			for _, p := range rows {
				if !yield(p, nil) {
					return
				}
			}
		}
		if err := cmp.Or(prev.err, cur.err); err != nil {
			yield(Person{}, fmt.Errorf("carry persons forward: %w", err))
		}
	}
}

// account takes the rows of the next account off both readers and returns what
// becomes of them.
func (h History) account(prev, cur *personReader) ([]Person, error) {
	at := prev.row
	if !prev.ok || cur.ok && comparePersons(cur.row, at) < 0 {
		at = cur.row
	}
	var rows []Person
	for prev.ok && comparePersons(prev.row, at) == 0 {
		rows = append(rows, prev.row)
		prev.next()
	}
	var now *Person
	for cur.ok && comparePersons(cur.row, at) == 0 {
		now = &Person{}
		*now = cur.row
		cur.next()
	}
	if err := cmp.Or(prev.err, cur.err); err != nil {
		return nil, err
	}
	return h.carry(rows, now)
}

func (h History) carry(rows []Person, now *Person) ([]Person, error) {
	if now == nil && len(rows) > 0 {
		begin, ok := h.Begin[rows[0].Source]
		if !ok {
			return rows, nil
		}
		return closeRow(rows, begin)
	}
	begin, ok := h.Begin[now.Source]
	if !ok {
		return nil, fmt.Errorf("source %s has no snapshot: %w", now.Source, ErrOptions)
	}
	begin = begin.UTC().Truncate(time.Millisecond)
	if len(rows) == 0 {
		return []Person{*now}, nil
	}
	last := rows[len(rows)-1]
	if last.ValidTo == nil && sameLink(last, *now) {
		return rows, nil
	}
	return reopen(rows, now, begin)
}

// reopen adds a row behind those of an account that changed, or came back.
func reopen(rows []Person, now *Person, begin time.Time) ([]Person, error) {
	last := rows[len(rows)-1]
	if last.ValidTo != nil {
		if begin.Before(*last.ValidTo) {
			return nil, fmt.Errorf("source %s: %w", last.Source, ErrStale)
		}
		if now.ValidFrom.Before(*last.ValidTo) {
			now.ValidFrom = *last.ValidTo
		}
		return append(rows, *now), nil
	}
	rows, err := closeRow(rows, begin)
	if err != nil {
		return nil, err
	}
	now.ValidFrom = begin
	return append(rows, *now), nil
}

// closeRow ends the open row of an account; one that would hold for no time is
// taken away.
func closeRow(rows []Person, begin time.Time) ([]Person, error) {
	begin = begin.UTC().Truncate(time.Millisecond)
	last := &rows[len(rows)-1]
	switch {
	case last.ValidTo != nil:
	case begin.Before(last.ValidFrom):
		return nil, fmt.Errorf("source %s: %w", last.Source, ErrStale)
	case begin.Equal(last.ValidFrom):
		return rows[:len(rows)-1], nil
	default:
		last.ValidTo = &begin
	}
	return rows, nil
}

func sameLink(p, q Person) bool {
	return p.PersonKey == q.PersonKey && p.LinkRule == q.LinkRule && p.UserName == q.UserName
}
