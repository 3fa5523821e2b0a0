package otlp

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// scope names what made the records.
const scope = "github.com/idtrail/idtrail"

// severity is OTLP's number for a severity of OCSF, 0 for none: what has to be
// acted upon is a warning or more, what has to be acted upon at once an error.
func severity(id int32) uint64 {
	switch id {
	case 1: // Informational
		return 9
	case 2: // Low
		return 13
	case 3: // Medium
		return 15
	case 4: // High
		return 17
	case 5: // Critical
		return 19
	case 6: // Fatal
		return 21
	default:
		return 0
	}
}

// appendRecord appends an event as one entry of a body: a LogRecord in its field
// of ScopeLogs.
func appendRecord(dst []byte, ev *schema.Event, now time.Time, raw bool) []byte {
	e := &encoder{b: dst}
	record := e.openWide(scopeLogsRecords)
	e.fixed64(recordTime, nanos(ev.Time))
	if n := severity(ev.SeverityID); n > 0 {
		e.varint(recordSeverityNumber, n)
	}
	e.text(recordSeverityText, ev.Severity)
	body := e.openWide(recordBody)
	list := e.openWide(anyList)
	writeEvent(object{e, listValues}, ev, raw)
	e.closeWide(list, 2)
	e.closeWide(body, 2)
	writeAttributes(object{e, recordAttributes}, ev, raw)
	e.fixed64(recordObserved, nanos(now.UnixMilli()))
	e.text(recordEventName, eventName(ev))
	e.closeWide(record, 2)
	return e.b
}

// nanos are milliseconds as OTLP has time; 0, which says that it is unknown,
// where it cannot hold it. The body tells it even then.
func nanos(millis int64) uint64 {
	if millis <= 0 || millis > math.MaxInt64/int64(time.Millisecond) {
		return 0
	}
	return uint64(millis) * uint64(time.Millisecond)
}

func writeAttributes(o object, e *schema.Event, raw bool) {
	o.text("log.record.uid", schema.EventID(e))
	writeOCSF(o, e)
	writeUserAttributes(o, e)
	if p := e.SrcEndpoint; p != nil {
		o.text("client.address", cmp.Or(p.IP, p.Hostname))
		if l := p.Location; l != nil {
			o.text("geo.country.iso_code", l.Country)
			o.text("geo.locality.name", l.City)
		}
	}
	if p := e.DstEndpoint; p != nil {
		o.text("server.address", cmp.Or(p.Hostname, p.IP))
	}
	writeHTTPAttributes(o, e.HTTPRequest)
	writeCloudAttributes(o, e.Cloud)
	if e.StatusID == schema.StatusFailure {
		o.text("error.type", e.StatusCode)
	}
	if !raw {
		slimmed := true
		o.bool("ocsf.slimmed", &slimmed)
	}
}

// writeOCSF writes what events are filtered and routed by.
func writeOCSF(o object, e *schema.Event) {
	o.int("ocsf.class_uid", int64(e.ClassUID))
	o.text("ocsf.class_name", e.ClassName)
	o.text("ocsf.activity_name", e.ActivityName)
	o.text("ocsf.status", e.Status)
	o.text("ocsf.event_code", e.Metadata.EventCode)
	o.text("ocsf.product", e.Metadata.Product.Name)
	o.text("ocsf.tenant_uid", e.Metadata.TenantUID)
	o.texts("ocsf.labels", e.Metadata.Labels)
}

// writeUserAttributes writes who acted.
func writeUserAttributes(o object, e *schema.Event) {
	u, session := e.User, e.Session
	if a := e.Actor; a != nil {
		if session == nil {
			session = a.Session
		}
		if a.User != nil && (u == nil || e.ClassUID != schema.ClassAuthentication) {
			u = a.User
		}
	}
	if u != nil {
		o.text("user.id", u.UID)
		o.text("user.name", u.Name)
		o.text("user.email", u.EmailAddr)
		o.text("user.full_name", u.FullName)
	}
	if session != nil {
		o.text("session.id", session.UID)
	}
}

func writeHTTPAttributes(o object, r *schema.HTTPRequest) {
	if r == nil {
		return
	}
	o.text("user_agent.original", r.UserAgent)
	o.text("http.request.method", r.HTTPMethod)
	if r.URL != nil {
		o.text("url.full", r.URL.URLString)
		o.text("url.path", r.URL.Path)
	}
}

func writeCloudAttributes(o object, c *schema.Cloud) {
	if c == nil {
		return
	}
	o.text("cloud.provider", strings.ToLower(c.Provider))
	o.text("cloud.region", c.Region)
	if c.Account != nil {
		o.text("cloud.account.id", c.Account.UID)
	}
}

// eventName is a short name of low cardinality, as the conventions ask for.
func eventName(e *schema.Event) string {
	return "ocsf." + word(e.ClassName) + "." + word(e.ActivityName)
}

// word is a name in lower case, with one underscore for whatever else is between
// letters and digits.
func word(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		if r < '0' || r > 'z' || r > '9' && r < 'a' {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(r)
	}
	return cmp.Or(b.String(), "unknown")
}

// appendHead appends what stands before the records of a request: one resource
// with one scope, each with its length.
func appendHead(dst []byte, records int) []byte {
	var room encoder
	resource := room.open(resourceLogsResource)
	object{&room, resourceAttributes}.text("service.name", "idtrail")
	room.close(resource)
	outer := room.b

	inner := &encoder{}
	named := inner.open(scopeLogsScope)
	inner.text(scopeName, scope)
	inner.close(named)

	scopeLogs := len(inner.b) + records
	e := &encoder{b: outer}
	e.length(resourceLogsScopeLogs, scopeLogs)
	e.b = append(e.b, inner.b...)
	head := &encoder{b: dst}
	head.length(requestResourceLogs, len(e.b)+records)
	return append(head.b, e.b...)
}
