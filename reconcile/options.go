package reconcile

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// What a caller tells apart.
var (
	// ErrIncomplete says that a snapshot was not read to its end: what it lacks
	// would look like deleted accounts.
	ErrIncomplete = errors.New("snapshot is not complete")
	// ErrOptions is wrapped by every error about [Options] or a [Side] that
	// cannot be used.
	ErrOptions = errors.New("unusable options")
)

// Side is one of the two sources compared.
type Side struct {
	// Source is its name in the config.
	Source string
	// Snapshot must be complete.
	Snapshot schema.Snapshot
	// Users are all accounts of the snapshot, in any order. They are ranged
	// over once; an error in it ends the comparison.
	Users iter.Seq2[schema.User, error]
	// Kind is schema.KindAuth0User or schema.KindCognitoUser; when empty, it is
	// told from the form of the ids.
	Kind schema.Kind
}

// Options say what is compared, and how. The zero value compares everything
// with the defaults named here.
type Options struct {
	Scope Scope
	// Providers maps Auth0's names of social providers to Cognito's, for K3. It
	// adds to, and overrides, [DefaultProviders]; an empty value switches one
	// off.
	Providers map[string]string
	// Auth0Providers are the names of the Cognito identity providers that are
	// this Auth0 tenant. When empty, every provider that is not a social one
	// and whose user ids look like Auth0's ("auth0|…") is taken for it: name
	// them where a pool has providers whose operators you would not trust to
	// say who somebody is.
	Auth0Providers []string
	// Compare names the fields compared, see the Field constants; nil means
	// [DefaultCompare], an empty slice none.
	Compare []string
	// GroupMap says which group (or role) on the left is which on the right. A
	// name in no pair goes with the same name. One name may stand in several
	// pairs: having any of its partners is enough. A pair with one side empty
	// leaves that name out.
	GroupMap []GroupPair
	// Attributes are pairs of vendor attributes (schema.User.Attributes) to
	// compare, besides the fields in Compare. Where no account of a side has one
	// of them, that side does not keep them: a warning says so.
	Attributes []AttributePair
	// TempDir is where the fields compared wait on disk, about 1 KiB an
	// account at its peak; default the system's. The files are readable by
	// their owner only and gone when the Result is closed, or the process ends.
	TempDir string
	// Now dates the report; when nil, it is dated by the younger snapshot.
	Now func() time.Time

	// spill is how many bytes each store keeps in memory before it uses a file.
	spill int
}

// Scope says which accounts of each side are expected to have a partner on the
// other. Accounts outside it are matched (a key they share is not unique), but
// only counted: never reported as missing, nor compared.
type Scope struct {
	Left  Filter `json:"left,omitzero"`
	Right Filter `json:"right,omitzero"`
}

// Filter selects accounts. An account is in scope when every list that is set
// names it, or IncludeIDs does, and ExcludeIDs does not. With IncludeIDs as the
// only list set, no other account is in scope.
type Filter struct {
	// Connections are names of Auth0 connections or Cognito identity providers,
	// of any of the account's identities. "" is an account without one.
	Connections []string `json:"connections,omitempty"`
	// Providers are the kinds of the account's identities: auth0, samlp,
	// google-oauth2, …; Google, …; "cognito" for native Cognito users. Case
	// does not matter.
	Providers []string `json:"providers,omitempty"`
	// Groups are names of groups, roles or organizations.
	Groups []string `json:"groups,omitempty"`
	// EmailDomains are what stands behind the @, exactly, in any case.
	EmailDomains []string `json:"email_domains,omitempty"`
	// Statuses are values of schema.User.Status.
	Statuses   []string `json:"statuses,omitempty"`
	IncludeIDs []string `json:"include_ids,omitempty"`
	ExcludeIDs []string `json:"exclude_ids,omitempty"`
}

// GroupPair is a group (or role) on the left and its partner on the right.
type GroupPair struct {
	Left  string `json:"left"`
	Right string `json:"right"`
}

// AttributePair is an attribute on the left and its partner on the right. Name
// is what the report calls it; default Left.
type AttributePair struct {
	Name  string `json:"name,omitempty"`
	Left  string `json:"left"`
	Right string `json:"right"`
}

// The fields that can be compared.
const (
	FieldEmail         = "email"
	FieldEmailVerified = "email_verified"
	FieldPhone         = "phone"
	FieldPhoneVerified = "phone_verified"
	FieldName          = "name"
	FieldGivenName     = "given_name"
	FieldFamilyName    = "family_name"
	FieldNickname      = "nickname"
	FieldLocale        = "locale"
	FieldZoneinfo      = "zoneinfo"
	// FieldStatus compares active, pending, reset_required and disabled;
	// FieldActive only whether the account is disabled.
	FieldStatus = "status"
	FieldActive = "active"
	// FieldGroups compares groups and roles, taken together.
	FieldGroups        = "groups"
	FieldOrganizations = "organizations"
	FieldMFA           = "mfa"
)

// DefaultCompare are the fields compared when nothing else is said.
func DefaultCompare() []string {
	return []string{
		FieldEmail, FieldEmailVerified, FieldPhone, FieldPhoneVerified,
		FieldName, FieldGivenName, FieldFamilyName, FieldStatus, FieldGroups, FieldMFA,
	}
}

// CompareFields are all fields that can be compared.
func CompareFields() []string {
	return append(DefaultCompare(), FieldNickname, FieldLocale, FieldZoneinfo, FieldActive, FieldOrganizations)
}

// DefaultProviders are the social providers Cognito knows by itself, by Auth0's
// name. Others are OpenID Connect providers whose names the pool's owner chose.
func DefaultProviders() map[string]string {
	return map[string]string{
		"google-oauth2": "Google",
		"facebook":      "Facebook",
		"apple":         "SignInWithApple",
		"amazon":        "LoginWithAmazon",
	}
}

// Check says what in the options cannot be used.
func (o Options) Check() error {
	for _, f := range o.Compare {
		if !slices.Contains(CompareFields(), f) {
			return fmt.Errorf("field %q is not one of %s: %w", f, strings.Join(CompareFields(), ", "), ErrOptions)
		}
	}
	for _, p := range o.GroupMap {
		if p.Left == "" && p.Right == "" {
			return fmt.Errorf("pair of groups without a name: %w", ErrOptions)
		}
	}
	for _, p := range o.Attributes {
		if p.Left == "" || p.Right == "" {
			return fmt.Errorf("pair of attributes lacks a name: %w", ErrOptions)
		}
	}
	return nil
}

func checkSides(left, right Side) error {
	for _, s := range []Side{left, right} {
		switch {
		case s.Source == "" || s.Users == nil:
			return fmt.Errorf("side without a source or users: %w", ErrOptions)
		case s.Kind != "" && !s.Kind.IsUser():
			return fmt.Errorf("source %s: kind %q holds no users: %w", s.Source, s.Kind, ErrOptions)
		case !s.Snapshot.Complete:
			return fmt.Errorf("source %s, snapshot %s: %w", s.Source, s.Snapshot.ID, ErrIncomplete)
		}
	}
	if left.Source == right.Source {
		return fmt.Errorf("source %s is on both sides: %w", left.Source, ErrOptions)
	}
	return nil
}

func (o Options) compares(field string) bool {
	if o.Compare == nil {
		return slices.Contains(DefaultCompare(), field)
	}
	return slices.Contains(o.Compare, field)
}
