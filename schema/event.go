package schema

import "time"

// OCSFVersion is the schema version every event states in metadata.version.
const OCSFVersion = "1.3.0"

// The OCSF classes idtrail emits.
const (
	// ClassBase is what idtrail tells of itself: gaps, runs, drift, chain heads.
	ClassBase             int32 = 0
	ClassAccountChange    int32 = 3001
	ClassAuthentication   int32 = 3002
	ClassEntityManagement int32 = 3004
	ClassUserAccess       int32 = 3005
	ClassGroupManagement  int32 = 3006
	ClassAPIActivity      int32 = 6003
)

// The status_id values of OCSF.
const (
	StatusUnknown int32 = 0
	StatusSuccess int32 = 1
	StatusFailure int32 = 2
	StatusOther   int32 = 99
)

// ActivityOther is the activity_id of an activity OCSF has no number for; the
// event's activity_name then carries the source's own word.
const ActivityOther int32 = 99

// Event is one OCSF event: the columns of table events, all classes in one.
// What a class does not have is nil. It holds only what its raw record says, so
// that mapping the same record again gives the same bytes.
//
// Columns are only ever added: see CONTRIBUTING.md, "Add a column".
type Event struct {
	// Time is the event's instant in epoch milliseconds, UTC; TimeDT the same
	// as a timestamp. Both always agree.
	Time           int64     `json:"time" parquet:"time"`
	TimeDT         time.Time `json:"time_dt" parquet:"time_dt,timestamp(millisecond)"`
	TimezoneOffset int32     `json:"timezone_offset" parquet:"timezone_offset"`

	ClassUID     int32  `json:"class_uid" parquet:"class_uid"`
	ClassName    string `json:"class_name" parquet:"class_name,dict"`
	CategoryUID  int32  `json:"category_uid" parquet:"category_uid"`
	CategoryName string `json:"category_name" parquet:"category_name,dict"`
	ActivityID   int32  `json:"activity_id" parquet:"activity_id"`
	ActivityName string `json:"activity_name" parquet:"activity_name,dict"`
	TypeUID      int64  `json:"type_uid" parquet:"type_uid"`
	TypeName     string `json:"type_name" parquet:"type_name,dict"`
	SeverityID   int32  `json:"severity_id" parquet:"severity_id"`
	Severity     string `json:"severity" parquet:"severity,dict"`
	StatusID     int32  `json:"status_id" parquet:"status_id"`
	Status       string `json:"status,omitempty" parquet:"status,dict,optional"`
	StatusCode   string `json:"status_code,omitempty" parquet:"status_code,dict,optional"`
	StatusDetail string `json:"status_detail,omitempty" parquet:"status_detail,optional"`
	Message      string `json:"message,omitempty" parquet:"message,optional"`

	Count       *int32     `json:"count,omitempty" parquet:"count,optional"`
	StartTime   *int64     `json:"start_time,omitempty" parquet:"start_time,optional"`
	StartTimeDT *time.Time `json:"start_time_dt,omitempty" parquet:"start_time_dt,optional,timestamp(millisecond)"`
	EndTime     *int64     `json:"end_time,omitempty" parquet:"end_time,optional"`
	EndTimeDT   *time.Time `json:"end_time_dt,omitempty" parquet:"end_time_dt,optional,timestamp(millisecond)"`

	Metadata Metadata `json:"metadata" parquet:"metadata"`
	Cloud    *Cloud   `json:"cloud,omitempty" parquet:"cloud,optional"`
	API      *API     `json:"api,omitempty" parquet:"api,optional"`

	Actor        *Actor            `json:"actor,omitempty" parquet:"actor,optional"`
	User         *UserObject       `json:"user,omitempty" parquet:"user,optional"`
	UserResult   *UserObject       `json:"user_result,omitempty" parquet:"user_result,optional"`
	Group        *Group            `json:"group,omitempty" parquet:"group,optional"`
	Privileges   []string          `json:"privileges,omitempty" parquet:"privileges,optional,list"`
	Policy       *Policy           `json:"policy,omitempty" parquet:"policy,optional"`
	Entity       *ManagedEntity    `json:"entity,omitempty" parquet:"entity,optional"`
	EntityResult *ManagedEntity    `json:"entity_result,omitempty" parquet:"entity_result,optional"`
	Resource     *ResourceDetails  `json:"resource,omitempty" parquet:"resource,optional"`
	Resources    []ResourceDetails `json:"resources,omitempty" parquet:"resources,optional,list"`
	Comment      string            `json:"comment,omitempty" parquet:"comment,optional"`

	AuthProtocolID *int32   `json:"auth_protocol_id,omitempty" parquet:"auth_protocol_id,optional"`
	AuthProtocol   string   `json:"auth_protocol,omitempty" parquet:"auth_protocol,dict,optional"`
	LogonTypeID    *int32   `json:"logon_type_id,omitempty" parquet:"logon_type_id,optional"`
	LogonType      string   `json:"logon_type,omitempty" parquet:"logon_type,dict,optional"`
	IsMFA          *bool    `json:"is_mfa,omitempty" parquet:"is_mfa,optional"`
	IsRemote       *bool    `json:"is_remote,omitempty" parquet:"is_remote,optional"`
	Service        *Service `json:"service,omitempty" parquet:"service,optional"`
	Session        *Session `json:"session,omitempty" parquet:"session,optional"`

	SrcEndpoint *NetworkEndpoint `json:"src_endpoint,omitempty" parquet:"src_endpoint,optional"`
	DstEndpoint *NetworkEndpoint `json:"dst_endpoint,omitempty" parquet:"dst_endpoint,optional"`
	HTTPRequest *HTTPRequest     `json:"http_request,omitempty" parquet:"http_request,optional"`

	Observables []Observable `json:"observables,omitempty" parquet:"observables,optional,list"`

	// Unmapped is what no attribute takes: dotted keys, values as text.
	Unmapped map[string]string `json:"unmapped,omitempty" parquet:"unmapped,optional"`
	// RawData is the scrubbed record as landed (invalid UTF-8 replaced).
	RawData string `json:"raw_data,omitempty" parquet:"raw_data,optional"`
}

