package otlp

import "github.com/idtrail/idtrail/schema"

// writeEvent writes an event under the names, and with what is left out, of its
// JSON form; a test holds the two against each other. Without raw, its raw record
// is left out.
func writeEvent(o object, e *schema.Event, raw bool) {
	writeClass(o, e)
	writeCommon(o, e)
	writePeople(o, e)
	writeSignIn(o, e)
	nest(o, "src_endpoint", e.SrcEndpoint, writeEndpoint)
	nest(o, "dst_endpoint", e.DstEndpoint, writeEndpoint)
	nest(o, "http_request", e.HTTPRequest, writeHTTPRequest)
	nestAll(o, "observables", e.Observables, writeObservable)
	o.pairs("unmapped", e.Unmapped)
	if raw {
		o.text("raw_data", e.RawData)
	}
}

func writeClass(o object, e *schema.Event) {
	o.int("time", e.Time)
	o.time("time_dt", &e.TimeDT)
	o.int("timezone_offset", int64(e.TimezoneOffset))
	o.int("class_uid", int64(e.ClassUID))
	o.must("class_name", e.ClassName)
	o.int("category_uid", int64(e.CategoryUID))
	o.must("category_name", e.CategoryName)
	o.int("activity_id", int64(e.ActivityID))
	o.must("activity_name", e.ActivityName)
	o.int("type_uid", e.TypeUID)
	o.must("type_name", e.TypeName)
	o.int("severity_id", int64(e.SeverityID))
	o.must("severity", e.Severity)
	o.int("status_id", int64(e.StatusID))
	o.text("status", e.Status)
	o.text("status_code", e.StatusCode)
	o.text("status_detail", e.StatusDetail)
	o.text("message", e.Message)
}

func writeCommon(o object, e *schema.Event) {
	o.int32("count", e.Count)
	o.int64("start_time", e.StartTime)
	o.time("start_time_dt", e.StartTimeDT)
	o.int64("end_time", e.EndTime)
	o.time("end_time_dt", e.EndTimeDT)
	nest(o, "metadata", &e.Metadata, writeMetadata)
	nest(o, "cloud", e.Cloud, writeCloud)
	nest(o, "api", e.API, writeAPI)
}

func writePeople(o object, e *schema.Event) {
	nest(o, "actor", e.Actor, writeActor)
	nest(o, "user", e.User, writeUser)
	nest(o, "user_result", e.UserResult, writeUser)
	nest(o, "group", e.Group, writeGroup)
	o.texts("privileges", e.Privileges)
	nest(o, "policy", e.Policy, writePolicy)
	nest(o, "entity", e.Entity, writeEntity)
	nest(o, "entity_result", e.EntityResult, writeEntity)
	nest(o, "resource", e.Resource, writeResource)
	nestAll(o, "resources", e.Resources, writeResource)
	o.text("comment", e.Comment)
}

func writeSignIn(o object, e *schema.Event) {
	o.int32("auth_protocol_id", e.AuthProtocolID)
	o.text("auth_protocol", e.AuthProtocol)
	o.int32("logon_type_id", e.LogonTypeID)
	o.text("logon_type", e.LogonType)
	o.bool("is_mfa", e.IsMFA)
	o.bool("is_remote", e.IsRemote)
	nest(o, "service", e.Service, writeService)
	nest(o, "session", e.Session, writeSession)
}

func writeMetadata(o object, m *schema.Metadata) {
	o.must("version", m.Version)
	o.must("uid", m.UID)
	o.text("correlation_uid", m.CorrelationUID)
	o.text("event_code", m.EventCode)
	o.text("original_time", m.OriginalTime)
	o.text("tenant_uid", m.TenantUID)
	o.text("log_name", m.LogName)
	o.text("log_provider", m.LogProvider)
	o.text("log_version", m.LogVersion)
	o.texts("profiles", m.Profiles)
	o.texts("labels", m.Labels)
	nest(o, "product", &m.Product, writeProduct)
}

func writeProduct(o object, p *schema.Product) {
	o.must("name", p.Name)
	o.must("vendor_name", p.VendorName)
	o.text("version", p.Version)
	nest(o, "feature", p.Feature, writeFeature)
}

func writeFeature(o object, f *schema.Feature) {
	o.text("name", f.Name)
	o.text("uid", f.UID)
}

func writeCloud(o object, c *schema.Cloud) {
	o.must("provider", c.Provider)
	o.text("region", c.Region)
	nest(o, "account", c.Account, writeAccount)
}

func writeAccount(o object, a *schema.Account) {
	o.text("uid", a.UID)
	o.text("name", a.Name)
	o.int32("type_id", a.TypeID)
	o.text("type", a.Type)
}

