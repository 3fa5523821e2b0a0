package loadtest

import (
	"fmt"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

// begin is when the made-up records begin; each segment is landed 90 minutes
// after the one before, so that a few of them span midnight.
func begin() time.Time { return time.Date(2026, 1, 2, 20, 0, 0, 0, time.UTC) }

// Key names a row among all others, whatever its table.
func Key(r load.Row) string {
	switch {
	case r.Event != nil:
		return EventKey(*r.Event)
	case r.User != nil:
		return fmt.Sprintf("user %s %s", r.SnapshotID, r.User.UserID)
	case r.Snapshot != nil:
		return "snapshot " + r.Snapshot.ID
	case r.Reject != nil:
		return "reject " + r.Reject.ID
	case r.Gap != nil:
		return "gap " + r.Gap.Reason
	default:
		return "nothing"
	}
}

// EventKey is the Key of a row with that event.
func EventKey(e schema.Event) string { return "event " + e.Metadata.UID }

// Batch returns the batch of segments from to to-1 that holds the rows.
func Batch(source string, from, to int64, rows []load.Row) load.Batch {
	return load.Batch{
		Source:  source,
		From:    load.Position{Segment: from},
		To:      load.Position{Segment: to},
		Mapping: 1,
		Rows: func(yield func(load.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		},
	}
}

// eventsASegment of each segment that [Rows] makes.
const eventsASegment = 40

// Rows returns rows of every table as n segments from the first on might give
// them: of several days, in landed order and in the order planners want at the
// same time.
func Rows(source string, first int64, n int) []load.Row {
	var events, users, snapshots, rejects, gaps []load.Row
	for seg := first; seg < first+int64(n); seg++ {
		landed := begin().Add(time.Duration(seg) * 90 * time.Minute)
		day := landed.Format(time.DateOnly)
		for i := range int64(eventsASegment) {
			e := Event(seg*eventsASegment+i, landed.Add(time.Duration(i)*time.Minute))
			e.Metadata.UID = fmt.Sprintf("%s-%d-%d", source, seg, i)
			events = append(events, load.Row{Event: &e, Day: e.TimeDT.Format(time.DateOnly)})
		}
		snapshot := fmt.Sprintf("%s-%03d", source, seg)
		for i := range 3 {
			u := schema.User{
				UserID: fmt.Sprintf("auth0|%d", i), UserName: "u", UserNameNorm: "u", Active: true, Status: schema.UserActive,
			}
			users = append(users, load.Row{User: &u, SnapshotID: snapshot, Day: day})
		}
		snapshots = append(snapshots, load.Row{Day: day, Snapshot: &schema.Snapshot{
			ID: snapshot, Begin: landed, End: landed.Add(time.Minute), Complete: true, Counts: map[string]int64{"users": 3},
		}})
		rejects = append(rejects, load.Row{Day: day, Reject: &schema.Reject{
			Source: source, Segment: seg, ID: fmt.Sprintf("%s-%d", source, seg), Kind: schema.KindAuth0Log,
			Reason: "no date", Mapping: 1, LandedAt: landed,
		}})
		gaps = append(gaps, load.Row{Day: day, Gap: &schema.Gap{
			Source: source, Stream: "main", From: landed, To: landed, Reason: fmt.Sprintf("%s-%d", source, seg),
			DeclaredAt: landed, Segment: seg,
		}})
	}
	rows := append(events, users...)
	rows = append(rows, snapshots...)
	rows = append(rows, rejects...)
	rows = append(rows, gaps...)
	each := (len(rows) + n - 1) / n
	for i := range rows {
		rows[i].At = load.Position{Segment: first + int64(i/each), Record: int64(i % each)}
	}
	return rows
}

func countOf(r load.Row) load.Counts {
	switch {
	case r.Event != nil:
		return load.Counts{Events: 1}
	case r.User != nil:
		return load.Counts{Users: 1}
	case r.Snapshot != nil:
		return load.Counts{Snapshots: 1}
	case r.Reject != nil:
		return load.Counts{Rejects: 1}
	default:
		return load.Counts{Gaps: 1}
	}
}

// Event returns the i-th of a row of sign-ins as a tenant has them: a few
// thousand people, a payload of some 1,300 bytes.
func Event(i int64, at time.Time) schema.Event {
	at = at.UTC().Truncate(time.Millisecond)
	person := (i * 7919) % 4000
	uid := fmt.Sprintf("auth0|%024x", person*104729)
	mail := fmt.Sprintf("person%d@example.com", person)
	ip := fmt.Sprintf("198.51.%d.%d", person/250, person%250)
	id := fmt.Sprintf("900%s%019d", at.Format("20060102150405"), i)
	ok := i%9 != 0
	e := schema.Event{
		Time: at.UnixMilli(), TimeDT: at,
		ClassUID: schema.ClassAuthentication, ClassName: "Authentication", CategoryUID: 3,
		CategoryName: "Identity & Access Management", ActivityID: 1, ActivityName: "Logon",
		TypeUID: 300201, TypeName: "Authentication: Logon", SeverityID: 1, Severity: "Informational",
		StatusID: schema.StatusSuccess, Status: "Success", StatusCode: "s", Message: "Successful login",
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: id, EventCode: "s", OriginalTime: at.Format(time.RFC3339Nano),
			TenantUID: "acme", LogName: "tenant logs", LogProvider: "Auth0", Profiles: []string{"cloud", "datetime"},
			Product: schema.Product{Name: "Auth0", VendorName: "Okta"},
		},
		Cloud:       &schema.Cloud{Provider: "Auth0", Region: "eu"},
		Actor:       &schema.Actor{AppName: "Web shop", AppUID: "kP8s0GxLlkQz3S8dS0nB4aTqN1m7VwYz"},
		User:        &schema.UserObject{UID: uid, Name: mail, EmailAddr: mail, Domain: "example.com"},
		Service:     &schema.Service{Name: "Web shop", UID: "kP8s0GxLlkQz3S8dS0nB4aTqN1m7VwYz"},
		Session:     &schema.Session{UID: fmt.Sprintf("sess_%x", i*31)},
		SrcEndpoint: &schema.NetworkEndpoint{IP: ip, Location: &schema.Location{City: "Berlin", Country: "DE"}},
		HTTPRequest: &schema.HTTPRequest{UserAgent: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101", 90+i%30)},
		Observables: []schema.Observable{
			{Name: "user.uid", TypeID: 31, Type: "User Credential ID", Value: uid},
			{Name: "src_endpoint.ip", TypeID: 2, Type: "IP Address", Value: ip},
		},
		Unmapped: map[string]string{
			"details.prompts.0.name": "prompt-authenticate", "details.stats.loginsCount": fmt.Sprint(i % 500), "strategy": "auth0",
		},
	}
	if !ok {
		e.StatusID, e.Status, e.StatusCode, e.Message = schema.StatusFailure, "Failure", "fp", "Wrong password"
	}
	e.RawData = fmt.Sprintf(rawEvent, at.Format(time.RFC3339Nano), e.StatusCode, mail, ip,
		e.HTTPRequest.UserAgent, i*7, i*13, i%500, uid, mail, id, id)
	return e
}

const rawEvent = `{"date":"%s","type":"%s","description":"","connection":"Username-Password-Authentication",` +
	`"connection_id":"con_ABCDEF0123456789","client_id":"kP8s0GxLlkQz3S8dS0nB4aTqN1m7VwYz","client_name":"Web shop",` +
	`"ip":"%[4]s","user_name":"%[3]s","user_agent":"%[5]s","details":{"prompts":[{"name":"prompt-authenticate",` +
	`"completedAt":%[6]d,"connection":"Username-Password-Authentication","connection_id":"con_ABCDEF0123456789",` +
	`"strategy":"auth0","identity":"%[6]d","stats":{"loginsCount":%[8]d},"elapsedTime":null},{"name":"login",` +
	`"flow":"universal-login","initiatedAt":%[7]d,"completedAt":%[7]d,"user_id":"%[9]s","user_name":"%[10]s",` +
	`"timers":{"rules":%[8]d},"elapsedTime":%[8]d}],"initiatedAt":%[6]d,"completedAt":%[7]d,"elapsedTime":%[8]d,` +
	`"session_id":"%[6]x%[7]x","stats":{"loginsCount":%[8]d}},"hostname":"acme.eu.auth0.com","user_id":"%[9]s",` +
	`"strategy":"auth0","strategy_type":"database","audience":"https://api.example.com","scope":["openid","profile"],` +
	`"auth0_client":{"name":"auth0.js","version":"9.19.0"},"log_id":"%[11]s","_id":"%[12]s","isMobile":false,` +
	`"location_info":{"country_code":"DE","country_name":"Germany","city_name":"Berlin","time_zone":"Europe/Berlin"}}`
