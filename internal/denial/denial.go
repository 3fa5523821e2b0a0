// Package denial reads what AWS says when it refuses a call for want of a right:
// which action, on what, and which kind of policy stands in the way.
//
// It takes over nothing of an answer but names of the form that IAM has: actions
// and ARNs. It calls nobody, and does not know what a config needs.
package denial

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Error says that a call was refused for want of a right.
type Error struct {
	// Action as IAM names it: cognito-idp:ListUsers.
	Action string
	// Resource is the ARN the action was meant for; "" where nobody said.
	Resource string
	// Prefix is what the keys to be listed begin with, of a list of a bucket that the
	// caller knows of.
	Prefix string
	// Named says that AWS named the action, and it is not what the caller knows
	// of its call: a PutObject may be refused for want of a right on a KMS key.
	Named bool
	// Denied is the kind of policy that denies the action: to allow it elsewhere
	// does not help. "" is none: nothing allows it.
	Denied string
	// Lacking is the kind of policy that would have to allow it; "" where AWS did
	// not say.
	Lacking string
	// Err is what else is known, and may be nil.
	Err error
}

// Error says what to do.
func (e *Error) Error() string {
	if e.Err == nil {
		return "access denied: " + e.Advice()
	}
	return "access denied: " + e.Advice() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Advice says in words what to change.
func (e *Error) Advice() string {
	right := e.Action
	if e.Resource != "" {
		right += " on " + e.Resource
	}
	switch {
	case e.Denied != "":
		return fmt.Sprintf("a %s denies %s: that has to be changed, to allow it elsewhere does not help", e.Denied, right)
	case e.Lacking != "" && e.Lacking != identityBased:
		return fmt.Sprintf("no %s allows %s: that has to, besides the role's own policy", e.Lacking, right)
	default:
		return "allow " + right
	}
}

// Blocked says whether a statement in the policy of the role itself would not
// help.
func (e *Error) Blocked() bool {
	return e.Denied != "" || e.Lacking != "" && e.Lacking != identityBased
}

const identityBased = "identity-based policy"

// The forms of what AWS says. S3 puts resources into quotes, Cognito and KMS do
// not, and CloudTrail names none:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var (
	refused  = regexp.MustCompile(`not authorized to perform: ([a-z][a-z0-9-]{0,62}:[A-Za-z]{1,128})`)
	resource = regexp.MustCompile(`^ on resource:? "?(arn:[A-Za-z0-9:/_.*@=+,%|~-]{1,1000})`)
	denies   = regexp.MustCompile(`with an explicit deny(?: in an? ([a-z][a-z -]{0,40}[a-z]))?`)
	lacks    = regexp.MustCompile(`because no ([a-z][a-z -]{0,40}[a-z]) allows? the `)
)

// Parse reads AWS's message. It is nil where that names no action.
func Parse(message string) *Error {
	at := refused.FindStringSubmatchIndex(message)
	if at == nil {
		return nil
	}
	e := &Error{Action: message[at[2]:at[3]], Named: true}
	rest := message[at[1]:]
	if m := resource.FindStringSubmatch(rest); m != nil {
		e.Resource = strings.TrimRight(m[1], ".,")
	}
	if m := denies.FindStringSubmatch(rest); m != nil {
		e.Denied = m[1]
		if e.Denied == "" {
			e.Denied = "policy"
		}
	}
	if m := lacks.FindStringSubmatch(rest); m != nil {
		e.Lacking = m[1]
	}
	return e
}

// Of is what AWS said, or, where it named nothing, what the caller knows of its
// call.
func Of(message, action, resource string) *Error {
	if e := Parse(message); e != nil {
		if e.Resource == "" && e.Action == action {
			e.Resource = resource
		}
		return e
	}
	return &Error{Action: action, Resource: resource}
}

// All are the refusals that an error holds, in its order, each once.
func All(err error) []*Error {
	var all []*Error
	seen := map[[2]string]bool{}
	walk(err, func(e *Error) {
		if key := [2]string{e.Action, e.Resource}; !seen[key] {
			seen[key] = true
			all = append(all, e)
		}
	})
	return all
}

// walk goes through the tree of an error, which may join several.
func walk(err error, found func(*Error)) {
	if e, ok := err.(*Error); ok { //nolint:errorlint // the tree is walked here
		found(e)
	}
	switch wraps := err.(type) { //nolint:errorlint // so is it here
	case interface{ Unwrap() []error }:
		for _, inner := range wraps.Unwrap() {
			walk(inner, found)
		}
	case interface{ Unwrap() error }:
		if inner := errors.Unwrap(err); inner != nil {
			walk(inner, found)
		}
	}
}
