package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Defaults of the settings a file leaves out.
const (
	defaultEvery    = time.Hour
	defaultMaxBytes = 256 << 20

	defaultSegmentBytes   = 8 << 20
	defaultSegmentRecords = 10_000
	defaultSegmentAge     = time.Minute
	defaultDelivery       = 30 * time.Minute
	defaultFlushBytes     = 2 << 30
	defaultMemory         = 32 << 20
	defaultParallel       = 4

	// No plan of Auth0 keeps logs for longer.
	defaultSince   = 30 * 24 * time.Hour
	defaultOverlap = 10 * time.Minute
)

func defaultEventSources() []string {
	return []string{"cognito-idp", "cognito-identity", "signin", "sts", "iam"}
}

// config takes the whole file.
func (d *decoder) config(c *Config, body ast.Node) {
	d.places[""] = place{1, 1}
	c.Timezone, c.Serve = defaultTimezone, Serve{Listen: defaultListen}
	c.Limits = Limits{
		SegmentBytes: defaultSegmentBytes, SegmentRecords: defaultSegmentRecords, SegmentAge: defaultSegmentAge,
		Delivery: defaultDelivery, FlushBytes: defaultFlushBytes, Sources: defaultParallel, Memory: defaultMemory,
	}
	d.mapping(value{body, ""}, table{
		"state":       d.store(&c.State, false),
		"state_cache": d.path(&c.StateCache),
		"lake":        d.store(&c.Lake, false),
		"raw":         d.store(&c.Raw, true),
		"manifests":   d.store(&c.Manifests, true),
		"signing_key": d.secret(&c.SigningKey),
		"verify_keys": d.texts(&c.VerifyKeys),
		"retention":   d.retention(&c.Retention),
		"connections": d.connections(&c.Connections),
		"sources":     list(d, &c.Sources, d.source),
		"sinks":       list(d, &c.Sinks, d.sink),
		"reconcile":   list(d, &c.Reconcile, d.reconcile),
		"jobs":        d.jobs(&c.Jobs),
		"limits":      d.limits(&c.Limits),
		"timezone":    d.text(&c.Timezone),
		"serve":       d.serve(&c.Serve),
		"heartbeat":   d.heartbeat(&c.Heartbeat),
		"notify":      list(d, &c.Notify, d.notify),
	})
	d.defaults(c)
}

// defaults fills in what depends on other keys.
func (d *decoder) defaults(c *Config) {
	if !d.has("raw") && c.Lake.URL != "" {
		c.Raw = c.Lake
		c.Raw.URL += "/raw"
	}
	if len(c.Sinks) == 0 {
		c.Sinks = []Sink{{Name: "lake", Kind: KindParquet, Every: defaultEvery, MaxBytes: defaultMaxBytes}}
	}
	if len(c.Jobs) == 0 {
		all := Job{Name: DefaultJob, Reconcile: len(c.Reconcile) > 0}
		for _, s := range c.Sources {
			all.Sources = append(all.Sources, s.Name)
		}
		c.Jobs = []Job{all}
	}
	d.proofDefaults(c)
	if dir := c.StateDir(); c.Limits.TempDir == "" && dir != "" {
		c.Limits.TempDir = filepath.Join(dir, "tmp")
	}
}

// list takes a sequence whose elements are taken by one.
func list[T any](d *decoder, to *[]T, one func(*T, value)) func(value) {
	return func(v value) {
		d.items(v, func(item value) {
			var t T
			one(&t, item)
			*to = append(*to, t)
		})
	}
}

// store takes a URL alone, or a mapping with it.
func (d *decoder) store(to *Store, lock bool) func(value) {
	return func(v value) {
		if _, ok := d.resolve(v).(ast.MapNode); !ok {
			d.folder(&to.URL)(v)
			return
		}
		t := table{
			"url":           d.folder(&to.URL),
			"kms_key":       d.text(&to.KMSKey),
			"tags":          d.textMap(&to.Tags),
			"storage_class": d.text(&to.StorageClass),
			"region":        d.text(&to.Region),
			"role_arn":      d.text(&to.RoleARN),
			"external_id":   d.text(&to.ExternalID),
		}
		if lock {
			t["lock"] = func(v value) {
				d.mapping(v, table{
					"mode": d.choice(&to.Lock.Mode, "governance", "compliance"),
					"days": d.integer(&to.Lock.Days),
				})
			}
		}
		d.mapping(v, t)
	}
}

func (d *decoder) connections(to *map[string]Connection) func(value) {
	return func(v value) {
		*to = map[string]Connection{}
		d.each(v, func(name string, at place, member value) {
			d.places[member.path] = at
			d.name(member.path, name)
			(*to)[name] = d.connection(name, member)
		})
	}
}

