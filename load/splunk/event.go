package splunk

import (
	"errors"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// The sourcetypes of events; deploy/splunk has a stanza for each.
const (
	SourcetypeAuthentication = "identity:audit:authentication"
	SourcetypeChange         = "identity:audit:change"
	// SourcetypeAPI is all that is neither: reads, and what has no name of its
	// own.
	SourcetypeAPI = "identity:audit:api"
	// SourcetypeSelf is what idtrail tells of itself: gaps, runs, drift.
	SourcetypeSelf = "identity:audit:idtrail"
)

// Sourcetypes returns all sourcetypes a sink sends.
func Sourcetypes() []string {
	return []string{SourcetypeAuthentication, SourcetypeChange, SourcetypeAPI, SourcetypeSelf}
}

// productSelf is the product of events idtrail tells of itself.
const productSelf = "idtrail"

// sourcetype says which data model an event belongs to.
func sourcetype(e *schema.Event) string {
	switch e.ClassUID {
	case schema.ClassAuthentication:
		return SourcetypeAuthentication
	case schema.ClassAccountChange, schema.ClassEntityManagement, schema.ClassUserAccess, schema.ClassGroupManagement:
		return SourcetypeChange
	case schema.ClassAPIActivity:
		if e.ActivityID == 1 || e.ActivityID == 3 || e.ActivityID == 4 {
			return SourcetypeChange
		}
		return SourcetypeAPI
	case schema.ClassBase:
		if e.Metadata.Product.Name == productSelf {
			return SourcetypeSelf
		}
	}
	return SourcetypeAPI
}

var errTooLarge = errors.New("larger than a request may be, even without its raw record")

// Append implements [stream.Protocol]. An event that is larger than a request
// may be loses its raw record, then what else is only there to be read by
// people: the texts of the API call, and unmapped.
func (c *collector) Append(dst []byte, e *schema.Event, _ time.Time) ([]byte, stream.Mark, error) {
	before := len(dst)
	dst = c.append(dst, e, false)
	if len(dst)-before <= c.maxRequest {
		return dst, stream.Mark{}, nil
	}
	small := *e
	small.RawData = ""
	dst = c.append(dst[:before], &small, true)
	if len(dst)-before > c.maxRequest {
		slim(&small)
		dst = c.append(dst[:before], &small, true)
	}
	if len(dst)-before > c.maxRequest {
		return dst[:before], stream.Mark{}, errTooLarge
	}
	return dst, stream.Mark{Slimmed: true}, nil
}

// slim takes from a copy of an event all that may be large. What the copy
// points to is shared, and is replaced, never changed.
func slim(e *schema.Event) {
	e.Unmapped, e.Resources = nil, nil
	if e.API != nil {
		call := *e.API
		if call.Request != nil {
			call.Request = &schema.Request{UID: call.Request.UID}
		}
		if call.Response != nil {
			call.Response = &schema.Response{Code: call.Response.Code, Error: call.Response.Error}
		}
		e.API = &call
	}
	if e.Entity != nil {
		entity := *e.Entity
		entity.Data = ""
		e.Entity = &entity
	}
	e.EntityResult = nil
}

// Frame implements [stream.Protocol]: envelopes follow each other with nothing
// between them.
func (*collector) Frame() stream.Frame { return stream.Frame{} }

// append appends the envelope of e.
func (c *collector) append(dst []byte, e *schema.Event, slimmed bool) []byte {
	id := schema.EventID(e)
	kind := sourcetype(e)
	dst = append(dst, `{"time":`...)
	dst = appendTime(dst, e.Time)
	w := members{append(dst, ',')}
	w.text("host", firstOf(c.host, e.Metadata.TenantUID, accountOf(e), productSelf))
	w.text("source", sourceOf(e))
	w.text("sourcetype", kind)
	w.text("index", c.index)
	w.raw("event", "{")
	w.text("event_id", id)
	w.text("activity", e.ActivityName)
	w.text("severity", e.Severity)
	w.text("vendor_product", vendorProduct(e))
	if slimmed {
		w.raw("slimmed", "true,")
	}
	w.cim(e, kind)
	w.key("ocsf")
	w.b = append(e.AppendJSON(w.b), "},"...)
	w.raw("fields", "{")
	w.text("event_id", id)
	w.raw("class_uid", `"`+strconv.Itoa(int(e.ClassUID))+`",`)
	w.raw("severity_id", `"`+strconv.Itoa(int(e.SeverityID))+`"`)
	return append(w.b, "}}"...)
}

// appendTime appends milliseconds as seconds with three decimals, as HEC has
// them: never with an exponent, never rounded.
func appendTime(dst []byte, ms int64) []byte {
	n := uint64(ms) //nolint:gosec // the sign is put right below
	if ms < 0 {
		dst = append(dst, '-')
		n = -n
	}
	dst = strconv.AppendUint(dst, n/1000, 10)
	rest := n % 1000
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// sourceOf is product and tenant: what Splunk calls source is the same for all
// of a tenant's events.
func sourceOf(e *schema.Event) string {
	product := firstOf(e.Metadata.Product.Name, productSelf)
	if tenant := firstOf(e.Metadata.TenantUID, accountOf(e)); tenant != "" {
		return product + "/" + tenant
	}
	return product
}

func vendorProduct(e *schema.Event) string {
	p := &e.Metadata.Product
	if p.VendorName == "" || p.VendorName == p.Name {
		return firstOf(p.Name, unknown)
	}
	return p.VendorName + " " + p.Name
}

// members appends members of an object, each with a comma behind it.
type members struct{ b []byte }

func (w *members) key(name string) {
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *members) raw(name, value string) {
	w.key(name)
	w.b = append(w.b, value...)
}

// text leaves out what is empty: Splunk takes an empty value for a value.
func (w *members) text(name, value string) {
	if value != "" {
		w.key(name)
		w.b = append(schema.AppendJSONText(w.b, value), ',')
	}
}

func (w *members) list(name string, list []string) {
	if len(list) == 0 {
		w.text(name, unknown)
		return
	}
	w.key(name)
	w.b = append(w.b, '[')
	for i, s := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = schema.AppendJSONText(w.b, s)
	}
	w.b = append(w.b, ']', ',')
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
