package auth0

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// rights is who has which role and is a member of which organization. It is
// read whole before the users are, and kept in 12 bytes a membership: a
// hash of the user's id and a number for what it is a member of.
type rights struct {
	// What could not be read and why; the zero value where all of it was. What
	// is refused is not known, of anyone. memberRoles are the roles of the
	// members of organizations.
	rolesWhy, orgsWhy, memberRolesWhy refusal

	roles  []string // each {"id":…,"name":…}
	holder memberships

	orgs   []string // each {"id":…,"name":… and no brace
	grants []string // see grant
	member memberships

	// names are the roles that members of organizations have; numbers and known
	// find what was seen before, while reading.
	names   []string
	numbers map[string]uint32
	known   map[string]uint32
	// untold says that members came without roles.
	untold bool
}

// memberships is a list of pairs of a user and a number, sorted. Many small
// slices, because one large one doubles as it grows.
type memberships struct {
	seed    maphash.Seed
	buckets [256][]membership
}

// membership is a hash of the user, in two halves (one number would take four
// bytes more), and the number.
type membership struct{ high, low, of uint32 }

func (m membership) compare(n membership) int {
	return cmp.Or(m.compareUser(n), cmp.Compare(m.of, n.of))
}

func (m membership) compareUser(n membership) int {
	return cmp.Or(cmp.Compare(m.high, n.high), cmp.Compare(m.low, n.low))
}

func (m *memberships) make(user string, of uint32) membership {
	h := maphash.String(m.seed, user)
	return membership{uint32(h >> 32), uint32(h), of} //nolint:gosec // its two halves
}

func (m *memberships) add(user string, of uint32) {
	pair := m.make(user, of)
	m.buckets[pair.high>>24] = append(m.buckets[pair.high>>24], pair)
}

// sort brings the pairs in order, each once.
func (m *memberships) sort() {
	for i, b := range m.buckets {
		slices.SortFunc(b, membership.compare)
		m.buckets[i] = slices.Compact(b)
	}
}

// of returns the pairs of a user.
func (m *memberships) of(user string) []membership {
	pair := m.make(user, 0)
	b := m.buckets[pair.high>>24]
	from, _ := slices.BinarySearchFunc(b, pair, membership.compareUser)
	to := from
	for to < len(b) && b[to].compareUser(pair) == 0 {
		to++
	}
	return b[from:to]
}

// readRights reads roles and organizations with their members. What may not be
// read, or was switched off, is not known; any other failure is one.
func (u *Users) readRights(ctx context.Context) (*rights, error) {
	r := &rights{numbers: map[string]uint32{}, known: map[string]uint32{}}
	r.holder.seed, r.member.seed = maphash.MakeSeed(), maphash.MakeSeed()
	if err := u.readRoles(ctx, r); err != nil {
		return nil, err
	}
	if err := u.readOrganizations(ctx, r); err != nil {
		return nil, err
	}
	r.numbers, r.known = nil, nil
	return r, nil
}

func (u *Users) readRoles(ctx context.Context, r *rights) error {
	if u.opts.SkipRoles {
		r.rolesWhy = switchedOff
		return nil
	}
	ids, err := u.ids(ctx, call{path: []string{"roles"}, scope: "read:roles"})
	for i, id := range ids {
		r.roles = append(r.roles, id.object()+"}")
		if err == nil {
			err = u.rows(ctx, call{path: []string{"roles", id.id, "users"}, scope: "read:role_members"}, func(row gjson.Result) {
				r.holder.add(userOf(row), uint32(i)) //nolint:gosec // Auth0 has at most 1,000 roles
			})
		}
	}
	r.rolesWhy, err = refused(err)
	r.holder.sort()
	return err
}

func (u *Users) readOrganizations(ctx context.Context, r *rights) error {
	if u.opts.SkipOrganizations {
		r.orgsWhy, r.memberRolesWhy = switchedOff, switchedOff
		return nil
	}
	ids, err := u.ids(ctx, call{path: []string{"organizations"}, scope: "read:organizations"})
	for i, id := range ids {
		r.orgs = append(r.orgs, id.object())
		if err == nil {
			err = u.organization(ctx, r, uint32(i))
		}
	}
	r.orgsWhy, err = refused(err)
	switch {
	case r.orgsWhy.State != "":
		r.memberRolesWhy = r.orgsWhy
	case r.untold && r.memberRolesWhy.State == "":
		// Auth0 may leave out what it does not allow, instead of refusing it.
		r.memberRolesWhy = refusal{schema.SettingDenied, "the members came without roles: grant the application read:organization_member_roles"}
	}
	r.member.sort()
	return err
}

// organization reads the members of one organization, with their roles as long
// as these may be read.
func (u *Users) organization(ctx context.Context, r *rights, org uint32) error {
	id := gjson.Get(r.orgs[org]+"}", "id").Str
	in := call{path: []string{"organizations", id, "members"}, scope: "read:organization_member_roles"}
	add := func(row gjson.Result) { r.member.add(userOf(row), r.grant(org, row.Get("roles"))) }
	if r.memberRolesWhy.State == "" {
		in.query = url.Values{"fields": {"user_id,roles"}, "include_fields": {"true"}}
		why, err := refused(u.rows(ctx, in, add))
		if why.State == "" || err != nil {
			return err
		}
		r.memberRolesWhy = why
	}
	in.query, in.scope = nil, "read:organization_members"
	return u.rows(ctx, in, add)
}

