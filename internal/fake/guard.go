package fake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Guard holds calls of Cognito and CloudTrail to a policy, as IAM would: an
// http.Handler before another. It may be used concurrently.
//
// It knows statements that allow, with patterns of actions and resources, and the
// condition aws:RequestedRegion. Any other condition allows nothing. What is no call
// of those services passes.
type Guard struct {
	next http.Handler

	mu    sync.Mutex
	rules []guardRule
}

var _ http.Handler = (*Guard)(nil)

type guardRule struct {
	Sid              string
	Effect           string
	Action, Resource guardList
	Condition        map[string]map[string]guardList
}

// guardList is a text or a list of them.
type guardList []string

func (l *guardList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = guardList{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// NewGuard makes one that lets everything pass until it is told of a policy.
func NewGuard(next http.Handler) *Guard {
	return &Guard{next: next, rules: []guardRule{{Effect: "Allow", Action: guardList{"*"}, Resource: guardList{"*"}}}}
}

// Allow holds calls to a policy from now on, but for its statements of these ids.
func (g *Guard) Allow(policy []byte, without ...string) error {
	var doc struct{ Statement []guardRule }
	if err := json.Unmarshal(policy, &doc); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = slices.DeleteFunc(doc.Statement, func(r guardRule) bool { return slices.Contains(without, r.Sid) })
	return nil
}

// ServeHTTP refuses what nothing allows, in the words of AWS.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	region := scopeRegion(r)
	action, resource := guarded(r.Header.Get("X-Amz-Target"), body, region)
	if action == "" || g.allows(action, resource, region) {
		g.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	on := ""
	if resource != "*" {
		on = " on resource: " + resource
	}
	_ = json.NewEncoder(w).Encode(map[string]string{ // to whom the client is gone, it does not matter
		"__type": "AccessDeniedException",
		"message": "User: arn:aws:sts::" + AccountID + ":assumed-role/idtrail/run is not authorized to perform: " + action + on +
			" because no identity-based policy allows the " + action + " action",
	})
}

// guarded is what a call does, and to what; "" is no call that is held to a policy.
func guarded(target string, body []byte, region string) (action, resource string) {
	var in struct{ UserPoolID, IdentityPoolID, ResourceArn string }
	_ = json.Unmarshal(body, &in) // the case of names does not matter; what is none is refused behind
	operation := target[strings.LastIndexByte(target, '.')+1:]
	switch {
	case target == cognitoTarget+operation && in.UserPoolID != "":
		return "cognito-idp:" + operation, "arn:aws:cognito-idp:" + region + ":" + AccountID + ":userpool/" + in.UserPoolID
	case target == cognitoTarget+operation && in.ResourceArn != "":
		return "cognito-idp:" + operation, in.ResourceArn
	case target == cognitoTarget+operation:
		return "cognito-idp:" + operation, "*"
	case target == cognitoIdentityTarget+operation:
		return "cognito-identity:" + operation, "arn:aws:cognito-identity:" + region + ":" + AccountID + ":identitypool/" + in.IdentityPoolID
	case target == cloudTrailTarget+operation:
		return "cloudtrail:" + operation, "*"
	default:
		return "", ""
	}
}

func (g *Guard) allows(action, resource, region string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.rules, func(r guardRule) bool {
		return r.Effect == "Allow" && r.Action.holds(action) && r.Resource.holds(resource) && r.in(region)
	})
}

// in says whether the conditions of a rule are met.
func (r guardRule) in(region string) bool {
	for operator, keys := range r.Condition {
		for key, values := range keys {
			if operator != "StringEquals" || key != "aws:RequestedRegion" || !slices.Contains(values, region) {
				return false
			}
		}
	}
	return true
}

// holds says whether one of the patterns, in which * stands for anything, is met.
func (l guardList) holds(text string) bool {
	return slices.ContainsFunc(l, func(pattern string) bool { return wild(pattern, text) })
}

func wild(pattern, text string) bool {
	head, rest, ok := strings.Cut(pattern, "*")
	if !ok || !strings.HasPrefix(text, head) {
		return pattern == text
	}
	for i := len(head); i <= len(text); i++ {
		if wild(rest, text[i:]) {
			return true
		}
	}
	return false
}
