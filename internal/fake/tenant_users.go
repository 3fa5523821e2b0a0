package fake

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// auth0User is a user as an export job writes it.
type auth0User struct {
	UserID        string          `json:"user_id"`
	Email         string          `json:"email,omitempty"`
	EmailVerified *bool           `json:"email_verified,omitempty"`
	Username      string          `json:"username,omitempty"`
	PhoneNumber   string          `json:"phone_number,omitempty"`
	PhoneVerified *bool           `json:"phone_verified,omitempty"`
	Name          string          `json:"name"`
	GivenName     string          `json:"given_name,omitempty"`
	FamilyName    string          `json:"family_name,omitempty"`
	Nickname      string          `json:"nickname,omitempty"`
	Picture       string          `json:"picture,omitempty"`
	Locale        string          `json:"locale,omitempty"`
	CreatedAt     string          `json:"created_at"`
	UpdatedAt     string          `json:"updated_at"`
	LastLogin     string          `json:"last_login,omitempty"`
	LastIP        string          `json:"last_ip,omitempty"`
	LoginsCount   int             `json:"logins_count"`
	Blocked       *bool           `json:"blocked,omitempty"`
	Multifactor   *[]string       `json:"multifactor,omitempty"`
	Identities    []auth0Identity `json:"identities"`
	AppMetadata   map[string]any  `json:"app_metadata,omitempty"`
	UserMetadata  map[string]any  `json:"user_metadata,omitempty"`
	Roles         []string        `json:"roles"`
}

type auth0Identity struct {
	Connection  string         `json:"connection"`
	UserID      any            `json:"user_id"`
	Provider    string         `json:"provider"`
	IsSocial    bool           `json:"isSocial"`
	AccessToken string         `json:"access_token,omitempty"`
	ProfileData map[string]any `json:"profileData,omitempty"`
}

// cognitoUser is a user as ListUsers answers it, with the groups of
// ListUsersInGroup and the factors of AdminGetUser added where they are known.
type cognitoUser struct {
	Username   string             `json:"Username"`
	Attributes []cognitoAttribute `json:"Attributes"`
	Created    any                `json:"UserCreateDate"`
	Modified   any                `json:"UserLastModifiedDate"`
	Enabled    bool               `json:"Enabled"`
	Status     string             `json:"UserStatus"`
	Factors    *[]string          `json:"UserMFASettingList,omitempty"`
	Groups     []string           `json:"Groups"`
}

type cognitoAttribute struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

func (u *cognitoUser) set(name, value string) {
	if value == "" {
		return
	}
	for i := range u.Attributes {
		if u.Attributes[i].Name == name {
			u.Attributes[i].Value = value
			return
		}
	}
	u.Attributes = append(u.Attributes, cognitoAttribute{name, value})
}

func (u *cognitoUser) unset(name string) {
	kept := u.Attributes[:0]
	for _, a := range u.Attributes {
		if a.Name != name {
			kept = append(kept, a)
		}
	}
	u.Attributes = kept
}

// WriteAuth0Users writes the users of the tenant as an export does: one JSON
// object a line.
func (t *Tenant) WriteAuth0Users(w io.Writer) (users int, err error) {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	for i := range t.cases {
		left, _ := t.accounts(i)
		for _, u := range left {
			if err := lines.Encode(u); err != nil {
				return users, fmt.Errorf("write auth0 user: %w", err)
			}
			users++
		}
	}
	if err := out.Flush(); err != nil {
		return users, fmt.Errorf("write auth0 users: %w", err)
	}
	return users, nil
}

// WriteCognitoUsers writes the users of the pool as one answer of ListUsers:
// {"Users":[…]}.
func (t *Tenant) WriteCognitoUsers(w io.Writer) (users int, err error) {
	out := bufio.NewWriter(w)
	_, _ = out.WriteString(`{"Users":[`)
	for i := range t.cases {
		_, right := t.accounts(i)
		for _, u := range right {
			text, err := json.Marshal(u)
			if err != nil {
				return users, fmt.Errorf("write cognito user: %w", err)
			}
			if users > 0 {
				_ = out.WriteByte(',')
			}
			_, _ = out.WriteString("\n")
			_, _ = out.Write(text)
			users++
		}
	}
	_, _ = out.WriteString("\n]}\n")
	if err := out.Flush(); err != nil {
		return users, fmt.Errorf("write cognito users: %w", err)
	}
	return users, nil
}

