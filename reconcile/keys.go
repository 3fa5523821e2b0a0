package reconcile

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"regexp"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// step is a place in the order the keys are looked at.
type step byte

const (
	stepK1 step = iota + 1
	stepK2
	stepK2NoCase
	stepK3
	stepK3NoCase
	stepK4
	stepK5
	// stepEmail makes no links: it finds candidates.
	stepEmail
	stepEnd
)

func (s step) rule() Rule {
	return [stepEnd]Rule{"", RuleExplicit, RuleFederation, RuleFederationNoCase, RuleSocial, RuleSocialNoCase, RuleEmail, RulePhone, ""}[s]
}

// toward says on which side the account named by a claim is looked for; both
// sides of a rule without claims are alike.
type toward byte

const (
	towardNone toward = iota
	towardLeft
	towardRight
)

// keyRecord is a key as it is sorted: step, toward, 16 bytes of SHA-256, side,
// index, verified. A stranger must not be able to make two keys collide, and
// memory must not grow with their length.
const keyRecordLen = 1 + 1 + 16 + 1 + 4 + 1

func appendKeyRecord(b []byte, k key, side int, index int32) []byte {
	h := sha256.Sum256([]byte(k.text))
	b = append(b, byte(k.step), byte(k.toward))
	b = append(b, h[:16]...)
	b = binary.BigEndian.AppendUint32(append(b, byte(side)), uint32(index)) //nolint:gosec // an index is never negative
	if k.verified {
		return append(b, 1)
	}
	return append(b, 0)
}

// key is one thing an account can be found by.
type key struct {
	step   step
	toward toward
	text   string
	// verified is of stepEmail only.
	verified bool
}

// keyer finds the keys of the accounts of one side.
type keyer struct {
	names providerNames
	// own and other tell the kinds; towardOther and towardOwn the directions.
	ownAuth0, otherAuth0    bool
	towardOwn, towardOther  toward
	otherLinks, otherClaims bool
}

func newKeyer(o *Options, own, other *store, side int) *keyer {
	k := &keyer{
		names:     newProviderNames(o),
		ownAuth0:  own.auth0,
		towardOwn: towardLeft, towardOther: towardRight,
		otherAuth0:  other.auth0,
		otherLinks:  other.withLink > 0,
		otherClaims: other.withFederated > 0 && !other.auth0,
	}
	if side == 1 {
		k.towardOwn, k.towardOther = towardRight, towardLeft
	}
	return k
}

// each hands out the keys of an account.
func (k *keyer) each(u *schema.User, fn func(key)) {
	if u.LinkID != "" {
		fn(key{step: stepK1, toward: k.towardOther, text: u.LinkID})
	}
	if k.otherLinks {
		fn(key{step: stepK1, toward: k.towardOwn, text: u.UserID})
	}
	k.federated(u, fn)
	k.social(u, fn)
	if u.EmailNorm != "" {
		verified := isTrue(u.EmailVerified)
		if verified {
			fn(key{step: stepK4, text: u.EmailNorm})
		}
		fn(key{step: stepEmail, text: u.EmailNorm, verified: verified})
	}
	if u.PhoneE164 != "" && isTrue(u.PhoneVerified) {
		fn(key{step: stepK5, text: u.PhoneE164})
	}
}

// federated hands out K2: Auth0 ids an account signs in with, and the ids they
// may name.
func (k *keyer) federated(u *schema.User, fn func(key)) {
	if k.ownAuth0 {
		if k.otherClaims {
			fn(key{step: stepK2, toward: k.towardOwn, text: u.UserID})
			fn(key{step: stepK2NoCase, toward: k.towardOwn, text: strings.ToLower(u.UserID)})
		}
		return
	}
	if !k.otherAuth0 {
		return
	}
	for _, c := range k.names.claims(u) {
		if !k.names.isAuth0(c) {
			continue
		}
		if c.exact {
			fn(key{step: stepK2, toward: k.towardOther, text: c.id})
		}
		fn(key{step: stepK2NoCase, toward: k.towardOther, text: strings.ToLower(c.id)})
	}
}

// social hands out K3: the provider's name and the id there.
func (k *keyer) social(u *schema.User, fn func(key)) {
	for _, c := range k.names.claims(u) {
		text := k.socialKey(c)
		if text == "" {
			continue
		}
		if c.exact {
			fn(key{step: stepK3, text: text})
		}
		fn(key{step: stepK3NoCase, text: strings.ToLower(text)})
	}
}

