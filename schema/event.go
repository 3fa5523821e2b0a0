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
	// Time is when it happened: epoch milliseconds, UTC.
	Time int64 `json:"time" parquet:"time"`
	// TimeDT is time as a timestamp; both always agree.
	TimeDT time.Time `json:"time_dt" parquet:"time_dt,timestamp(millisecond)"`
	// TimezoneOffset is 0: all times are UTC.
	TimezoneOffset int32 `json:"timezone_offset" parquet:"timezone_offset"`

	// ClassUID is the OCSF class.
	ClassUID int32 `json:"class_uid" parquet:"class_uid"`
	// ClassName is the class by name.
	ClassName string `json:"class_name" parquet:"class_name,dict"`
	// CategoryUID is the OCSF category: 3 identity and access, 6 application
	// activity.
	CategoryUID int32 `json:"category_uid" parquet:"category_uid"`
	// CategoryName is the category by name.
	CategoryName string `json:"category_name" parquet:"category_name,dict"`
	// ActivityID is what was done, in the class's numbers; 99 is other.
	ActivityID int32 `json:"activity_id" parquet:"activity_id"`
	// ActivityName is what was done; the vendor's own word for 99.
	ActivityName string `json:"activity_name" parquet:"activity_name,dict"`
	// TypeUID is class_uid * 100 + activity_id.
	TypeUID int64 `json:"type_uid" parquet:"type_uid"`
	// TypeName is class and activity by name.
	TypeName string `json:"type_name" parquet:"type_name,dict"`
	// SeverityID is 1 (normal) to 5; the levels are explained above.
	SeverityID int32 `json:"severity_id" parquet:"severity_id"`
	// Severity is the severity by name.
	Severity string `json:"severity" parquet:"severity,dict"`
	// StatusID is 1 for success, 2 for failure, 0 for not known, 99 for other.
	StatusID int32 `json:"status_id" parquet:"status_id"`
	// Status is the status by name; the vendor's own word for 99.
	Status string `json:"status,omitempty" parquet:"status,dict,optional"`
	// StatusCode is the vendor's code of the outcome.
	StatusCode string `json:"status_code,omitempty" parquet:"status_code,dict,optional"`
	// StatusDetail is why it came out so.
	StatusDetail string `json:"status_detail,omitempty" parquet:"status_detail,optional"`
	// Message is what happened, as a sentence for people.
	Message string `json:"message,omitempty" parquet:"message,optional"`

	// Count is how often it happened, where the record is a summary.
	Count *int32 `json:"count,omitempty" parquet:"count,optional"`
	// StartTime is when the span it tells of began: epoch milliseconds.
	StartTime *int64 `json:"start_time,omitempty" parquet:"start_time,optional"`
	// StartTimeDT is start_time as a timestamp.
	StartTimeDT *time.Time `json:"start_time_dt,omitempty" parquet:"start_time_dt,optional,timestamp(millisecond)"`
	// EndTime is when the span it tells of ended: epoch milliseconds.
	EndTime *int64 `json:"end_time,omitempty" parquet:"end_time,optional"`
	// EndTimeDT is end_time as a timestamp.
	EndTimeDT *time.Time `json:"end_time_dt,omitempty" parquet:"end_time_dt,optional,timestamp(millisecond)"`

	// Metadata is where the event comes from and what names it.
	Metadata Metadata `json:"metadata" parquet:"metadata"`
	// Cloud is the tenant or the account it happened in.
	Cloud *Cloud `json:"cloud,omitempty" parquet:"cloud,optional"`
	// API is the call that was made.
	API *API `json:"api,omitempty" parquet:"api,optional"`

	// Actor is who acted.
	Actor *Actor `json:"actor,omitempty" parquet:"actor,optional"`
	// User is whom it happened to; in a sign-in who signs in.
	User *UserObject `json:"user,omitempty" parquet:"user,optional"`
	// UserResult is the user after a change.
	UserResult *UserObject `json:"user_result,omitempty" parquet:"user_result,optional"`
	// Group is the group, role or organization that was changed.
	Group *Group `json:"group,omitempty" parquet:"group,optional"`
	// Privileges are the privileges given or taken: roles, permissions, policies.
	Privileges []string `json:"privileges,omitempty" parquet:"privileges,optional,list"`
	// Policy is the policy attached or detached.
	Policy *Policy `json:"policy,omitempty" parquet:"policy,optional"`
	// Entity is what Entity Management is about.
	Entity *ManagedEntity `json:"entity,omitempty" parquet:"entity,optional"`
	// EntityResult is the entity after a change.
	EntityResult *ManagedEntity `json:"entity_result,omitempty" parquet:"entity_result,optional"`
	// Resource is what the privileges are on.
	Resource *ResourceDetails `json:"resource,omitempty" parquet:"resource,optional"`
	// Resources are what an API call acted upon.
	Resources []ResourceDetails `json:"resources,omitempty" parquet:"resources,optional,list"`
	// Comment is a remark on a change.
	Comment string `json:"comment,omitempty" parquet:"comment,optional"`

	// AuthProtocolID is how somebody signed in: 4 OpenID, 5 SAML, 6 OAuth 2.0, 99
	// other.
	AuthProtocolID *int32 `json:"auth_protocol_id,omitempty" parquet:"auth_protocol_id,optional"`
	// AuthProtocol is the protocol by name.
	AuthProtocol string `json:"auth_protocol,omitempty" parquet:"auth_protocol,dict,optional"`
	// LogonTypeID is the type of logon: 1 system, 2 interactive, 3 network.
	LogonTypeID *int32 `json:"logon_type_id,omitempty" parquet:"logon_type_id,optional"`
	// LogonType is the type of logon by name.
	LogonType string `json:"logon_type,omitempty" parquet:"logon_type,dict,optional"`
	// IsMFA says whether a second factor was used; null is not known.
	IsMFA *bool `json:"is_mfa,omitempty" parquet:"is_mfa,optional"`
	// IsRemote says whether the logon came over a network.
	IsRemote *bool `json:"is_remote,omitempty" parquet:"is_remote,optional"`
	// Service is what was signed in to.
	Service *Service `json:"service,omitempty" parquet:"service,optional"`
	// Session is the session a sign-in began or ended.
	Session *Session `json:"session,omitempty" parquet:"session,optional"`

	// SrcEndpoint is where the call came from.
	SrcEndpoint *NetworkEndpoint `json:"src_endpoint,omitempty" parquet:"src_endpoint,optional"`
	// DstEndpoint is the host that was called.
	DstEndpoint *NetworkEndpoint `json:"dst_endpoint,omitempty" parquet:"dst_endpoint,optional"`
	// HTTPRequest is the HTTP side of it.
	HTTPRequest *HTTPRequest `json:"http_request,omitempty" parquet:"http_request,optional"`

	// Observables are the values people search for, with the attribute each stands
	// in.
	Observables []Observable `json:"observables,omitempty" parquet:"observables,optional,list"`

	// Unmapped is what no other column takes: dotted keys, values as text.
	Unmapped map[string]string `json:"unmapped,omitempty" parquet:"unmapped,optional"`
	// RawData is the scrubbed record as landed (invalid UTF-8 replaced).
	RawData string `json:"raw_data,omitempty" parquet:"raw_data,optional"`
}