func writeAPI(o object, a *schema.API) {
	o.must("operation", a.Operation)
	o.text("version", a.Version)
	nest(o, "service", a.Service, writeService)
	nest(o, "request", a.Request, writeRequest)
	nest(o, "response", a.Response, writeResponse)
}

func writeService(o object, s *schema.Service) {
	o.text("name", s.Name)
	o.text("uid", s.UID)
	o.text("version", s.Version)
}

func writeRequest(o object, r *schema.Request) {
	o.must("uid", r.UID)
	o.texts("flags", r.Flags)
	o.text("data", r.Data)
}

func writeResponse(o object, r *schema.Response) {
	o.int32("code", r.Code)
	o.text("error", r.Error)
	o.text("error_message", r.ErrorMessage)
	o.text("message", r.Message)
	o.text("data", r.Data)
}

func writeActor(o object, a *schema.Actor) {
	nest(o, "user", a.User, writeUser)
	nest(o, "session", a.Session, writeSession)
	nest(o, "idp", a.IDP, writeIDP)
	o.text("app_name", a.AppName)
	o.text("app_uid", a.AppUID)
}

func writeIDP(o object, p *schema.IDP) {
	o.text("name", p.Name)
	o.text("uid", p.UID)
}

func writeUser(o object, u *schema.UserObject) {
	o.text("uid", u.UID)
	o.text("uid_alt", u.UIDAlt)
	o.text("name", u.Name)
	o.text("full_name", u.FullName)
	o.text("email_addr", u.EmailAddr)
	o.text("domain", u.Domain)
	o.int32("type_id", u.TypeID)
	o.text("type", u.Type)
	o.text("credential_uid", u.CredentialUID)
	nest(o, "account", u.Account, writeAccount)
	nest(o, "org", u.Org, writeOrganization)
	nestAll(o, "groups", u.Groups, writeGroup)
}

func writeOrganization(o object, org *schema.Organization) {
	o.text("uid", org.UID)
	o.text("name", org.Name)
}

func writeGroup(o object, g *schema.Group) {
	o.text("uid", g.UID)
	o.text("name", g.Name)
	o.text("type", g.Type)
	o.texts("privileges", g.Privileges)
}

func writePolicy(o object, p *schema.Policy) {
	o.text("uid", p.UID)
	o.text("name", p.Name)
}

func writeEntity(o object, m *schema.ManagedEntity) {
	o.text("uid", m.UID)
	o.text("name", m.Name)
	o.int32("type_id", m.TypeID)
	o.text("type", m.Type)
	o.text("data", m.Data)
	nest(o, "org", m.Org, writeOrganization)
	nest(o, "policy", m.Policy, writePolicy)
	nest(o, "group", m.Group, writeGroup)
}

func writeResource(o object, r *schema.ResourceDetails) {
	o.text("uid", r.UID)
	o.text("name", r.Name)
	o.text("type", r.Type)
	o.text("region", r.Region)
	o.texts("labels", r.Labels)
	o.text("data", r.Data)
}

func writeSession(o object, s *schema.Session) {
	o.text("uid", s.UID)
	o.text("uid_alt", s.UIDAlt)
	o.text("issuer", s.Issuer)
	o.text("credential_uid", s.CredentialUID)
	o.bool("is_mfa", s.IsMFA)
	o.int64("created_time", s.CreatedTime)
	o.time("created_time_dt", s.CreatedTimeDT)
}

func writeEndpoint(o object, p *schema.NetworkEndpoint) {
	o.text("ip", p.IP)
	o.text("hostname", p.Hostname)
	o.text("svc_name", p.SvcName)
	o.text("uid", p.UID)
	o.int32("type_id", p.TypeID)
	o.text("type", p.Type)
	nest(o, "location", p.Location, writeLocation)
}

func writeLocation(o object, l *schema.Location) {
	o.text("city", l.City)
	o.text("country", l.Country)
	o.text("continent", l.Continent)
	o.text("region", l.Region)
	o.text("desc", l.Desc)
	o.float("lat", l.Lat)
	o.float("long", l.Long)
}

func writeHTTPRequest(o object, r *schema.HTTPRequest) {
	o.text("http_method", r.HTTPMethod)
	o.text("user_agent", r.UserAgent)
	o.text("referrer", r.Referrer)
	nest(o, "url", r.URL, writeURL)
}

func writeURL(o object, u *schema.URL) {
	o.text("url_string", u.URLString)
	o.text("hostname", u.Hostname)
	o.text("path", u.Path)
	o.text("query_string", u.QueryString)
}

func writeObservable(o object, b *schema.Observable) {
	o.must("name", b.Name)
	o.int("type_id", int64(b.TypeID))
	o.must("type", b.Type)
	o.text("value", b.Value)
}
