// Package config reads and checks idtrail's YAML file.
//
// It is strict: a key it does not know, a value of the wrong type, a name that
// names nothing are errors, each with its line and what to write instead, all
// of them at once. What it returns is checked, its defaults filled in, its
// paths absolute and its references (${env:NAME}, ${file:/path}, and those of the
// vaults that its caller has a way to) expanded.
//
// It knows nothing of the packages that use the settings, and opens nothing but
// the file itself and the files its references name.
package config

import (
	"context"
	"slices"
	"strings"
	"time"
)

// The kinds of sources and sinks this version has.
const (
	KindAuth0Logs        = "auth0_logs"
	KindAuth0Users       = "auth0_users"
	KindCognitoUsers     = "cognito_users"
	KindCloudTrailLookup = "cloudtrail_lookup"
	KindCloudTrailTrail  = "cloudtrail_trail"
	KindArchive          = "archive"

	KindParquet   = "parquet"
	KindJSON      = "json"
	KindDatadog   = "datadog"
	KindSplunkHEC = "splunk_hec"
	KindOTLP      = "otlp"
)

// What the files of an archive hold.
const (
	FormatAuth0Logs    = "auth0_logs"
	FormatAuth0Users   = "auth0_users"
	FormatCognitoUsers = "cognito_users"
	FormatCognitoAuth  = "cognito_auth_events"
	FormatCloudTrail   = "cloudtrail"
)

// How the files of an archive of users make snapshots.
const (
	// SnapshotFile makes every file one complete snapshot.
	SnapshotFile = "file"
	// SnapshotAll makes all files of one reading one complete snapshot.
	SnapshotAll = "all"
)

// AllEventSources keeps every event of CloudTrail: the only element of a list
// of event sources.
const AllEventSources = "all"

// DefaultJob is the name of the job there is when the file names none.
const DefaultJob = "all"

// Config is a whole file, checked, with its defaults.
type Config struct {
	// File says for people where it was read: a path, an s3:// URL or
	// "$IDTRAIL_CONFIG_YAML".
	File string `yaml:"-"`
	// Dir is the directory relative paths counted from.
	Dir string `yaml:"-"`

	// State is where the SQLite files are: a directory, or, in S3, what several
	// machines share and each works on a copy of.
	State Store `yaml:"state"`
	// StateCache is the directory of those copies; "" where State is a directory.
	StateCache string `yaml:"state_cache"`
	// Lake is where the tables are.
	Lake Store `yaml:"lake"`
	// Raw is where the segments are; <lake>/raw unless the file says otherwise.
	Raw Store `yaml:"raw"`
	// Manifests is where the notes are that prove raw and lake, in a folder
	// manifests; the lake unless the file says otherwise.
	Manifests Store `yaml:"manifests"`
	// SigningKey signs those notes; empty leaves them unsigned, and is empty when
	// the file was loaded without secrets.
	SigningKey Secret `yaml:"signing_key"`
	// VerifyKeys are the public keys that a note may be signed with.
	VerifyKeys []string  `yaml:"verify_keys"`
	Retention  Retention `yaml:"retention"`
	// Connections by their names.
	Connections map[string]Connection `yaml:"connections"`
	// Sources, Sinks and Reconcile in the order of the file. There is at least
	// one source and one sink.
	Sources   []Source    `yaml:"sources"`
	Sinks     []Sink      `yaml:"sinks"`
	Reconcile []Reconcile `yaml:"reconcile"`
	// Jobs in the order of the file; there is at least one ([DefaultJob]).
	Jobs   []Job  `yaml:"jobs"`
	Limits Limits `yaml:"limits"`
	// Timezone is the one that schedules are read in, unless they name their own.
	Timezone string `yaml:"timezone"`
	Serve    Serve  `yaml:"serve"`
	// Heartbeat is pinged by every run, whatever its jobs; nil for none.
	Heartbeat *Heartbeat `yaml:"heartbeat"`
	// Notify are told of troubles.
	Notify []Notify `yaml:"notify"`

	// References are those that stand where secrets do, in the order of the file,
	// whether they were read or not.
	References []Reference `yaml:"-"`
	// Unread tells, with [Options.KeepGoing], which of them could not be read; nil
	// where all were.
	Unread *Error `yaml:"-"`
	// Warnings are what is allowed but hardly meant.
	Warnings []Problem `yaml:"-"`

	// again reads the same text again.
	again func(ctx context.Context, fetch map[string]Fetch) (*Config, error)
}