// Metadata is OCSF metadata: where the event comes from and what names it.
type Metadata struct {
	// Version is the version of OCSF.
	Version string `json:"version" parquet:"version,dict"`
	// UID is the vendor's own id of the record, "#n" (from 1) behind it where one
	// record gives several events. With product.name it is the key.
	UID string `json:"uid" parquet:"uid"`
	// CorrelationUID holds together the events of one transaction, or of one record.
	CorrelationUID string `json:"correlation_uid,omitempty" parquet:"correlation_uid,optional"`
	// EventCode is the vendor's own word for the event.
	EventCode string `json:"event_code,omitempty" parquet:"event_code,dict,optional"`
	// OriginalTime is the time as the record has it.
	OriginalTime string `json:"original_time,omitempty" parquet:"original_time,optional"`
	// TenantUID is the tenant or the user pool.
	TenantUID string `json:"tenant_uid,omitempty" parquet:"tenant_uid,dict,optional"`
	// LogName is the log.
	LogName string `json:"log_name,omitempty" parquet:"log_name,dict,optional"`
	// LogProvider is what wrote the log, or the AWS service that was called.
	LogProvider string `json:"log_provider,omitempty" parquet:"log_provider,dict,optional"`
	// LogVersion is the version of the log's form.
	LogVersion string `json:"log_version,omitempty" parquet:"log_version,dict,optional"`
	// Profiles are the OCSF profiles used.
	Profiles []string `json:"profiles,omitempty" parquet:"profiles,optional,list"`
	// Labels are marks, "name" or "name:value"; the list is above.
	Labels []string `json:"labels,omitempty" parquet:"labels,optional,list"`
	// Product is the product whose log it is.
	Product Product `json:"product" parquet:"product"`
}

