package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// The sources of the lake that find is measured over: a tenant's logs, and the
// trail that tells of the pool, a fifth as much.
const (
	tenantSource = "acme"
	trailSource  = "trail"
	poolSource   = "pool"
	usersSource  = "users"
)

// crowd are the people of the lake, each with an account in both systems, and
// makes what they do. The same seed makes the same.
type crowd struct {
	r     *rand.Rand
	who   *rand.Zipf
	from  time.Time
	names []person
}

// person is one of the crowd: who they are to Auth0 and to Cognito.
type person struct{ uid, sub, mail, ip string }

// newCrowd makes so many people. The most active does a few hundred times as much
// as most.
func newCrowd(n int, from time.Time) *crowd {
	r := rand.New(rand.NewPCG(1, 2))                                                      //nolint:gosec // the same each time
	c := &crowd{r: r, who: rand.NewZipf(r, 1.1, float64(n)/100, uint64(n-1)), from: from} //nolint:gosec // a handful
	for i := range n {
		c.names = append(c.names, person{
			uid:  fmt.Sprintf("auth0|%024x", r.Uint64()),
			sub:  fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), i&0xffff, i>>8&0xfff, i&0xfff, r.Uint64()>>16),
			mail: fmt.Sprintf("%s.%s%d@northwind.example", firstNames()[i%12], lastNames()[i/12%12], i),
			ip:   fmt.Sprintf("%d.%d.%d.%d", 11+r.IntN(180), r.IntN(256), r.IntN(256), 1+r.IntN(254)),
		})
	}
	return c
}

func firstNames() [12]string {
	return [...]string{"ada", "ben", "chen", "dora", "emil", "fatou", "gita", "hugo", "ines", "jane", "kofi", "lena"}
}

func lastNames() [12]string {
	return [...]string{"adams", "brandt", "costa", "diallo", "evans", "fischer", "garcia", "haddad", "ito", "jansen", "kim", "lopez"}
}

// persons are the rows of table persons: all but a tenth are linked by their
// verified addresses.
func (c *crowd) persons(yield func(reconcile.Person) bool) {
	for _, source := range []string{poolSource, usersSource} {
		for i, p := range c.names {
			row := reconcile.Person{Source: source, UserID: p.uid, UserName: p.mail, PersonKey: reconcile.PersonKey(p.uid), ValidFrom: c.from}
			if source == poolSource {
				row.UserID, row.UserName = p.sub, p.sub
			}
			if i%10 != 9 {
				row.LinkRule = "K4"
			} else if source == poolSource {
				row.PersonKey = reconcile.PersonKey(p.sub)
			}
			if !yield(row) {
				return
			}
		}
	}
}

// users are the accounts of a side, as its snapshot has them.
func (c *crowd) users(source string) iter.Seq[*schema.User] {
	return func(yield func(*schema.User) bool) {
		for i, p := range c.names {
			u := &schema.User{
				UserID: p.uid, UserName: p.mail, UserNameNorm: p.mail, Email: p.mail, EmailNorm: p.mail, EmailVerified: new(i%10 != 9),
				Active: true, Status: schema.UserActive,
				RawData: `{"user_id":"` + p.uid + `","email":"` + p.mail + `","identities":[{"connection":"Username-Password-Authentication","provider":"auth0"}]}`,
			}
			if source == poolSource {
				u.UserID, u.UserName, u.UserNameNorm = p.sub, p.sub, p.sub
			}
			if !yield(u) {
				return
			}
		}
	}
}

// event makes one of a source: most are sign-ins.
func (c *crowd) event(source string, at time.Time) *schema.Event {
	p := &c.names[c.who.Uint64()]
	if source == trailSource {
		return c.trailEvent(p, at)
	}
	return c.tenantEvent(p, at)
}

func (c *crowd) base(p *person, at time.Time) *schema.Event {
	agent := "Mozilla/5.0 (X11; Linux x86_64; rv:" + strconv.Itoa(90+c.r.IntN(30)) + ".0) Gecko/20100101 Firefox/" + strconv.Itoa(90+c.r.IntN(30)) + ".0"
	return &schema.Event{
		Time: at.UnixMilli(), TimeDT: at,
		ClassUID: schema.ClassAuthentication, ClassName: "Authentication", CategoryUID: 3, CategoryName: "Identity & Access Management",
		ActivityID: 1, ActivityName: "Logon", TypeUID: 300201, TypeName: "Authentication: Logon",
		SeverityID: 1, Severity: "Informational", StatusID: schema.StatusSuccess, Status: "Success",
		SrcEndpoint: &schema.NetworkEndpoint{IP: p.ip, Location: &schema.Location{City: "Berlin", Country: "DE"}},
		HTTPRequest: &schema.HTTPRequest{UserAgent: agent},
	}
}

const apps = 20