// connection takes either kind: the key "auth0" or "aws" says which.
func (d *decoder) connection(name string, v value) Connection {
	c := Connection{Name: name}
	auth0, aws := d.member(v, "auth0") != nil, d.member(v, "aws") != nil
	switch {
	case auth0 && aws:
		d.fail(v.path, "names auth0 and aws; make two connections of it")
	case aws:
		c.AWS = &AWS{}
		d.mapping(v, table{"aws": d.aws(c.AWS)})
	case auth0:
		c.Auth0 = &Auth0{}
		d.mapping(v, table{
			"auth0":           d.text(&c.Auth0.Domain),
			"client_id":       d.credential(&c.Auth0.ClientID),
			"client_secret":   d.secret(&c.Auth0.ClientSecret),
			"private_key":     d.secret(&c.Auth0.PrivateKey),
			"private_key_alg": d.choice(&c.Auth0.PrivateKeyAlg, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
			"audience":        d.text(&c.Auth0.Audience),
			"ca_file":         d.path(&c.Auth0.CAFile),
		})
	default:
		d.mapping(v, table{
			"auth0": ignore, "aws": ignore, "client_id": ignore, "client_secret": ignore,
			"private_key": ignore, "private_key_alg": ignore, "audience": ignore, "ca_file": ignore,
		})
		d.fail(v.path, "is neither auth0 nor aws; write {auth0: TENANT.eu.auth0.com, client_id: …, client_secret: …} or {aws: {region: …}}")
	}
	return c
}

func ignore(value) {}

func (d *decoder) aws(to *AWS) func(value) {
	return func(v value) {
		d.mapping(v, table{
			"region":      d.text(&to.Region),
			"role_arn":    d.text(&to.RoleARN),
			"external_id": d.text(&to.ExternalID),
		})
	}
}

// member returns the value of a key, nil where there is none.
func (d *decoder) member(v value, key string) ast.Node {
	m, ok := d.resolve(v).(ast.MapNode)
	if !ok {
		return nil
	}
	for it := m.MapRange(); it.Next(); {
		if it.Key().GetToken().Value != key {
			continue
		}
		n := d.resolve(value{it.Value(), v.path})
		if _, null := n.(*ast.NullNode); null {
			return nil
		}
		return n
	}
	return nil
}

// source takes the keys of its kind; those of an unknown kind cannot be told.
func (d *decoder) source(to *Source, v value) {
	keys := d.sourceKeys(to)
	t := table{"name": d.text(&to.Name), "kind": d.kind(&to.Kind, sourceKinds()...)}
	kind, _ := d.member(v, "kind").(*ast.StringNode)
	if kind != nil && keys[kind.Value] != nil {
		maps.Copy(t, keys[kind.Value]())
	} else {
		d.anyKeys(v, t)
	}
	d.mapping(v, t)
	d.name(v.path+".name", to.Name)
	d.sourceDefaults(to, v.path)
}

func sourceKinds() []string {
	return []string{KindArchive, KindAuth0Logs, KindAuth0Users, KindCloudTrailLookup, KindCloudTrailTrail, KindCognitoUsers}
}

// sourceKeys are the keys of each kind.
func (d *decoder) sourceKeys(to *Source) map[string]func() table {
	return map[string]func() table{
		KindAuth0Logs: func() table {
			to.Auth0Logs = &Auth0Logs{Overlap: defaultOverlap}
			return d.auth0Logs(to.Auth0Logs)
		},
		KindAuth0Users: func() table {
			to.Auth0Users = &Auth0Users{}
			return d.auth0Users(to.Auth0Users)
		},
		KindCognitoUsers: func() table {
			to.CognitoUsers = &CognitoUsers{}
			return d.cognitoUsers(to.CognitoUsers)
		},
		KindCloudTrailLookup: func() table {
			to.CloudTrailLookup = &CloudTrailLookup{}
			return d.cloudTrailLookup(to.CloudTrailLookup)
		},
		KindCloudTrailTrail: func() table {
			to.CloudTrailTrail = &CloudTrailTrail{}
			return d.cloudTrailTrail(to.CloudTrailTrail)
		},
		KindArchive: func() table {
			to.Archive = &Archive{Poll: true}
			return d.archive(to.Archive)
		},
	}
}

func (d *decoder) sourceDefaults(s *Source, path string) {
	if a := s.Auth0Logs; a != nil && !d.has(path+".since") {
		a.Since = Since{Span: defaultSince}
		if a.Retention > 0 {
			a.Since.Span = a.Retention
		}
	}
	a := s.Archive
	if a == nil {
		return
	}
	if a.Format == FormatCloudTrail && !d.has(path+".event_sources") {
		a.EventSources = defaultEventSources()
	}
	if s.Users() && a.Snapshot == "" {
		a.Snapshot = SnapshotFile
	}
}

func (d *decoder) auth0Logs(to *Auth0Logs) table {
	return table{
		"connection": d.text(&to.Connection),
		"since":      d.since(&to.Since),
		"overlap":    d.span(&to.Overlap),
		"retention":  d.span(&to.Retention),
		"rate":       d.number(&to.Rate),
	}
}

func (d *decoder) archive(to *Archive) table {
	return table{
		"format":         d.choice(&to.Format, FormatAuth0Logs, FormatAuth0Users, FormatCognitoUsers, FormatCognitoAuth, FormatCloudTrail),
		"path":           d.path(&to.Path),
		"connection":     d.text(&to.Connection),
		"poll":           d.flag(&to.Poll),
		"snapshot":       d.choice(&to.Snapshot, SnapshotFile, SnapshotAll),
		"event_sources":  d.texts(&to.EventSources),
		"phone_region":   d.text(&to.PhoneRegion),
		"attributes":     d.texts(&to.Attributes),
		"link_attribute": d.text(&to.LinkAttribute),
	}
}

// sink takes the keys of its kind.
func (d *decoder) sink(to *Sink, v value) {
	t := table{"name": d.text(&to.Name), "kind": d.kind(&to.Kind, sinkKinds()...)}
	kind, _ := d.member(v, "kind").(*ast.StringNode)
	if kind != nil && slices.Contains(sinkKinds(), kind.Value) {
		maps.Copy(t, d.sinkKeys(to)[kind.Value]())
		d.otherKeys(v, kind.Value, t)
	} else {
		d.anyKeys(v, t)
	}
	d.mapping(v, t)
	d.name(v.path+".name", to.Name)
}

// otherKeys says of keys that only other kinds of sinks have which those are.
func (d *decoder) otherKeys(v value, kind string, t table) {
	of := map[string][]string{}
	for _, other := range sinkKinds() {
		for key := range d.sinkKeys(&Sink{})[other]() {
			of[key] = append(of[key], other)
		}
	}
	for key, kinds := range of {
		if t[key] == nil && d.member(v, key) != nil {
			t[key] = func(v value) {
				d.fail(v.path, "is for sinks of kind %s, and this is %s; leave it out", strings.Join(kinds, ", "), kind)
			}
		}
	}
}

// anyKeys lets every key pass: there is one message on the kind already.
func (d *decoder) anyKeys(v value, t table) {
	if _, ok := d.resolve(v).(ast.MapNode); !ok {
		return
	}
	d.each(v, func(key string, _ place, _ value) {
		if _, known := t[key]; !known {
			t[key] = ignore
		}
	})
}

func (d *decoder) kind(to *string, known ...string) func(value) {
	return func(v value) {
		raw, ok := d.rawText(v, "text")
		switch {
		case !ok:
		case slices.Contains(known, raw):
			*to = raw
		default:
			d.fail(v.path, "kind %q is unknown; %s", clip(raw), suggest(raw, known))
		}
	}
}

func (d *decoder) jobs(to *[]Job) func(value) {
	return func(v value) {
		d.each(v, func(name string, at place, member value) {
			d.places[member.path] = at
			d.name(member.path, name)
			job := Job{Name: name}
			d.mapping(member, table{
				"sources":   d.texts(&job.Sources),
				"schedule":  d.text(&job.Schedule),
				"reconcile": d.flag(&job.Reconcile),
				"strict":    d.flag(&job.Strict),
				"heartbeat": d.heartbeat(&job.Heartbeat),
			})
			*to = append(*to, job)
		})
	}
}

func (d *decoder) limits(to *Limits) func(value) {
	return func(v value) {
		d.mapping(v, table{
			"segment_bytes":   d.size(&to.SegmentBytes),
			"segment_records": d.integer(&to.SegmentRecords),
			"segment_age":     d.span(&to.SegmentAge),
			"delivery":        d.span(&to.Delivery),
			"flush_bytes":     d.size(&to.FlushBytes),
			"sources":         d.integer(&to.Sources),
			"memory":          d.size(&to.Memory),
			"temp_dir":        d.path(&to.TempDir),
		})
	}
}

// name checks the form of a name; an empty one is told of elsewhere.
func (d *decoder) name(path, name string) {
	if name != "" && !nameForm.MatchString(name) {
		d.fail(path, "%s is no name; use a-z, 0-9 and _, at most 32, beginning with a letter", fmt.Sprintf("%q", clip(name)))
	}
}