// Product names what wrote the log.
type Product struct {
	// Name is the product.
	Name string `json:"name" parquet:"name,dict"`
	// VendorName is who makes it.
	VendorName string `json:"vendor_name" parquet:"vendor_name,dict"`
	// Version is the version of the record's form.
	Version string `json:"version,omitempty" parquet:"version,dict,optional"`
	// Feature is the part of the product.
	Feature *Feature `json:"feature,omitempty" parquet:"feature,optional"`
}

// Feature is a part of a product.
type Feature struct {
	// Name is the part of the product, or the category of events.
	Name string `json:"name,omitempty" parquet:"name,dict,optional"`
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
}

// Cloud is the cloud profile: provider, region and account.
type Cloud struct {
	// Provider is who runs it.
	Provider string `json:"provider" parquet:"provider,dict"`
	// Region is the region or environment.
	Region string `json:"region,omitempty" parquet:"region,dict,optional"`
	// Account is the account or tenant.
	Account *Account `json:"account,omitempty" parquet:"account,optional"`
}

// Account is a cloud account or a tenant.
type Account struct {
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,dict,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
	// TypeID is 10 for an AWS account, 99 for an Auth0 tenant.
	TypeID *int32 `json:"type_id,omitempty" parquet:"type_id,optional"`
	// Type is the type by name.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
}

// API is the call that was made.
type API struct {
	// Operation is the operation called.
	Operation string `json:"operation" parquet:"operation,dict"`
	// Version is the API's version.
	Version string `json:"version,omitempty" parquet:"version,dict,optional"`
	// Service is the service that has it.
	Service *Service `json:"service,omitempty" parquet:"service,optional"`
	// Request is what was asked.
	Request *Request `json:"request,omitempty" parquet:"request,optional"`
	// Response is what was answered.
	Response *Response `json:"response,omitempty" parquet:"response,optional"`
}

// Service is what was called or signed in to.
type Service struct {
	// Name is the service or application.
	Name string `json:"name,omitempty" parquet:"name,dict,optional"`
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,dict,optional"`
	// Version is its version.
	Version string `json:"version,omitempty" parquet:"version,dict,optional"`
}

// Request is an API request; Data is JSON text, scrubbed.
type Request struct {
	// UID is the request's id.
	UID string `json:"uid" parquet:"uid"`
	// Flags are marks of the request.
	Flags []string `json:"flags,omitempty" parquet:"flags,optional,list"`
	// Data is what was asked: JSON text, scrubbed.
	Data string `json:"data,omitempty" parquet:"data,optional"`
}

// Response is an API response; Data is JSON text, scrubbed.
type Response struct {
	// Code is the HTTP status.
	Code *int32 `json:"code,omitempty" parquet:"code,optional"`
	// Error is the error's code.
	Error string `json:"error,omitempty" parquet:"error,dict,optional"`
	// ErrorMessage is the error's text.
	ErrorMessage string `json:"error_message,omitempty" parquet:"error_message,optional"`
	// Message is the text of the answer.
	Message string `json:"message,omitempty" parquet:"message,optional"`
	// Data is what was answered: JSON text, scrubbed.
	Data string `json:"data,omitempty" parquet:"data,optional"`
}

