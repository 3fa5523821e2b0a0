package transform

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// cognitoRecord is one user of a pool as ListUsers or AdminGetUser answer it,
// or as backups have it: attributes as a list, as an object or as members of
// the user itself.
//
// What other calls said stands beside the user in the line of our own source,
// {"user":{…},"groups":[…],"mfa":{…}}, or within the user in files of others.
type cognitoRecord struct {
	user       *object
	attributes map[string]gjson.Result
	// beside is the object around the user, or the user itself.
	beside *object
}

func (m *Mapper) cognitoUser(line []byte) (Result, error) {
	text, _ := validText(line)
	if !validJSON(text) {
		return Result{}, fmt.Errorf("cognito user: no JSON value: %w", ErrUnmappable)
	}
	if gjson.GetBytes(text, "idtrail_unparsed").Exists() {
		return unparsed(text)
	}
	whole, root := gjson.ParseBytes(text), gjson.ParseBytes(schema.KindCognitoUser.Record(text))
	if !root.IsObject() {
		return Result{}, fmt.Errorf("cognito user: no JSON object: %w", ErrUnmappable)
	}
	r := readCognito(root)
	r.beside = r.user
	if len(whole.Raw) != len(root.Raw) {
		r.beside = readObject(whole)
	}
	id := firstOf(r.text("sub"), r.name())
	if id == "" {
		return Result{}, fmt.Errorf("cognito user: neither sub nor Username: %w", ErrUnmappable)
	}
	u := schema.User{UserID: id, RawData: string(text)}
	r.person(&u, m.PhoneRegion)
	r.account(&u)
	r.factors(&u)
	r.federation(&u)
	r.chosen(&u, m)
	return Result{Users: []schema.User{u}}, nil
}

func readCognito(root gjson.Result) *cognitoRecord {
	r := &cognitoRecord{user: readObject(root), attributes: map[string]gjson.Result{}}
	list := r.user.get("Attributes", "UserAttributes", "attributes", "userAttributes")
	list.ForEach(func(key, item gjson.Result) bool {
		name, value := key.String(), item
		if list.IsArray() {
			o := readObject(item)
			name, value = o.text("Name", "name"), o.get("Value", "value")
		}
		if _, ok := r.attributes[name]; !ok && present(value) {
			r.attributes[name] = value
		}
		return true
	})
	return r
}

// attribute is the value of a user attribute.
func (r *cognitoRecord) attribute(name string) gjson.Result {
	if v, ok := r.attributes[name]; ok {
		return v
	}
	return r.user.get(name)
}

func (r *cognitoRecord) text(name string) string { return strings.TrimSpace(scalar(r.attribute(name))) }

// name is the Username. That of a federated user is the provider's name and the
// provider's id of the user, all in lower case in pools that ignore case: no
// id is to be read from it where attribute identities has it.
func (r *cognitoRecord) name() string {
	return r.user.text("Username", "username", "cognito:username")
}

func (r *cognitoRecord) person(u *schema.User, region string) {
	u.Email, u.EmailVerified = r.text("email"), optional(r.attribute("email_verified"))
	u.EmailNorm = normEmail(u.Email)
	u.Phone, u.PhoneVerified = r.text("phone_number"), optional(r.attribute("phone_number_verified"))
	u.PhoneE164 = normPhone(u.Phone, region)
	u.UserName = firstOf(r.name(), u.Email, u.Phone, u.UserID)
	u.UserNameNorm = normUserName(u.UserName)
	u.GivenName, u.FamilyName = normName(r.text("given_name")), normName(r.text("family_name"))
	u.NameFormatted = displayName(r.text("name"), u.GivenName, u.FamilyName, u.Email)
	u.Nickname = normName(r.text("nickname"))
	u.Locale, u.Zoneinfo = r.text("locale"), r.text("zoneinfo")
}

// account sets state and dates. A record without Enabled (a backup of
// attributes, say) is judged by its UserStatus alone: absent is not false.
func (r *cognitoRecord) account(u *schema.User) {
	u.StatusRaw = r.user.text("UserStatus", "userStatus", "cognito:user_status")
	u.Status = cognitoStatus(u.StatusRaw)
	if enabled, known := boolean(r.user.get("Enabled", "enabled")); known && !enabled {
		u.Status = schema.UserDisabled
	}
	// Who has to choose a new password may sign in to do so; who never confirmed
	// the sign-up may not.
	u.Active = u.Status != schema.UserDisabled && u.StatusRaw != "UNCONFIRMED"
	u.CreatedAt = vendorTime(r.user.get("UserCreateDate", "userCreateDate"))
	u.UpdatedAt = vendorTime(r.user.get("UserLastModifiedDate", "userLastModifiedDate"))
	u.Groups = cognitoGroups(r.beside.get("Groups", "groups", "cognito:groups"))
}

func cognitoStatus(word string) string {
	switch word {
	case "CONFIRMED", "EXTERNAL_PROVIDER":
		return schema.UserActive
	case "UNCONFIRMED", "FORCE_CHANGE_PASSWORD":
		return schema.UserPending
	case "RESET_REQUIRED":
		return schema.UserResetRequired
	case "ARCHIVED", "COMPROMISED":
		return schema.UserDisabled
	default:
		return schema.UserUnknown
	}
}

