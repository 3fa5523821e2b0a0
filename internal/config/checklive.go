package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	poolForm         = regexp.MustCompile(`^[\w-]{1,44}_[0-9A-Za-z]{1,55}$`)
	identityPoolForm = regexp.MustCompile(`^[\w-]{1,55}:[0-9A-Fa-f-]{1,55}$`)
	accountForm      = regexp.MustCompile(`^\d{12}$`)
	organizationForm = regexp.MustCompile(`^o-[0-9a-z]{10,32}$`)
	countryForm      = regexp.MustCompile(`^[A-Z]{2}$`)
)

func (d *decoder) checkAuth0Connection(c *Config, at, name string) {
	switch conn, ok := c.Connections[name]; {
	case name == "":
		d.fail(at+".connection", "is missing; name one of connections")
	case !ok:
		d.noConnection(c, at, name)
	case conn.Auth0 == nil:
		d.fail(at+".connection", "%s is not an auth0 connection", name)
	}
}

// checkAWSConnection takes none at all for the SDK's own chain.
func (d *decoder) checkAWSConnection(c *Config, at, name string) {
	switch conn, ok := c.Connections[name]; {
	case name == "":
	case !ok:
		d.noConnection(c, at, name)
	case conn.AWS == nil:
		d.fail(at+".connection", "%s is not an aws connection", name)
	}
}

// checkRate takes 0, which is the source's own default, if nobody wrote it.
func (d *decoder) checkRate(at string, rate, most float64) {
	if rate < 0 || rate > most || rate == 0 && d.has(at+".rate") {
		d.fail(at+".rate", "must be above 0 and at most %g requests a second", most)
	}
}

func (d *decoder) checkAuth0Users(c *Config, at string, a *Auth0Users) {
	d.checkAuth0Connection(c, at, a.Connection)
	d.checkRate(at, a.Rate, 1000)
}

// checkCognitoUsers holds the quota of listing users, which no account can
// raise: https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
func (d *decoder) checkCognitoUsers(c *Config, at string, a *CognitoUsers) {
	d.checkAWSConnection(c, at, a.Connection)
	d.checkRate(at, a.Rate, 30)
	switch {
	case a.UserPoolID == "":
		d.fail(at+".user_pool_id", "is missing; it looks like eu-west-1_Ab1Cd2Ef3")
	case !poolForm.MatchString(a.UserPoolID):
		d.fail(at+".user_pool_id", "%q is no user pool's id; it looks like eu-west-1_Ab1Cd2Ef3", clip(a.UserPoolID))
	}
	for i, id := range a.IdentityPools {
		if !identityPoolForm.MatchString(id) {
			d.fail(fmt.Sprintf("%s.identity_pools[%d]", at, i), "%q is no identity pool's id; it looks like eu-west-1:12345678-…", clip(id))
		}
	}
	if d.has(at+".shards") && !slices.Contains([]int{1, 16, 256}, a.Shards) {
		d.fail(at+".shards", "must be 1, 16 or 256; left out, it goes by the size of the pool")
	}
	if len(a.MFA.Groups) > 0 && !a.Groups {
		d.fail(at+".mfa.groups", "are not known without groups; leave groups: false out")
	}
}

func (d *decoder) checkLookup(c *Config, at string, l *CloudTrailLookup) {
	d.checkAWSConnection(c, at, l.Connection)
	// AWS grants two, to everyone in the account and region together.
	d.checkRate(at, l.Rate, 2)
	if l.Account != "" && !accountForm.MatchString(l.Account) {
		d.fail(at+".account", "%q is no account; write its 12 digits in quotes", clip(l.Account))
	}
	if l.Since.Span > trailHistory {
		d.fail(at+".since", "is longer than 90d, and CloudTrail's history is not; older events are in a trail's files only")
	}
	for _, key := range []string{"window", "overlap"} {
		span := map[string]bool{"window": l.Window == 0, "overlap": l.Overlap == 0}[key]
		if span && d.has(at+"."+key) {
			d.fail(at+"."+key, "must be longer than nothing")
		}
	}
	d.checkRegions(at, l.Regions)
	d.checkGlobal(c, at, l)
}

