package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/serve"
)

// forecast is what a first run takes of a source, as far as it shows before it is
// read; 0 is not known.
type forecast struct {
	Records int64 `json:"records,omitempty"`
	// Calls of the vendor, and Seconds they take at the source's rate.
	Calls   int64   `json:"calls,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	// Files and Bytes, as they are stored, that are read.
	Files int64 `json:"files,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
	// Segments of raw and Objects of the lake that are written.
	Segments int64 `json:"segments,omitempty"`
	Objects  int64 `json:"objects,omitempty"`

	source string
}

// forecast says what a first run, or a snapshot, would take.
func (k *checker) forecast(s config.Source, findings []extract.Finding) {
	f := k.figures(s, findings)
	what := forecastOf(s, k.a.Now())
	if words := f.words(); words != "" {
		what = strings.TrimPrefix(what+"; "+words, "; ")
	}
	k.forecasts = append(k.forecasts, f)
	if what != "" && s.Archive == nil { // what there is of one was said
		k.add(checked{Part: "source", Name: s.Name, State: checkOK, What: what, Forecast: &f})
	}
}

// figures are those of a first run, from what the check saw.
func (k *checker) figures(s config.Source, findings []extract.Finding) forecast {
	f := forecast{source: s.Name}
	i := slices.IndexFunc(findings, func(f extract.Finding) bool { return f.Volume != nil })
	if i < 0 {
		return f
	}
	v := *findings[i].Volume
	days := k.firstDays(s, v.Oldest)
	if v.Span > 0 {
		v.Records, v.Objects, v.Bytes = scale(v.Records, days), scale(v.Objects, days), scale(v.Bytes, days)
	}
	f.Records, f.Files, f.Bytes = v.Records, v.Objects, v.Bytes
	switch {
	case s.Auth0Logs != nil:
		f.at(cmp.Or(s.Auth0Logs.Rate, auth0.DefaultLogsRate), auth0.LogsPerCall)
	case s.CognitoUsers != nil:
		f.at(cmp.Or(s.CognitoUsers.Rate, cognito.DefaultRate), cognito.UsersPerCall)
	case f.Files > 0:
		f.Calls = f.Files
	}
	if f.Records > 0 {
		f.Segments = ceil(f.Records, int64(k.b.config.Limits.SegmentRecords))
		f.Objects = k.objects(s, days)
	}
	return f
}

// at works out calls of n records each, and how long they take.
func (f *forecast) at(rate float64, n int64) {
	f.Calls = ceil(f.Records, n)
	f.Seconds = float64(f.Calls) / rate
}

// firstDays is how far back a first run goes; what the vendor no longer keeps is
// not there.
func (k *checker) firstDays(s config.Source, oldest time.Time) float64 {
	since := s.Since()
	if since.IsZero() {
		return 1
	}
	back := k.a.Now().Sub(since.At(k.a.Now()))
	if s.Auth0Logs != nil && s.Auth0Logs.Retention > 0 {
		back = min(back, s.Auth0Logs.Retention)
	}
	if !oldest.IsZero() {
		back = min(back, k.a.Now().Sub(oldest))
	}
	return max(back.Hours()/24, 0)
}

// objects are those of the lake: a file for each table and day, of each sink that
// keeps one, and users in one.
func (k *checker) objects(s config.Source, days float64) int64 {
	files := int64(math.Ceil(days)) + 1
	if s.Users() {
		files = 2 // users, snapshots
	}
	return files * k.lakeSinks()
}

func (k *checker) lakeSinks() (n int64) {
	for _, s := range k.b.config.Sinks {
		if s.Stream == nil {
			n++
		}
	}
	return n
}

func scale(n int64, days float64) int64 { return int64(math.Round(float64(n) * days)) }

func ceil(n, by int64) int64 { return (n + by - 1) / by }

// words says the figures that are known.
func (f forecast) words() string {
	var read, written []string
	if f.Records > 0 {
		read = append(read, many(f.Records, "record"))
	}
	if f.Files > 0 {
		read = append(read, many(f.Files, "file")+" of "+extract.Size(f.Bytes))
	}
	if f.Calls > 0 && f.Files == 0 {
		read = append(read, many(f.Calls, "call"))
	}
	if f.Seconds > 0 {
		read = append(read, minutes(f.Seconds))
	}
	if f.Segments > 0 {
		written = append(written, many(f.Segments, "segment"))
	}
	if f.Objects > 0 {
		written = append(written, many(f.Objects, "object")+" of the lake")
	}
	text := ""
	if len(read) > 0 {
		text = "about " + strings.Join(read, ", ")
	}
	if len(written) > 0 {
		text += "; " + strings.Join(written, " and ") + " to write"
	}
	return text
}