// Store is a place for objects: a directory or an S3 prefix.
type Store struct {
	// URL is an absolute directory or s3://bucket/prefix, without a slash at
	// its end.
	URL string `yaml:"url"`
	// KMSKey is the id, alias or ARN of the key for SSE-KMS; "" leaves
	// encryption to the bucket.
	KMSKey string `yaml:"kms_key"`
	// Tags are put on every object.
	Tags map[string]string `yaml:"tags"`
	// StorageClass of new objects; "" is the bucket's default, STANDARD.
	StorageClass string `yaml:"storage_class"`
	// Region of the bucket; "" is the one the SDK finds.
	Region string `yaml:"region"`
	// RoleARN is assumed for the bucket with what the SDK's chain gives, for one of
	// another account; "" assumes none.
	RoleARN string `yaml:"role_arn"`
	// ExternalID goes with RoleARN.
	ExternalID string `yaml:"external_id"`
	// Lock is S3 Object Lock, set on every object; only for raw and manifests. Its
	// zero value sets none.
	Lock Lock `yaml:"lock"`
}

// S3 says whether the store is in S3, and not a directory.
func (s Store) S3() bool { return isS3(s.URL) }

// Lock is an Object Lock retention.
type Lock struct {
	// Mode is "governance" or "compliance"; "" is no lock.
	Mode string `yaml:"mode"`
	// Days an object is kept from the moment it is written.
	Days int `yaml:"days"`
}

// Connection is a way to a vendor: exactly one of its pointers is set.
type Connection struct {
	Name  string `yaml:"-"`
	Auth0 *Auth0 `yaml:",inline"`
	AWS   *AWS   `yaml:"aws"`
}

