package fake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Logs are the tenant's log records. Each is made when it is asked for.
func (t *Tenant) Logs() Logs { return tenantLogs{t} }

type tenantLogs struct{ t *Tenant }

func (l tenantLogs) Len() int { return l.t.opts.Logs }

// ID embeds the time the record was taken in, as Auth0's ids do.
func (l tenantLogs) ID(i int) string {
	at := l.taken(i)
	return fmt.Sprintf("900%s%03d%028d%08d", at.Format("20060102150405"), at.Nanosecond()/1e6, 1223372036854775, i)
}

func (l tenantLogs) taken(i int) time.Time { return l.t.moment(i, l.t.opts.Logs, 0.5) }

// Log makes the i-th record.
func (l tenantLogs) Log(i int) []byte {
	g := &logMaker{t: l.t, r: l.t.draw(streamLog, i), i: i}
	g.user = g.someone()
	// The date is a little before the time in the id, so dates are not in order.
	date := l.taken(i).Add(-time.Duration(10+g.r.IntN(5000)) * time.Millisecond)
	g.rec = logRecord{
		ID: l.ID(i), LogID: l.ID(i), Date: iso(date), Tenant: TenantName, Environment: "prod-eu",
		Schema: map[string]string{"version": "1.0.0"}, IP: l.t.ip(g.user.index), UserAgent: pick(g.r, userAgents),
		IsMobile: new(g.r.IntN(4) == 0),
	}
	g.fill(pickType(g.r))
	if odd := l.t.oddity(i); odd != "" {
		return g.makeOdd(odd)
	}
	return g.text()
}

// logRecord has the fields of a log record in the order the API sends them.
type logRecord struct {
	Date          any               `json:"date,omitempty"`
	Type          any               `json:"type,omitempty"`
	Description   *string           `json:"description,omitempty"`
	Connection    string            `json:"connection,omitempty"`
	ConnectionID  string            `json:"connection_id,omitempty"`
	ClientID      string            `json:"client_id,omitempty"`
	ClientName    string            `json:"client_name,omitempty"`
	IP            string            `json:"ip,omitempty"`
	ClientIP      string            `json:"client_ip,omitempty"`
	UserAgent     string            `json:"user_agent,omitempty"`
	Details       any               `json:"details,omitempty"`
	Hostname      string            `json:"hostname,omitempty"`
	UserID        any               `json:"user_id,omitempty"`
	UserName      string            `json:"user_name,omitempty"`
	IdentityUser  string            `json:"identity_user_id,omitempty"`
	Organization  string            `json:"organization_id,omitempty"`
	OrgName       string            `json:"organization_name,omitempty"`
	Audience      string            `json:"audience,omitempty"`
	Scope         any               `json:"scope,omitempty"`
	Strategy      string            `json:"strategy,omitempty"`
	StrategyType  string            `json:"strategy_type,omitempty"`
	Auth0Client   map[string]any    `json:"auth0_client,omitempty"`
	Location      map[string]any    `json:"location_info,omitempty"`
	Security      map[string]string `json:"security_context,omitempty"`
	References    map[string]string `json:"references,omitempty"`
	LogID         string            `json:"log_id,omitempty"`
	ID            string            `json:"_id,omitempty"`
	IsMobile      *bool             `json:"isMobile,omitempty"`
	IsMobileOther *bool             `json:"is_mobile,omitempty"`
	Tenant        string            `json:"tenant_name,omitempty"`
	Environment   string            `json:"environment_name,omitempty"`
	Schema        map[string]string `json:"$event_schema,omitempty"`
}

var userAgents = []string{
	"Chrome 126.0.0 / Windows 10.0.0", "Firefox 127.0.0 / Ubuntu 0.0.0", "Mobile Safari 17.5.0 / iOS 17.5.1",
	"Edge 125.0.0 / Windows 10.0.0", "okhttp 4.12.0 / Other 0.0.0", "Python Requests 2.32.0 / Other 0.0.0",
}

// app is a client of the tenant.
type app struct{ id, name string }

var apps = []app{
	{"nwPortal00000000000000000000abcd", "Northwind Portal"},
	{"nwMobile00000000000000000000abcd", "Northwind Mobile"},
	{"nwBilling0000000000000000000abcd", "Billing"},
	{"nwReports0000000000000000000abcd", "Nightly Reports"},
}

// place is where sign-ins come from.
type place struct {
	code, code3, country, city, zone, continent string
	lat, long                                   float64
}

var places = []place{
	{"DE", "DEU", "Germany", "Berlin", "Europe/Berlin", "EU", 52.5244, 13.4105},
	{"GB", "GBR", "United Kingdom", "Leeds", "Europe/London", "EU", 53.7965, -1.5478},
	{"US", "USA", "United States", "Boston", "America/New_York", "NA", 42.3584, -71.0598},
	{"JP", "JPN", "Japan", "Osaka", "Asia/Tokyo", "AS", 34.6937, 135.5011},
	{"BR", "BRA", "Brazil", "Recife", "America/Recife", "SA", -8.0539, -34.8811},
}

// logMaker makes one record.
type logMaker struct {
	t    *Tenant
	r    *rand.Rand
	i    int
	user person
	rec  logRecord
}

// someone is a person who has an Auth0 account.
func (g *logMaker) someone() person {
	i := g.r.IntN(len(g.t.cases))
	for range 50 {
		if g.t.cases[i] != caseMissingLeft {
			break
		}
		i = (i + 1) % len(g.t.cases)
	}
	return g.t.person(i)
}