// cognitoGroups reads names, or groups as ListGroups gives them; nil if the
// record does not say.
func cognitoGroups(list gjson.Result) []string {
	if !list.IsArray() {
		return nil
	}
	groups := []string{}
	list.ForEach(func(_, item gjson.Result) bool {
		if name := firstOf(scalar(item), readObject(item).text("GroupName", "groupName")); name != "" {
			groups = append(groups, name)
		}
		return true
	})
	slices.Sort(groups)
	return slices.Compact(groups)
}

// factors: only AdminGetUser tells of them all. ListUsers has MFAOptions, which
// knows SMS only, so that its absence tells nothing.
func (r *cognitoRecord) factors(u *schema.User) {
	asked := r.user
	if mfa := r.beside.get("mfa"); mfa.IsObject() {
		asked = readObject(mfa)
	}
	list := asked.get("UserMFASettingList", "userMFASettingList")
	if list.IsArray() {
		u.MFAFactors = []string{}
		for _, name := range texts(list) {
			u.MFAFactors = append(u.MFAFactors, firstOf(mfaSettings[name], strings.ToLower(name)))
		}
		slices.Sort(u.MFAFactors)
		u.MFAFactors = slices.Compact(u.MFAFactors)
		u.MFAEnabled = new(len(u.MFAFactors) > 0)
		return
	}
	if options := r.user.get("MFAOptions", "mfaOptions"); options.IsArray() && !emptyContainer(options) {
		u.MFAFactors, u.MFAEnabled = []string{"sms"}, new(true)
	}
}

var mfaSettings = map[string]string{
	"SMS_MFA": "sms", "SOFTWARE_TOKEN_MFA": "totp", "EMAIL_OTP": "email", "WEB_AUTHN": "webauthn",
}

// federation reads attribute identities, a list as JSON text: the accounts at
// identity providers behind this user. The user is theirs when one of them is
// the primary; a native user that others were linked to is not.
func (r *cognitoRecord) federation(u *schema.User) {
	external := u.StatusRaw == "EXTERNAL_PROVIDER"
	u.Identities = cognitoIdentities(r.attribute("identities"))
	if len(u.Identities) == 0 && external {
		u.Identities = identityOfName(r.name())
	}
	if len(u.Identities) > 0 && (external || u.Identities[0].Primary) {
		u.Connection = u.Identities[0].Connection
	}
}

func cognitoIdentities(v gjson.Result) []schema.Identity {
	if v.Type == gjson.String {
		if !validJSON([]byte(v.Str)) {
			return nil
		}
		v = gjson.Parse(v.Str)
	}
	if !v.IsArray() {
		return nil
	}
	var list []schema.Identity
	v.ForEach(func(_, item gjson.Result) bool {
		if i, ok := cognitoIdentity(readObject(item)); ok {
			list = append(list, i)
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b schema.Identity) int {
		switch {
		case a.Primary == b.Primary:
			return 0
		case a.Primary:
			return -1
		default:
			return 1
		}
	})
	return list
}

// cognitoIdentity: its provider is the type of provider (OIDC, Google), its
// connection the name the pool gave it.
func cognitoIdentity(o *object) (schema.Identity, bool) {
	name, kind := o.text("providerName"), o.text("providerType")
	i := schema.Identity{Provider: firstOf(kind, name), Connection: name, UserID: o.text("userId")}
	i.Primary, _ = boolean(o.get("primary"))
	switch kind {
	case "Google", "Facebook", "LoginWithAmazon", "SignInWithApple":
		i.IsSocial = new(true)
	case "OIDC", "SAML":
		i.IsSocial = new(false)
	}
	return i, i.UserID != "" && i.Provider != ""
}

// identityOfName reads what it can from the name of a federated user without
// attribute identities.
func identityOfName(name string) []schema.Identity {
	provider, id, ok := strings.Cut(name, "_")
	if !ok || provider == "" || id == "" {
		return nil
	}
	return []schema.Identity{{Provider: provider, Connection: provider, UserID: id, Primary: true}}
}

// chosen keeps the attributes the configuration names.
func (r *cognitoRecord) chosen(u *schema.User, m *Mapper) {
	for _, name := range m.Attributes {
		if value := anyText(r.attribute(name)); value != "" {
			if u.Attributes == nil {
				u.Attributes = map[string]string{}
			}
			u.Attributes[name] = value
		}
	}
	if m.LinkAttribute != "" {
		u.LinkID = r.text(m.LinkAttribute)
	}
}

// vendorTime reads a date of a user: ISO 8601, or seconds or milliseconds since
// 1970, with or without a fraction, as number or text. nil for anything else.
func vendorTime(v gjson.Result) *time.Time {
	s := strings.TrimSpace(scalar(v))
	at := schema.ParseTime(s)
	if at.IsZero() {
		at = schema.ParseTime(strings.Replace(s, " ", "T", 1))
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		at = epoch(n)
	}
	if at.IsZero() {
		return nil
	}
	at = at.Truncate(time.Millisecond)
	return &at
}

// epoch tells seconds from milliseconds by size: 1e11 is the year 5138 in the
// one and 1973 in the other.
func epoch(n float64) time.Time {
	if math.Abs(n) < 1e11 {
		n *= 1000
	}
	if !(n > 0 && n < 253402300800000) { // the year 10000
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(n))).UTC()
}
