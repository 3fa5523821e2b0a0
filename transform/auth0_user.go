package transform

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// auth0User maps a line of a users export, a user as the Management API has it,
// or {"user":…,"roles":[…],"organizations":[…]}: the line of an export beside
// what is known of its memberships. Only what names no user cannot be mapped.
func (m *Mapper) auth0User(line []byte) (Result, error) {
	valid, _ := validText(line)
	if !validJSON(valid) {
		return Result{}, fmt.Errorf("auth0 user: no JSON, or nested too deep: %w", ErrUnmappable)
	}
	root := gjson.ParseBytes(schema.KindAuth0User.Record(valid))
	if !root.IsObject() {
		return Result{}, fmt.Errorf("auth0 user: no JSON object: %w", ErrUnmappable)
	}
	r := readObject(root)
	if r.get("idtrail_unparsed").IsObject() {
		return unparsed(valid)
	}
	u := schema.User{UserID: strings.TrimSpace(r.text("user_id")), RawData: string(valid)}
	if u.UserID == "" {
		return Result{}, fmt.Errorf("auth0 user: no user_id: %w", ErrUnmappable)
	}
	auth0Person(&u, r, m.PhoneRegion)
	auth0Account(&u, r)
	auth0Memberships(&u, readObject(gjson.ParseBytes(valid)), r)
	auth0Identities(&u, r.get("identities"))
	auth0Chosen(&u, r, m)
	return Result{Users: []schema.User{u}}, nil
}

// auth0Person sets who the user is.
func auth0Person(u *schema.User, r *object, region string) {
	text := func(name string) string { return strings.TrimSpace(r.text(name)) }
	u.Email, u.EmailVerified = text("email"), optional(r.get("email_verified"))
	u.EmailNorm = normEmail(u.Email)
	u.Phone, u.PhoneVerified = text("phone_number"), optional(r.get("phone_verified", "phone_number_verified"))
	u.PhoneE164 = normPhone(u.Phone, region)
	u.UserName = firstOf(text("username"), u.Email, u.Phone, u.UserID)
	u.UserNameNorm = normUserName(u.UserName)
	u.GivenName, u.FamilyName = normName(text("given_name")), normName(text("family_name"))
	u.NameFormatted = displayName(text("name"), u.GivenName, u.FamilyName, u.Email)
	u.Nickname = normName(text("nickname"))
	u.Locale, u.Zoneinfo = text("locale"), text("zoneinfo")
}

// auth0Account sets state, dates and factors. A user without blocked is not
// blocked; one without multifactor was not asked about.
func auth0Account(u *schema.User, r *object) {
	u.Active, u.Status = true, schema.UserActive
	blocked, known := boolean(r.get("blocked"))
	switch {
	case known && blocked:
		u.Active, u.Status, u.StatusRaw = false, schema.UserDisabled, "blocked"
	case !known && r.get("blocked").Exists():
		u.Status = schema.UserUnknown
	}
	u.CreatedAt = auth0Time(r.get("created_at"))
	u.UpdatedAt = auth0Time(r.get("updated_at"))
	u.LastLoginAt = auth0Time(r.get("last_login"))
	if u.MFAFactors = auth0Names(r.get("multifactor")); u.MFAFactors != nil {
		u.MFAEnabled = new(len(u.MFAFactors) > 0)
	}
}

// auth0Memberships sets roles and organizations: as they stand beside the user,
// if it stands within a line, else as they stand in it. An attribute of the user
// may bear these names by chance.
func auth0Memberships(u *schema.User, line, r *object) {
	if line.get("user").IsObject() && !line.get("user_id").Exists() {
		r = line
	}
	u.Roles, u.Organizations = auth0Names(r.get("roles")), auth0Names(r.get("organizations"))
}

// auth0Time reads a date, nil where it is none.
func auth0Time(v gjson.Result) *time.Time {
	t := schema.ParseTime(strings.TrimSpace(scalar(v)))
	if t.IsZero() {
		return nil
	}
	return new(t.Truncate(time.Millisecond))
}

// auth0Names are the sorted names of a list of texts or of objects, an id where
// one has no name. nil says that there is no list: an empty one is an answer.
func auth0Names(list gjson.Result) []string {
	if !list.IsArray() {
		return nil
	}
	names := []string{}
	list.ForEach(func(_, item gjson.Result) bool {
		if name := firstOf(scalar(item), readObject(item).text("name", "display_name", "id")); name != "" {
			names = append(names, name)
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// auth0Identities keeps what tells the linked accounts apart, and no token and
// no profile.
func auth0Identities(u *schema.User, list gjson.Result) {
	if !list.IsArray() {
		return
	}
	u.Identities = []schema.Identity{}
	list.ForEach(func(_, item gjson.Result) bool {
		o := readObject(item)
		identity := schema.Identity{
			Provider: o.text("provider"), Connection: o.text("connection"), UserID: o.text("user_id"),
			IsSocial: optional(o.get("isSocial", "is_social")), Primary: len(u.Identities) == 0,
		}
		if identity.Provider != "" || identity.UserID != "" {
			u.Identities = append(u.Identities, identity)
		}
		return true
	})
	if len(u.Identities) > 0 {
		u.Connection = u.Identities[0].Connection
	}
}

// auth0Chosen sets what the settings ask for out of the metadata.
func auth0Chosen(u *schema.User, r *object, m *Mapper) {
	for _, name := range m.Attributes {
		if value := anyText(auth0Attribute(r, name)); value != "" {
			if u.Attributes == nil {
				u.Attributes = map[string]string{}
			}
			u.Attributes[name] = value
		}
	}
	u.LinkID = strings.TrimSpace(scalar(auth0Attribute(r, m.LinkAttribute)))
}

// auth0Attribute finds app_metadata.NAME or user_metadata.NAME; NAME may hold
// dots, of its own or as steps into objects.
func auth0Attribute(r *object, path string) gjson.Result {
	root, name, _ := strings.Cut(path, ".")
	if root != "app_metadata" && root != "user_metadata" || name == "" {
		return gjson.Result{}
	}
	return descend(parsed(r.get(root)), name)
}

func descend(v gjson.Result, name string) gjson.Result {
	if whole := member(v, name); whole.Exists() {
		return whole
	}
	first, rest, more := strings.Cut(name, ".")
	if !more {
		return gjson.Result{}
	}
	return descend(member(v, first), rest)
}