// Auth0 is a tenant and the machine-to-machine application that reads it.
type Auth0 struct {
	// Domain is the tenant's host name, or a URL without a path; plain http
	// only on loopback.
	Domain   string `yaml:"auth0"`
	ClientID string `yaml:"client_id"`
	// ClientSecret or PrivateKey, exactly one of them, signs in. Both are empty
	// when the file was loaded without secrets.
	ClientSecret Secret `yaml:"client_secret"`
	// PrivateKey is a PEM, PrivateKeyAlg its algorithm; "" is RS256.
	PrivateKey    Secret `yaml:"private_key"`
	PrivateKeyAlg string `yaml:"private_key_alg"`
	// Audience of the Management API; "" is https://<domain>/api/v2/. A custom
	// domain needs the tenant's own domain here.
	Audience string `yaml:"audience"`
	// CAFile holds certificates (PEM) to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

// AWS is a region and, maybe, a role to assume. Credentials come from the SDK's
// own chain.
type AWS struct {
	// Region, "" for the one the SDK finds.
	Region string `yaml:"region"`
	// RoleARN is assumed with what the SDK's chain gives; "" assumes none.
	RoleARN string `yaml:"role_arn"`
	// ExternalID goes with RoleARN.
	ExternalID string `yaml:"external_id"`
}

// Source is one source. Exactly one of the pointers, named by Kind, is set.
type Source struct {
	// Name matches ^[a-z][a-z0-9_]{0,31}$ and is unique.
	Name string `yaml:"name"`
	// Kind is one of the Kind constants.
	Kind             string            `yaml:"kind"`
	Auth0Logs        *Auth0Logs        `yaml:",inline"`
	Auth0Users       *Auth0Users       `yaml:",inline"`
	CognitoUsers     *CognitoUsers     `yaml:",inline"`
	CloudTrailLookup *CloudTrailLookup `yaml:",inline"`
	CloudTrailTrail  *CloudTrailTrail  `yaml:",inline"`
	Archive          *Archive          `yaml:",inline"`
}

// Users says whether the source gives users, in snapshots, and not events.
func (s Source) Users() bool {
	return s.Auth0Users != nil || s.CognitoUsers != nil ||
		s.Archive != nil && (s.Archive.Format == FormatAuth0Users || s.Archive.Format == FormatCognitoUsers)
}

// Auth0Logs reads a tenant's log.
type Auth0Logs struct {
	// Connection names a connection with Auth0 set.
	Connection string `yaml:"connection"`
	// Since is where a first run begins.
	Since Since `yaml:"since"`
	// Overlap is the span before the cursor read again in every run, for
	// records that arrive late.
	Overlap time.Duration `yaml:"overlap"`
	// Retention is how long the tenant's plan keeps logs; 0 if not said.
	Retention time.Duration `yaml:"retention"`
	// Rate is the most requests a second; 0 is the source's own default.
	Rate float64 `yaml:"rate"`
}

// Archive reads files.
type Archive struct {
	// Format is one of the Format constants.
	Format string `yaml:"format"`
	// Path is an absolute path or glob (with **), or s3://bucket/prefix, which
	// may end in a glob too. A prefix is S3's: a/b begins a/bc as well.
	Path string `yaml:"path"`
	// Connection names a connection with AWS set, for s3; "" is the SDK's own
	// chain.
	Connection string `yaml:"connection"`
	// Poll, the default, says that every run lists it for new and changed files.
	// Else it is read once, and only what was not read to its end is taken up
	// again.
	Poll bool `yaml:"poll"`
	// Snapshot is one of the Snapshot constants; for users only.
	Snapshot string `yaml:"snapshot"`
	// EventSources of CloudTrail to keep, without ".amazonaws.com", or just
	// [AllEventSources]; for cloudtrail only.
	EventSources []string `yaml:"event_sources"`
	// PhoneRegion (ISO 3166-1 alpha-2) reads phone numbers without a country
	// code; for users only.
	PhoneRegion string `yaml:"phone_region"`
	// Attributes kept of each user: app_metadata.NAME, user_metadata.NAME, or a
	// Cognito attribute; for users only.
	Attributes []string `yaml:"attributes"`
	// LinkAttribute, in the same form, holds the id of the person's account on
	// the other side; for users only.
	LinkAttribute string `yaml:"link_attribute"`
}

// Sink is one sink.
type Sink struct {
	// Name matches ^[a-z][a-z0-9_]{0,31}$ and is unique.
	Name string `yaml:"name"`
	// Kind is one of the Kind constants. Parquet and JSON own their tables: there
	// is at most one sink of each.
	Kind string `yaml:"kind"`
	// Every is the time between two flushes of a source, and MaxBytes are the
	// pending records (uncompressed) that are flushed before it has passed. Both
	// are the lake's, and zero where Stream is set.
	Every    time.Duration `yaml:"every"`
	MaxBytes int64         `yaml:"max_bytes"`
	// Stream is set for a sink that sends events to a receiver, with the one of
	// the other pointers that Kind names.
	Stream    *Stream    `yaml:",inline"`
	Datadog   *Datadog   `yaml:",inline"`
	SplunkHEC *SplunkHEC `yaml:",inline"`
	OTLP      *OTLP      `yaml:",inline"`
}

// Job is what one run does.
type Job struct {
	Name string `yaml:"-"`
	// Sources it extracts and delivers.
	Sources []string `yaml:"sources"`
	// Schedule in cron's five fields, or @hourly and the like; "" for none. It
	// is for a running service; one-off runs do not look at it.
	Schedule string `yaml:"schedule"`
	// Reconcile says that it ends with every reconciliation.
	Reconcile bool `yaml:"reconcile"`
	// Strict makes a record that cannot be mapped a partial failure.
	Strict bool `yaml:"strict"`
	// Heartbeat is pinged by every run of the job; nil for none.
	Heartbeat *Heartbeat `yaml:"heartbeat"`
}

// Limits bound time and memory. Every one has a default.
type Limits struct {
	// SegmentBytes (uncompressed), SegmentRecords and SegmentAge: the first
	// that is reached closes the open segment.
	SegmentBytes   int64         `yaml:"segment_bytes"`
	SegmentRecords int           `yaml:"segment_records"`
	SegmentAge     time.Duration `yaml:"segment_age"`
	// Delivery is the time one run may spend on delivering to a sink after
	// everything was extracted; the rest waits for the next run.
	Delivery time.Duration `yaml:"delivery"`
	// FlushBytes (uncompressed) are the most that one flush of the lake covers.
	FlushBytes int64 `yaml:"flush_bytes"`
	// Sources is how many of them are read side by side.
	Sources int `yaml:"sources"`
	// Memory a sort of rows may take before it spills to TempDir.
	Memory int64 `yaml:"memory"`
	// TempDir holds what does not fit into memory; <state>/tmp, or with a state
	// in S3 <state_cache>/tmp, unless said otherwise.
	TempDir string `yaml:"temp_dir"`
}

// StateDir is the local directory of the SQLite files: the state itself, or the
// copies of one in S3.
func (c *Config) StateDir() string {
	if c.State.S3() {
		return c.StateCache
	}
	return c.State.URL
}

// Source returns the source of that name.
func (c *Config) Source(name string) (Source, bool) {
	i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return Source{}, false
	}
	return c.Sources[i], true
}

// Job returns the job of that name.
func (c *Config) Job(name string) (Job, bool) {
	i := slices.IndexFunc(c.Jobs, func(j Job) bool { return j.Name == name })
	if i < 0 {
		return Job{}, false
	}
	return c.Jobs[i], true
}

func isS3(url string) bool { return strings.HasPrefix(url, "s3://") }
