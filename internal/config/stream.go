package config

import (
	"strings"
	"time"
)

// What a sink that streams begins with, unless the file says otherwise.
const (
	defaultStart   = 18 * time.Hour
	defaultTimeout = time.Minute
	defaultAckWait = 30 * time.Second
	defaultRequest = 1_000_000
	defaultService = "idtrail"
)

// What becomes of an event that is outside of the time Datadog takes events of.
const (
	// TooOldRestamp sends it with the time it is sent at, its own beside it.
	TooOldRestamp = "restamp"
	// TooOldSkip does not send it.
	TooOldSkip = "skip"
)

// How a field is kept from a sink.
const (
	// RedactDrop leaves it out.
	RedactDrop = "drop"
	// RedactMask writes something in its place that says nothing.
	RedactMask = "mask"
	// RedactPseudonym writes a keyed hash, the same for the same value.
	RedactPseudonym = "pseudonym"
)

// Stream is what all sinks have that send events to a receiver.
type Stream struct {
	// Start is where the sink begins with a source it is new to.
	Start Start `yaml:"start"`
	// Every is the least time between two deliveries of a source; 0 delivers in
	// each run.
	Every time.Duration `yaml:"every"`
	// Filter says which events the sink gets.
	Filter StreamFilter `yaml:"filter"`
	// Redact are applied in their order.
	Redact []Redact `yaml:"redact"`
	// Timeout of one request.
	Timeout time.Duration `yaml:"timeout"`
}

// Start is a place in a source's records: their beginning, behind all that is
// landed, or a point in time.
type Start struct {
	Beginning, Now bool
	Since          Since
}

// StreamFilter names the events a sink gets: those that every list given names.
type StreamFilter struct {
	// Class are names of OCSF classes, see [EventClasses]; none is all. What
	// idtrail itself has to tell passes all the same.
	Class []string `yaml:"class"`
	// MinSeverity is the least of [Severities]; "" is any.
	MinSeverity string `yaml:"min_severity"`
	// Source are names of sources; none is all.
	Source []string `yaml:"source"`
	// Self lets through what idtrail itself left in the logs.
	Self bool `yaml:"self"`
}

// Redact is one rule of what a sink does not get to see.
type Redact struct {
	// Fields are names of attributes, with dots, or of groups of them; which
	// there are, the package that redacts knows.
	Fields []string `yaml:"fields"`
	// With is one of the Redact constants.
	With string `yaml:"with"`
	// Key of the pseudonyms; only for RedactPseudonym.
	Key Secret `yaml:"key"`
}

// EventClasses are the OCSF classes of the vendors' events, by OCSF's own names.
func EventClasses() []string {
	return []string{
		"account_change", "api_activity", "authentication", "entity_management", "group_management", "user_access",
	}
}

// Severities are OCSF's, the least first.
func Severities() []string {
	return []string{"informational", "low", "medium", "high", "critical", "fatal"}
}

