package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	nameForm       = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	bucketForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	roleForm       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/.+$`)
	externalIDForm = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	regionForm     = regexp.MustCompile(`^[a-z]{2}[a-z-]*-\d+$`)
	hostForm       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?$`)
)

// readable are the storage classes whose objects can be read at once, which
// both Athena and the next run have to do.
var readable = []string{
	"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY",
}

// tables are the folders of a lake that hold what queries read: nothing else
// may lie in them.
var tables = []string{
	"events", "events_json", "users", "users_json", "snapshots", "pools", "persons", "drift", "reports",
	"rejected", "gaps", "manifests", "flushes", "tmp",
}

// check looks at what every value alone cannot tell.
func (d *decoder) check(c *Config) {
	d.checkPlaces(c)
	for name, conn := range c.Connections {
		d.checkConnection("connections."+name, conn)
	}
	d.checkSources(c)
	d.checkSinks(c)
	d.checkReconcile(c)
	if d.has("jobs") {
		d.checkJobs(c)
	}
	d.checkLimits(c.Limits)
	d.checkProof(c)
	d.checkServe(c)
	d.checkNotify(c)
}

func (d *decoder) checkPlaces(c *Config) {
	d.checkState(c.State)
	if c.Lake.URL == "" {
		d.fail("lake", "is missing; say where the lake is: lake: ./data/lake, or s3://bucket/prefix")
		return
	}
	d.checkStore("lake", c.Lake)
	if d.has("raw") {
		d.checkStore("raw", c.Raw)
	}
	d.checkNesting(c)
}

func (d *decoder) checkState(state Store) {
	if state.URL == "" && !d.has("state.url") {
		d.fail("state", "is missing; say where the state is: state: ./data/state, or s3://bucket/prefix")
		return
	}
	d.checkStore("state", state)
}

func (d *decoder) checkStore(path string, s Store) {
	if s.URL == "" {
		d.fail(path+".url", "is missing; name a directory or s3://bucket/prefix")
		return
	}
	if !s.S3() {
		d.checkDirectory(path, s)
		return
	}
	d.checkS3(d.urlPath(path), s.URL)
	d.checkRegion(path+".region", s.Region)
	if s.StorageClass != "" && !slices.Contains(readable, s.StorageClass) {
		d.fail(path+".storage_class", "%q cannot be read back at once, or is unknown; known: %s",
			clip(s.StorageClass), strings.Join(readable, ", "))
	}
	d.checkRole(path, s.RoleARN, s.ExternalID)
	d.checkTags(path+".tags", s.Tags)
	d.checkLock(path+".lock", s.Lock)
}

// urlPath is where the URL of a store stands: it may be the whole value.
func (d *decoder) urlPath(path string) string {
	if d.has(path + ".url") {
		return path + ".url"
	}
	return path
}

// checkDirectory refuses what a directory cannot do: silently not encrypting
// is worse than an error.
func (d *decoder) checkDirectory(path string, s Store) {
	for _, key := range []string{"kms_key", "tags", "storage_class", "region", "role_arn", "external_id", "lock"} {
		if d.has(path + "." + key) {
			d.fail(path+"."+key, "is for S3 only, and %s is a directory; leave it out", s.URL)
		}
	}
}

func (d *decoder) checkS3(path, s3 string) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(s3, "s3://"), "/")
	switch {
	case strings.HasPrefix(bucket, "arn:"):
		d.fail(path, "an access point's ARN is not supported; use its alias as the bucket")
	case !bucketForm.MatchString(bucket):
		d.fail(path, "%q is no bucket name; write s3://bucket/prefix", clip(bucket))
	case strings.Contains("/"+prefix+"/", "//") && prefix != "", strings.Contains("/"+prefix+"/", "/../"):
		d.fail(path, "the prefix has an empty or a .. part; write s3://bucket/prefix")
	}
}

func (d *decoder) checkRegion(path, region string) {
	if region != "" && !regionForm.MatchString(region) {
		d.fail(path, "%q is no region; write one like eu-west-1", clip(region))
	}
}

// checkTags holds S3's limits on an object's tags:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
func (d *decoder) checkTags(path string, tags map[string]string) {
	if len(tags) > 10 {
		d.fail(path, "has %d tags, and S3 takes 10 an object", len(tags))
	}
	for key, text := range tags {
		if key == "" || len(key) > 128 || len(text) > 256 || strings.HasPrefix(key, "aws:") {
			d.fail(path+"."+key, "is no tag S3 takes; keys have 1 to 128 characters and no aws: before them, values at most 256")
		}
	}
}

