package shape

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// ErrOptions says that a filter or a rule is not one. The text says which.
var ErrOptions = errors.New("not a usable shape")

// Options say what a sink is given. The zero value gives everything but what
// idtrail itself caused.
type Options struct {
	// Classes are the only ones let through; none for all: authentication,
	// account_change, entity_management, user_access, group_management,
	// api_activity. Notices of idtrail itself are always let through.
	Classes []string
	// MinSeverity is the least one let through: informational, low, medium,
	// high, critical or fatal; "" for all. Events of unknown severity pass.
	MinSeverity string
	// Self lets events through that idtrail itself caused, labelled "self".
	Self bool
	// Redact are the rules of redaction. A rule for a path precedes one for the
	// group it is of; nothing may be named twice.
	Redact []Rule
}

// Rule says what becomes of some values. See the package's own text.
type Rule struct {
	// Fields are groups and OCSF paths (user.email_addr, resources[].name,
	// src_endpoint.location).
	Fields []string
	// With is one of the With constants. Raw, unmapped and data have no
	// pseudonyms.
	With string
	// Key makes the pseudonyms: at least 16 bytes.
	Key []byte
}

// What a [Rule] may do.
const (
	WithDrop      = "drop"
	WithMask      = "mask"
	WithPseudonym = "pseudonym"
)

var classes = map[string]int32{
	"authentication":    schema.ClassAuthentication,
	"account_change":    schema.ClassAccountChange,
	"entity_management": schema.ClassEntityManagement,
	"user_access":       schema.ClassUserAccess,
	"group_management":  schema.ClassGroupManagement,
	"api_activity":      schema.ClassAPIActivity,
}

var severities = []string{"unknown", "informational", "low", "medium", "high", "critical", "fatal"}

// Shape is what a sink is given. It is safe for concurrent use.
type Shape struct {
	classes  []int32 // nil: all
	severity int32
	self     bool
	redact   *redactor // nil: nothing
}

// New returns a shape; the error wraps [ErrOptions].
func New(o Options) (*Shape, error) {
	s := &Shape{self: o.Self}
	for _, name := range o.Classes {
		uid, ok := classes[name]
		if !ok {
			return nil, fmt.Errorf("class %q is none of %s: %w", name, strings.Join(slices.Sorted(maps.Keys(classes)), ", "), ErrOptions)
		}
		s.classes = append(s.classes, uid)
	}
	if o.MinSeverity != "" {
		i := slices.Index(severities, o.MinSeverity)
		if i < 1 {
			return nil, fmt.Errorf("severity %q is none of %s: %w", o.MinSeverity, strings.Join(severities[1:], ", "), ErrOptions)
		}
		s.severity = int32(i) //nolint:gosec // one of seven
	}
	var err error
	s.redact, err = newRedactor(o.Redact)
	return s, err
}

// Apply returns the event as the sink is given it, and false if it is not. The
// event handed in is never changed; it is returned itself where nothing is
// redacted.
func (s *Shape) Apply(e *schema.Event) (*schema.Event, bool) {
	if !s.takes(e) {
		return nil, false
	}
	if s.redact == nil {
		return e, true
	}
	return s.redact.apply(e), true
}

func (s *Shape) takes(e *schema.Event) bool {
	if e.SeverityID < s.severity && e.SeverityID != 0 {
		return false
	}
	if isNotice(e) {
		return true
	}
	if !s.self && slices.Contains(e.Metadata.Labels, "self") {
		return false
	}
	return s.classes == nil || slices.Contains(s.classes, e.ClassUID)
}

// isNotice says whether idtrail tells of itself.
func isNotice(e *schema.Event) bool {
	return e.ClassUID == schema.ClassBase && e.Metadata.Product.Name == "idtrail"
}