// accounts makes a person's accounts. Both sides start equal; the case then
// changes one of them.
func (t *Tenant) accounts(i int) ([]auth0User, []cognitoUser) {
	p := t.person(i)
	l, r := t.left(p), t.right(p)
	switch p.kind {
	case caseMissingLeft:
		return nil, []cognitoUser{r}
	case caseMissingRight:
		return []auth0User{l}, nil
	case caseOutOfScope:
		l.UserID = "samlp|" + PartnersName + "|" + p.email
		l.Identities = []auth0Identity{{Connection: PartnersName, UserID: PartnersName + "|" + p.email, Provider: "samlp"}}
		return []auth0User{l}, nil
	case caseDuplicateLeft:
		second := t.left(p)
		t.google(&second, i)
		t.federate(&r, "Google", t.googleID(i))
		return []auth0User{l, second}, []cognitoUser{r}
	case caseDuplicateRight:
		t.google(&l, i)
		second := t.rightAs(p, "second")
		t.federate(&r, "Google", t.googleID(i))
		return []auth0User{l}, []cognitoUser{r, second}
	case caseConflict:
		return t.conflict(p, l, r)
	default:
		t.link(p, &l, &r)
		t.differ(p, &l, &r)
		return []auth0User{l}, []cognitoUser{r}
	}
}

// conflict: the pool's user signs in through the account of one person and has
// the address of another's.
func (t *Tenant) conflict(p person, l auth0User, r cognitoUser) ([]auth0User, []cognitoUser) {
	other := t.left(p)
	other.UserID = t.auth0ID(p.index, "other")
	other.Identities[0].UserID = strings.TrimPrefix(other.UserID, "auth0|")
	other.Email = "other." + p.email
	other.PhoneNumber, other.PhoneVerified = "", nil
	t.federate(&r, "Auth0", l.UserID)
	r.set("email", other.Email)
	return []auth0User{l, other}, []cognitoUser{r}
}

// link makes the two accounts one by another rule than their address.
func (t *Tenant) link(p person, l *auth0User, r *cognitoUser) {
	switch p.kind {
	case caseExplicit:
		r.set(LinkAttribute, l.UserID)
	case caseFederated, caseEmail, caseEmailVerified:
		t.federate(r, "Auth0", l.UserID)
	case caseSocial:
		t.google(l, p.index)
		t.federate(r, "Google", t.googleID(p.index))
	case casePhone:
		if p.phone == "" {
			return // more persons than numbers: linked by e-mail
		}
		l.Email, l.EmailVerified, l.Username = "", nil, ""
		l.UserID = "sms|" + t.hash(24, "sms", p.index)
		l.Identities = []auth0Identity{{Connection: SMSName, UserID: strings.TrimPrefix(l.UserID, "sms|"), Provider: SMSName}}
		r.unset("email")
		r.unset("email_verified")
	default:
	}
}

// differ makes the accounts differ in what the case is about.
func (t *Tenant) differ(p person, l *auth0User, r *cognitoUser) {
	switch p.kind {
	case caseSpelling:
		l.Email = strings.ToUpper(l.Email[:1]) + l.Email[1:len(l.Email)-len("northwind.example")] + "Northwind.Example"
		l.Name, l.GivenName = decompose(l.Name), decompose(l.GivenName)
	case caseName:
		l.Name = "Dr. " + l.Name
	case caseFamily:
		l.FamilyName += "-Smith"
	case casePhoneDiffers:
		if p.phone == "" {
			l.Name = "Dr. " + l.Name // more persons than numbers
			return
		}
		r.set("phone_number", phone(2*p.index+1))
	case caseEmail:
		r.set("email", "old."+p.email)
	case caseEmailVerified:
		l.EmailVerified = new(false)
	case caseCandidate:
		l.EmailVerified = new(false)
		// The phone would link what is to stay apart.
		l.PhoneNumber, l.PhoneVerified = "", nil
	default:
		differInRights(p.kind, l, r)
	}
}

// differInRights is differ for what an account may do, not what it is.
func differInRights(kind personCase, l *auth0User, r *cognitoUser) {
	switch kind {
	case caseBlockedBoth:
		l.Blocked, r.Enabled = new(true), false
	case caseBlocked:
		l.Blocked = new(true)
	case caseDisabled:
		r.Enabled = false
	case casePending:
		r.Status = "FORCE_CHANGE_PASSWORD"
	case caseReset:
		r.Status = "RESET_REQUIRED"
	case caseRoleLeft:
		l.Roles = append(l.Roles, "auditors")
	case caseRoleRight:
		r.Groups = append(r.Groups, "beta-testers")
	case caseMFABoth, caseMFALeft, caseMFARight:
		factors(kind, l, r)
	default:
	}
}