// Actor is who acted.
type Actor struct {
	// User is the user who acted.
	User *UserObject `json:"user,omitempty" parquet:"user,optional"`
	// Session is the session they acted in.
	Session *Session `json:"session,omitempty" parquet:"session,optional"`
	// IDP is the identity provider, an Auth0 connection for one.
	IDP *IDP `json:"idp,omitempty" parquet:"idp,optional"`
	// AppName is the application they acted through.
	AppName string `json:"app_name,omitempty" parquet:"app_name,dict,optional"`
	// AppUID is the application's id, a client id.
	AppUID string `json:"app_uid,omitempty" parquet:"app_uid,dict,optional"`
}

// IDP is the identity provider, an Auth0 connection for one.
type IDP struct {
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,dict,optional"`
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,dict,optional"`
}

// UserObject is OCSF's user inside an event. The user of a snapshot is [User].
type UserObject struct {
	// UID is the vendor's immutable id; equals users.user_id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// UIDAlt is a second id of the same user.
	UIDAlt string `json:"uid_alt,omitempty" parquet:"uid_alt,optional"`
	// Name is the user name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
	// FullName is the name as people write it.
	FullName string `json:"full_name,omitempty" parquet:"full_name,optional"`
	// EmailAddr is the e-mail address.
	EmailAddr string `json:"email_addr,omitempty" parquet:"email_addr,optional"`
	// Domain is the connection or user pool they belong to.
	Domain string `json:"domain,omitempty" parquet:"domain,dict,optional"`
	// TypeID is 1 user, 2 admin, 3 system (an application or service), 0 not known,
	// 99 other.
	TypeID *int32 `json:"type_id,omitempty" parquet:"type_id,optional"`
	// Type is the type by name.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
	// CredentialUID is the access key or credential used.
	CredentialUID string `json:"credential_uid,omitempty" parquet:"credential_uid,optional"`
	// Account is the account they belong to.
	Account *Account `json:"account,omitempty" parquet:"account,optional"`
	// Org is the organization they act in.
	Org *Organization `json:"org,omitempty" parquet:"org,optional"`
	// Groups are the groups they are in.
	Groups []Group `json:"groups,omitempty" parquet:"groups,optional,list"`
}

// Organization is an organization of a tenant.
type Organization struct {
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
}

// Group is a group, a role or an organization that has members.
type Group struct {
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
	// Type is what it is: a group, a role or an organization.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
	// Privileges are the privileges it has.
	Privileges []string `json:"privileges,omitempty" parquet:"privileges,optional,list"`
}

// Policy is a policy attached or detached.
type Policy struct {
	// UID is its id or ARN.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
}

// ManagedEntity is what Entity Management is about; Data is JSON text.
type ManagedEntity struct {
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
	// TypeID is 2 user, 3 group, 4 organization, 5 policy, 99 other, 0 not known.
	TypeID *int32 `json:"type_id,omitempty" parquet:"type_id,optional"`
	// Type is the type by name.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
	// Data is its settings: JSON text, scrubbed.
	Data string `json:"data,omitempty" parquet:"data,optional"`
	// Org is the organization, where it is one.
	Org *Organization `json:"org,omitempty" parquet:"org,optional"`
	// Policy is the policy, where it is one.
	Policy *Policy `json:"policy,omitempty" parquet:"policy,optional"`
	// Group is the group, where it is one.
	Group *Group `json:"group,omitempty" parquet:"group,optional"`
}

// ResourceDetails is a resource acted upon; Data is JSON text.
type ResourceDetails struct {
	// UID is its id or ARN.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// Name is its name.
	Name string `json:"name,omitempty" parquet:"name,optional"`
	// Type is what it is.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
	// Region is its region.
	Region string `json:"region,omitempty" parquet:"region,dict,optional"`
	// Labels are marks of it.
	Labels []string `json:"labels,omitempty" parquet:"labels,optional,list"`
	// Data is more of it: JSON text, scrubbed.
	Data string `json:"data,omitempty" parquet:"data,optional"`
}

