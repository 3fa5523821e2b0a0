package datadog

import (
	"strconv"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// Datadog's standard attributes:
// https://docs.datadoghq.com/standard-attributes/?product=log

// writer appends members of an object, each with a comma before it.
type writer struct{ b []byte }

// text writes what is not empty.
func (w *writer) text(name, value string) {
	if value == "" {
		return
	}
	w.name(name)
	w.b = schema.AppendJSONText(w.b, value)
}

func (w *writer) number(name string, n *int32) {
	if n == nil {
		return
	}
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(*n), 10)
}

func (w *writer) decimal(name string, n *float64) {
	// Longitudes and latitudes; whatever else is no JSON number.
	if n == nil || !(*n >= -1000 && *n <= 1000) {
		return
	}
	w.name(name)
	w.b = strconv.AppendFloat(w.b, *n, 'f', -1, 64)
}

func (w *writer) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

// object writes a member that holds what fill writes, or nothing if that is
// nothing.
func (w *writer) object(name string, fill func()) {
	before := len(w.b)
	w.name(name)
	w.b = append(w.b, '{')
	empty := len(w.b)
	fill()
	if len(w.b) == empty {
		w.b = w.b[:before]
		return
	}
	w.b = append(w.b, '}')
}

// user writes who acted: in a sign-in that is the user, otherwise the actor. Of
// an act without an actor it is the account acted on, which is then its owner's
// doing as far as anybody can tell.
func (w *writer) user(e *schema.Event) {
	u := e.User
	if e.Actor != nil && e.Actor.User != nil && (u == nil || e.ClassUID != schema.ClassAuthentication) {
		u = e.Actor.User
	}
	if u == nil {
		return
	}
	w.object("usr", func() {
		w.text("id", u.UID)
		w.text("name", u.Name)
		w.text("email", u.EmailAddr)
	})
}

// person writes who the account belongs to, as a comparison of the sources
// found: the same on both sides.
func (w *writer) person(labels []string) {
	for _, label := range labels {
		if key, found := strings.CutPrefix(label, "person:"); found {
			w.text("person", key)
			return
		}
	}
}

func (w *writer) network(from *schema.NetworkEndpoint) {
	if from == nil {
		return
	}
	w.object("network", func() {
		w.object("client", func() {
			w.text("ip", from.IP)
			w.place(from.Location)
		})
	})
}

// place writes what the vendor's record says; nothing is looked up here.
func (w *writer) place(l *schema.Location) {
	if l == nil {
		return
	}
	w.object("geoip", func() {
		w.object("city", func() { w.text("name", l.City) })
		w.object("subdivision", func() { w.text("name", l.Region) })
		w.object("country", func() { w.text("iso_code", l.Country) })
		w.object("continent", func() { w.text("name", l.Continent) })
		w.object("location", func() {
			w.decimal("latitude", l.Lat)
			w.decimal("longitude", l.Long)
		})
	})
}

func (w *writer) http(e *schema.Event) {
	w.object("http", func() {
		if r := e.HTTPRequest; r != nil {
			w.text("useragent", r.UserAgent)
			w.text("method", r.HTTPMethod)
			w.text("referer", r.Referrer)
			w.url(r.URL)
		}
		if e.API == nil || e.API.Response == nil {
			return
		}
		// Only what can be a status of HTTP.
		if c := e.API.Response.Code; c != nil && *c >= 100 && *c <= 599 {
			w.number("status_code", c)
		}
	})
}

func (w *writer) url(u *schema.URL) {
	if u == nil {
		return
	}
	w.text("url", u.URLString)
	w.object("url_details", func() {
		w.text("host", u.Hostname)
		w.text("path", u.Path)
		w.text("queryString", u.QueryString)
	})
}

// event writes what happened: the activity, the class in the form Datadog's own
// rules look for ("authentication"), and how it ended.
func (w *writer) event(e *schema.Event) {
	w.object("evt", func() {
		w.text("name", e.ActivityName)
		w.text("category", category(e))
		w.text("outcome", outcome(e.StatusID))
	})
}

func category(e *schema.Event) string {
	switch e.ClassUID {
	case schema.ClassAuthentication:
		return "authentication"
	case schema.ClassAccountChange:
		return "account_change"
	case schema.ClassEntityManagement:
		return "entity_management"
	case schema.ClassUserAccess:
		return "user_access"
	case schema.ClassGroupManagement:
		return "group_management"
	case schema.ClassAPIActivity:
		return "api_activity"
	case schema.ClassBase:
		return "base_event"
	default:
		return strings.ReplaceAll(strings.ToLower(e.ClassName), " ", "_")
	}
}

func outcome(status int32) string {
	switch status {
	case schema.StatusSuccess:
		return "success"
	case schema.StatusFailure:
		return "failure"
	default:
		return ""
	}
}
