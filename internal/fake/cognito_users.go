package fake

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// CognitoUsers are the users of a pool, in the order lists give them.
type CognitoUsers interface {
	// Len is the number of users, hidden ones too.
	Len() int
	// At tells of the i-th user what lists need to know.
	At(i int) CognitoEntry
	// Record is the i-th user as ListUsers answers it.
	Record(i int) json.RawMessage
	// Span goes through the users behind a rank, in order; all whose sub begins
	// with the prefix must be among them.
	Span(prefix string, after float64) iter.Seq[int]
}

// CognitoEntry is a user as lists see it.
type CognitoEntry struct {
	Sub    string
	Groups []string
	// Factors are the second factors of AdminGetUser.
	Factors []string
	// Rank orders lists, ascending from 0; a token names the last one's.
	Rank float64
	// Visible is when the user begins to be listed; the zero time for always.
	Visible time.Time
}

// CognitoList are users in memory. Once a [Cognito] serves them, they are
// changed within [Cognito.Change] only.
type CognitoList struct{ users []listedUser }

type listedUser struct {
	CognitoEntry
	record json.RawMessage
}

var _ CognitoUsers = (*CognitoList)(nil)

// NewCognitoList makes a list of users as ListUsers answers them; members Groups
// and UserMFASettingList may stand in them, and dates may be text. It panics on
// what is no user.
func NewCognitoList(records ...[]byte) *CognitoList {
	l := &CognitoList{}
	for _, r := range records {
		l.Add(r, time.Time{})
	}
	return l
}

// CognitoList are the users of the tenant's pool.
func (t *Tenant) CognitoList() *CognitoList {
	var text bytes.Buffer
	if _, err := t.WriteCognitoUsers(&text); err != nil {
		panic(err) // memory does not fail
	}
	var page struct{ Users []json.RawMessage }
	if err := json.Unmarshal(text.Bytes(), &page); err != nil {
		panic(err)
	}
	l := &CognitoList{}
	for _, r := range page.Users {
		l.Add(r, time.Time{})
	}
	return l
}

// Len implements CognitoUsers.
func (l *CognitoList) Len() int { return len(l.users) }

// Add puts a user at the end, to be listed from an instant on.
func (l *CognitoList) Add(record []byte, visible time.Time) {
	var u map[string]json.RawMessage
	if err := json.Unmarshal(record, &u); err != nil {
		panic(fmt.Sprintf("fake: no user: %v", err))
	}
	e := listedUser{CognitoEntry: CognitoEntry{Visible: visible, Rank: float64(len(l.users))}}
	_ = json.Unmarshal(u["Groups"], &e.Groups)
	_ = json.Unmarshal(u["UserMFASettingList"], &e.Factors)
	delete(u, "Groups")
	delete(u, "UserMFASettingList")
	for _, name := range []string{"UserCreateDate", "UserLastModifiedDate"} {
		u[name] = epochDate(u[name])
	}
	e.record, _ = json.Marshal(u) // it came as JSON
	if e.Sub = attributeOf(e.record, "sub"); e.Sub == "" {
		panic("fake: a user without sub")
	}
	if n := len(l.users); n > 0 {
		e.Rank = l.users[n-1].Rank + 1
	}
	l.users = append(l.users, e)
}

// epochDate is a date as JSON 1.1 has it: seconds since 1970.
func epochDate(v json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(v, &text) != nil {
		return v
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic("fake: no date: " + text)
	}
	return fmt.Appendf(nil, "%.3f", float64(at.UnixMilli())/1000)
}

// Remove deletes a user.
func (l *CognitoList) Remove(sub string) {
	l.users = slices.DeleteFunc(l.users, func(u listedUser) bool { return u.Sub == sub })
}

// Move gives a user another rank; tokens issued before stay where they are.
func (l *CognitoList) Move(sub string, rank float64) {
	for i := range l.users {
		if l.users[i].Sub == sub {
			l.users[i].Rank = rank
		}
	}
	slices.SortStableFunc(l.users, func(a, b listedUser) int { return cmp.Compare(a.Rank, b.Rank) })
}

// Join puts a user into a group.
func (l *CognitoList) Join(sub, group string) {
	for i := range l.users {
		if l.users[i].Sub == sub {
			l.users[i].Groups = append(slices.Clone(l.users[i].Groups), group)
		}
	}
}

// At implements CognitoUsers.
func (l *CognitoList) At(i int) CognitoEntry { return l.users[i].CognitoEntry }

// Record implements CognitoUsers.
func (l *CognitoList) Record(i int) json.RawMessage { return l.users[i].record }

// Span implements CognitoUsers.
func (l *CognitoList) Span(prefix string, after float64) iter.Seq[int] {
	return func(yield func(int) bool) {
		from, found := slices.BinarySearchFunc(l.users, after, func(u listedUser, after float64) int { return cmp.Compare(u.Rank, after) })
		for found && from < len(l.users) && l.users[from].Rank == after {
			from++
		}
		for i := from; i < len(l.users); i++ {
			if strings.HasPrefix(l.users[i].Sub, prefix) && !yield(i) {
				return
			}
		}
	}
}

// CognitoCrowd are any number of users that take no memory: made up when they
// are asked for, with subs in ascending order all over the range. Every user is
// in group "all"; every tenth in "tenth".
type CognitoCrowd int

var _ CognitoUsers = CognitoCrowd(0)

func (n CognitoCrowd) sub(i int) string {
	h := uint64(i) << 32 / uint64(n) //nolint:gosec // an index
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", h, i%65536, i)
}

// Len implements CognitoUsers.
func (n CognitoCrowd) Len() int { return int(n) }

// At implements CognitoUsers.
func (n CognitoCrowd) At(i int) CognitoEntry {
	e := CognitoEntry{Sub: n.sub(i), Rank: float64(i), Groups: []string{"all"}}
	if i%10 == 0 {
		e.Groups = []string{"all", "tenth"}
	}
	return e
}

// Record implements CognitoUsers.
func (n CognitoCrowd) Record(i int) json.RawMessage {
	sub := n.sub(i)
	return fmt.Appendf(nil, `{"Username":"%[1]s","Attributes":[{"Name":"sub","Value":"%[1]s"},{"Name":"email","Value":"user%[2]d@northwind.example"},`+
		`{"Name":"email_verified","Value":"true"},{"Name":"name","Value":"User %[2]d"}],"Enabled":true,"UserStatus":"CONFIRMED",`+
		`"UserCreateDate":1700000000.5,"UserLastModifiedDate":1700000001}`, sub, i)
}

// Span implements CognitoUsers.
func (n CognitoCrowd) Span(prefix string, after float64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := max(int(after)+1, n.first(prefix)); i < int(n); i++ {
			if !strings.HasPrefix(n.sub(i), prefix) || !yield(i) {
				return
			}
		}
	}
}

// first is the first user whose sub is not before the prefix.
func (n CognitoCrowd) first(prefix string) int {
	from, to := 0, int(n)
	for from < to {
		if mid := (from + to) / 2; n.sub(mid) < prefix {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}