// Metadata is OCSF metadata: where the event comes from and what names it.
type Metadata struct {
	Version string `json:"version" parquet:"version,dict"`
	// UID is the source's own id of the record, "#n" (from 1) behind it where
	// one record gives several events. With Product.Name it is the key.
	UID            string   `json:"uid" parquet:"uid"`
	CorrelationUID string   `json:"correlation_uid,omitempty" parquet:"correlation_uid,optional"`
	EventCode      string   `json:"event_code,omitempty" parquet:"event_code,dict,optional"`
	OriginalTime   string   `json:"original_time,omitempty" parquet:"original_time,optional"`
	TenantUID      string   `json:"tenant_uid,omitempty" parquet:"tenant_uid,dict,optional"`
	LogName        string   `json:"log_name,omitempty" parquet:"log_name,dict,optional"`
	LogProvider    string   `json:"log_provider,omitempty" parquet:"log_provider,dict,optional"`
	LogVersion     string   `json:"log_version,omitempty" parquet:"log_version,dict,optional"`
	Profiles       []string `json:"profiles,omitempty" parquet:"profiles,optional,list"`
	// Labels are "name" or "name:value" marks; docs/SCHEMA.md lists ours.
	Labels  []string `json:"labels,omitempty" parquet:"labels,optional,list"`
	Product Product  `json:"product" parquet:"product"`
}

// Product names what wrote the log.
type Product struct {
	Name       string   `json:"name" parquet:"name,dict"`
	VendorName string   `json:"vendor_name" parquet:"vendor_name,dict"`
	Version    string   `json:"version,omitempty" parquet:"version,dict,optional"`
	Feature    *Feature `json:"feature,omitempty" parquet:"feature,optional"`
}

// Feature is a part of a product.
type Feature struct {
	Name string `json:"name,omitempty" parquet:"name,dict,optional"`
	UID  string `json:"uid,omitempty" parquet:"uid,optional"`
}

// Cloud is the cloud profile: provider, region and account.
type Cloud struct {
	Provider string   `json:"provider" parquet:"provider,dict"`
	Region   string   `json:"region,omitempty" parquet:"region,dict,optional"`
	Account  *Account `json:"account,omitempty" parquet:"account,optional"`
}

// Account is a cloud account or a tenant.
type Account struct {
	UID    string `json:"uid,omitempty" parquet:"uid,dict,optional"`
	Name   string `json:"name,omitempty" parquet:"name,optional"`
	TypeID *int32 `json:"type_id,omitempty" parquet:"type_id,optional"`
	Type   string `json:"type,omitempty" parquet:"type,dict,optional"`
}