// socialKey is provider and id of the social account behind a claim, "" if
// there is none. Only a pool may name one through Auth0 ("google-oauth2|1234"):
// in an Auth0 identity that text is whatever an enterprise's provider sent.
// Between two pools, the Auth0 account itself is as good as a social one.
func (k *keyer) socialKey(c claim) string {
	text := k.names.direct(c)
	if text != "" || k.ownAuth0 {
		return text
	}
	text = k.names.throughAuth0(c)
	if text == "" && !k.otherAuth0 && k.names.isAuth0(c) {
		text = "auth0\x00" + c.id
	}
	return text
}

// claim is an account at an identity provider. One that was read from a user
// name is not exact: pools may have lower-cased it.
type claim struct {
	provider, connection, id string
	social, exact            bool
}

// providerNames tells identity providers apart.
type providerNames struct {
	// auth0 is nil when nothing is configured.
	auth0 map[string]bool
	// canon maps every known name of a social provider, lower case, to one; ""
	// for those switched off.
	canon map[string]string
}

func newProviderNames(o *Options) providerNames {
	n := providerNames{canon: map[string]string{}}
	for _, p := range o.Auth0Providers {
		if n.auth0 == nil {
			n.auth0 = map[string]bool{}
		}
		n.auth0[strings.ToLower(p)] = true
	}
	names := DefaultProviders()
	maps.Copy(names, o.Providers)
	for strategy, provider := range names {
		n.canon[strings.ToLower(strategy)] = strings.ToLower(provider)
		if provider != "" {
			n.canon[strings.ToLower(provider)] = strings.ToLower(provider)
		}
	}
	return n
}

// claims lists an account's identities. Where the record has none, they are
// read from the id (Auth0) or from the name the pool gave a federated user; the
// name of any other Cognito user was chosen by himself, and proves nothing.
func (n providerNames) claims(u *schema.User) []claim {
	var out []claim
	for _, id := range u.Identities {
		if id.UserID != "" {
			out = append(out, claim{id.Provider, id.Connection, id.UserID, isTrue(id.IsSocial), true})
		}
	}
	if strategy, id, ok := strings.Cut(u.UserID, "|"); ok && len(out) == 0 {
		return []claim{{provider: strategy, id: id, exact: true}}
	}
	if isExternal(u) {
		if c, ok := n.fromName(u.UserName); ok {
			out = append(out, c)
		}
	}
	return out
}

// fromName takes apart "<provider>_<id there>". Provider names may hold
// underscores themselves.
func (n providerNames) fromName(name string) (claim, bool) {
	for i := range len(name) {
		if name[i] != '_' {
			continue
		}
		c := claim{provider: name[:i], id: name[i+1:]}
		if c.id != "" && (n.isAuth0(c) || n.social(c) != "") {
			return c, true
		}
	}
	return claim{}, false
}

// auth0ID is the form of Auth0's ids: strategy|id.
var auth0ID = regexp.MustCompile(`^[A-Za-z0-9-]+\|[^\s]+$`)

// isAuth0 says whether the id of a claim is an Auth0 user_id.
func (n providerNames) isAuth0(c claim) bool {
	if n.auth0 != nil {
		return n.auth0[strings.ToLower(c.provider)] || n.auth0[strings.ToLower(c.connection)]
	}
	return n.social(c) == "" && auth0ID.MatchString(c.id)
}

// social is the one name of a claim's social provider, "" if it is none.
func (n providerNames) social(c claim) string {
	if s, known := n.canon[strings.ToLower(c.provider)]; known {
		return s
	}
	if c.social {
		return strings.ToLower(c.provider)
	}
	return ""
}

// direct is the key of a claim made by a social provider itself.
func (n providerNames) direct(c claim) string {
	if s := n.social(c); s != "" {
		return s + "\x00" + c.id
	}
	return ""
}

// throughAuth0 is the key of the social account an Auth0 id names.
func (n providerNames) throughAuth0(c claim) string {
	strategy, id, ok := strings.Cut(c.id, "|")
	if s := n.canon[strings.ToLower(strategy)]; ok && s != "" && n.isAuth0(c) {
		return s + "\x00" + id
	}
	return ""
}
