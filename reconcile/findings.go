package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// findings takes the rows as they are found, in any order.
type findings struct {
	sides [2]*store
	rows  *spool
	buf   []byte
}

func (f *findings) add(d *Drift) error {
	f.buf = appendDrift(f.buf[:0], d)
	return f.rows.add(f.buf)
}

// pair adds a row about two accounts that are not linked to each other.
func (f *findings) pair(d *Drift, e edge) error {
	l, err := f.sides[0].at(e.left)
	if err != nil {
		return err
	}
	r, err := f.sides[1].at(e.right)
	if err != nil {
		return err
	}
	d.LeftID, d.LeftName = l.UserID, l.UserName
	d.RightID, d.RightName = r.UserID, r.UserName
	d.PersonKey = PersonKey(l.UserID)
	if leading(f.sides) == 1 {
		d.PersonKey = PersonKey(r.UserID)
	}
	return f.add(d)
}

// keyOf is the key of the person an account belongs to.
func (f *findings) keyOf(side int, i int32, u *schema.User) (string, error) {
	s := f.sides[side]
	if !s.linked(i) || leading(f.sides) == side {
		return PersonKey(u.UserID), nil
	}
	partner, err := f.sides[1-side].at(s.link[i])
	return PersonKey(partner.UserID), err
}

// single adds a row about one account. A key named by Field is its value.
func (f *findings) single(d *Drift, side int, i int32) error {
	u, err := f.sides[side].at(i)
	if err != nil {
		return err
	}
	if d.PersonKey, err = f.keyOf(side, i, &u); err != nil {
		return err
	}
	value := keyValue(d.Field, &u)
	if side == 0 {
		d.LeftID, d.LeftName, d.LeftValue = u.UserID, u.UserName, value
	} else {
		d.RightID, d.RightName, d.RightValue = u.UserID, u.UserName, value
	}
	return f.add(d)
}

func keyValue(field string, u *schema.User) string {
	switch field {
	case FieldEmail:
		return u.EmailNorm
	case FieldPhone:
		return u.PhoneE164
	case "link_id":
		return u.LinkID
	case "identities":
		return identityList(u)
	}
	return ""
}

// identityList shows an account's identities, or that which stands for them.
func identityList(u *schema.User) string {
	var ids []string
	for _, id := range u.Identities {
		ids = append(ids, id.Provider+":"+id.UserID)
	}
	if len(ids) == 0 && isExternal(u) {
		return u.UserName
	}
	if len(ids) == 0 {
		return u.UserID
	}
	slices.Sort(ids)
	return strings.Join(ids, ", ")
}

// candidate adds a pair that has only its e-mail address in common; certain
// says that it is verified on both sides and belongs to no other account.
func (f *findings) candidate(e edge, certain bool) error {
	l, err := f.sides[0].at(e.left)
	if err != nil {
		return err
	}
	r, err := f.sides[1].at(e.right)
	if err != nil {
		return err
	}
	verified := [2]bool{isTrue(l.EmailVerified), isTrue(r.EmailVerified)}
	if certain && verified == [2]bool{true, true} {
		return nil // K4 has judged this pair
	}
	d := Drift{Type: Candidate, Severity: SeverityLow, Confidence: ConfidenceLow, Field: FieldEmail}
	d.LeftValue, d.RightValue = l.EmailNorm, r.EmailNorm
	d.Detail = candidateDetail(verified)
	return f.pair(&d, e)
}

func candidateDetail(verified [2]bool) string {
	switch verified {
	case [2]bool{true, true}:
		return "same e-mail address, but several accounts have it"
	case [2]bool{true, false}:
		return "same e-mail address, not verified on the right"
	case [2]bool{false, true}:
		return "same e-mail address, not verified on the left"
	}
	return "same e-mail address, verified on neither side"
}

// leading is the side that names a person: the Auth0 one, else the one whose
// source comes first.
func leading(sides [2]*store) int {
	l, r := sides[0], sides[1]
	if l.auth0 != r.auth0 {
		if r.auth0 {
			return 1
		}
		return 0
	}
	if r.Source < l.Source {
		return 1
	}
	return 0
}

// youngerThan says whether t lies at or behind the begin of a snapshot.
func youngerThan(t *time.Time, snap schema.Snapshot) bool {
	return t != nil && !t.Before(snap.Begin)
}