// checkGlobal warns where events are asked for that no region asked has.
func (d *decoder) checkGlobal(c *Config, at string, l *CloudTrailLookup) {
	regions := l.Regions
	if conn := c.Connections[l.Connection].AWS; len(regions) == 0 && conn != nil && conn.Region != "" {
		regions = []string{conn.Region}
	}
	// China and GovCloud have regions of their own for it.
	elsewhere := slices.ContainsFunc(regions, func(r string) bool {
		return r == "us-east-1" || strings.HasPrefix(r, "cn-") || strings.HasPrefix(r, "us-gov-")
	})
	if len(regions) > 0 && !elsewhere && (slices.Contains(l.EventSources, "iam") || slices.Contains(l.EventSources, AllEventSources)) {
		d.warn(at+".regions", "IAM and global sign-ins are recorded in us-east-1, which is not among %s; add it, or leave iam out of event_sources",
			strings.Join(regions, ", "))
	}
}

func (d *decoder) checkTrail(c *Config, at string, t *CloudTrailTrail) {
	d.checkAWSConnection(c, at, t.Connection)
	d.checkTrailBucket(c, at, t)
	if t.Organization != "" && !organizationForm.MatchString(t.Organization) {
		d.fail(at+".organization", "%q is no organization's id; it looks like o-abcd123456", clip(t.Organization))
	}
	for i, account := range t.Accounts {
		if !accountForm.MatchString(account) {
			d.fail(fmt.Sprintf("%s.accounts[%d]", at, i), "%q is no account; write its 12 digits in quotes", clip(account))
		}
	}
	d.checkRegions(at, t.Regions)
	if d.has(at+".relist") && t.Relist == 0 {
		d.fail(at+".relist", "must be longer than nothing; files come late")
	}
	if !t.Digests && t.PublicKeys != "" {
		d.fail(at+".public_keys", "are for digests; leave digests: false out")
	}
	if isS3(t.PublicKeys) {
		d.fail(at+".public_keys", "must be a file")
	}
}

func (d *decoder) checkTrailBucket(c *Config, at string, t *CloudTrailTrail) {
	switch {
	case t.Bucket == "":
		d.fail(at+".bucket", "is missing; name the bucket the trail's files are in")
		return
	case isS3(t.Bucket):
		d.fail(at+".bucket", "must be the bucket's name alone; what stands before AWSLogs/ is its prefix")
		return
	}
	if strings.Contains(t.Prefix, "AWSLogs") {
		d.fail(at+".prefix", "is what stands before AWSLogs/; leave the rest to accounts and regions")
	}
	place := strings.TrimRight("s3://"+t.Bucket+"/"+strings.Trim(t.Prefix, "/"), "/")
	d.checkS3(at+".bucket", place)
	if t.OriginalBucket != "" && !bucketForm.MatchString(t.OriginalBucket) {
		d.fail(at+".original_bucket", "%q is no bucket name", clip(t.OriginalBucket))
	}
	for _, own := range []struct{ key, url string }{{"lake", c.Lake.URL}, {"raw", c.Raw.URL}} {
		if within(place+"/AWSLogs", own.url) && own.url != "" {
			d.warn(at+".bucket", "the trail's files lie in %s, beside what idtrail writes; a bucket of their own is safer", own.key)
		}
	}
}

func (d *decoder) checkRegions(at string, regions []string) {
	for i, region := range regions {
		d.checkRegion(fmt.Sprintf("%s.regions[%d]", at, i), region)
	}
}