// API is the call that was made.
type API struct {
	Operation string    `json:"operation" parquet:"operation,dict"`
	Version   string    `json:"version,omitempty" parquet:"version,dict,optional"`
	Service   *Service  `json:"service,omitempty" parquet:"service,optional"`
	Request   *Request  `json:"request,omitempty" parquet:"request,optional"`
	Response  *Response `json:"response,omitempty" parquet:"response,optional"`
}

// Service is what was called or signed in to.
type Service struct {
	Name    string `json:"name,omitempty" parquet:"name,dict,optional"`
	UID     string `json:"uid,omitempty" parquet:"uid,dict,optional"`
	Version string `json:"version,omitempty" parquet:"version,dict,optional"`
}

// Request is an API request; Data is JSON text, scrubbed.
type Request struct {
	UID   string   `json:"uid" parquet:"uid"`
	Flags []string `json:"flags,omitempty" parquet:"flags,optional,list"`
	Data  string   `json:"data,omitempty" parquet:"data,optional"`
}

// Response is an API response; Data is JSON text, scrubbed.
type Response struct {
	Code         *int32 `json:"code,omitempty" parquet:"code,optional"`
	Error        string `json:"error,omitempty" parquet:"error,dict,optional"`
	ErrorMessage string `json:"error_message,omitempty" parquet:"error_message,optional"`
	Message      string `json:"message,omitempty" parquet:"message,optional"`
	Data         string `json:"data,omitempty" parquet:"data,optional"`
}

// Actor is who acted.
type Actor struct {
	User    *UserObject `json:"user,omitempty" parquet:"user,optional"`
	Session *Session    `json:"session,omitempty" parquet:"session,optional"`
	IDP     *IDP        `json:"idp,omitempty" parquet:"idp,optional"`
	AppName string      `json:"app_name,omitempty" parquet:"app_name,dict,optional"`
	AppUID  string      `json:"app_uid,omitempty" parquet:"app_uid,dict,optional"`
}

// IDP is the identity provider, an Auth0 connection for one.
type IDP struct {
	Name string `json:"name,omitempty" parquet:"name,dict,optional"`
	UID  string `json:"uid,omitempty" parquet:"uid,dict,optional"`
}

// UserObject is OCSF's user inside an event. The user of a snapshot is [User].
type UserObject struct {
	UID           string        `json:"uid,omitempty" parquet:"uid,optional"`
	UIDAlt        string        `json:"uid_alt,omitempty" parquet:"uid_alt,optional"`
	Name          string        `json:"name,omitempty" parquet:"name,optional"`
	FullName      string        `json:"full_name,omitempty" parquet:"full_name,optional"`
	EmailAddr     string        `json:"email_addr,omitempty" parquet:"email_addr,optional"`
	Domain        string        `json:"domain,omitempty" parquet:"domain,dict,optional"`
	TypeID        *int32        `json:"type_id,omitempty" parquet:"type_id,optional"`
	Type          string        `json:"type,omitempty" parquet:"type,dict,optional"`
	CredentialUID string        `json:"credential_uid,omitempty" parquet:"credential_uid,optional"`
	Account       *Account      `json:"account,omitempty" parquet:"account,optional"`
	Org           *Organization `json:"org,omitempty" parquet:"org,optional"`
	Groups        []Group       `json:"groups,omitempty" parquet:"groups,optional,list"`
}

// Organization is an organization of a tenant.
type Organization struct {
	UID  string `json:"uid,omitempty" parquet:"uid,optional"`
	Name string `json:"name,omitempty" parquet:"name,optional"`
}

// Group is a group, a role or an organization that has members.
type Group struct {
	UID        string   `json:"uid,omitempty" parquet:"uid,optional"`
	Name       string   `json:"name,omitempty" parquet:"name,optional"`
	Type       string   `json:"type,omitempty" parquet:"type,dict,optional"`
	Privileges []string `json:"privileges,omitempty" parquet:"privileges,optional,list"`
}

// Policy is a policy attached or detached.
type Policy struct {
	UID  string `json:"uid,omitempty" parquet:"uid,optional"`
	Name string `json:"name,omitempty" parquet:"name,optional"`
}

