package schema

import "time"

// User is one account of one snapshot: the columns of table users. Names and
// meaning are SCIM 2.0's where SCIM has them. A nil pointer or slice means "not
// known" (not fetched, not in the record), never "none": an empty, non-nil
// slice says the vendor was asked and had nothing.
type User struct {
	// SnapshotID is the snapshot the account was read in. Mapping leaves it empty;
	// the lake sets it, so that a query that reads a whole day can tell snapshots
	// apart.
	SnapshotID string `json:"snapshot_id,omitempty" parquet:"snapshot_id,dict,optional"`
	// UserID is the vendor's immutable id; equals user.uid in events.
	UserID string `json:"user_id" parquet:"user_id"`
	// UserName is the name as the vendor has it.
	UserName string `json:"user_name" parquet:"user_name"`
	// UserNameNorm is user_name, NFKC case-folded.
	UserNameNorm string `json:"user_name_norm" parquet:"user_name_norm"`

	// Active says whether the account may sign in.
	Active bool `json:"active" parquet:"active"`
	// Status is active, pending (signed up or invited, not yet confirmed),
	// reset_required, disabled or unknown.
	Status string `json:"status" parquet:"status,dict"`
	// StatusRaw is the vendor's own word.
	StatusRaw string `json:"status_raw,omitempty" parquet:"status_raw,dict,optional"`

	// NameFormatted is the name as people write it.
	NameFormatted string `json:"name_formatted,omitempty" parquet:"name_formatted,optional"`
	// GivenName is the given name.
	GivenName string `json:"given_name,omitempty" parquet:"given_name,optional"`
	// FamilyName is the family name.
	FamilyName string `json:"family_name,omitempty" parquet:"family_name,optional"`
	// Nickname is the nickname.
	Nickname string `json:"nickname,omitempty" parquet:"nickname,optional"`
	// Locale is the language.
	Locale string `json:"locale,omitempty" parquet:"locale,dict,optional"`
	// Zoneinfo is the time zone.
	Zoneinfo string `json:"zoneinfo,omitempty" parquet:"zoneinfo,dict,optional"`

	// Email is the e-mail address as the vendor has it.
	Email string `json:"email,omitempty" parquet:"email,optional"`
	// EmailNorm is email in lower case with an IDNA (ASCII) domain; dots and +tags
	// stay.
	EmailNorm string `json:"email_norm,omitempty" parquet:"email_norm,optional"`
	// EmailVerified says whether the vendor has verified it.
	EmailVerified *bool `json:"email_verified,omitempty" parquet:"email_verified,optional"`

	// Phone is the phone number as the vendor has it.
	Phone string `json:"phone,omitempty" parquet:"phone,optional"`
	// PhoneE164 is phone in E.164; null when it is no number that can be told for
	// sure.
	PhoneE164 string `json:"phone_e164,omitempty" parquet:"phone_e164,optional"`
	// PhoneVerified says whether the vendor has verified it.
	PhoneVerified *bool `json:"phone_verified,omitempty" parquet:"phone_verified,optional"`

	// MFAEnabled says whether there is a second factor; null unless the vendor was
	// asked.
	MFAEnabled *bool `json:"mfa_enabled,omitempty" parquet:"mfa_enabled,optional"`
	// MFAFactors are the second factors.
	MFAFactors []string `json:"mfa_factors,omitempty" parquet:"mfa_factors,optional,list"`

	// Groups are sorted names (ids where no name is known).
	Groups []string `json:"groups,omitempty" parquet:"groups,optional,list"`
	// Roles are sorted names (ids where no name is known).
	Roles []string `json:"roles,omitempty" parquet:"roles,optional,list"`
	// Organizations are sorted names (ids where no name is known).
	Organizations []string `json:"organizations,omitempty" parquet:"organizations,optional,list"`

	// Identities are the linked accounts, first the primary one. No token and no
	// profile data is kept.
	Identities []Identity `json:"identities,omitempty" parquet:"identities,optional,list"`
	// Connection is the Auth0 connection of the first identity, or the Cognito
	// identity provider; null for a native Cognito user.
	Connection string `json:"connection,omitempty" parquet:"connection,dict,optional"`
	// LinkID is the id of this person's account on the other side, where a configured
	// attribute names it (match rule K1).
	LinkID string `json:"link_id,omitempty" parquet:"link_id,optional"`

	// CreatedAt is when the account was made.
	CreatedAt *time.Time `json:"created_at,omitempty" parquet:"created_at,optional,timestamp(millisecond)"`
	// UpdatedAt is when it was last changed.
	UpdatedAt *time.Time `json:"updated_at,omitempty" parquet:"updated_at,optional,timestamp(millisecond)"`
	// LastLoginAt is the last sign-in the vendor knows of.
	LastLoginAt *time.Time `json:"last_login_at,omitempty" parquet:"last_login_at,optional,timestamp(millisecond)"`

	// Attributes are the allow-listed vendor attributes, values as text or JSON.
	Attributes map[string]string `json:"attributes,omitempty" parquet:"attributes,optional"`
	// RawData is the scrubbed record as landed (invalid UTF-8 replaced).
	RawData string `json:"raw_data,omitempty" parquet:"raw_data,optional"`
}

// The values of User.Status.
const (
	UserActive        = "active"
	UserPending       = "pending" // signed up or invited, not yet confirmed
	UserResetRequired = "reset_required"
	UserDisabled      = "disabled"
	UserUnknown       = "unknown"
)

// Identity is one linked account of a user.
type Identity struct {
	// Provider is the type of identity provider.
	Provider string `json:"provider" parquet:"provider,dict"`
	// Connection is its name at the vendor.
	Connection string `json:"connection,omitempty" parquet:"connection,dict,optional"`
	// UserID is the id there; text even where the vendor sends a number, since ids
	// pass 2^53.
	UserID string `json:"user_id" parquet:"user_id"`
	// IsSocial says whether it is a social account.
	IsSocial *bool `json:"is_social,omitempty" parquet:"is_social,optional"`
	// Primary says whether it is the one the others were linked to.
	Primary bool `json:"primary" parquet:"primary"`
}