// userID is that of the person's first account.
func (g *logMaker) userID(p person) string {
	left, _ := g.t.accounts(p.index)
	if len(left) == 0 {
		return g.t.auth0ID(p.index, "")
	}
	return left[0].UserID
}

func (g *logMaker) text() []byte {
	text, err := json.Marshal(g.rec)
	if err != nil {
		panic(err) // of strings, numbers and maps of them
	}
	return text
}

// asUser says that the person did it, through an application.
func (g *logMaker) asUser() {
	id := g.userID(g.user)
	strategy, bare, _ := strings.Cut(id, "|")
	g.rec.UserID, g.rec.UserName, g.rec.IdentityUser = id, g.user.email, bare
	g.rec.Connection, g.rec.ConnectionID = DatabaseName, "con_nwDatabase00001"
	g.rec.Strategy, g.rec.StrategyType = strategy, "database"
	if strategy != "auth0" {
		g.rec.Connection, g.rec.ConnectionID, g.rec.StrategyType = strategy, "con_nwOther00000001", "social"
	}
	g.asApp()
	g.where()
}

func (g *logMaker) asApp() {
	a := pick(g.r, apps)
	g.rec.ClientID, g.rec.ClientName, g.rec.Hostname = a.id, a.name, TenantHost
}

func (g *logMaker) where() {
	p := places[g.user.index%len(places)]
	g.rec.Location = map[string]any{
		"country_code": p.code, "country_code3": p.code3, "country_name": p.country, "city_name": p.city,
		"latitude": p.lat, "longitude": p.long, "time_zone": p.zone, "continent_code": p.continent,
	}
	g.rec.Security = map[string]string{"ja3": g.t.hash(32, "ja3", g.user.index), "ja4": "t13d1516h2_" + g.t.hash(12, "ja4", g.user.index)}
}

func (g *logMaker) describe(s string) { g.rec.Description = &s }

// oddities are the odd records, each in its turn.
var oddities = []string{
	"scope_array", "scope_mixed_array", "user_id_number", "details_string", "details_array", "details_null",
	"unknown_code", "date_unparseable", "date_object", "date_missing", "invalid_utf8", "no_type", "type_number",
	"fields_missing", "masked_values", "unknown_fields", "is_mobile_spelling", "huge", "id_only_underscore", "deep",
}

// oddEvery is the distance of odd records: each kind occurs, and few of each.
func (t *Tenant) oddEvery() int { return max(3, min(251, t.opts.Logs/(2*len(oddities)))) }

func (t *Tenant) oddity(i int) string {
	every := t.oddEvery()
	if i%every != every/2 {
		return ""
	}
	return oddities[i/every%len(oddities)]
}

// Oddities counts the odd log records by kind.
func (t *Tenant) Oddities() map[string]int {
	sum := map[string]int{}
	for i := t.oddEvery() / 2; i < t.opts.Logs; i += t.oddEvery() {
		sum[t.oddity(i)]++
	}
	return sum
}

func (g *logMaker) makeOdd(odd string) []byte {
	switch odd {
	case "huge":
		g.rec.Details = map[string]any{"request": map[string]any{"body": strings.Repeat("lorem ipsum ", 25_000)}}
	case "deep":
		g.rec.Details = json.RawMessage(strings.Repeat(`{"a":[`, 200) + "1" + strings.Repeat("]}", 200))
	case "fields_missing":
		g.rec = logRecord{LogID: g.rec.LogID, Type: g.rec.Type, Date: g.rec.Date}
	case "id_only_underscore":
		g.rec.LogID = ""
	case "is_mobile_spelling":
		g.rec.IsMobileOther, g.rec.IsMobile = g.rec.IsMobile, nil
	case "invalid_utf8":
		g.rec.UserName = "n\uE000w"
		return bytes.ReplaceAll(g.text(), []byte("\uE000"), []byte("\xff\xfe"))
	case "unknown_fields":
		text := g.text()
		return append(text[:len(text)-1], `,"quantum_state":{"spin":[0.5,-0.5]},"tracking_id":"t-1","new.dotted.key":9007199254740993}`...)
	default:
		g.oddValue(odd)
	}
	return g.text()
}

func (g *logMaker) oddValue(odd string) {
	switch odd {
	case "scope_array":
		g.rec.Scope = []string{"openid", "profile", "email"}
	case "scope_mixed_array":
		g.rec.Scope = []any{"openid", 7, nil}
	case "user_id_number":
		g.rec.UserID = 90071992547409931 + g.i
	case "details_string":
		g.rec.Details = "Something went wrong"
	case "details_array":
		g.rec.Details = []any{"one", map[string]any{"two": 2}, nil}
	case "details_null":
		g.rec.Details = json.RawMessage("null")
	case "unknown_code":
		g.rec.Type = "zz_not_invented_yet"
	case "masked_values":
		g.rec.Details, g.rec.UserName, g.rec.IP = map[string]any{"request": "*****", "response": "*****"}, "*****", "*****"
	default:
		g.oddHead(odd)
	}
}

// oddHead spoils what every record has.
func (g *logMaker) oddHead(odd string) {
	switch odd {
	case "date_unparseable":
		g.rec.Date = "last Tuesday"
	case "date_object":
		g.rec.Date = map[string]any{"$date": g.rec.Date}
	case "date_missing":
		g.rec.Date = nil
	case "no_type":
		g.rec.Type = nil
	case "type_number":
		g.rec.Type = 42
	}
}
