package schema

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// This is written by hand, field by field, because a sink that catches up
// encodes millions of events: encoding/json takes several times as long. A test
// compares the two for an event in which every field is set, so no field can be
// forgotten here.

// AppendJSON appends e as JSON to dst: the same value [encoding/json] writes,
// in the same order, raw_data last. The same event gives the same bytes.
func (e *Event) AppendJSON(dst []byte) []byte {
	w := jsonWriter{append(dst, '{')}
	w.integer("time", e.Time)
	w.time("time_dt", e.TimeDT)
	w.integer("timezone_offset", int64(e.TimezoneOffset))
	w.class(e)
	w.number32("count", e.Count)
	w.number64("start_time", e.StartTime)
	w.timeAt("start_time_dt", e.StartTimeDT)
	w.number64("end_time", e.EndTime)
	w.timeAt("end_time_dt", e.EndTimeDT)
	w.metadata(&e.Metadata)
	w.cloud(e.Cloud)
	w.api(e.API)
	w.subject(e)
	w.authentication(e)
	w.endpoint("src_endpoint", e.SrcEndpoint)
	w.endpoint("dst_endpoint", e.DstEndpoint)
	w.request(e.HTTPRequest)
	w.observables(e.Observables)
	w.texts("unmapped", e.Unmapped)
	w.text("raw_data", e.RawData)
	return w.close('}')
}

// AppendJSONText appends s as a JSON string to dst. What is no UTF-8 becomes
// U+FFFD.
func AppendJSONText(dst []byte, s string) []byte {
	dst = slices.Grow(dst, 2*len(s)+2) // room to escape every byte by another one
	b, n := dst[:cap(dst)], len(dst)
	b[n] = '"'
	n++
	var seen, control uint64 // of all bytes, highest bits count
	i := 0
	for ; i+wordSize <= len(s); i += wordSize {
		x := word(s[i:])
		seen |= x
		control |= x - ' '*ones
		if quotes := (x ^ '"'*ones - ones) | (x ^ '\\'*ones - ones); (quotes|x)&highs == 0 {
			binary.LittleEndian.PutUint64(b[n:], x)
			n += wordSize
			continue
		}
		n += putEscaped((*[2 * wordSize]byte)(b[n:]), x)
	}
	for ; i < len(s); i++ {
		c := s[i]
		seen |= uint64(c)
		control |= uint64(c) - ' '
		b[n] = '\\'
		n += int(escaped[c])
		b[n] = c
		n++
	}
	// Of bytes that are no ASCII, control is not to be trusted.
	if (seen|control)&highs != 0 && !isText(s) {
		return appendOddText(dst, s)
	}
	b[n] = '"'
	return b[:n+1]
}

// Strings are looked at by the word of eight bytes: what is subtracted makes the
// highest bit of a byte 1 that is a control character, or what was compared.
const (
	wordSize = 8
	ones     = 0x0101010101010101 // times a byte: that byte, eight times
	highs    = 0x80 * ones
)

// word is the first eight bytes of s, the first one lowest.
func word(s string) uint64 {
	_ = s[wordSize-1]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// escaped is 1 for bytes that another one stands before.
var escaped = [256]uint8{'"': 1, '\\': 1}

// putEscaped writes a word to b and returns how many bytes it takes. Before each
// byte it writes a backslash, whose place the byte takes where it needs none:
// quotes come too often, and too irregularly, for a branch.
func putEscaped(b *[2 * wordSize]byte, x uint64) (n int) {
	for range wordSize {
		c := byte(x)
		b[n&15] = '\\'
		n += int(escaped[c])
		b[n&15] = c
		n++
		x >>= 8
	}
	return n
}

// isText says whether s is UTF-8 without control characters.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' {
			return false
		}
	}
	return utf8.ValidString(s)
}

// appendOddText is AppendJSONText for what is no UTF-8, or has control
// characters.
func appendOddText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		start = i + 1
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
}

// jsonWriter appends members, each with a comma behind it; close takes the last
// one away. Members without a value are left out, unless their name says else.
type jsonWriter struct{ b []byte }

