package transform

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/idtrail/idtrail/schema"
)

// auth0CodesCSV says what each type code of a tenant log is. Column user: whom
// the record's user_id names (subject, self: subject and actor in one, actor,
// client: the application itself is what signs in, none).
//
//go:embed tables/auth0_codes.csv
var auth0CodesCSV string

// auth0RoutesCSV says what a Management API call is, by method and path; the
// first row that fits counts. auth0_routes.go tells how to read its columns.
//
//go:embed tables/auth0_routes.csv
var auth0RoutesCSV string

// auth0Code is what a record of one type code becomes.
type auth0Code struct {
	class, activity, severity int32
	activityName              string // for activity 99
	status                    int32
	statusWord                string // for status 99
	user                      string
	mfa                       string // true, prompts (the record tells), or ""
	protocol                  string // a number of OCSF's, strategy, details.protocol, or a name
	logon                     string
	factor                    string
	detail                    string
	dispatch                  string
}

// auth0Route is what a call of one method and path becomes.
type auth0Route struct {
	methods                 []string
	path                    *regexp.Regexp
	class, severity         int32
	activity, activityName  string
	user, login             string
	group, privileges       string
	entity, entityUID, name string
	label                   string
}

var auth0Codes = sync.OnceValue(func() map[string]auth0Code {
	table := map[string]auth0Code{}
	for _, row := range auth0Rows("auth0_codes.csv", auth0CodesCSV) {
		table[row["code"]] = auth0Code{
			class: auth0Number(row["class"]), activity: auth0Number(row["activity"]),
			severity: auth0Number(row["severity"]), activityName: row["activity_name"],
			status: auth0Statuses[row["status"]], statusWord: "Warning",
			user: row["user"], mfa: row["mfa"], protocol: row["protocol"], logon: row["logon"],
			factor: row["factor"], detail: row["detail"], dispatch: row["dispatch"],
		}
	}
	return table
})

var auth0Routes = sync.OnceValue(func() []auth0Route {
	var table []auth0Route
	for _, row := range auth0Rows("auth0_routes.csv", auth0RoutesCSV) {
		table = append(table, auth0Route{
			methods: strings.Fields(row["methods"]), path: regexp.MustCompile(row["path"]),
			class: auth0Number(row["class"]), severity: auth0Number(row["severity"]),
			activity: row["activity"], activityName: row["activity_name"],
			user: row["user"], login: row["login"], group: row["group"], privileges: row["privileges"],
			entity: row["entity"], entityUID: row["entity_uid"], name: row["entity_name"], label: row["label"],
		})
	}
	return table
})

var auth0Statuses = map[string]int32{
	"success": schema.StatusSuccess, "failure": schema.StatusFailure, "warning": schema.StatusOther,
}

// auth0Rows reads an embedded table. It is part of the program: that it reads
// is for a test to show.
func auth0Rows(name, text string) []map[string]string {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("read tables/%s: %v", name, err))
	}
	var out []map[string]string
	for _, row := range rows[1:] {
		named := map[string]string{}
		for i, column := range rows[0] {
			named[column] = row[i]
		}
		out = append(out, named)
	}
	return out
}

func auth0Number(s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		panic(fmt.Sprintf("read tables/auth0: %v", err))
	}
	return int32(n)
}

// auth0CodeOf finds the row of a type code. The list of codes grows: what is
// not in it is API Activity under its own name, never dropped.
func auth0CodeOf(code string) auth0Code {
	if c, known := auth0Codes()[code]; known {
		return c
	}
	unknown := auth0Code{
		class: schema.ClassAPIActivity, activity: schema.ActivityOther, severity: 1,
		activityName: strings.TrimSpace("Auth0 " + clip(code, 128)), status: auth0Guess(code), user: "subject",
	}
	if unknown.status == schema.StatusFailure {
		unknown.severity = 2
	}
	return unknown
}

// auth0Guess judges by how Auth0 names its codes.
func auth0Guess(code string) int32 {
	for _, word := range []string{"_failed", "_failure", "_error", "failed_", "_fail"} {
		if strings.Contains(code+"_", word+"_") || strings.HasPrefix(code, word) {
			return schema.StatusFailure
		}
	}
	for _, word := range []string{"_succeeded", "_success", "_completed", "_successful", "_succeed"} {
		if strings.HasSuffix(code, word) {
			return schema.StatusSuccess
		}
	}
	if strings.HasPrefix(code, "f") {
		return schema.StatusFailure
	}
	return schema.StatusUnknown
}

// auth0Protocol is the protocol of a strategy or of a protocol name of Auth0's;
// other is OCSF's 99 with its name.
func auth0Protocol(word string) (id int32, other string) {
	switch word {
	case "samlp", "saml", "pingfederate":
		return 5, ""
	case "oidc", "okta", "google-oauth2", "google-apps", "waad", "apple", "windowslive", "oidc-basic-profile",
		"oidc-implicit-profile", "oidc-hybrid-profile", "oidc-conformant":
		return 4, ""
	case "github", "facebook", "linkedin", "twitter", "oauth2", "oauth1", "bitbucket", "dropbox", "salesforce",
		"oauth2-password", "oauth2-access-token", "oauth2-refresh-token", "oauth2-authorization-code":
		return 6, ""
	case "ad", "auth0-adldap":
		return 99, "LDAP"
	case "adfs", "wsfed":
		return 99, "WS-Federation"
	case "auth0":
		return 99, "Auth0 database"
	case "sms", "email":
		return 99, "Passwordless"
	}
	return 99, word
}

// protocolNames are OCSF's names of the protocols used here.
var protocolNames = map[int32]string{4: "OpenID", 5: "SAML", 6: "OAUTH 2.0"}

var logonNames = map[int32]string{1: "System", 2: "Interactive", 3: "Network"}

// auth0RouteOf returns the first route of a method and path, and what its pattern
// captured, decoded.
func auth0RouteOf(method, path string) (route *auth0Route, captured []string) {
	routes := auth0Routes()
	for i := range routes {
		if !slices.Contains(routes[i].methods, method) {
			continue
		}
		if m := routes[i].path.FindStringSubmatch(path); m != nil {
			for j := range m {
				m[j] = unescapePath(m[j])
			}
			return &routes[i], m
		}
	}
	return nil, nil
}