// ManagedEntity is what Entity Management is about; Data is JSON text.
type ManagedEntity struct {
	UID    string        `json:"uid,omitempty" parquet:"uid,optional"`
	Name   string        `json:"name,omitempty" parquet:"name,optional"`
	TypeID *int32        `json:"type_id,omitempty" parquet:"type_id,optional"`
	Type   string        `json:"type,omitempty" parquet:"type,dict,optional"`
	Data   string        `json:"data,omitempty" parquet:"data,optional"`
	Org    *Organization `json:"org,omitempty" parquet:"org,optional"`
	Policy *Policy       `json:"policy,omitempty" parquet:"policy,optional"`
	Group  *Group        `json:"group,omitempty" parquet:"group,optional"`
}

// ResourceDetails is a resource acted upon; Data is JSON text.
type ResourceDetails struct {
	UID    string   `json:"uid,omitempty" parquet:"uid,optional"`
	Name   string   `json:"name,omitempty" parquet:"name,optional"`
	Type   string   `json:"type,omitempty" parquet:"type,dict,optional"`
	Region string   `json:"region,omitempty" parquet:"region,dict,optional"`
	Labels []string `json:"labels,omitempty" parquet:"labels,optional,list"`
	Data   string   `json:"data,omitempty" parquet:"data,optional"`
}

// Session is the session an act belongs to. CreatedTime is epoch milliseconds.
type Session struct {
	UID           string     `json:"uid,omitempty" parquet:"uid,optional"`
	UIDAlt        string     `json:"uid_alt,omitempty" parquet:"uid_alt,optional"`
	Issuer        string     `json:"issuer,omitempty" parquet:"issuer,optional"`
	CredentialUID string     `json:"credential_uid,omitempty" parquet:"credential_uid,optional"`
	IsMFA         *bool      `json:"is_mfa,omitempty" parquet:"is_mfa,optional"`
	CreatedTime   *int64     `json:"created_time,omitempty" parquet:"created_time,optional"`
	CreatedTimeDT *time.Time `json:"created_time_dt,omitempty" parquet:"created_time_dt,optional,timestamp(millisecond)"`
}

// NetworkEndpoint is a source or a destination.
type NetworkEndpoint struct {
	IP       string    `json:"ip,omitempty" parquet:"ip,optional"`
	Hostname string    `json:"hostname,omitempty" parquet:"hostname,dict,optional"`
	SvcName  string    `json:"svc_name,omitempty" parquet:"svc_name,dict,optional"`
	UID      string    `json:"uid,omitempty" parquet:"uid,optional"`
	TypeID   *int32    `json:"type_id,omitempty" parquet:"type_id,optional"`
	Type     string    `json:"type,omitempty" parquet:"type,dict,optional"`
	Location *Location `json:"location,omitempty" parquet:"location,optional"`
}

// Location is where an endpoint is; Country is ISO 3166-1 alpha-2, upper case.
type Location struct {
	City      string   `json:"city,omitempty" parquet:"city,dict,optional"`
	Country   string   `json:"country,omitempty" parquet:"country,dict,optional"`
	Continent string   `json:"continent,omitempty" parquet:"continent,dict,optional"`
	Region    string   `json:"region,omitempty" parquet:"region,dict,optional"`
	Desc      string   `json:"desc,omitempty" parquet:"desc,dict,optional"`
	Lat       *float64 `json:"lat,omitempty" parquet:"lat,optional"`
	Long      *float64 `json:"long,omitempty" parquet:"long,optional"`
}

// HTTPRequest is the HTTP side of an act. OCSF 1.3 knows no PATCH: it is left
// out there and kept in Unmapped.
type HTTPRequest struct {
	HTTPMethod string `json:"http_method,omitempty" parquet:"http_method,dict,optional"`
	UserAgent  string `json:"user_agent,omitempty" parquet:"user_agent,dict,optional"`
	Referrer   string `json:"referrer,omitempty" parquet:"referrer,optional"`
	URL        *URL   `json:"url,omitempty" parquet:"url,optional"`
}

// URL is a request's URL.
type URL struct {
	URLString   string `json:"url_string,omitempty" parquet:"url_string,optional"`
	Hostname    string `json:"hostname,omitempty" parquet:"hostname,dict,optional"`
	Path        string `json:"path,omitempty" parquet:"path,optional"`
	QueryString string `json:"query_string,omitempty" parquet:"query_string,optional"`
}

// Observable is a value people search for, with the attribute it stands in.
type Observable struct {
	Name   string `json:"name" parquet:"name,dict"`
	TypeID int32  `json:"type_id" parquet:"type_id"`
	Type   string `json:"type" parquet:"type,dict"`
	Value  string `json:"value,omitempty" parquet:"value,optional"`
}