// close ends the object or array with that bracket.
func (w *jsonWriter) close(end byte) []byte {
	if last := len(w.b) - 1; w.b[last] == ',' {
		w.b[last] = end
	} else {
		w.b = append(w.b, end)
	}
	return w.b
}

func (w *jsonWriter) key(name string) {
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *jsonWriter) begin(name string) {
	w.key(name)
	w.b = append(w.b, '{')
}

func (w *jsonWriter) end() { w.b = append(w.close('}'), ',') }

// must writes the text even if it is empty.
func (w *jsonWriter) must(name, s string) {
	w.key(name)
	w.b = append(AppendJSONText(w.b, s), ',')
}

func (w *jsonWriter) text(name, s string) {
	if s != "" {
		w.must(name, s)
	}
}

// integer writes n even if it is 0.
func (w *jsonWriter) integer(name string, n int64) {
	w.key(name)
	w.b = append(strconv.AppendInt(w.b, n, 10), ',')
}

func (w *jsonWriter) number32(name string, n *int32) {
	if n != nil {
		w.integer(name, int64(*n))
	}
}

func (w *jsonWriter) number64(name string, n *int64) {
	if n != nil {
		w.integer(name, *n)
	}
}

func (w *jsonWriter) decimal(name string, n *float64) {
	if n == nil {
		return
	}
	w.key(name)
	text, _ := decimal(*n).MarshalJSON()
	w.b = append(append(w.b, text...), ',')
}

func (w *jsonWriter) boolean(name string, v *bool) {
	if v != nil {
		w.key(name)
		w.b = append(strconv.AppendBool(w.b, *v), ',')
	}
}