func factors(kind personCase, l *auth0User, r *cognitoUser) {
	l.Multifactor, r.Factors = &[]string{}, &[]string{}
	if kind != caseMFARight {
		l.Multifactor = &[]string{"google-authenticator"}
	}
	if kind != caseMFALeft {
		r.Factors = &[]string{"SOFTWARE_TOKEN_MFA"}
	}
}

// decompose writes the letters whose accents NFC would put back together.
func decompose(s string) string {
	return strings.NewReplacer("é", "e\u0301", "ö", "o\u0308", "ü", "u\u0308", "á", "a\u0301", "í", "i\u0301", "ä", "a\u0308", "ë", "e\u0308").Replace(s)
}

func (t *Tenant) left(p person) auth0User {
	yes := true
	id := t.auth0ID(p.index, "")
	last := t.Begin().Add(time.Duration(p.index) * time.Second)
	u := auth0User{
		UserID: id, Email: p.email, EmailVerified: &yes, Username: fmt.Sprintf("user%d", p.index),
		Name: p.given + " " + p.family, GivenName: p.given, FamilyName: p.family, Nickname: plain(p.given), Locale: p.locale,
		Picture:   "https://cdn.northwind.example/" + t.hash(8, "picture", p.index) + ".png",
		CreatedAt: iso(p.created), UpdatedAt: iso(last), LastLogin: iso(last), LastIP: t.ip(p.index), LoginsCount: 1 + p.index%400,
		Identities:  []auth0Identity{{Connection: DatabaseName, UserID: strings.TrimPrefix(id, "auth0|"), Provider: "auth0"}},
		AppMetadata: map[string]any{"department": p.role, "employee_no": 9007199254740993 + p.index},
		Roles:       []string{p.role},
	}
	if p.phone != "" {
		u.PhoneNumber, u.PhoneVerified = p.phone, &yes
	}
	if p.index%50 == 7 && p.kind < caseOutOfScope {
		// GitHub's ids come as numbers, and pass 2^53.
		u.Identities = append(u.Identities, auth0Identity{
			Connection: "github", UserID: 90071992547409931 + p.index, Provider: "github", IsSocial: true,
			AccessToken: t.secret(secretIdentity, p.index), ProfileData: map[string]any{"email": p.email},
		})
	}
	return u
}

// google turns a database account into one of Google.
func (t *Tenant) google(u *auth0User, i int) {
	id := t.googleID(i)
	u.UserID, u.Username = "google-oauth2|"+id, ""
	u.Identities = []auth0Identity{{
		Connection: GoogleName, UserID: id, Provider: "google-oauth2", IsSocial: true,
		AccessToken: t.secret(secretIdentity, i),
	}}
}

func (t *Tenant) right(p person) cognitoUser { return t.rightAs(p, "") }

func (t *Tenant) rightAs(p person, suffix string) cognitoUser {
	sub := t.sub(p.index, suffix)
	u := cognitoUser{Username: sub, Enabled: true, Status: "CONFIRMED", Groups: []string{p.role}}
	u.Created, u.Modified = iso(p.created.Add(time.Hour)), iso(p.created.Add(2*time.Hour))
	if p.index%10 == 3 {
		// The AWS CLI of old and other tools write seconds.
		u.Created, u.Modified = float64(p.created.Unix())+0.5, p.created.Add(time.Hour).Unix()
	}
	u.set("sub", sub)
	u.set("email", p.email)
	u.set("email_verified", "true")
	u.set("name", p.given+" "+p.family)
	u.set("given_name", p.given)
	u.set("family_name", p.family)
	u.set("locale", p.locale)
	if p.phone != "" && suffix == "" {
		u.set("phone_number", p.phone)
		u.set("phone_number_verified", "true")
	}
	return u
}

// federate makes a user one of an identity provider.
func (t *Tenant) federate(u *cognitoUser, provider, id string) {
	kind := provider
	if provider == "Auth0" {
		kind = "OIDC"
	}
	u.Username, u.Status = strings.ToLower(provider)+"_"+strings.ToLower(id), "EXTERNAL_PROVIDER"
	identity, _ := json.Marshal([]map[string]any{{
		"userId": id, "providerName": provider, "providerType": kind, "issuer": nil,
		"primary": "true", "dateCreated": "1700000000000",
	}})
	u.set("identities", string(identity))
}

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ip is an address of the documentation ranges.
func (t *Tenant) ip(i int) string {
	if i%9 == 4 {
		return fmt.Sprintf("2001:db8:%x::%x", i%65536, i%251+1)
	}
	return fmt.Sprintf("%s.%d", []string{"192.0.2", "198.51.100", "203.0.113"}[i%3], i%250+1)
}