func (d *decoder) checkLock(path string, l Lock) {
	switch {
	case !d.has(path):
	case l.Mode == "":
		d.fail(path+".mode", "is missing; write governance or compliance")
	case l.Days < 1 || l.Days > 36500:
		d.fail(path+".days", "must be 1 to 36500")
	}
}

// checkNesting keeps what is written to one place out of what is read, or
// owned, at another.
func (d *decoder) checkNesting(c *Config) {
	lake, raw, state := c.Lake.URL, c.Raw.URL, c.State.URL
	rest, inLake := below(raw, lake)
	switch {
	case raw == lake:
		d.fail("raw", "is the lake itself; use a place of its own, or leave it out for <lake>/raw")
	case inLake && slices.Contains(tables, strings.SplitN(rest, "/", 2)[0]):
		d.fail("raw", "lies in %s of the lake, where only tables may be; leave it out for <lake>/raw", rest)
	}
	if within(lake, raw) && lake != raw {
		d.fail("lake", "lies within raw; use two places beside each other")
	}
	for _, other := range []struct{ key, url string }{{"lake", lake}, {"raw", raw}} {
		if within(state, other.url) || within(other.url, state) {
			d.fail("state", "and %s lie within each other; use two directories beside each other", other.key)
			return
		}
	}
}

// below returns what of path lies below base.
func below(path, base string) (string, bool) {
	return strings.CutPrefix(path, strings.TrimRight(base, "/")+"/")
}

// within says whether path is base or lies below it.
func within(path, base string) bool {
	_, ok := below(path, base)
	return path != "" && base != "" && (ok || path == base)
}

func (d *decoder) checkConnection(path string, c Connection) {
	switch {
	case c.Auth0 != nil:
		d.checkAuth0(path, c.Auth0)
	case c.AWS != nil:
		d.checkRegion(path+".aws.region", c.AWS.Region)
		d.checkRole(path+".aws", c.AWS.RoleARN, c.AWS.ExternalID)
	}
}

// checkRole looks at a role to assume, and at the external id beside it:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (d *decoder) checkRole(path, role, externalID string) {
	if role != "" && !roleForm.MatchString(role) {
		d.fail(path+".role_arn", "is no role's ARN; write arn:aws:iam::123456789012:role/NAME")
	}
	switch {
	case externalID == "":
	case role == "":
		d.fail(path+".external_id", "goes with a role_arn, and there is none")
	case len(externalID) > 1224, !externalIDForm.MatchString(externalID):
		d.fail(path+".external_id", "is none that AWS takes; it has letters, digits and _+=,.@:/-, at most 1224")
	}
}

func (d *decoder) checkAuth0(path string, a *Auth0) {
	domain, err := auth0Domain(a.Domain)
	if err != nil {
		d.fail(path+".auth0", "%v", err)
	}
	a.Domain = domain
	d.checkCAFile(path, a.CAFile)
	if a.ClientID == "" {
		d.fail(path+".client_id", "is missing; name the machine-to-machine application that may read the tenant")
	}
	d.checkSecret(path)
	if u, err := url.Parse(a.Audience); a.Audience != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		d.fail(path+".audience", "is no URL; write https://TENANT.eu.auth0.com/api/v2/")
	}
}

func (d *decoder) checkSecret(path string) {
	switch secret, key := d.has(path+".client_secret"), d.has(path+".private_key"); {
	case !secret && !key:
		d.fail(path+".client_secret", `is missing; write "${env:NAME}", or a private_key`)
	case secret && key:
		d.fail(path+".private_key", "stands beside client_secret; keep one of the two")
	case !key && d.has(path+".private_key_alg"):
		d.fail(path+".private_key_alg", "goes with a private_key, and there is none")
	}
}

// auth0Domain checks a host or URL. Secrets are sent there: plain http goes no
// further than this machine.
func auth0Domain(domain string) (string, error) {
	scheme, host, ok := strings.Cut(strings.TrimRight(domain, "/"), "://")
	if !ok {
		scheme, host = "https", scheme
	}
	switch {
	case scheme != "https" && scheme != "http":
		return "", fmt.Errorf("%q is neither https nor a host name; write TENANT.eu.auth0.com", clip(domain))
	case strings.ContainsAny(host, "/?#@"):
		return "", fmt.Errorf("%q has more than a host; write TENANT.eu.auth0.com", clip(domain))
	case !isHost(host):
		return "", fmt.Errorf("%q is no host; write TENANT.eu.auth0.com", clip(domain))
	case scheme == "http" && !loopback(host):
		return "", fmt.Errorf("plain http would send the secret in the clear, and %s is not this machine; use https", clip(host))
	}
	return strings.TrimRight(domain, "/"), nil
}

