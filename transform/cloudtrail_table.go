package transform

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/idtrail/idtrail/schema"
)

// awsEventsCSV says what each AWS event of interest is. Its key is event source
// and name together: ChangePassword is a call of Cognito and one of IAM.
//
//go:embed tables/aws_events.csv
var awsEventsCSV string

// rule is what a record of one name becomes.
type rule struct {
	class, activity, severity int32
	activityName              string // for activity 99
	subject                   string // key of subjects
	mfa                       bool
	protocol                  string // an OCSF number, else the name of another one
	dispatch                  string // key of dispatches

	keepSeverity bool // dispatch has the last word on it
}

type eventKey struct{ source, name string }

// awsEvents is the table, under names as they are and in lower case: the hosted
// UI is not consistent in its own.
var awsEvents = sync.OnceValue(func() map[eventKey]rule {
	rows, err := csv.NewReader(strings.NewReader(awsEventsCSV)).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("read tables/aws_events.csv: %v", err))
	}
	table := make(map[eventKey]rule, 2*len(rows))
	for _, row := range rows[1:] {
		table[eventKey{row[0], row[1]}] = tableRule(row)
		lower := eventKey{row[0], strings.ToLower(row[1])}
		if _, ok := table[lower]; !ok {
			table[lower] = tableRule(row)
		}
	}
	return table
})

func tableRule(row []string) rule {
	return rule{
		class: tableNumber(row[2]), activity: tableNumber(row[3]), activityName: row[4],
		severity: tableNumber(row[5]), subject: row[6], mfa: row[7] == "true",
		protocol: row[8], dispatch: row[9],
	}
}

func tableNumber(s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		panic(fmt.Sprintf("read tables/aws_events.csv: %v", err))
	}
	return int32(n)
}

// rule finds what the record is: by the table, else by its kind, else by the
// verb its name begins with.
func (t *trail) rule() rule {
	if t.eventType == "AwsCloudTrailInsight" {
		// It tells of many calls of that name, and is none itself.
		state := readObject(t.record.get("insightDetails")).text("state")
		name := strings.TrimSpace("Insight " + state)
		return rule{class: schema.ClassAPIActivity, activity: schema.ActivityOther, activityName: name, severity: 2}
	}
	table := awsEvents()
	if r, ok := table[eventKey{t.source, t.name}]; ok {
		return r
	}
	if r, ok := table[eventKey{t.source, strings.ToLower(t.name)}]; ok {
		return r
	}
	switch {
	case t.isHosted() && hostedMethod(t.name) == "POST":
		return rule{class: schema.ClassAuthentication, activity: 0, severity: 1, subject: "pool_user", dispatch: "unknown_form"}
	case t.isHosted() && hostedMethod(t.name) == "GET":
		return rule{class: schema.ClassAPIActivity, activity: activityRead, severity: 1, subject: "pool_user", dispatch: "page"}
	}
	return rule{class: schema.ClassAPIActivity, activity: t.verb(), severity: 1, subject: t.poolSubject()}
}

// poolSubject: a call on a user pool of a name not yet known still names it.
func (t *trail) poolSubject() string {
	if t.pool != "" {
		return "pool"
	}
	return ""
}

// The activities of API Activity.
const (
	activityCreate int32 = 1
	activityRead   int32 = 2
	activityUpdate int32 = 3
	activityDelete int32 = 4
)

// verb is the API Activity of an operation in no table. AWS's own readOnly
// comes first.
func (t *trail) verb() int32 {
	if readOnly, known := boolean(t.record.get("readOnly", "ReadOnly")); known && readOnly {
		return activityRead
	}
	return verbActivity(t.name)
}

// verbActivity judges by the first word of a name, after Batch, Bulk and Admin.
func verbActivity(name string) int32 {
	for {
		word := firstWord(name)
		switch word {
		case "Batch", "Bulk", "Admin":
			name = name[len(word):]
			continue
		case "":
			return schema.ActivityOther
		}
		return wordActivity(word)
	}
}

// firstWord is the first word of a CamelCase name, as it is or with a small
// first letter.
func firstWord(name string) string {
	for i := 1; i < len(name); i++ {
		if c := name[i]; isUpper(c) || c >= '0' && c <= '9' || c == '_' || c == '-' || c == ':' || c == '.' {
			return strings.ToUpper(name[:1]) + name[1:i]
		}
	}
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func wordActivity(word string) int32 {
	switch word {
	case "Get", "List", "Describe", "Head", "Lookup", "Search", "Query", "Scan", "Check", "Test", "Validate", "Simulate", "Preview", "Estimate":
		return activityRead
	case "Create", "Put", "Add", "Register", "Start", "Run", "Issue", "Import", "Tag", "Attach", "Associate", "Enable",
		"Allocate", "Invite", "Send", "Publish", "Copy", "Request", "Subscribe", "Upload":
		return activityCreate
	case "Update", "Modify", "Set", "Change", "Reset", "Rotate", "Replace", "Move", "Renew", "Restore", "Resume", "Promote",
		"Confirm", "Verify", "Accept", "Authorize", "Write":
		return activityUpdate
	case "Delete", "Remove", "Terminate", "Deregister", "Disassociate", "Detach", "Untag", "Revoke", "Disable", "Cancel",
		"Stop", "Release", "Purge", "Reject", "Leave", "Unsubscribe":
		return activityDelete
	default:
		return schema.ActivityOther
	}
}