// total adds what all of it takes and costs.
func (k *checker) total(c *config.Config) {
	told := func(what string) { k.add(checked{Part: "forecast", State: checkOK, What: what}) }
	var sum forecast
	var unknown []string
	for _, f := range k.forecasts {
		sum.Records, sum.Calls, sum.Bytes = sum.Records+f.Records, sum.Calls+f.Calls, sum.Bytes+f.Bytes
		sum.Segments, sum.Objects, sum.Files = sum.Segments+f.Segments, sum.Objects+f.Objects, sum.Files+f.Files
		sum.Seconds = max(sum.Seconds, f.Seconds) // sources are read side by side
		if f.Records+f.Files == 0 {
			unknown = append(unknown, f.source)
		}
	}
	if words := sum.words(); words != "" {
		if len(unknown) > 0 {
			words += "; not known of " + strings.Join(unknown, ", ")
		}
		k.add(checked{Part: "forecast", State: checkOK, What: "the first run: " + words, Forecast: &sum})
	}
	if puts, runs := k.dayOfPuts(c); puts > 0 {
		told(fmt.Sprintf("each day: %s, and at most about %s to S3", runs, many(puts, "PUT")))
	}
	for _, driver := range drivers(c) {
		told("costs: " + driver)
	}
}

// everyFive is what cron is told in README.md, where no schedule says else.
const everyFive = 24 * 60 / 5

// dayOfPuts counts the runs of a day, and the objects they write to S3 at most:
// as if each run found something in each of its sources.
func (k *checker) dayOfPuts(c *config.Config) (puts int64, runs string) {
	var told []string
	for _, job := range c.Jobs {
		n, how := k.runsADay(c, job)
		told = append(told, how)
		sources := int64(len(job.Sources))
		if len(job.Sources) == 0 {
			sources = int64(len(c.Sources))
		}
		puts += n * k.putsOfRun(c, sources)
		for _, s := range c.Sinks {
			if s.Stream == nil && c.Lake.S3() {
				flushes := n
				if s.Every > 0 {
					flushes = min(n, int64(24*time.Hour/s.Every)+1)
				}
				puts += flushes * sources * flushPuts
			}
		}
	}
	return puts, strings.Join(told, ", ")
}

// What is written to S3: a flush has its record, created and completed, and an
// object of a table; a state is taken, moved, copied and left.
const (
	flushPuts = 3
	statePuts = 4
)

// putsOfRun are those of a run but for the lake's: a segment of each source, one
// checkpoint, the states.
func (k *checker) putsOfRun(c *config.Config, sources int64) (n int64) {
	if c.Raw.S3() {
		n += sources
	}
	if c.Manifests.S3() {
		n++
	}
	if c.State.S3() {
		n += statePuts * sources
	}
	return n
}

// runsADay counts the runs of a job by its schedule, or says what it takes for
// one.
func (k *checker) runsADay(c *config.Config, job config.Job) (int64, string) {
	if job.Schedule == "" {
		return everyFive, fmt.Sprintf("job %s, if it runs every 5 minutes", job.Name)
	}
	schedules, err := schedulesOf(c)
	if err != nil {
		return everyFive, fmt.Sprintf("job %s, if it runs every 5 minutes", job.Name)
	}
	n := runsOf(schedules[job.Name], k.a.Now())
	return n, fmt.Sprintf("job %s, %s", job.Name, many(n, "run"))
}

// mostRuns bounds the counting: a schedule of every second has no more.
const mostRuns = 24 * 60 * 60

func runsOf(s serve.Schedule, from time.Time) (n int64) {
	end := from.Add(24 * time.Hour)
	for t := s.Next(from); n < mostRuns && !t.IsZero() && !t.After(end); t = s.Next(t) {
		n++
	}
	return n
}

