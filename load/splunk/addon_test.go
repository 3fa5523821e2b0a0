package splunk_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/load/splunk"
	"github.com/idtrail/idtrail/schema"
)

const addOn = "../../deploy/splunk/TA-idtrail"

// conf is a .conf file: stanza, setting, value.
type conf map[string]map[string]string

func readConf(t *testing.T, name string) conf {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(addOn, name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConf(string(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

func parseConf(text string) (conf, error) {
	c := conf{}
	var stanza map[string]string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		key, value, isSetting := strings.Cut(line, "=")
		name, isStanza := strings.CutPrefix(line, "[")
		switch {
		case line == "" || line[0] == '#':
		case isStanza:
			name, closed := strings.CutSuffix(name, "]")
			if !closed || c[name] != nil {
				return nil, fmt.Errorf("line %d: stanza %q is cut off, or there already", i+1, line)
			}
			stanza = map[string]string{}
			c[name] = stanza
		case !isSetting || stanza == nil || stanza[strings.TrimSpace(key)] != "":
			return nil, fmt.Errorf("line %d: %q is no setting of a stanza, or there already", i+1, line)
		default:
			stanza[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return c, nil
}

func TestAddOnIsWhole(t *testing.T) {
	for _, name := range []string{"default/app.conf", "default/props.conf", "default/eventtypes.conf", "default/tags.conf", "default/fields.conf", "metadata/default.meta"} {
		if len(readConf(t, name)) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	if app := readConf(t, "default/app.conf"); app["package"]["id"] != filepath.Base(addOn) || app["id"]["name"] != filepath.Base(addOn) {
		t.Errorf("app.conf names it %v and %v, its folder is %s", app["package"], app["id"], filepath.Base(addOn))
	}
}

func TestAddOnKnowsEverySourcetype(t *testing.T) {
	props := readConf(t, "default/props.conf")
	want := slices.Sorted(slices.Values(splunk.Sourcetypes()))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(props))); diff != "" {
		t.Errorf("stanzas of props.conf (-sent +there)\n%s", diff)
	}
	for name, settings := range props {
		if settings["KV_MODE"] != "json" || settings["TRUNCATE"] != "0" {
			t.Errorf("%s: %v", name, settings)
		}
		text, _, err := newSink(t, nil).Append(nil, &schema.Event{Time: 1795179600123, Metadata: schema.Metadata{Product: schema.Product{Name: "idtrail"}}})
		if err != nil {
			t.Fatal(err)
		}
		// A time read back from the event is the one it was sent with.
		at := regexp.MustCompile(settings["TIME_PREFIX"]).FindIndex(text)
		if at == nil || !strings.HasPrefix(string(text[at[1]:]), "1795179600123,") || settings["TIME_FORMAT"] != "%s%3N" {
			t.Errorf("%s: TIME_PREFIX %s finds no time in %s", name, settings["TIME_PREFIX"], text)
		}
	}
}

// Every event gets the tags its data model looks for.
func TestAddOnTags(t *testing.T) {
	tests := map[string]struct {
		e    *schema.Event
		want []string
	}{
		"sign-in":         {mapped(t, "auth0_log/login")[0], []string{"authentication", "identity"}},
		"failed sign-in":  {mapped(t, "auth0_log/login_failed")[0], []string{"authentication", "identity"}},
		"push rejected":   {mapped(t, "auth0_log/mfa_push_rejected")[0], []string{"authentication", "identity"}},
		"challenge":       {mapped(t, "cloudtrail/initiate_auth_challenge")[0], []string{"identity"}},
		"sign-out":        {mapped(t, "auth0_log/logout")[0], []string{"identity"}},
		"root":            {mapped(t, "cloudtrail/console_login_failed_root")[0], []string{"authentication", "identity", "privileged"}},
		"account made":    {mapped(t, "auth0_log/sapi_create_user")[0], []string{"account", "change", "identity"}},
		"account blocked": {mapped(t, "auth0_log/sapi_block_user")[0], []string{"account", "change", "identity"}},
		"role given":      {mapped(t, "auth0_log/sapi_role_users_fan_out")[0], []string{"account", "change", "identity"}},
		"member added":    {mapped(t, "cloudtrail/add_user_to_group")[0], []string{"account", "change", "identity"}},
		"group made":      {mapped(t, "cloudtrail/create_group_plain")[0], []string{"change", "identity"}},
		"MFA off":         {mapped(t, "cloudtrail/pool_mfa_off")[0], []string{"change", "identity"}},
		"client made":     {mapped(t, "cloudtrail/create_pool_client")[0], []string{"change", "identity"}},
		"read":            {mapped(t, "cloudtrail/list_users_self")[0], []string{"identity"}},
		"gap":             {gap(), []string{"idtrail"}},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, tagsOf(t, envelopeOf(t, newSink(t, nil), tt.e))); diff != "" {
			t.Errorf("%s: tags (-want +got)\n%s", name, diff)
		}
	}
}

// Every event type has tags, every tag an event type, and no event is without.
func TestAddOnFits(t *testing.T) {
	types, tags := readConf(t, "default/eventtypes.conf"), readConf(t, "default/tags.conf")
	var want []string
	for name := range types {
		want = append(want, "eventtype="+name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(tags))); diff != "" {
		t.Errorf("stanzas of tags.conf (-event types +there)\n%s", diff)
	}
	for _, e := range everyEvent(t) {
		if got := envelopeOf(t, newSink(t, nil), e); len(tagsOf(t, got)) == 0 {
			t.Errorf("no tag for an event of %s", got.Sourcetype)
		}
	}
}

// Every field that the add-on names is one that is sent.
func TestAddOnNamesFieldsThatAreSent(t *testing.T) {
	sent, indexed := map[string]bool{"sourcetype": true}, map[string]bool{}
	for _, e := range everyEvent(t) {
		got := envelopeOf(t, newSink(t, nil), e)
		for name := range got.Event {
			sent[name] = true
		}
		for name := range got.Fields {
			indexed[name] = true
		}
	}
	fields := readConf(t, "default/fields.conf")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(indexed)), slices.Sorted(maps.Keys(fields))); diff != "" {
		t.Errorf("stanzas of fields.conf (-sent +there)\n%s", diff)
	}
	var named []string
	for _, settings := range readConf(t, "default/eventtypes.conf") {
		for _, m := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(settings["search"], -1) {
			named = append(named, m[1])
		}
	}
	for _, settings := range readConf(t, "default/props.conf") {
		for key, value := range settings {
			if name, found := strings.CutPrefix(key, "EVAL-"); found {
				named = append(named, name)
				named = append(named, regexp.MustCompile(`\((\w+)\)`).FindStringSubmatch(value)[1])
			}
		}
	}
	if len(named) < 10 {
		t.Errorf("only %q are named", named)
	}
	for _, name := range named {
		if !sent[name] {
			t.Errorf("%s is named, and never sent", name)
		}
	}
}

func everyEvent(t *testing.T) []*schema.Event {
	t.Helper()
	files, err := filepath.Glob("../../transform/testdata/*/*.out.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden events: %v", err)
	}
	all := []*schema.Event{gap()}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Events []*schema.Event }
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
		all = append(all, golden.Events...)
	}
	return all
}