// time writes t even if it is zero.
func (w *jsonWriter) time(name string, t time.Time) {
	w.key(name)
	w.b = append(t.AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"', ',')
}

func (w *jsonWriter) timeAt(name string, t *time.Time) {
	if t != nil {
		w.time(name, *t)
	}
}

func (w *jsonWriter) list(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.key(name)
	w.b = append(w.b, '[')
	for _, s := range list {
		w.b = append(AppendJSONText(w.b, s), ',')
	}
	w.b = append(w.close(']'), ',')
}

// texts are written by their keys' order, so that the bytes are the same each
// time.
func (w *jsonWriter) texts(name string, texts map[string]string) {
	if len(texts) == 0 {
		return
	}
	var room [48]string
	keys := slices.AppendSeq(room[:0], maps.Keys(texts))
	slices.Sort(keys)
	w.begin(name)
	for _, k := range keys {
		w.b = append(AppendJSONText(w.b, k), ':')
		w.b = append(AppendJSONText(w.b, texts[k]), ',')
	}
	w.end()
}

func (w *jsonWriter) class(e *Event) {
	w.integer("class_uid", int64(e.ClassUID))
	w.must("class_name", e.ClassName)
	w.integer("category_uid", int64(e.CategoryUID))
	w.must("category_name", e.CategoryName)
	w.integer("activity_id", int64(e.ActivityID))
	w.must("activity_name", e.ActivityName)
	w.integer("type_uid", e.TypeUID)
	w.must("type_name", e.TypeName)
	w.integer("severity_id", int64(e.SeverityID))
	w.must("severity", e.Severity)
	w.integer("status_id", int64(e.StatusID))
	w.text("status", e.Status)
	w.text("status_code", e.StatusCode)
	w.text("status_detail", e.StatusDetail)
	w.text("message", e.Message)
}

func (w *jsonWriter) metadata(m *Metadata) {
	w.begin("metadata")
	w.must("version", m.Version)
	w.must("uid", m.UID)
	w.text("correlation_uid", m.CorrelationUID)
	w.text("event_code", m.EventCode)
	w.text("original_time", m.OriginalTime)
	w.text("tenant_uid", m.TenantUID)
	w.text("log_name", m.LogName)
	w.text("log_provider", m.LogProvider)
	w.text("log_version", m.LogVersion)
	w.list("profiles", m.Profiles)
	w.list("labels", m.Labels)
	w.begin("product")
	w.must("name", m.Product.Name)
	w.must("vendor_name", m.Product.VendorName)
	w.text("version", m.Product.Version)
	if f := m.Product.Feature; f != nil {
		w.begin("feature")
		w.text("name", f.Name)
		w.text("uid", f.UID)
		w.end()
	}
	w.end()
	w.end()
}

func (w *jsonWriter) cloud(c *Cloud) {
	if c == nil {
		return
	}
	w.begin("cloud")
	w.must("provider", c.Provider)
	w.text("region", c.Region)
	w.account(c.Account)
	w.end()
}

func (w *jsonWriter) account(a *Account) {
	if a == nil {
		return
	}
	w.begin("account")
	w.text("uid", a.UID)
	w.text("name", a.Name)
	w.number32("type_id", a.TypeID)
	w.text("type", a.Type)
	w.end()
}

func (w *jsonWriter) api(a *API) {
	if a == nil {
		return
	}
	w.begin("api")
	w.must("operation", a.Operation)
	w.text("version", a.Version)
	w.service(a.Service)
	if r := a.Request; r != nil {
		w.begin("request")
		w.must("uid", r.UID)
		w.list("flags", r.Flags)
		w.text("data", r.Data)
		w.end()
	}
	if r := a.Response; r != nil {
		w.begin("response")
		w.number32("code", r.Code)
		w.text("error", r.Error)
		w.text("error_message", r.ErrorMessage)
		w.text("message", r.Message)
		w.text("data", r.Data)
		w.end()
	}
	w.end()
}

func (w *jsonWriter) service(s *Service) {
	if s == nil {
		return
	}
	w.begin("service")
	w.text("name", s.Name)
	w.text("uid", s.UID)
	w.text("version", s.Version)
	w.end()
}

// subject is who acted and what was acted upon.
func (w *jsonWriter) subject(e *Event) {
	w.actor(e.Actor)
	w.user("user", e.User)
	w.user("user_result", e.UserResult)
	w.group(e.Group)
	w.list("privileges", e.Privileges)
	w.policy(e.Policy)
	w.entity("entity", e.Entity)
	w.entity("entity_result", e.EntityResult)
	if e.Resource != nil {
		w.key("resource")
		w.resource(e.Resource)
	}
	if len(e.Resources) > 0 {
		w.key("resources")
		w.b = append(w.b, '[')
		for i := range e.Resources {
			w.resource(&e.Resources[i])
		}
		w.b = append(w.close(']'), ',')
	}
	w.text("comment", e.Comment)
}

func (w *jsonWriter) actor(a *Actor) {
	if a == nil {
		return
	}
	w.begin("actor")
	w.user("user", a.User)
	w.session(a.Session)
	if p := a.IDP; p != nil {
		w.begin("idp")
		w.text("name", p.Name)
		w.text("uid", p.UID)
		w.end()
	}
	w.text("app_name", a.AppName)
	w.text("app_uid", a.AppUID)
	w.end()
}

func (w *jsonWriter) user(name string, u *UserObject) {
	if u == nil {
		return
	}
	w.begin(name)
	w.text("uid", u.UID)
	w.text("uid_alt", u.UIDAlt)
	w.text("name", u.Name)
	w.text("full_name", u.FullName)
	w.text("email_addr", u.EmailAddr)
	w.text("domain", u.Domain)
	w.number32("type_id", u.TypeID)
	w.text("type", u.Type)
	w.text("credential_uid", u.CredentialUID)
	w.account(u.Account)
	w.org(u.Org)
	if len(u.Groups) > 0 {
		w.key("groups")
		w.b = append(w.b, '[')
		for i := range u.Groups {
			w.b = append(w.b, '{')
			w.groupFields(&u.Groups[i])
			w.end()
		}
		w.b = append(w.close(']'), ',')
	}
	w.end()
}

func (w *jsonWriter) org(o *Organization) {
	if o == nil {
		return
	}
	w.begin("org")
	w.text("uid", o.UID)
	w.text("name", o.Name)
	w.end()
}

func (w *jsonWriter) group(g *Group) {
	if g == nil {
		return
	}
	w.begin("group")
	w.groupFields(g)
	w.end()
}

func (w *jsonWriter) groupFields(g *Group) {
	w.text("uid", g.UID)
	w.text("name", g.Name)
	w.text("type", g.Type)
	w.list("privileges", g.Privileges)
}

func (w *jsonWriter) policy(p *Policy) {
	if p == nil {
		return
	}
	w.begin("policy")
	w.text("uid", p.UID)
	w.text("name", p.Name)
	w.end()
}

func (w *jsonWriter) entity(name string, m *ManagedEntity) {
	if m == nil {
		return
	}
	w.begin(name)
	w.text("uid", m.UID)
	w.text("name", m.Name)
	w.number32("type_id", m.TypeID)
	w.text("type", m.Type)
	w.text("data", m.Data)
	w.org(m.Org)
	w.policy(m.Policy)
	w.group(m.Group)
	w.end()
}

func (w *jsonWriter) resource(r *ResourceDetails) {
	w.b = append(w.b, '{')
	w.text("uid", r.UID)
	w.text("name", r.Name)
	w.text("type", r.Type)
	w.text("region", r.Region)
	w.list("labels", r.Labels)
	w.text("data", r.Data)
	w.end()
}

// authentication is what only sign-ins have.
func (w *jsonWriter) authentication(e *Event) {
	w.number32("auth_protocol_id", e.AuthProtocolID)
	w.text("auth_protocol", e.AuthProtocol)
	w.number32("logon_type_id", e.LogonTypeID)
	w.text("logon_type", e.LogonType)
	w.boolean("is_mfa", e.IsMFA)
	w.boolean("is_remote", e.IsRemote)
	w.service(e.Service)
	w.session(e.Session)
}

func (w *jsonWriter) session(s *Session) {
	if s == nil {
		return
	}
	w.begin("session")
	w.text("uid", s.UID)
	w.text("uid_alt", s.UIDAlt)
	w.text("issuer", s.Issuer)
	w.text("credential_uid", s.CredentialUID)
	w.boolean("is_mfa", s.IsMFA)
	w.number64("created_time", s.CreatedTime)
	w.timeAt("created_time_dt", s.CreatedTimeDT)
	w.end()
}

func (w *jsonWriter) endpoint(name string, n *NetworkEndpoint) {
	if n == nil {
		return
	}
	w.begin(name)
	w.text("ip", n.IP)
	w.text("hostname", n.Hostname)
	w.text("svc_name", n.SvcName)
	w.text("uid", n.UID)
	w.number32("type_id", n.TypeID)
	w.text("type", n.Type)
	if l := n.Location; l != nil {
		w.begin("location")
		w.text("city", l.City)
		w.text("country", l.Country)
		w.text("continent", l.Continent)
		w.text("region", l.Region)
		w.text("desc", l.Desc)
		w.decimal("lat", l.Lat)
		w.decimal("long", l.Long)
		w.end()
	}
	w.end()
}

func (w *jsonWriter) request(h *HTTPRequest) {
	if h == nil {
		return
	}
	w.begin("http_request")
	w.text("http_method", h.HTTPMethod)
	w.text("user_agent", h.UserAgent)
	w.text("referrer", h.Referrer)
	if u := h.URL; u != nil {
		w.begin("url")
		w.text("url_string", u.URLString)
		w.text("hostname", u.Hostname)
		w.text("path", u.Path)
		w.text("query_string", u.QueryString)
		w.end()
	}
	w.end()
}

func (w *jsonWriter) observables(list []Observable) {
	if len(list) == 0 {
		return
	}
	w.key("observables")
	w.b = append(w.b, '[')
	for i := range list {
		o := &list[i]
		w.b = append(w.b, '{')
		w.must("name", o.Name)
		w.integer("type_id", int64(o.TypeID))
		w.must("type", o.Type)
		w.text("value", o.Value)
		w.end()
	}
	w.b = append(w.close(']'), ',')
}