// tenantEvent is a record of Auth0's log, mapped.
func (c *crowd) tenantEvent(p *person, at time.Time) *schema.Event {
	e := c.base(p, at)
	id := "900" + at.Format("20060102150405") + strconv.FormatUint(c.r.Uint64(), 10)
	app := c.r.IntN(apps)
	name, client := "Shop "+strconv.Itoa(app), "kP8s0GxLlkQz3S8dS0nB4aTqN1m7Vw"+strconv.Itoa(10+app)
	session := strconv.FormatUint(c.r.Uint64(), 36) + strconv.FormatUint(c.r.Uint64(), 36)
	e.StatusCode, e.Message = "s", "Successful login"
	e.Metadata = schema.Metadata{
		Version: schema.OCSFVersion, UID: id, EventCode: "s", OriginalTime: at.Format(time.RFC3339Nano), TenantUID: "acme",
		LogName: "tenant logs", LogProvider: "Auth0", Profiles: []string{"cloud", "datetime"},
		Product: schema.Product{Name: "Auth0", VendorName: "Okta"},
	}
	e.Cloud = &schema.Cloud{Provider: "Auth0", Region: "eu"}
	e.User = &schema.UserObject{UID: p.uid, Name: p.mail, EmailAddr: p.mail}
	e.Actor = &schema.Actor{User: e.User, AppName: name, AppUID: client, IDP: &schema.IDP{Name: "Username-Password-Authentication"}}
	e.Service = &schema.Service{Name: name, UID: client}
	e.Session = &schema.Session{UID: session}
	e.Unmapped = map[string]string{"strategy": "auth0", "details.stats.loginsCount": strconv.Itoa(c.r.IntN(500))}
	switch n := c.r.IntN(100); {
	case n < 8:
		e.StatusID, e.Status, e.StatusCode, e.Metadata.EventCode, e.Message = schema.StatusFailure, "Failure", "fp", "fp", "Wrong password"
		e.Actor.User = nil
	case n < 11: // an administrator changed the account
		e.ClassUID, e.ClassName, e.ActivityID, e.ActivityName = schema.ClassAccountChange, "Account Change", 3, "Password Change"
		e.TypeUID, e.TypeName, e.Metadata.EventCode = 300103, "Account Change: Password Change", "scp"
		admin := c.names[c.r.IntN(100)]
		e.Actor.User = &schema.UserObject{UID: admin.uid, Name: admin.mail, EmailAddr: admin.mail}
	}
	e.RawData = c.tenantRaw(e, p, id, name, client, session)
	return e
}

// tenantRaw is a record as the tenant's log has it, about 1 KB.
func (c *crowd) tenantRaw(e *schema.Event, p *person, id, name, client, session string) string {
	at, spent := e.Metadata.OriginalTime, strconv.Itoa(c.r.IntN(9000))
	return `{"date":"` + at + `","type":"` + e.Metadata.EventCode + `","description":"` + e.Message +
		`","connection":"Username-Password-Authentication","connection_id":"con_ABCDEF0123456789","client_id":"` + client +
		`","client_name":"` + name + `","ip":"` + p.ip + `","user_agent":"` + e.HTTPRequest.UserAgent +
		`","details":{"prompts":[{"name":"prompt-authenticate","completedAt":` + strconv.FormatInt(e.Time, 10) +
		`,"connection":"Username-Password-Authentication","connection_id":"con_ABCDEF0123456789","strategy":"auth0","identity":"` +
		p.uid[6:] + `","stats":{"loginsCount":` + e.Unmapped["details.stats.loginsCount"] + `},"elapsedTime":null},{"name":"login","flow":"universal-login","initiatedAt":` +
		strconv.FormatInt(e.Time-1000, 10) + `,"completedAt":` + strconv.FormatInt(e.Time, 10) + `,"user_id":"` + p.uid +
		`","user_name":"` + p.mail + `","timers":{"rules":` + spent + `},"elapsedTime":` + spent + `}],"session_id":"` + session +
		`"},"hostname":"acme.eu.auth0.com","user_id":"` + p.uid + `","user_name":"` + p.mail +
		`","strategy":"auth0","strategy_type":"database","audience":"https://api.northwind.example","scope":["openid","profile","email"],` +
		`"auth0_client":{"name":"auth0.js","version":"9.19.0"},"log_id":"` + id + `","_id":"` + id +
		`","isMobile":false,"location_info":{"country_code":"DE","country_name":"Germany","city_name":"Berlin","time_zone":"Europe/Berlin"}}`
}

// trailEvent is a record of CloudTrail about the pool, mapped: it names people by
// their sub alone.
func (c *crowd) trailEvent(p *person, at time.Time) *schema.Event {
	e := c.base(p, at)
	id := fmt.Sprintf("%016x-%016x", c.r.Uint64(), c.r.Uint64())
	e.Metadata = schema.Metadata{
		Version: schema.OCSFVersion, UID: id, EventCode: "InitiateAuth", OriginalTime: at.Format(time.RFC3339), TenantUID: "eu-west-1_Ab1Cd2Ef3",
		LogName: "CloudTrail", LogProvider: "AWS", Profiles: []string{"cloud", "datetime"},
		Product: schema.Product{Name: "Amazon Cognito", VendorName: "AWS"},
	}
	e.Cloud = &schema.Cloud{Provider: "AWS", Region: "eu-west-1", Account: &schema.Account{UID: "111122223333"}}
	e.API = &schema.API{Operation: "InitiateAuth", Service: &schema.Service{Name: "cognito-idp.amazonaws.com"}, Request: &schema.Request{UID: id}}
	e.User = &schema.UserObject{UID: p.sub}
	e.RawData = `{"eventVersion":"1.08","userIdentity":{"type":"Unknown","principalId":"Anonymous"},"eventTime":"` + e.Metadata.OriginalTime +
		`","eventSource":"cognito-idp.amazonaws.com","eventName":"InitiateAuth","awsRegion":"eu-west-1","sourceIPAddress":"` + p.ip +
		`","userAgent":"` + e.HTTPRequest.UserAgent + `","requestParameters":{"authFlow":"USER_PASSWORD_AUTH","authParameters":"HIDDEN_DUE_TO_SECURITY_REASONS",` +
		`"clientMetadata":"HIDDEN_DUE_TO_SECURITY_REASONS","clientId":"1example23456789"},"responseElements":null,"additionalEventData":{"sub":"` + p.sub +
		`"},"requestID":"` + id + `","eventID":"` + id + `","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}`
	return e
}