func isHost(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return hostForm.MatchString(host)
}

func loopback(host string) bool {
	if at, err := netip.ParseAddrPort(host); err == nil {
		return at.Addr().IsLoopback()
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.IsLoopback()
	}
	name, _, _ := strings.Cut(host, ":")
	return name == "localhost"
}

func (d *decoder) checkSinks(c *Config) {
	names, kinds := map[string]bool{}, map[string]bool{}
	for i, s := range c.Sinks {
		path := fmt.Sprintf("sinks[%d]", i)
		d.checkNamed(path, s.Name, names)
		switch {
		case s.Kind == "":
			d.fail(path+".kind", "is missing; known: %s", strings.Join(sinkKinds(), ", "))
		case s.Stream != nil:
			d.checkStream(c, path, s)
		case kinds[s.Kind]:
			d.fail(path+".kind", "there is a %s sink before it, and a kind owns its tables; keep one of them", s.Kind)
		case s.MaxBytes < 1<<20:
			d.fail(path+".max_bytes", "must be at least 1MiB; many small files make Athena slow")
		}
		kinds[s.Kind] = true
	}
	d.checkStreams(c)
}

// checkNamed tells of a missing name, and of one given twice.
func (d *decoder) checkNamed(path, name string, seen map[string]bool) {
	switch {
	case name == "":
		d.fail(path+".name", "is missing; give it one, it names files and state for good")
	case seen[name]:
		d.fail(path+".name", "there is another %q before it; names are unique", name)
	}
	seen[name] = true
}

func sourceNames(c *Config) []string {
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
	}
	return names
}

func (d *decoder) checkJobs(c *Config) {
	inSome := map[string]bool{}
	for _, j := range c.Jobs {
		path := "jobs." + j.Name
		for i, name := range j.Sources {
			inSome[name] = true
			if _, ok := c.Source(name); !ok {
				d.fail(fmt.Sprintf("%s.sources[%d]", path, i), "there is no source %q; %s", clip(name), suggest(name, sourceNames(c)))
			}
		}
		if len(j.Sources) == 0 && !j.Reconcile {
			d.fail(path, "does nothing; give it sources, or reconcile: true")
		}
		if j.Reconcile && len(c.Reconcile) == 0 {
			d.fail(path+".reconcile", "there is nothing to reconcile; add a reconcile list, or leave it out")
		}
		if j.Schedule != "" && !isSchedule(j.Schedule) {
			d.fail(path+".schedule", `%q is no schedule; write cron's five fields, as in "*/5 * * * *", or @hourly`, clip(j.Schedule))
		}
	}
	for i, s := range c.Sources {
		if !inSome[s.Name] {
			d.warn(fmt.Sprintf("sources[%d]", i), "%s is in no job and is never read; add it to one", s.Name)
		}
	}
}

func (d *decoder) checkLimits(l Limits) {
	for _, size := range []struct {
		key         string
		bytes, most int64
	}{
		{"segment_bytes", l.SegmentBytes, 1 << 30},
		{"memory", l.Memory, 1 << 30},
		{"flush_bytes", l.FlushBytes, 1 << 40},
	} {
		if size.bytes < 1<<20 || size.bytes > size.most {
			d.fail("limits."+size.key, "must be 1MiB to %dMiB", size.most>>20)
		}
	}
	if l.Sources < 1 || l.Sources > 64 {
		d.fail("limits.sources", "must be 1 to 64")
	}
	if l.SegmentRecords < 1 || l.SegmentRecords > 1_000_000 {
		d.fail("limits.segment_records", "must be 1 to 1000000")
	}
	if l.SegmentAge <= 0 {
		d.fail("limits.segment_age", "must be longer than nothing")
	}
	if l.Delivery <= 0 {
		d.fail("limits.delivery", "must be longer than nothing")
	}
	if isS3(l.TempDir) {
		d.fail("limits.temp_dir", "must be a directory")
	}
}
