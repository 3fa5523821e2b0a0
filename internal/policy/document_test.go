package policy_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/policy"
)

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// documented are the policies that a document shows.
func documented(t *testing.T, name string) (all []policy.Document) {
	t.Helper()
	for _, block := range jsonBlock.FindAllStringSubmatch(document(t, name), -1) {
		var doc policy.Document
		if err := json.Unmarshal([]byte(block[1]), &doc); err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, block[1])
		}
		all = append(all, doc)
	}
	return all
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rules are what a config needs of the first role, by id.
func rules(t *testing.T, text string, o policy.Options) map[string]policy.Rule {
	t.Helper()
	all := map[string]policy.Rule{}
	for _, doc := range plan(t, text, o).Roles[0].Documents {
		for _, r := range doc.Statement {
			all[r.Sid] = r
		}
	}
	return all
}

func byID(docs []policy.Document) map[string]policy.Rule {
	all := map[string]policy.Rule{}
	for _, doc := range docs {
		for _, r := range doc.Statement {
			all[r.Sid] = r
		}
	}
	return all
}

// whoRow is a row of the table that says who needs which policies.
var whoRow = regexp.MustCompile(`(?m)^\| [^|]+ \| ([^|]+) \| ([A-Z][A-Za-z, ]+) \|$`)

// TestDocumentOfPlaces holds docs/PERMISSIONS.md against what is printed: its
// statements, and who needs which.
func TestDocumentOfPlaces(t *testing.T) {
	text := configs(t)["places"]
	printed := map[string]policy.Rule{}
	for _, verbs := range [][]string{{"run", "prune"}, {"verify", "status"}} {
		maps.Copy(printed, rules(t, text, policy.Options{For: verbs}))
	}
	docs := documented(t, "PERMISSIONS.md")
	if diff := cmp.Diff(byID(docs), printed); diff != "" {
		t.Errorf("(-documented +printed)\n%s", diff)
	}
	names := map[string]string{} // of policies, by the ids of their statements
	for _, doc := range docs {
		last := doc.Statement[len(doc.Statement)-1].Sid
		for _, r := range doc.Statement {
			names[r.Sid] = strings.TrimSuffix(last, "ReadWrite")
		}
	}
	rows := whoRow.FindAllStringSubmatch(document(t, "PERMISSIONS.md"), -1)
	if len(rows) < 6 {
		t.Fatalf("found %d rows, which is too few: the form has changed", len(rows))
	}
	for _, row := range rows {
		verbs := verbsIn(row[1])
		if strings.Contains(row[1], " besides") {
			verbs = append(verbs, "run")
		}
		var got []string
		for sid := range rules(t, text, policy.Options{For: verbs}) {
			if name := names[sid]; sid != "RemoveProbe" && !slices.Contains(got, name) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(strings.SplitSeq(row[2], ", "))
		if diff := cmp.Diff(want, got); diff != "" || len(verbs) == 0 {
			t.Errorf("%s (-documented +printed)\n%s", row[1], diff)
		}
	}
}

// verbsIn are the verbs that a cell names: `run`, `state show`.
func verbsIn(cell string) []string {
	var verbs []string
	for _, m := range regexp.MustCompile("`([a-z]+)( [a-z]+)?`").FindAllStringSubmatch(cell, -1) {
		verb := m[1]
		if m[0] == "`state show`" { // it looks, as status does
			verb = "status"
		}
		verbs = append(verbs, verb)
	}
	return verbs
}

// ofEach reads one of each from AWS.
const ofEach = `
state: ./s
lake: ./l
connections:
  prod: {aws: {region: eu-west-1}}
sources:
  - name: pool
    kind: cognito_users
    connection: prod
    user_pool_id: eu-west-1_Ab1Cd2Ef3
    identity_pools: ["eu-west-1:12345678-1234-1234-1234-123456789012"]
    mfa: {groups: [admins]}
  - {name: history, kind: cloudtrail_lookup, connection: prod, regions: [eu-west-1, us-east-1]}
  - {name: trail, kind: cloudtrail_trail, connection: prod, bucket: acme-trail}
  - {name: files, kind: archive, format: auth0_logs, connection: prod, path: "s3://acme-files/logs/*"}
`

// TestDocumentOfSources holds docs/SOURCES.md against what is printed.
func TestDocumentOfSources(t *testing.T) {
	printed := rules(t, ofEach, policy.Options{
		Account: "123456789012", Region: "eu-west-1",
		Keys: []string{"arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"},
	})
	if diff := cmp.Diff(byID(documented(t, "SOURCES.md")), printed); diff != "" {
		t.Errorf("(-documented +printed)\n%s", diff)
	}
}

// TestDocumentsNameEveryAction: what is ever printed is explained somewhere.
func TestDocumentsNameEveryAction(t *testing.T) {
	text := document(t, "PERMISSIONS.md") + document(t, "SOURCES.md") + document(t, "QUERIES.md")
	n := 0
	for name, config := range configs(t) {
		for _, r := range plan(t, config, optionsIn(t, config)).Roles {
			for _, s := range r.Statements {
				for _, action := range s.Actions {
					n++
					if !strings.Contains(text, action) {
						t.Errorf("%s: no document names %s", name, action)
					}
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("%d actions are printed, which is too few", n)
	}
}

// TestDocumentOfScopes: docs/SOURCES.md names the scopes of Auth0.
func TestDocumentOfScopes(t *testing.T) {
	text := document(t, "SOURCES.md")
	config := `
state: ./s
lake: ./l
connections: {acme: {auth0: acme.eu.auth0.com, client_id: x, client_secret: "${env:X}"}}
sources:
  - {name: logs, kind: auth0_logs, connection: acme}
  - {name: users, kind: auth0_users, connection: acme}
`
	scopes := plan(t, config, policy.Options{}).Tenants[0].Scopes
	if len(scopes) < 10 {
		t.Errorf("scopes %v", scopes)
	}
	for _, s := range scopes {
		if !strings.Contains(text, "`"+s.Name+"`") {
			t.Errorf("scope %s is not in the document", s.Name)
		}
		if s.Required != (s.Name == "read:logs" || s.Name == "read:users") || s.For == "" || s.Without == "" {
			t.Errorf("scope %+v", s)
		}
	}
}
