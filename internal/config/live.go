package config

import (
	"time"
)

// What CloudTrail's own history reaches back to, and the default of both
// sources that read it.
const trailHistory = 90 * 24 * time.Hour

// Auth0Users reads a tenant's users, snapshot by snapshot.
type Auth0Users struct {
	// Connection names a connection with Auth0 set.
	Connection string `yaml:"connection"`
	// Rate is the most calls a second; 0 is the source's own default.
	Rate float64 `yaml:"rate"`
	// Every is how long a complete snapshot is good: a run that comes earlier
	// reads nothing. 0 makes every run begin one.
	Every time.Duration `yaml:"every"`
	// Roles, Organizations and Settings say what is read besides the users.
	Roles         bool        `yaml:"roles"`
	Organizations bool        `yaml:"organizations"`
	Settings      bool        `yaml:"settings"`
	UserOptions   UserOptions `yaml:",inline"`
}

// CognitoUsers reads a user pool, snapshot by snapshot.
type CognitoUsers struct {
	// Connection names a connection with AWS set; "" is the SDK's own chain. The
	// region is the one in UserPoolID.
	Connection string `yaml:"connection"`
	UserPoolID string `yaml:"user_pool_id"`
	// IdentityPools are ids of identity pools whose settings are read along.
	IdentityPools []string `yaml:"identity_pools"`
	// Rate is the most calls a second that list users; 0 is the source's own
	// default.
	Rate float64 `yaml:"rate"`
	// Every is how long a complete snapshot is good: a run that comes earlier
	// reads nothing. 0 makes every run begin one.
	Every time.Duration `yaml:"every"`
	// Shards is into how many parts the users are listed: 1, 16 or 256; 0 leaves
	// it to the source.
	Shards int `yaml:"shards"`
	// Groups and Settings say what is read besides the users.
	Groups      bool        `yaml:"groups"`
	Settings    bool        `yaml:"settings"`
	MFA         MFA         `yaml:"mfa"`
	UserOptions UserOptions `yaml:",inline"`
}

// MFA says of whom second factors are asked for: a call for each of them.
type MFA struct {
	// Groups whose members are asked for.
	Groups []string `yaml:"groups"`
}

// UserOptions say what is kept of each user.
type UserOptions struct {
	// PhoneRegion (ISO 3166-1 alpha-2) reads phone numbers without a country
	// code.
	PhoneRegion string `yaml:"phone_region"`
	// Attributes kept: app_metadata.NAME, user_metadata.NAME, or a Cognito
	// attribute.
	Attributes []string `yaml:"attributes"`
	// LinkAttribute, in the same form, holds the id of the person's account on
	// the other side.
	LinkAttribute string `yaml:"link_attribute"`
}

// CloudTrailLookup asks CloudTrail's event history.
type CloudTrailLookup struct {
	// Connection names a connection with AWS set; "" is the SDK's own chain.
	Connection string `yaml:"connection"`
	// Account is the connection's account id; "" asks STS.
	Account string `yaml:"account"`
	// Regions asked; none is the connection's alone.
	Regions []string `yaml:"regions"`
	// Since is where a first run begins.
	Since Since `yaml:"since"`
	// EventSources asked for, without ".amazonaws.com", or just
	// [AllEventSources].
	EventSources []string `yaml:"event_sources"`
	// Rate is the most calls a second in each region. Window is the shortest
	// stretch read at once, Overlap what each run reads again. 0 is the source's
	// own default.
	Rate    float64       `yaml:"rate"`
	Window  time.Duration `yaml:"window"`
	Overlap time.Duration `yaml:"overlap"`
}

// CloudTrailTrail reads a trail's files in S3.
type CloudTrailTrail struct {
	// Connection names a connection with AWS set; "" is the SDK's own chain.
	Connection string `yaml:"connection"`
	// Bucket the files are in, and Prefix, what stands before AWSLogs/.
	Bucket string `yaml:"bucket"`
	Prefix string `yaml:"prefix"`
	// OriginalBucket is the one CloudTrail writes to, where Bucket is a replica;
	// "" is Bucket.
	OriginalBucket string `yaml:"original_bucket"`
	// Organization (o-…) reads that organization's folder only.
	Organization string `yaml:"organization"`
	// Accounts and Regions read; none is all that are there.
	Accounts []string `yaml:"accounts"`
	Regions  []string `yaml:"regions"`
	// Since is where a first run begins, by the day in a file's name.
	Since Since `yaml:"since"`
	// Relist is how far back folders are listed again by each run; 0 is the
	// source's own default.
	Relist time.Duration `yaml:"relist"`
	// EventSources kept, without ".amazonaws.com", or just [AllEventSources].
	EventSources []string `yaml:"event_sources"`
	// Digests says that the digest files are read and verified; PublicKeys is a
	// file of the keys they are signed with, "" asks CloudTrail.
	Digests    bool   `yaml:"digests"`
	PublicKeys string `yaml:"public_keys"`
}