// Session is the session an act belongs to. CreatedTime is epoch milliseconds.
type Session struct {
	// UID is its id.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// UIDAlt is a second id.
	UIDAlt string `json:"uid_alt,omitempty" parquet:"uid_alt,optional"`
	// Issuer is who issued it: a role.
	Issuer string `json:"issuer,omitempty" parquet:"issuer,optional"`
	// CredentialUID is the credential it stands on.
	CredentialUID string `json:"credential_uid,omitempty" parquet:"credential_uid,optional"`
	// IsMFA says whether a second factor was used; null is not known.
	IsMFA *bool `json:"is_mfa,omitempty" parquet:"is_mfa,optional"`
	// CreatedTime is when it began: epoch milliseconds.
	CreatedTime *int64 `json:"created_time,omitempty" parquet:"created_time,optional"`
	// CreatedTimeDT is created_time as a timestamp.
	CreatedTimeDT *time.Time `json:"created_time_dt,omitempty" parquet:"created_time_dt,optional,timestamp(millisecond)"`
}

// NetworkEndpoint is a source or a destination.
type NetworkEndpoint struct {
	// IP is its address.
	IP string `json:"ip,omitempty" parquet:"ip,optional"`
	// Hostname is its host name.
	Hostname string `json:"hostname,omitempty" parquet:"hostname,dict,optional"`
	// SvcName is the service, where a service calls, or is called by that name.
	SvcName string `json:"svc_name,omitempty" parquet:"svc_name,dict,optional"`
	// UID is its id: a VPC endpoint.
	UID string `json:"uid,omitempty" parquet:"uid,optional"`
	// TypeID is 5 for a mobile device.
	TypeID *int32 `json:"type_id,omitempty" parquet:"type_id,optional"`
	// Type is the type by name.
	Type string `json:"type,omitempty" parquet:"type,dict,optional"`
	// Location is where it is.
	Location *Location `json:"location,omitempty" parquet:"location,optional"`
}

// Location is where an endpoint is; Country is ISO 3166-1 alpha-2, upper case.
type Location struct {
	// City is the city.
	City string `json:"city,omitempty" parquet:"city,dict,optional"`
	// Country is ISO 3166-1 alpha-2, upper case.
	Country string `json:"country,omitempty" parquet:"country,dict,optional"`
	// Continent is the continent by name.
	Continent string `json:"continent,omitempty" parquet:"continent,dict,optional"`
	// Region is the region.
	Region string `json:"region,omitempty" parquet:"region,dict,optional"`
	// Desc is the country as the vendor names it.
	Desc string `json:"desc,omitempty" parquet:"desc,dict,optional"`
	// Lat is the latitude.
	Lat *float64 `json:"lat,omitempty" parquet:"lat,optional"`
	// Long is the longitude.
	Long *float64 `json:"long,omitempty" parquet:"long,optional"`
}

// HTTPRequest is the HTTP side of an act. OCSF 1.3 knows no PATCH: it is left
// out there and kept in Unmapped.
type HTTPRequest struct {
	// HTTPMethod is the method; PATCH, which OCSF 1.3 does not know, is in unmapped.
	HTTPMethod string `json:"http_method,omitempty" parquet:"http_method,dict,optional"`
	// UserAgent is what the client says it is.
	UserAgent string `json:"user_agent,omitempty" parquet:"user_agent,dict,optional"`
	// Referrer is the page it came from.
	Referrer string `json:"referrer,omitempty" parquet:"referrer,optional"`
	// URL is what was called.
	URL *URL `json:"url,omitempty" parquet:"url,optional"`
}

// URL is a request's URL.
type URL struct {
	// URLString is all of it.
	URLString string `json:"url_string,omitempty" parquet:"url_string,optional"`
	// Hostname is the host.
	Hostname string `json:"hostname,omitempty" parquet:"hostname,dict,optional"`
	// Path is the path.
	Path string `json:"path,omitempty" parquet:"path,optional"`
	// QueryString is the query.
	QueryString string `json:"query_string,omitempty" parquet:"query_string,optional"`
}

// Observable is a value people search for, with the attribute it stands in.
type Observable struct {
	// Name is the attribute it stands in.
	Name string `json:"name" parquet:"name,dict"`
	// TypeID is what it is: 1 host, 2 IP address, 4 user name, 5 e-mail address, 10
	// resource, 14 country, 16 user agent, 19 credential.
	TypeID int32 `json:"type_id" parquet:"type_id"`
	// Type is the type by name.
	Type string `json:"type" parquet:"type,dict"`
	// Value is the value.
	Value string `json:"value,omitempty" parquet:"value,optional"`
}
