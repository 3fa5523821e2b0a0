package fake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// cognitoQuery is a call that is answered.
type cognitoQuery struct {
	op string
	in map[string]any
}

func (q cognitoQuery) text(name string) string {
	s, _ := q.in[name].(string)
	return s
}

// pageLimit is the Limit asked for: AWS refuses what is out of range.
func (q cognitoQuery) pageLimit(name string, most int) (int, bool) {
	n, given := q.in[name].(float64)
	if !given || n == 0 {
		return most, true
	}
	return int(n), n >= 0 && int(n) <= most
}

// cognitoToken is what a page token holds: where to go on, and what it is good
// for.
type cognitoToken struct {
	// N makes each token another one.
	N      int     `json:"n"`
	For    string  `json:"for"`
	After  float64 `json:"after"`
	Page   int     `json:"page"`
	Issued int64   `json:"issued"`
}

// bound is what a token is bound to: all parameters but the token.
func (q cognitoQuery) bound() string {
	in := maps.Clone(q.in)
	delete(in, "PaginationToken")
	delete(in, "NextToken")
	text, _ := json.Marshal(in) // it came as JSON
	return q.op + string(text)
}

// start reads a token; a list without one begins before everything.
func (c *Cognito) start(q cognitoQuery, name string) (cognitoToken, bool) {
	first := cognitoToken{For: q.bound(), After: -1}
	given := q.text(name)
	if given == "" {
		return first, true
	}
	var t cognitoToken
	text, err := base64.StdEncoding.DecodeString(given)
	if err != nil || json.Unmarshal(text, &t) != nil || t.For != first.For {
		return t, false
	}
	return t, c.opts.Now().Sub(time.Unix(0, t.Issued)) <= c.opts.TokenLife
}

func (c *Cognito) next(t cognitoToken, after float64) string {
	c.tokens++
	t.N, t.After, t.Page, t.Issued = c.tokens, after, t.Page+1, c.opts.Now().UnixNano()
	text, _ := json.Marshal(t) // a struct of texts and numbers
	return base64.StdEncoding.EncodeToString(text)
}

// size is how many users a page of the list holds.
func (c *Cognito) size(t cognitoToken, limit int) int {
	if len(c.opts.Pages) == 0 {
		return limit
	}
	return min(limit, c.opts.Pages[t.Page%len(c.opts.Pages)])
}

var cognitoFilter = regexp.MustCompile(`^\s*"?([\w:]+)"?\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"\s*$`)

// cognitoAttributes are those a filter may name, with the member or attribute
// they are.
var cognitoAttributes = map[string]string{
	"username": "Username", "email": "email", "phone_number": "phone_number", "name": "name", "given_name": "given_name",
	"family_name": "family_name", "preferred_username": "preferred_username", "cognito:user_status": "UserStatus",
	"status": "Enabled", "sub": "sub",
}

// cognitoMatch is a filter that was read.
type cognitoMatch struct{ attribute, operator, value string }

func parseCognitoFilter(text string) (cognitoMatch, bool) {
	if text == "" {
		return cognitoMatch{}, true
	}
	m := cognitoFilter.FindStringSubmatch(text)
	if m == nil || cognitoAttributes[m[1]] == "" {
		return cognitoMatch{}, false
	}
	return cognitoMatch{cognitoAttributes[m[1]], m[2], strings.ReplaceAll(m[3], `\"`, `"`)}, true
}

func (m cognitoMatch) ok(users CognitoUsers, i int) bool {
	if m.attribute == "" {
		return true
	}
	value := users.At(i).Sub
	if m.attribute != "sub" {
		value = attributeOf(users.Record(i), m.attribute)
	}
	if m.operator == "=" {
		return value == m.value
	}
	return strings.HasPrefix(value, m.value)
}