// tagsOf are the tags that the add-on gives to an event.
func tagsOf(t *testing.T, e envelope) []string {
	t.Helper()
	value := func(field string) string {
		if field == "sourcetype" {
			return e.Sourcetype
		}
		text, _ := e.Event[field].(string)
		return text
	}
	found := map[string]bool{}
	tags := readConf(t, "default/tags.conf")
	for name, settings := range readConf(t, "default/eventtypes.conf") {
		s := search{words: regexp.MustCompile(`[()]|[^\s()"]+="[^"]*"|[^\s()]+`).FindAllString(settings["search"], -1), value: value}
		if len(s.words) == 0 || !s.any() {
			continue
		}
		if len(s.words) > 0 {
			t.Fatalf("%s: %q is left of the search", name, s.words)
		}
		for tag, state := range tags["eventtype="+name] {
			found[tag] = state == "enabled"
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// search matches an event against a search of field=value, OR, NOT and brackets;
// what stands side by side must all match.
type search struct {
	words []string
	value func(field string) string
}

func (s *search) next() string {
	if len(s.words) == 0 {
		return ""
	}
	return s.words[0]
}

func (s *search) take() string {
	w := s.words[0]
	s.words = s.words[1:]
	return w
}

func (s *search) any() bool {
	ok := s.all()
	for s.next() == "OR" {
		s.take()
		ok = s.all() || ok
	}
	return ok
}

func (s *search) all() bool {
	ok := true
	for w := s.next(); w != "" && w != "OR" && w != ")"; w = s.next() {
		ok = s.one() && ok
	}
	return ok
}

func (s *search) one() bool {
	switch w := s.take(); w {
	case "NOT":
		return !s.one()
	case "(":
		ok := s.any()
		s.take() // the closing bracket
		return ok
	default:
		field, want, _ := strings.Cut(w, "=")
		// Splunk compares without regard to case.
		return strings.EqualFold(s.value(field), strings.Trim(want, `"`))
	}
}
