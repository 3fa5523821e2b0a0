package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Retention says for how long what was landed and loaded is kept. Zero keeps it
// for ever.
type Retention struct {
	// Raw segments, from when they were landed.
	Raw time.Duration `yaml:"raw"`
	// Lake objects, from the newest day they hold.
	Lake time.Duration `yaml:"lake"`
}

// LeastRaw is the shortest retention of raw: what sources read again on purpose
// is judged by what was landed within it. Lake objects can be made again from
// raw; leastLake only keeps a slip of a unit from removing everything.
const (
	LeastRaw  = 30 * 24 * time.Hour
	leastLake = 24 * time.Hour
)

// publicKey is the form of a key that signed notes are checked with:
// name+id+key, https://github.com/C2SP/C2SP/blob/main/signed-note.md
var publicKey = regexp.MustCompile(`^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$`)

func (d *decoder) retention(to *Retention) func(value) {
	return func(v value) {
		d.mapping(v, table{"raw": d.span(&to.Raw), "lake": d.span(&to.Lake)})
	}
}

// proofDefaults fill in where the local copy of a state in S3 lies, and what of
// the lake's settings the manifests have.
func (d *decoder) proofDefaults(c *Config) {
	if c.State.S3() && c.StateCache == "" {
		c.StateCache = d.cacheOf(c.State.URL)
	}
	m := &c.Manifests
	if m.URL == "" {
		m.URL = c.Lake.URL
	}
	if m.URL != c.Lake.URL {
		return
	}
	m.KMSKey, m.StorageClass, m.Region = either(m.KMSKey, c.Lake.KMSKey), either(m.StorageClass, c.Lake.StorageClass), either(m.Region, c.Lake.Region)
	if m.RoleARN == "" && m.ExternalID == "" {
		m.RoleARN, m.ExternalID = c.Lake.RoleARN, c.Lake.ExternalID
	}
	if m.Tags == nil {
		m.Tags = c.Lake.Tags
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// cacheOf is a folder of the user for one place in S3; "" where there is none.
// Two configs with states of their own must not share it.
func (d *decoder) cacheOf(url string) string {
	sum := sha256.Sum256([]byte(url))
	name := filepath.Join("idtrail", "state-"+hex.EncodeToString(sum[:6]))
	if dir := d.refs.variable("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, name)
	}
	if home := d.refs.variable("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", name)
	}
	return ""
}

// variable is one of the environment, "" if it is not set.
func (r resolver) variable(name string) string {
	if r.env == nil {
		return ""
	}
	value, _ := r.env(name) // not set is as good as empty
	return value
}

// checkProof looks at what keeps and proves what was landed.
func (d *decoder) checkProof(c *Config) {
	d.checkCache(c)
	d.checkKeys(c)
	d.checkRetention("retention.raw", c.Retention.Raw, LeastRaw)
	d.checkRetention("retention.lake", c.Retention.Lake, leastLake)
	if lock := time.Duration(c.Raw.Lock.Days) * 24 * time.Hour; c.Retention.Raw > 0 && lock > c.Retention.Raw {
		d.warn("retention.raw", "is shorter than raw.lock.days, and what is locked is not pruned; make it at least %dd", c.Raw.Lock.Days)
	}
	if d.has("manifests") {
		d.checkManifests(c)
	}
}

func (d *decoder) checkKeys(c *Config) {
	for i, key := range c.VerifyKeys {
		if !publicKey.MatchString(key) {
			d.fail(fmt.Sprintf("verify_keys[%d]", i), "%s; write what idtrail keygen printed: name+id+key", notPublic(key))
		}
	}
	if d.has("signing_key") && len(c.VerifyKeys) == 0 {
		d.warn("signing_key", "there are no verify_keys, so idtrail verify looks at no signature; add the public key that idtrail keygen printed")
	}
}

// notPublic says what is wrong with a key, and never quotes one that is private.
func notPublic(key string) string {
	if strings.HasPrefix(key, "PRIVATE+KEY+") {
		return "is a private key and must not stand in the file"
	}
	return fmt.Sprintf("%q is no public key", clip(key))
}

// checkCache looks at the directory of the copies of a state in S3.
func (d *decoder) checkCache(c *Config) {
	switch {
	case c.State.S3() && c.StateCache == "":
		d.fail("state_cache", "is missing, and neither XDG_CACHE_HOME nor HOME is set; name a folder on a local disk, as in state_cache: /var/cache/idtrail")
	case isS3(c.StateCache):
		d.fail("state_cache", "must be a directory on a local disk")
	case c.StateCache != "" && !c.State.S3():
		d.fail("state_cache", "is for a state in S3 only, and %s is a directory; leave it out", c.State.URL)
	}
	for _, other := range []struct{ key, url string }{{"lake", c.Lake.URL}, {"raw", c.Raw.URL}} {
		if within(c.StateCache, other.url) || within(other.url, c.StateCache) {
			d.fail("state_cache", "and %s lie within each other; use two directories beside each other", other.key)
			return
		}
	}
}

func (d *decoder) checkRetention(path string, span, least time.Duration) {
	if d.has(path) && span < least {
		d.fail(path, "must be at least %s; leave it out to keep everything", FormatSpan(least))
	}
}

func (d *decoder) checkManifests(c *Config) {
	m := c.Manifests
	d.checkStore("manifests", m)
	for _, other := range []struct{ key, url string }{{"state", c.State.URL}, {"raw", c.Raw.URL}} {
		if m.URL != c.Lake.URL && (within(m.URL, other.url) || within(other.url, m.URL)) {
			d.fail("manifests", "and %s lie within each other; use a place of its own, or leave the url out for <lake>/manifests", other.key)
			return
		}
	}
	if m.URL != c.Lake.URL && (within(m.URL, c.Lake.URL) || within(c.Lake.URL, m.URL)) {
		d.fail("manifests", "lies within the lake, or the lake within it; use a place of its own, or leave the url out for <lake>/manifests")
	}
}