// rows calls f for every member in a list, but for a role or an organization that was deleted since its
// list was read: it has no members.
func (u *Users) rows(ctx context.Context, in call, f func(row gjson.Result)) error {
	w := walker{client: u.client, call: in}
	err := w.each(ctx, func(row gjson.Result) {
		if userOf(row) != "" {
			f(row)
		}
	})
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil
	}
	return err
}

func userOf(row gjson.Result) string { return row.Get("user_id").String() }

// refusal is why something is not known: one of schema's states of a setting,
// and words. The zero value is none.
type refusal struct{ State, Detail string }

var switchedOff = refusal{schema.SettingDenied, "switched off in the configuration"}

// refused tells a refusal, which would be the same the next time, from a failure.
func refused(err error) (refusal, error) {
	var status *StatusError
	switch {
	case errors.Is(err, ErrScope):
		return refusal{schema.SettingDenied, err.Error()}, nil
	case !errors.As(err, &status):
		return refusal{}, err
	}
	switch status.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return refusal{schema.SettingUnsupported, err.Error()}, nil
	default:
		return refusal{}, err
	}
}

// named is a role or an organization.
type named struct{ id, name string }

// object is its JSON, all but the last brace.
func (n named) object() string {
	text, err := json.Marshal(map[string]string{"id": n.id, "name": n.name})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(text[:len(text)-1])
}

// ids reads a list's ids and names, sorted by id: their numbers then sort what a
// user has.
func (u *Users) ids(ctx context.Context, in call) ([]named, error) {
	var all []named
	w := walker{client: u.client, call: in}
	err := w.each(ctx, func(item gjson.Result) {
		if id := item.Get("id").Str; plainID(id) {
			all = append(all, named{strings.Clone(id), strings.Clone(item.Get("name").Str)})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.id, b.id) })
	return slices.CompactFunc(all, func(a, b named) bool { return a.id == b.id }), nil
}

// grant is the number of a membership in an organization with these roles: the
// number of the organization, one byte that tells whether its roles are known,
// and theirs. Few combinations occur, many members have each.
func (r *rights) grant(org uint32, roles gjson.Result) uint32 {
	key := binary.BigEndian.AppendUint32(nil, org)
	if roles.IsArray() {
		key = append(key, 1)
		for _, number := range r.roleNumbers(roles) {
			key = binary.BigEndian.AppendUint32(key, number)
		}
	} else {
		key, r.untold = append(key, 0), true
	}
	return intern(r.known, &r.grants, string(key))
}

func (r *rights) roleNumbers(roles gjson.Result) []uint32 {
	var objects []string
	roles.ForEach(func(_, item gjson.Result) bool {
		objects = append(objects, named{item.Get("id").Str, item.Get("name").Str}.object()+"}")
		return true
	})
	slices.Sort(objects)
	numbers := []uint32{}
	for _, text := range slices.Compact(objects) {
		numbers = append(numbers, intern(r.numbers, &r.names, text))
	}
	return numbers
}

// intern gives a text the number it has in a list, a new one at its end if it
// has none.
func intern(known map[string]uint32, list *[]string, text string) uint32 {
	number, ok := known[text]
	if !ok {
		number = uint32(len(*list)) //nolint:gosec // at most one for every membership
		*list = append(*list, text)
		known[text] = number
	}
	return number
}

// wrap makes the record of a user: the line of the export as it stands, beside
// what is known of its roles and organizations.
func (r *rights) wrap(line []byte, id string) []byte {
	var b bytes.Buffer
	b.Grow(len(line) + 128)
	b.WriteString(`{"user":`)
	b.Write(line)
	if r.rolesWhy.State == "" {
		b.WriteString(`,"roles":[`)
		for i, m := range r.holder.of(id) {
			separate(&b, i)
			b.WriteString(r.roles[m.of])
		}
		b.WriteByte(']')
	}
	if r.orgsWhy.State == "" {
		b.WriteString(`,"organizations":[`)
		r.wrapOrganizations(&b, r.member.of(id))
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes()
}

// wrapOrganizations writes each organization once, even where a member came
// twice because the list moved while it was read.
func (r *rights) wrapOrganizations(b *bytes.Buffer, list []membership) {
	written := 0
	for i, m := range list {
		grant := r.grants[m.of]
		if i+1 < len(list) && r.grants[list[i+1].of][:4] == grant[:4] {
			continue
		}
		separate(b, written)
		written++
		b.WriteString(r.orgs[binary.BigEndian.Uint32([]byte(grant))])
		r.wrapMemberRoles(b, grant)
		b.WriteByte('}')
	}
}

func (r *rights) wrapMemberRoles(b *bytes.Buffer, grant string) {
	if r.memberRolesWhy.State != "" || grant[4] == 0 {
		return
	}
	b.WriteString(`,"roles":[`)
	for j := 5; j < len(grant); j += 4 {
		separate(b, j-5)
		b.WriteString(r.names[binary.BigEndian.Uint32([]byte(grant[j:]))])
	}
	b.WriteByte(']')
}

func separate(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

// counts adds what was read to the counts of a snapshot.
func (r *rights) counts(to map[string]int64) {
	if r.rolesWhy.State == "" {
		to["roles"], to["role_members"] = int64(len(r.roles)), r.holder.len()
	}
	if r.orgsWhy.State == "" {
		to["organizations"], to["organization_members"] = int64(len(r.orgs)), r.member.len()
	}
}

func (m *memberships) len() (n int64) {
	for _, b := range m.buckets {
		n += int64(len(b))
	}
	return n
}
