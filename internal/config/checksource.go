package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func (d *decoder) checkSources(c *Config) {
	if len(c.Sources) == 0 {
		d.fail("sources", "there is none; name at least one")
	}
	names := map[string]bool{}
	for i, s := range c.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		d.checkNamed(at, s.Name, names)
		switch {
		case s.Auth0Logs != nil:
			d.checkAuth0Logs(c, at, s.Auth0Logs)
		case s.Auth0Users != nil:
			d.checkAuth0Users(c, at, s.Auth0Users)
		case s.CognitoUsers != nil:
			d.checkCognitoUsers(c, at, s.CognitoUsers)
		case s.CloudTrailLookup != nil:
			d.checkLookup(c, at, s.CloudTrailLookup)
		case s.CloudTrailTrail != nil:
			d.checkTrail(c, at, s.CloudTrailTrail)
		case s.Archive != nil:
			d.checkArchive(c, at, s.Archive)
		default:
			d.fail(at+".kind", "is missing; known: %s", strings.Join(sourceKinds(), ", "))
		}
		d.checkEventSources(at, s)
		d.checkUserOptions(at, s)
	}
	d.checkSameInput(c)
	d.checkSameUsers(c)
	d.checkSameEvents(c)
}

func (d *decoder) checkAuth0Logs(c *Config, at string, a *Auth0Logs) {
	d.checkAuth0Connection(c, at, a.Connection)
	d.checkRate(at, a.Rate, 1000)
	switch {
	case a.Overlap == 0:
		d.fail(at+".overlap", "must be longer than nothing; records come late")
	case a.Retention > 0 && a.Overlap >= a.Retention:
		d.fail(at+".overlap", "is as long as retention; minutes are enough")
	}
}

func (d *decoder) noConnection(c *Config, at, name string) {
	names := make([]string, 0, len(c.Connections))
	for known := range c.Connections {
		names = append(names, known)
	}
	d.fail(at+".connection", "there is no connection %q; %s", clip(name), suggest(name, names))
}

func (d *decoder) checkArchive(c *Config, at string, a *Archive) {
	if a.Format == "" {
		d.fail(at+".format", "is missing; known: %s, %s, %s, %s, %s",
			FormatAuth0Logs, FormatAuth0Users, FormatCloudTrail, FormatCognitoAuth, FormatCognitoUsers)
	}
	d.checkArchivePath(c, at, a)
	d.checkFormatKeys(at, a)
}

func (d *decoder) checkArchivePath(c *Config, at string, a *Archive) {
	if a.Path == "" {
		d.fail(at+".path", "is missing; name a directory, a file, a glob (./archive/**/*.json.gz) or s3://bucket/prefix")
		return
	}
	if isS3(a.Path) {
		base, _ := globBase(a.Path)
		d.checkS3(at+".path", strings.TrimRight(base, "/"))
		d.checkAWSConnection(c, at, a.Connection)
	} else if a.Connection != "" {
		d.fail(at+".connection", "is for s3:// only, and path is a directory or file; leave it out")
	}
	base, globbed := globBase(strings.TrimRight(a.Path, "/"))
	for _, own := range []struct{ key, url string }{
		{"lake", c.Lake.URL}, {"raw", c.Raw.URL}, {"state", c.State.URL}, {"state_cache", c.StateCache}, {"manifests", c.Manifests.URL},
	} {
		if within(base, own.url) || within(own.url, base) && reaches(a.Path, globbed) {
			d.fail(at+".path", "would read what idtrail writes to %s; keep archives in a place of their own", own.key)
			return
		}
	}
}

// globBase is the part of a path before its first wildcard.
func globBase(p string) (base string, globbed bool) {
	i := strings.IndexAny(p, `*?[{\`)
	if i < 0 {
		return p, false
	}
	return p[:max(0, strings.LastIndexByte(p[:i], '/'))], true
}

// reaches says whether an archive goes down into folders: a plain directory or
// prefix does, and a glob with **.
func reaches(p string, globbed bool) bool { return !globbed || strings.Contains(p, "**") }

// checkFormatKeys refuses keys that say nothing for the format: whoever wrote
// them expects something of them.
func (d *decoder) checkFormatKeys(at string, a *Archive) {
	if a.Format == "" {
		return
	}
	if a.Format != FormatCloudTrail && d.has(at+".event_sources") {
		d.fail(at+".event_sources", "is for format cloudtrail only; leave it out")
	}
	if (Source{Archive: a}).Users() {
		return
	}
	for _, key := range []string{"snapshot", "phone_region", "attributes", "link_attribute"} {
		if d.has(at + "." + key) {
			d.fail(at+"."+key, "is for users only (format %s or %s); leave it out", FormatAuth0Users, FormatCognitoUsers)
		}
	}
}

// checkSameInput finds two sources that would land the same records.
func (d *decoder) checkSameInput(c *Config) {
	paths, tenants := map[string]string{}, map[string]string{}
	for i, s := range c.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		switch {
		case s.Archive != nil && s.Archive.Path != "":
			place := strings.TrimRight(s.Archive.Path, "/")
			if other, ok := paths[place]; ok {
				d.fail(at+".path", "%s reads the same path; its records would count twice", other)
			}
			paths[place] = s.Name
		case s.Auth0Logs != nil && c.Connections[s.Auth0Logs.Connection].Auth0 != nil:
			tenant := strings.ToLower(c.Connections[s.Auth0Logs.Connection].Auth0.Domain)
			if other, ok := tenants[tenant]; ok {
				d.warn(at+".connection", "%s reads the log of the same tenant; its events would count twice", other)
			}
			tenants[tenant] = s.Name
		}
	}
}

// isSchedule checks the form of cron's five fields, or of a descriptor.
func isSchedule(text string) bool {
	if strings.HasPrefix(text, "@") {
		every, ok := strings.CutPrefix(text, "@every ")
		if ok {
			_, err := ParseSpan(every)
			return err == nil
		}
		return slices.Contains([]string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}, text)
	}
	fields := strings.Fields(text)
	if len(fields) == 6 && (strings.HasPrefix(fields[0], "CRON_TZ=") || strings.HasPrefix(fields[0], "TZ=")) {
		fields = fields[1:]
	}
	form := regexp.MustCompile(`^[0-9A-Za-z*?/,-]+$`)
	return len(fields) == 5 && !slices.ContainsFunc(fields, func(f string) bool { return !form.MatchString(f) })
}