// drivers are what AWS and receivers charge for, of what the config does. Prices
// differ by region and contract.
func drivers(c *config.Config) []string {
	var all []string
	places := []config.Store{c.Lake, c.Raw, c.Manifests, c.State}
	if slices.ContainsFunc(places, config.Store.S3) {
		all = append(all, "S3 for PUTs and LISTs more than for bytes: fewer runs and a longer every cost less; and for replaced versions, where a bucket keeps them")
	}
	if slices.ContainsFunc(places, func(s config.Store) bool { return s.KMSKey != "" }) {
		all = append(all, "KMS for few calls: objects are written with a bucket key, and S3 asks KMS for that now and then, not for each object")
	}
	for _, s := range c.Sources {
		if text := driverOf(s); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if n := vaultEntries(c); n > 0 {
		all = append(all, fmt.Sprintf("Secrets Manager and Parameter Store for %s in each run", many(n, "call")))
	}
	for _, s := range c.Sinks {
		if s.Datadog != nil {
			all = append(all, "Datadog for the events it takes and keeps (sink "+s.Name+")")
		}
		if s.SplunkHEC != nil {
			all = append(all, "Splunk for the bytes it indexes (sink "+s.Name+")")
		}
	}
	if c.Lake.S3() {
		all = append(all, "Athena, where it is used, for the bytes a query reads: name source and dt")
	}
	return all
}

func driverOf(s config.Source) string {
	switch {
	case s.CloudTrailLookup != nil:
		return "CloudTrail's LookupEvents for quota: it shares 2 calls a second with everybody in account and region"
	case s.CloudTrailTrail != nil:
		return "S3 for a GET of each file of a trail, and KMS for a Decrypt of each where the trail encrypts without a bucket key"
	case s.Archive != nil && strings.HasPrefix(s.Archive.Path, "s3://"):
		return "S3 for a GET of each file of an archive, once"
	case s.CognitoUsers != nil && len(s.CognitoUsers.MFA.Groups) > 0:
		return "Cognito, maybe: AWS may bill each user that AdminGetUser is asked for as active that month (mfa.groups)"
	default:
		return ""
	}
}

// vaultEntries counts the entries of vaults that the config names.
func vaultEntries(c *config.Config) int64 {
	entries := map[string]bool{}
	for _, r := range c.References {
		if r.Scheme == config.SchemeSecretsManager || r.Scheme == config.SchemeSSM {
			name, _, _ := strings.Cut(r.Name, "#")
			entries[r.Scheme+":"+name] = true
		}
	}
	return int64(len(entries))
}

// forecastOf says what a first run, or a snapshot, would take; "" where that is
// a matter of a store's speed. How many records there are nobody tells before
// they are read: what is known is how fast they can come.
func forecastOf(s config.Source, now time.Time) string {
	begins := ""
	if since := s.Since(); !since.IsZero() {
		begins = "a first run begins at " + since.At(now).UTC().Format(time.RFC3339)
	}
	switch {
	case s.Auth0Logs != nil:
		return begins + "; how many records that is shows only when they are read: " +
			pace(cmp.Or(s.Auth0Logs.Rate, auth0.DefaultLogsRate), auth0.LogsPerCall)
	case s.CloudTrailLookup != nil:
		return begins + "; how many events that is shows only when they are read: in each region " +
			pace(cmp.Or(s.CloudTrailLookup.Rate, cloudtrail.DefaultLookupRate), cloudtrail.EventsPerCall)
	case s.CloudTrailTrail != nil:
		return begins + ", with the files of that day, and takes as long as reading them from S3 does"
	case s.CognitoUsers != nil:
		return "a snapshot takes a call for every 60 users, and for every 60 members of each group: " +
			pace(cmp.Or(s.CognitoUsers.Rate, cognito.DefaultRate), cognito.UsersPerCall) + costOfMFA(s.CognitoUsers)
	case s.Auth0Users != nil:
		return exportForecast(s.Auth0Users)
	default:
		return ""
	}
}

// pace says what so many calls a second bring, n records each.
func pace(calls float64, n int) string {
	records := calls * float64(n)
	return fmt.Sprintf("at most %s an hour in %s calls, so a million takes %s or more",
		count(int64(math.Round(records*3600))), count(int64(math.Round(calls*3600))), minutes(1e6/records))
}

func costOfMFA(o *config.CognitoUsers) string {
	if len(o.MFA.Groups) == 0 {
		return ""
	}
	return fmt.Sprintf("; and a call for each member of the %s in mfa, whom AWS may bill as active users",
		many(int64(len(o.MFA.Groups)), "group"))
}

func exportForecast(o *config.Auth0Users) string {
	what := "a snapshot is one export of all users"
	if o.Roles || o.Organizations {
		what += fmt.Sprintf(", and a call for every %d members of each role and organization: ", auth0.ListPerCall) +
			pace(cmp.Or(o.Rate, auth0.DefaultUsersRate), auth0.ListPerCall)
	}
	return what
}