// UserOptions are those of a source of users; zero for any other.
func (s Source) UserOptions() UserOptions {
	switch {
	case s.Auth0Users != nil:
		return s.Auth0Users.UserOptions
	case s.CognitoUsers != nil:
		return s.CognitoUsers.UserOptions
	case s.Archive != nil:
		a := s.Archive
		return UserOptions{PhoneRegion: a.PhoneRegion, Attributes: a.Attributes, LinkAttribute: a.LinkAttribute}
	default:
		return UserOptions{}
	}
}

// Since is where a first run begins; zero for a source that has no such place.
func (s Source) Since() Since {
	switch {
	case s.Auth0Logs != nil:
		return s.Auth0Logs.Since
	case s.CloudTrailLookup != nil:
		return s.CloudTrailLookup.Since
	case s.CloudTrailTrail != nil:
		return s.CloudTrailTrail.Since
	default:
		return Since{}
	}
}

// EventSources are the services a source of CloudTrail events keeps; ok is
// false for any other source.
func (s Source) EventSources() (names []string, ok bool) {
	switch {
	case s.CloudTrailLookup != nil:
		return s.CloudTrailLookup.EventSources, true
	case s.CloudTrailTrail != nil:
		return s.CloudTrailTrail.EventSources, true
	case s.Archive != nil && s.Archive.Format == FormatCloudTrail:
		return s.Archive.EventSources, true
	default:
		return nil, false
	}
}

// regions are those a source of CloudTrail events reads; none is any.
func (s Source) regions() []string {
	switch {
	case s.CloudTrailLookup != nil:
		return s.CloudTrailLookup.Regions
	case s.CloudTrailTrail != nil:
		return s.CloudTrailTrail.Regions
	default:
		return nil
	}
}

func (d *decoder) auth0Users(to *Auth0Users) table {
	to.Roles, to.Organizations, to.Settings = true, true, true
	return withUserOptions(d, &to.UserOptions, table{
		"connection":    d.text(&to.Connection),
		"rate":          d.number(&to.Rate),
		"every":         d.span(&to.Every),
		"roles":         d.flag(&to.Roles),
		"organizations": d.flag(&to.Organizations),
		"settings":      d.flag(&to.Settings),
	})
}

func (d *decoder) cognitoUsers(to *CognitoUsers) table {
	to.Groups, to.Settings = true, true
	return withUserOptions(d, &to.UserOptions, table{
		"connection":     d.text(&to.Connection),
		"user_pool_id":   d.text(&to.UserPoolID),
		"identity_pools": d.texts(&to.IdentityPools),
		"rate":           d.number(&to.Rate),
		"every":          d.span(&to.Every),
		"shards":         d.integer(&to.Shards),
		"groups":         d.flag(&to.Groups),
		"settings":       d.flag(&to.Settings),
		"mfa":            func(v value) { d.mapping(v, table{"groups": d.texts(&to.MFA.Groups)}) },
	})
}

func withUserOptions(d *decoder, to *UserOptions, t table) table {
	t["phone_region"] = d.text(&to.PhoneRegion)
	t["attributes"] = d.texts(&to.Attributes)
	t["link_attribute"] = d.text(&to.LinkAttribute)
	return t
}

func (d *decoder) cloudTrailLookup(to *CloudTrailLookup) table {
	to.Since, to.EventSources = Since{Span: trailHistory}, defaultEventSources()
	return table{
		"connection":    d.text(&to.Connection),
		"account":       d.text(&to.Account),
		"regions":       d.texts(&to.Regions),
		"since":         d.since(&to.Since),
		"event_sources": d.texts(&to.EventSources),
		"rate":          d.number(&to.Rate),
		"window":        d.span(&to.Window),
		"overlap":       d.span(&to.Overlap),
	}
}

func (d *decoder) cloudTrailTrail(to *CloudTrailTrail) table {
	to.Since, to.EventSources, to.Digests = Since{Span: trailHistory}, defaultEventSources(), true
	return table{
		"connection":      d.text(&to.Connection),
		"bucket":          d.text(&to.Bucket),
		"prefix":          d.text(&to.Prefix),
		"original_bucket": d.text(&to.OriginalBucket),
		"organization":    d.text(&to.Organization),
		"accounts":        d.texts(&to.Accounts),
		"regions":         d.texts(&to.Regions),
		"since":           d.since(&to.Since),
		"relist":          d.span(&to.Relist),
		"event_sources":   d.texts(&to.EventSources),
		"digests":         d.flag(&to.Digests),
		"public_keys":     d.path(&to.PublicKeys),
	}
}
