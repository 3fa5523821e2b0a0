// Package ocsftest checks events against the OCSF 1.3.0 class definitions.
//
// It is a test kit: tests of any package hand it the events they made. It knows
// the classes of [schema] only, and it judges form, not meaning: that a failed
// login is filed as a failure is for the golden files to show.
package ocsftest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/idtrail/idtrail/schema"
)

// Validate returns what is wrong with the event as it is written as JSON, one
// sentence a fault, each beginning with the path of the attribute; nothing when
// the event is valid.
func Validate(event schema.Event) []string {
	data, err := json.Marshal(event)
	if err != nil {
		return []string{"event: cannot be encoded: " + err.Error()}
	}
	return ValidateJSON(data)
}

// ValidateJSON does the same for an event that is JSON already.
func ValidateJSON(data []byte) []string {
	defs, err := loadDefinitions()
	if err != nil {
		return []string{"class definitions: " + err.Error()}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var event map[string]any
	if err := dec.Decode(&event); err != nil {
		return []string{"event: is no JSON object: " + err.Error()}
	}
	c := &checker{defs: defs}
	c.event(event)
	return c.problems
}

// checker collects the problems of one event.
type checker struct {
	defs     *definitions
	profiles map[string]bool // those metadata.profiles lists
	problems []string
}

func (c *checker) add(path, format string, args ...any) {
	c.problems = append(c.problems, path+": "+fmt.Sprintf(format, args...))
}

func (c *checker) event(event map[string]any) {
	uid, isNumber := integer(event["class_uid"])
	class, ok := c.defs.Classes[strconv.FormatInt(uid, 10)]
	if !ok || !isNumber {
		c.add("class_uid", "%v is no class known here", event["class_uid"])
		return
	}
	c.listProfiles(event, class)
	c.object("", class, event)
	c.typeUID(event)
	c.version(event)
	c.ownActivity(event)
	c.observables(event)
}

func (c *checker) listProfiles(event map[string]any, class *object) {
	c.profiles = map[string]bool{}
	metadata, _ := event["metadata"].(map[string]any)
	list, _ := metadata["profiles"].([]any)
	for i, p := range list {
		name, _ := p.(string)
		path := fmt.Sprintf("metadata.profiles[%d]", i)
		switch {
		case !slices.Contains(class.Profiles, name):
			c.add(path, "%q is no profile of class %v", name, event["class_uid"])
		case c.profiles[name]:
			c.add(path, "%q is listed twice", name)
		}
		c.profiles[name] = true
	}
}

// object checks the members of v against their definitions, then what holds
// among them.
func (c *checker) object(path string, def *object, v map[string]any) {
	if len(def.Attributes) == 0 {
		return // OCSF's "object": free form
	}
	for _, name := range sortedKeys(v) {
		c.member(def, member{path: join(path, name), name: name, value: v[name]})
	}
	for _, name := range sortedKeys(def.Attributes) {
		a := def.Attributes[name]
		if _, ok := v[name]; !ok && a.Req == "required" && c.inProfile(a) {
			c.add(join(path, name), "required, but missing")
		}
	}
	c.constraints(path, def, v)
	c.siblings(path, def, v)
	c.times(path, def, v)
}

// member is one attribute of an object of the event.
type member struct {
	path, name string
	value      any
}

func (c *checker) member(def *object, m member) {
	a, ok := def.Attributes[m.name]
	switch {
	case !ok:
		c.add(m.path, "no such attribute")
		return
	case !c.inProfile(a):
		c.add(m.path, "needs one of the profiles %v", a.Profiles)
	case a.Deprecated != "":
		c.add(m.path, "deprecated since %s", a.Deprecated)
	}
	if !a.Array {
		c.value(m.path, a, m.value)
		return
	}
	list, ok := m.value.([]any)
	if !ok || len(list) == 0 {
		c.add(m.path, "must be an array with something in it")
		return
	}
	for i, e := range list {
		c.value(fmt.Sprintf("%s[%d]", m.path, i), a, e)
	}
}

// inProfile says whether the attribute may stand in this event.
func (c *checker) inProfile(a *attribute) bool {
	return len(a.Profiles) == 0 || slices.ContainsFunc(a.Profiles, func(p string) bool { return c.profiles[p] })
}

func (c *checker) value(path string, a *attribute, v any) {
	if a.Object != "" {
		m, ok := v.(map[string]any)
		if !ok || len(m) == 0 {
			c.add(path, "must be an object of type %s with something in it", a.Object)
			return
		}
		c.object(path, c.defs.Objects[a.Object], m)
		return
	}
	if fault := c.defs.typeFault(a.Type, path, v); fault != "" {
		c.add(path, "%s", fault)
		return
	}
	if _, known := a.Enum[fmt.Sprint(v)]; a.Enum != nil && !known {
		c.add(path, "%v is not in its enum", v)
	}
}

func (c *checker) constraints(path string, def *object, v map[string]any) {
	for _, rule := range sortedKeys(def.Constraints) {
		names := def.Constraints[rule]
		have := 0
		for _, n := range names {
			if _, ok := v[n]; ok {
				have++
			}
		}
		if (rule == "at_least_one" && have == 0) || (rule == "just_one" && have != 1) {
			c.add(or(path, "event"), "%s of %v, but has %d", rule, names, have)
		}
	}
}

// siblings checks that the text beside an enum says what its number says. For
// Other (99) it must be there and be the source's own word.
func (c *checker) siblings(path string, def *object, v map[string]any) {
	for _, name := range sortedKeys(def.Attributes) {
		a := def.Attributes[name]
		value, ok := v[name]
		if !ok || a.Sibling == "" || a.Enum == nil {
			continue
		}
		text, _ := v[a.Sibling].(string)
		want, known := a.Enum[fmt.Sprint(value)]
		switch {
		case !known:
		case fmt.Sprint(value) == "99":
			if text == "" {
				c.add(join(path, a.Sibling), "missing, but %s is 99", name)
			}
		case text != "" && text != want:
			c.add(join(path, a.Sibling), "is %q, but %s %v means %q", text, name, value, want)
		}
	}
}

// times checks that X_dt, where it stands, is the instant X gives.
func (c *checker) times(path string, def *object, v map[string]any) {
	for _, name := range sortedKeys(v) {
		if a := def.Attributes[name]; a == nil || a.Type != "timestamp_t" {
			continue
		}
		text, ok := v[name+"_dt"].(string)
		if !ok {
			continue
		}
		ms, _ := integer(v[name])
		if got, err := parseMillis(text); err == nil && got != ms {
			c.add(join(path, name+"_dt"), "is %s, but %s is %d", text, name, ms)
		}
	}
}

func (c *checker) typeUID(event map[string]any) {
	class, _ := integer(event["class_uid"])
	activity, _ := integer(event["activity_id"])
	if got, ok := integer(event["type_uid"]); ok && got != class*100+activity {
		c.add("type_uid", "is %d, but class_uid*100+activity_id is %d", got, class*100+activity)
	}
}

func (c *checker) version(event map[string]any) {
	metadata, _ := event["metadata"].(map[string]any)
	if got := metadata["version"]; got != c.defs.Version {
		c.add("metadata.version", "is %v, not %s", got, c.defs.Version)
	}
}

// ownActivity: "Other" beside activity 99 would say nothing.
func (c *checker) ownActivity(event map[string]any) {
	if id, _ := integer(event["activity_id"]); id == int64(schema.ActivityOther) && event["activity_name"] == "Other" {
		c.add("activity_name", "is \"Other\", not the source's own word")
	}
}

// observables checks that each one names an attribute of this event that has
// its value.
func (c *checker) observables(event map[string]any) {
	list, _ := event["observables"].([]any)
	for i, o := range list {
		m, _ := o.(map[string]any)
		name, _ := m["name"].(string)
		values := lookup(event, name)
		path := fmt.Sprintf("observables[%d]", i)
		if len(values) == 0 {
			c.add(path, "names %q, which the event does not have", name)
			continue
		}
		if value, ok := m["value"].(string); ok && !slices.Contains(values, any(value)) {
			c.add(path, "has another value than %s", name)
		}
	}
}