// checkEventSources brings the names of services to one form.
func (d *decoder) checkEventSources(at string, s Source) {
	names, ok := s.EventSources()
	if !ok {
		return
	}
	if slices.Contains(names, AllEventSources) && len(names) > 1 {
		d.fail(at+".event_sources", "[%s] stands alone; it keeps every event", AllEventSources)
	}
	if len(names) == 0 && s.Archive == nil {
		d.fail(at+".event_sources", "is empty; leave it out, or write [%s]", AllEventSources)
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".amazonaws.com")
	}
}

func (d *decoder) checkUserOptions(at string, s Source) {
	if region := s.UserOptions().PhoneRegion; region != "" && !countryForm.MatchString(region) {
		d.fail(at+".phone_region", "is no country; write two letters like DE")
	}
}

// checkSameUsers finds two sources of one tenant's users, or of one pool's.
func (d *decoder) checkSameUsers(c *Config) {
	seen := map[string]string{}
	for i, s := range c.Sources {
		place, key := "", ""
		switch {
		case s.Auth0Users != nil && c.Connections[s.Auth0Users.Connection].Auth0 != nil:
			place, key = strings.ToLower(c.Connections[s.Auth0Users.Connection].Auth0.Domain), "connection"
		case s.CognitoUsers != nil && s.CognitoUsers.UserPoolID != "":
			place, key = s.CognitoUsers.UserPoolID, "user_pool_id"
		default:
			continue
		}
		if other, ok := seen[place]; ok {
			d.warn(fmt.Sprintf("sources[%d].%s", i, key), "%s reads the same users; every snapshot is there twice", other)
		}
		seen[place] = s.Name
	}
}

// checkSameEvents warns of two sources of CloudTrail that may give the same
// events: LookupEvents, a trail and copies of its files all have them.
func (d *decoder) checkSameEvents(c *Config) {
	for i, s := range c.Sources {
		mine, ok := s.EventSources()
		for _, other := range c.Sources[:i] {
			theirs, too := other.EventSources()
			if !ok || !too || !meet(mine, theirs) || !meetRegions(s, other) || !meetPlaces(s, other) {
				continue
			}
			d.warn(fmt.Sprintf("sources[%d]", i),
				"%s may give the same CloudTrail events; they count twice unless the two have other event_sources, regions or accounts", other.Name)
			break
		}
	}
}

// meet says whether two lists of event sources have one in common.
func meet(a, b []string) bool {
	if slices.Contains(a, AllEventSources) || slices.Contains(b, AllEventSources) {
		return true
	}
	return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

func meetRegions(a, b Source) bool {
	ours, theirs := a.regions(), b.regions()
	return len(ours) == 0 || len(theirs) == 0 || slices.ContainsFunc(ours, func(r string) bool { return slices.Contains(theirs, r) })
}

// meetPlaces is false where both are of one kind and read different accounts or
// places: of two paths, or two connections, nothing tells that they hold the
// same.
func meetPlaces(a, b Source) bool {
	switch {
	case a.Archive != nil && b.Archive != nil:
		return false // the same path is an error already
	case a.CloudTrailLookup != nil && b.CloudTrailLookup != nil:
		return a.CloudTrailLookup.Connection == b.CloudTrailLookup.Connection
	case a.CloudTrailTrail != nil && b.CloudTrailTrail != nil:
		return a.CloudTrailTrail.Bucket == b.CloudTrailTrail.Bucket && a.CloudTrailTrail.Prefix == b.CloudTrailTrail.Prefix &&
			meetAccounts(a.CloudTrailTrail, b.CloudTrailTrail)
	default:
		return true
	}
}

func meetAccounts(a, b *CloudTrailTrail) bool {
	if a.Organization != "" && b.Organization != "" && a.Organization != b.Organization {
		return false
	}
	return len(a.Accounts) == 0 || len(b.Accounts) == 0 ||
		slices.ContainsFunc(a.Accounts, func(id string) bool { return slices.Contains(b.Accounts, id) })
}
