package schema

import (
	"fmt"
	"strings"
	"text/template"

	_ "embed"
)

// View is a view over the tables of the lake.
type View struct {
	Name string
	// SQL creates it, or replaces it.
	SQL string
}

// ViewOptions place views.
type ViewOptions struct {
	Dialect Dialect
	// Database the tables are in and the views go to; "" leaves it to the
	// session.
	Database string
}

// Views returns the views people query:
//
//   - v_events: events as flat rows, with the names that events lack: user names
//     and persons out of table persons, names of pools and apps out of table
//     pools. CloudTrail names a pool's users by their ids alone.
//   - v_users: the users of the newest complete snapshot of each source, with
//     their persons.
//   - v_drift: what the newest comparison of each two sources found, since when it
//     is found, and whether these are still their newest snapshots.
//   - v_gaps: the spans that were lost, each once, and how long they are.
//
// They read the tables events, users, snapshots, pools and gaps, and the tables
// persons and drift, which other packages define. All have to be there, but may
// be empty.
func Views(o ViewOptions) []View {
	return []View{
		{Name: "v_events", SQL: o.render("v_events", eventColumns())},
		{Name: "v_users", SQL: o.render("v_users", userColumns())},
		{Name: "v_drift", SQL: o.render("v_drift", nil)},
		{Name: "v_gaps", SQL: o.render("v_gaps", gapColumns())},
	}
}

// viewColumn is a column of a view: the leaf of its table at Path, as Name.
type viewColumn struct{ Name, Path string }

// eventColumns are what v_events shows of an event, in three groups: those
// before, between and behind the columns that it adds.
func eventColumns() map[string][]viewColumn {
	return checked("events", Event{}, map[string][]viewColumn{
		"what": {
			{"time", "time_dt"},
			{"class_uid", "class_uid"},
			{"class", "class_name"},
			{"activity_id", "activity_id"},
			{"activity", "activity_name"},
			{"severity", "severity"},
			{"severity_id", "severity_id"},
			{"status_id", "status_id"},
			{"status", "status"},
			{"status_code", "status_code"},
			{"status_detail", "status_detail"},
			{"event_code", "metadata.event_code"},
			{"operation", "api.operation"},
			{"message", "message"},
		},
		"where": {
			{"ip", "src_endpoint.ip"},
			{"city", "src_endpoint.location.city"},
			{"country", "src_endpoint.location.country"},
			{"user_agent", "http_request.user_agent"},
			{"is_mfa", "is_mfa"},
			{"request_path", "http_request.url.path"},
			{"request", "api.request.data"},
			{"privileges", "privileges"},
			{"policy_name", "policy.name"},
			{"group_uid", "group.uid"},
			{"group_name", "group.name"},
			{"entity_type", "entity.type"},
			{"entity_name", "entity.name"},
			{"account_id", "cloud.account.uid"},
			{"region", "cloud.region"},
			{"product", "metadata.product.name"},
			{"labels", "metadata.labels"},
		},
		"key": {{"uid", "metadata.uid"}, {"raw_data", "raw_data"}},
		// They are joined or chosen from, and stand in the view under the names
		// the template gives them.
		"joined": {
			{"user_uid", "user.uid"},
			{"user_name", "user.name"},
			{"user_email", "user.email_addr"},
			{"actor_uid", "actor.user.uid"},
			{"actor_name", "actor.user.name"},
			{"method", "http_request.http_method"},
			{"unmapped", "unmapped"},
			{"app_uid", "actor.app_uid"},
			{"app_name", "actor.app_name"},
			{"service_uid", "service.uid"},
			{"tenant_uid", "metadata.tenant_uid"},
		},
	})
}

// gapColumns are all that v_gaps shows of a gap but its stream and segment, which
// say where it was declared.
func gapColumns() map[string][]viewColumn {
	return checked("gaps", Gap{}, map[string][]viewColumn{"gap": {
		{"gap_from", "gap_from"},
		{"gap_to", "gap_to"},
		{"reason", "reason"},
		{"input", "input"},
	}})
}

// userColumns are all that v_users shows of a user: every column there is.
func userColumns() map[string][]viewColumn {
	var all []viewColumn
	for _, c := range TableOf("users", User{}).Columns {
		all = append(all, viewColumn{c.Name, c.Name})
	}
	return map[string][]viewColumn{"user": all}
}

// checked panics on a path that is no leaf of the table: the query would fail
// where nobody looks.
func checked(table string, row any, groups map[string][]viewColumn) map[string][]viewColumn {
	leaves := map[string]bool{}
	for _, c := range TableOf(table, row).Leaves() {
		leaves[c.Name] = true
	}
	for _, columns := range groups {
		for _, c := range columns {
			if !leaves[c.Path] {
				panic(fmt.Sprintf("schema: a view names %s of table %s, which has no such leaf", c.Path, table))
			}
		}
	}
	return groups
}

// nobody is what package transform calls a user whom the record does not name.
const nobody = "unknown"

//go:embed views.sql.tmpl
var viewsText string

// render fills in a view of the template file.
func (o ViewOptions) render(name string, columns map[string][]viewColumn) string {
	t := template.Must(template.New("views").Funcs(o.Funcs()).Funcs(template.FuncMap{
		"ok":     func() string { return SettingOK },
		"nobody": func() string { return nobody },
		"column": func(group, name string) string { return columnPath(columns[group], name) },
	}).Parse(viewsText))
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, name, columns); err != nil {
		panic(fmt.Sprintf("schema: view %s: %v", name, err))
	}
	return strings.TrimSpace(b.String())
}

func columnPath(columns []viewColumn, name string) string {
	for _, c := range columns {
		if c.Name == name {
			return quotePath(c.Path)
		}
	}
	panic("schema: the views have no column " + name)
}
