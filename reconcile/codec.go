package reconcile

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// errSpilled says that a temporary file does not hold what was written to it.
var errSpilled = errors.New("temporary file is damaged")

// appendUser encodes the fields of a user that matching and comparing need. What
// is not known (nil) stays apart from what is empty.
func appendUser(b []byte, u *schema.User) []byte {
	for _, s := range textFields(u) {
		b = appendText(b, *s)
	}
	b = append(b, tri(&u.Active), tri(u.EmailVerified), tri(u.PhoneVerified), tri(u.MFAEnabled))
	for _, l := range []*[]string{&u.Groups, &u.Roles, &u.Organizations} {
		b = appendList(b, *l)
	}
	b = binary.AppendUvarint(b, uint64(len(u.Identities)))
	for _, id := range u.Identities {
		b = appendText(appendText(appendText(b, id.Provider), id.Connection), id.UserID)
		b = append(b, tri(id.IsSocial))
	}
	b = appendTime(appendTime(b, u.CreatedAt), u.UpdatedAt)
	if u.Attributes == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(u.Attributes))+1)
	for _, k := range slices.Sorted(maps.Keys(u.Attributes)) {
		b = appendText(appendText(b, k), u.Attributes[k])
	}
	return b
}

// decodeUser reads what appendUser wrote.
func decodeUser(rec []byte) (schema.User, error) {
	var u schema.User
	d := decoder{s: string(rec)}
	for _, s := range textFields(&u) {
		*s = d.text()
	}
	if a := d.tri(); a != nil {
		u.Active = *a
	}
	u.EmailVerified, u.PhoneVerified, u.MFAEnabled = d.tri(), d.tri(), d.tri()
	u.Groups, u.Roles, u.Organizations = d.list(), d.list(), d.list()
	for range d.count() {
		u.Identities = append(u.Identities, schema.Identity{
			Provider: d.text(), Connection: d.text(), UserID: d.text(), IsSocial: d.tri(),
		})
	}
	u.CreatedAt, u.UpdatedAt = d.time(), d.time()
	if n := d.number(); n > 0 {
		u.Attributes = make(map[string]string)
		for i := uint64(1); i < n && !d.bad; i++ {
			k := d.text()
			u.Attributes[k] = d.text()
		}
	}
	if d.bad || d.s != "" {
		return schema.User{}, errSpilled
	}
	return u, nil
}

func textFields(u *schema.User) []*string {
	return []*string{
		&u.UserID, &u.UserName, &u.Status, &u.StatusRaw,
		&u.NameFormatted, &u.GivenName, &u.FamilyName, &u.Nickname, &u.Locale, &u.Zoneinfo,
		&u.Email, &u.EmailNorm, &u.Phone, &u.PhoneE164, &u.Connection, &u.LinkID,
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendList(b []byte, list []string) []byte {
	if list == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(list))+1)
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

// tri is 0 for not known, 1 for no, 2 for yes.
func tri(p *bool) byte {
	switch {
	case p == nil:
		return 0
	case *p:
		return 2
	}
	return 1
}

func appendTime(b []byte, t *time.Time) []byte {
	if t == nil {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), t.UnixMilli())
}

// decoder takes values off the front of s; bad once that failed.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) number() uint64 {
	n, size := uint64(0), 0
	for shift := 0; size < len(d.s) && shift < 64; shift += 7 {
		c := d.s[size]
		size++
		n |= uint64(c&0x7F) << shift
		if c < 0x80 {
			d.s = d.s[size:]
			return n
		}
	}
	d.s, d.bad = "", true
	return 0
}

// count is a number of things that take at least a byte each.
func (d *decoder) count() uint64 {
	n := d.number()
	if n > uint64(len(d.s)) {
		d.s, d.bad = "", true
		return 0
	}
	return n
}

func (d *decoder) text() string {
	n := d.count()
	s := d.s[:n]
	d.s = d.s[n:]
	return s
}

func (d *decoder) byte() byte {
	if d.s == "" {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) tri() *bool {
	switch d.byte() {
	case 1:
		return new(false)
	case 2:
		return new(true)
	}
	return nil
}

func (d *decoder) list() []string {
	n := d.number()
	if n == 0 {
		return nil
	}
	list := []string{}
	for i := uint64(1); i < n && !d.bad; i++ {
		list = append(list, d.text())
	}
	return list
}

func (d *decoder) time() *time.Time {
	if d.byte() == 0 {
		return nil
	}
	n := d.number()
	t := time.UnixMilli(int64(n>>1) ^ -int64(n&1)).UTC() // zig-zag, as binary.AppendVarint writes it
	return &t
}