// Datadog sends events to Datadog's log intake.
type Datadog struct {
	// Site is one of [DatadogSites]; URL takes its place where it is set, and
	// exactly one of the two is.
	Site string `yaml:"site"`
	URL  string `yaml:"url"`
	// APIKey is empty when the file was loaded without secrets.
	APIKey Secret `yaml:"api_key"`
	// Service of every log.
	Service string `yaml:"service"`
	// Tags of every log, besides those that say where it comes from.
	Tags map[string]string `yaml:"tags"`
	// TooOld is one of the TooOld constants.
	TooOld string `yaml:"too_old"`
	// Health says that a service check and metrics of each run are sent, too.
	Health bool `yaml:"health"`
	// CAFile holds certificates (PEM) to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

// DatadogSites are the sites Datadog has:
// https://docs.datadoghq.com/getting_started/site/
func DatadogSites() []string {
	return []string{
		"datadoghq.com", "us3.datadoghq.com", "us5.datadoghq.com", "ap1.datadoghq.com", "ap2.datadoghq.com",
		"uk1.datadoghq.com", "datadoghq.eu", "ddog-gov.com", "us2.ddog-gov.com",
	}
}

// SplunkHEC sends events to a Splunk HTTP event collector.
type SplunkHEC struct {
	// URL is what stands before /services/collector, or the endpoint itself.
	URL string `yaml:"url"`
	// Token is empty when the file was loaded without secrets.
	Token Secret `yaml:"token"`
	// Index, "" for the token's own.
	Index string `yaml:"index"`
	// Host of every event; "" is the tenant or account it comes from.
	Host string `yaml:"host"`
	// Ack says that the token has indexer acknowledgement, and AckWait how long
	// a run waits for it.
	Ack     bool          `yaml:"ack"`
	AckWait time.Duration `yaml:"ack_wait"`
	// MaxRequest is the largest body of a request, before compression.
	MaxRequest int64 `yaml:"max_request"`
	// CAFile holds certificates (PEM) to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

// OTLP sends events to an OpenTelemetry collector, as logs over HTTP.
type OTLP struct {
	URL string `yaml:"url"`
	// Headers of every request. Their values are empty when the file was loaded
	// without secrets.
	Headers map[string]Secret `yaml:"headers"`
	// CAFile holds certificates (PEM) to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

func sinkKinds() []string {
	return []string{KindParquet, KindJSON, KindDatadog, KindSplunkHEC, KindOTLP}
}

// sinkKeys are the keys of each kind.
func (d *decoder) sinkKeys(to *Sink) map[string]func() table {
	lake := func() table {
		to.Every, to.MaxBytes = defaultEvery, defaultMaxBytes
		return table{"every": d.span(&to.Every), "max_bytes": d.size(&to.MaxBytes)}
	}
	return map[string]func() table{
		KindParquet: lake,
		KindJSON:    lake,
		KindDatadog: func() table {
			to.Datadog = &Datadog{Service: defaultService, TooOld: TooOldRestamp, Health: true}
			return d.withStream(to, d.datadog(to.Datadog))
		},
		KindSplunkHEC: func() table {
			to.SplunkHEC = &SplunkHEC{AckWait: defaultAckWait, MaxRequest: defaultRequest}
			return d.withStream(to, d.splunkHEC(to.SplunkHEC))
		},
		KindOTLP: func() table {
			to.OTLP = &OTLP{}
			return d.withStream(to, table{
				"url": d.text(&to.OTLP.URL), "headers": d.secretMap(&to.OTLP.Headers), "ca_file": d.path(&to.OTLP.CAFile),
			})
		},
	}
}

func (d *decoder) datadog(to *Datadog) table {
	return table{
		"site":    d.text(&to.Site),
		"url":     d.text(&to.URL),
		"api_key": d.secret(&to.APIKey),
		"service": d.text(&to.Service),
		"tags":    d.textMap(&to.Tags),
		"too_old": d.choice(&to.TooOld, TooOldRestamp, TooOldSkip),
		"health":  d.flag(&to.Health),
		"ca_file": d.path(&to.CAFile),
	}
}

func (d *decoder) splunkHEC(to *SplunkHEC) table {
	return table{
		"url":         d.text(&to.URL),
		"token":       d.secret(&to.Token),
		"index":       d.text(&to.Index),
		"host":        d.text(&to.Host),
		"ack":         d.onOff(&to.Ack),
		"ack_wait":    d.span(&to.AckWait),
		"max_request": d.size(&to.MaxRequest),
		"ca_file":     d.path(&to.CAFile),
	}
}

// withStream adds the keys of every sink that streams.
func (d *decoder) withStream(to *Sink, t table) table {
	to.Stream = &Stream{Start: Start{Since: Since{Span: defaultStart}}, Timeout: defaultTimeout}
	t["start"] = d.start(&to.Stream.Start)
	t["every"] = d.span(&to.Stream.Every)
	t["timeout"] = d.span(&to.Stream.Timeout)
	t["filter"] = d.streamFilter(&to.Stream.Filter)
	t["redact"] = list(d, &to.Stream.Redact, d.redact)
	return t
}

// start takes a word or a point in time.
func (d *decoder) start(to *Start) func(value) {
	return func(v value) {
		text, shown, ok := d.scalar(v, "start, now, a span (18h) or a time")
		if !ok {
			return
		}
		switch since, err := ParseSince(text); {
		case text == "start":
			*to = Start{Beginning: true}
		case text == "now", err == nil && since.IsZero():
			*to = Start{Now: true}
		case err != nil:
			d.fail(v.path, "%s is no place to start; write start, now, a span back like 18h or a time like 2026-01-31T09:00:00Z", shown)
		default:
			*to = Start{Since: since}
		}
	}
}

func (d *decoder) streamFilter(to *StreamFilter) func(value) {
	return func(v value) {
		d.mapping(v, table{
			"class":        d.choices(&to.Class, EventClasses()),
			"min_severity": d.choice(&to.MinSeverity, Severities()...),
			"source":       d.texts(&to.Source),
			"self":         d.flag(&to.Self),
		})
	}
}

func (d *decoder) redact(to *Redact, v value) {
	d.mapping(v, table{
		"fields": d.texts(&to.Fields),
		"with":   d.choice(&to.With, RedactDrop, RedactMask, RedactPseudonym),
		"key":    d.secret(&to.Key),
	})
}

// onOff takes on or off, which YAML 1.1 and some people take for true and
// false: both mean the same here.
func (d *decoder) onOff(to *bool) func(value) {
	return func(v value) {
		if typeName(d.resolve(v)) == "true or false" {
			d.flag(to)(v)
			return
		}
		word := ""
		d.choice(&word, "on", "off")(v)
		*to = word == "on"
	}
}

// secretMap takes a mapping of names to references.
func (d *decoder) secretMap(to *map[string]Secret) func(value) {
	return func(v value) {
		m := map[string]Secret{}
		d.each(v, func(key string, at place, member value) {
			d.places[member.path] = at
			var secret Secret
			d.secret(&secret)(member)
			m[key] = secret
		})
		*to = m
	}
}

// receiver is where a sink sends to, "" if nothing says so.
func (s Sink) receiver() string {
	switch {
	case s.Datadog != nil:
		return s.Datadog.Site + s.Datadog.URL
	case s.SplunkHEC != nil && s.SplunkHEC.URL != "":
		return strings.TrimRight(s.SplunkHEC.URL, "/") + " " + s.SplunkHEC.Index
	case s.OTLP != nil:
		return strings.TrimRight(s.OTLP.URL, "/")
	default:
		return ""
	}
}