// attributeOf reads one attribute, or one member, of a user.
func attributeOf(record []byte, name string) string {
	var u map[string]any
	if json.Unmarshal(record, &u) != nil {
		return ""
	}
	list, _ := u["Attributes"].([]any)
	for _, a := range list {
		if m, ok := a.(map[string]any); ok && m["Name"] == name {
			return fmt.Sprint(m["Value"])
		}
	}
	if v, ok := u[name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

func (c *Cognito) listUsers(q cognitoQuery) (answer, string) {
	match, ok := parseCognitoFilter(q.text("Filter"))
	if !ok {
		return cognitoError("InvalidParameterException", "Error while parsing filter: "+q.text("Filter"))
	}
	if _, given := q.in["AttributesToGet"]; given {
		return cognitoError("InvalidParameterException", "One or more requested attributes do not exist.")
	}
	limit, ok := q.pageLimit("Limit", 60)
	if !ok {
		return cognitoError("InvalidParameterException", "1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value less than or equal to 60")
	}
	return c.usersPage(q, cognitoWant{
		token: "PaginationToken", limit: limit, prefix: match.prefix(),
		want: func(i int) bool { return match.ok(c.opts.Users, i) },
	})
}

// prefix is what every sub that matches begins with.
func (m cognitoMatch) prefix() string {
	if m.attribute != "sub" {
		return ""
	}
	return m.value
}

func (c *Cognito) listUsersInGroup(q cognitoQuery) (answer, string) {
	group := q.text("GroupName")
	if !c.hasGroup(group) {
		return cognitoError("ResourceNotFoundException", "Group not found.")
	}
	limit, ok := q.pageLimit("Limit", 60)
	if !ok {
		return cognitoError("InvalidParameterException", "1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value less than or equal to 60")
	}
	return c.usersPage(q, cognitoWant{token: "NextToken", limit: limit, want: func(i int) bool {
		return slices.Contains(c.opts.Users.At(i).Groups, group)
	}})
}

// cognitoWant is which users a page is made of.
type cognitoWant struct {
	token  string
	limit  int
	prefix string
	want   func(i int) bool
}

// usersPage answers one page: users in their order, behind the token's.
func (c *Cognito) usersPage(q cognitoQuery, w cognitoWant) (answer, string) {
	t, ok := c.start(q, w.token)
	if !ok {
		return cognitoError("InvalidParameterException", "Paging Marker is Invalid.")
	}
	users, size, now := c.opts.Users, c.size(t, w.limit), c.opts.Now()
	page := []json.RawMessage{}
	after, more := t.After, false
	for i := range users.Span(w.prefix, t.After) {
		e := users.At(i)
		if e.Visible.After(now) || !w.want(i) {
			continue
		}
		if len(page) == size {
			more = true
			break
		}
		page, after = append(page, users.Record(i)), e.Rank
	}
	out := map[string]any{"Users": page}
	if more {
		out[w.token] = c.next(t, after)
	}
	return cognitoAnswer(out)
}

// adminGetUser answers a user by its Username or, where it is not one of a
// provider, its sub.
func (c *Cognito) adminGetUser(q cognitoQuery) (answer, string) {
	name := q.text("Username")
	quoted, _ := json.Marshal(name) // a text
	for i := range c.opts.Users.Span("", -1) {
		e := c.opts.Users.At(i)
		record := c.opts.Users.Record(i)
		// Most records do not hold the name at all, and need not be parsed.
		if e.Sub != name && (!bytes.Contains(record, quoted) || attributeOf(record, "Username") != name) {
			continue
		}
		var u map[string]json.RawMessage
		_ = json.Unmarshal(record, &u) // we made it
		u["UserAttributes"] = u["Attributes"]
		delete(u, "Attributes")
		if len(e.Factors) > 0 {
			list, _ := json.Marshal(e.Factors) // a list of texts
			preferred, _ := json.Marshal(e.Factors[0])
			u["UserMFASettingList"], u["PreferredMfaSetting"] = list, preferred
		}
		return cognitoAnswer(u)
	}
	return cognitoError("UserNotFoundException", "User does not exist.")
}
