package shape_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/shape"
	"github.com/idtrail/idtrail/schema"
)

// sentinel is a value that is to be found nowhere once its group is redacted,
// and what it is found by: of a masked address, the first letter may stay.
type sentinel struct{ group, value, trace string }

// plant fills an event with a value of its own for every attribute that has a
// group, and sets all of them, in every disguise, into all texts beside.
func plant(rng *rand.Rand) (schema.Event, []sentinel) {
	var e schema.Event
	loadtest.Fill(&e, 1)
	e.Entity.Type, e.Resources[1].Type = "Users", "AWS::IAM::User"
	var all []sentinel
	n := 0
	add := func(group, form, trace string, at *string) {
		n++
		value := fmt.Sprintf(form, n)
		all = append(all, sentinel{group, value, strings.ToLower(fmt.Sprintf(trace, n))})
		if at != nil {
			*at = value
		}
	}
	for _, u := range []*schema.UserObject{e.User, e.UserResult, e.Actor.User} {
		add("user_id", `auth0|Qx%dz"w`, `qx%dz"w`, &u.UID)
		add("user_id", "alt/Qy%dz", "qy%dz", &u.UIDAlt)
		add("user_id", "AKIAQ%dXYZW", "akiaq%dxyzw", &u.CredentialUID)
		add("user_name", `Zoë\%d<Q>`, `zoë\%d<q>`, &u.Name)
		add("full_name", "Zoë & Qy%dü Smith", "qy%dü", &u.FullName)
		add("email", "Mail%dQ+tag@Example.com", "ail%dq", &u.EmailAddr)
	}
	add("user_id", "entity|%dQzz", "%dqzz", &e.Entity.UID)
	add("user_name", "entityQ%dname", "entityq%dname", &e.Entity.Name)
	add("user_id", "iam/Q%dzz", "q%dzz", &e.Resources[1].UID)
	add("user_name", "iamQ%dname", "iamq%dname", &e.Resources[1].Name)
	for i, s := range []*schema.Session{e.Session, e.Actor.Session} {
		add("session", "Sess%d/Q", "sess%d/q", &s.UID)
		add("session", "Sess%d~R", "sess%d~r", &s.UIDAlt)
		add("session", fmt.Sprintf("ASIA%%dQQ%d", i), fmt.Sprintf("asia%%dqq%d", i), &s.CredentialUID)
	}
	for i, ep := range []*schema.NetworkEndpoint{e.SrcEndpoint, e.DstEndpoint} {
		add("ip", []string{"198.51.100.2%d", "2001:db8:77:%d::aB"}[i], []string{"198.51.100.2%d", "77:%d::ab"}[i], &ep.IP)
		add("location", "Cityq%dville", "cityq%dville", &ep.Location.City)
		add("location", "Regionq%dland", "regionq%dland", &ep.Location.Region)
		add("location", "Descq%d here", "descq%d", &ep.Location.Desc)
	}
	add("user_agent", "Mozilla/5.0 (Q%dX; \"odd\") Chrome/131.0.0.0", "q%dx", &e.HTTPRequest.UserAgent)
	// Known by their form or the name they stand under alone.
	add("email", "nowhere%dq@else.example", "owhere%dq", nil)
	add("ip", "203.0.113.1%d", "203.0.113.1%d", nil)
	add("phone", "+49 170 55501%d", "55501%d", nil)
	named := map[string]sentinel{}
	for name, group := range map[string]string{
		"given_name": "full_name", "phoneNumber": "phone", "preferred_username": "user_name", "userId": "user_id",
		"session_id": "session", "city_name": "location", "userAgent": "user_agent",
	} {
		add(group, "By%dName", "by%dname", nil)
		named[name] = all[len(all)-1]
	}
	spread(rng, &e, all)
	nameThem(&e, named)
	return e, all
}

// spread sets the values into all texts of the event.
func spread(rng *rand.Rand, e *schema.Event, all []sentinel) {
	text := func(k int) string {
		var b strings.Builder
		for i := range all {
			s := all[(i+k)%len(all)]
			b.WriteString([]string{" ", ",", "\n", "(", "/"}[rng.IntN(5)])
			b.WriteString(disguise(s.value, rng.IntN(disguises)))
			b.WriteString([]string{" ", ";", "\n", ")", "|"}[rng.IntN(5)])
		}
		return b.String()
	}
	array := func() string {
		list := []any{map[string]any{text(3): text(4), "inner": quoted(map[string]string{"a": text(5)})}, text(6), 7, nil}
		return quoted(list)
	}
	e.Message, e.StatusDetail, e.Comment = text(0), text(1), text(2)
	e.API.Request.Data, e.API.Response.Data, e.API.Response.ErrorMessage = array(), text(8), text(9)
	e.Entity.Data, e.EntityResult.Data, e.Resource.Data, e.Resources[0].Data = array(), array(), array(), `{"cut":"off `+text(1)
	e.HTTPRequest.URL.URLString, e.HTTPRequest.Referrer = "https://x.example/?q="+url.QueryEscape(text(2)), text(3)
	e.Metadata.Labels = append(e.Metadata.Labels, "field:"+text(4))
	e.Unmapped = map[string]string{"a": text(5), "b": array(), "c." + text(6): "d", "e": quoted(quoted(text(7)))}
	e.RawData = `{"raw":` + array() + `}`
	e.Observables = nil
	for i, s := range all {
		name, id := []string{"message", "user.name", "resources[].uid", "no.such"}[i%4], int32(99)
		e.Observables = append(e.Observables, schema.Observable{Name: name, TypeID: id, Type: "x", Value: s.value})
	}
}

// nameThem sets values where nothing but a name says what they are.
func nameThem(e *schema.Event, named map[string]sentinel) {
	members := map[string]any{}
	var pairs []any
	form := url.Values{}
	for name, s := range named {
		members[name] = s.value
		pairs = append(pairs, map[string]any{"Name": name, "Value": s.value})
		form.Set(name, s.value)
	}
	e.Unmapped["members"], e.Unmapped["form"] = quoted(map[string]any{"x": quoted(members)}), form.Encode()
	e.API.Request.Data = quoted([]any{members, pairs, e.API.Request.Data})
	for name, s := range named {
		e.Unmapped["details.body."+name] = s.value
	}
}

const disguises = 10

// disguise writes a value as it may stand in a text.
func disguise(s string, way int) string {
	switch way {
	case 1:
		return strings.ToUpper(s)
	case 2:
		return quoted(s)
	case 3:
		return quoted(quoted(s))
	case 4:
		return url.QueryEscape(s)
	case 5:
		return url.PathEscape(url.PathEscape(s))
	case 6:
		return quoted(url.QueryEscape(strings.ToUpper(s)))
	case 7:
		return ascii(quoted(s))
	case 8:
		return url.QueryEscape(quoted(s))
	case 9:
		return "x\\n" + s + "\\u003c"
	}
	return s
}

// ascii is JSON as some write it: nothing but ASCII.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04X`, u)
		}
	}
	return b.String()
}

func quoted(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// readings are all ways to read a text: as it stands, and unescaped in any
// order, until nothing is left to unescape.
func readings(s string) []string {
	s = strings.ToLower(s)
	seen := map[string]bool{s: true}
	list := []string{s}
	for i := 0; i < len(list) && i < 64; i++ {
		for _, next := range []string{unquote(list[i]), unpercent(list[i]), strings.ReplaceAll(list[i], "+", " ")} {
			if next = strings.ToLower(next); !seen[next] {
				seen[next] = true
				list = append(list, next)
			}
		}
	}
	return list
}

func unquote(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if s[0] == '\\' && len(s) > 1 {
			r, _, rest, err := strconv.UnquoteChar(s, '"')
			if err == nil {
				b.WriteRune(r)
				s = rest
				continue
			}
			if s[1] == '/' || s[1] == '\'' {
				s = s[1:]
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

func unpercent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// wantNone checks that no text of the event shows one of the values.
func wantNone(t *testing.T, e *schema.Event, gone []sentinel) {
	t.Helper()
	texts("", reflect.ValueOf(e).Elem(), func(path, s string) {
		if strings.HasPrefix(path, "metadata.product") || path == "metadata.uid" {
			return
		}
		for _, reading := range readings(s) {
			for _, g := range gone {
				if i := strings.Index(reading, g.trace); i >= 0 {
					t.Errorf("%s: %s shows %q in %q", path, g.group, g.value, reading[max(0, i-40):min(len(reading), i+len(g.trace)+40)])
					return
				}
			}
		}
	})
}

func TestNoLeak(t *testing.T) {
	groups := []string{"email", "user_name", "user_id", "full_name", "phone", "ip", "location", "user_agent", "session"}
	for seed := range uint64(3) {
		e, all := plant(rand.New(rand.NewPCG(seed, 1)))
		for _, with := range []string{"drop", "mask", "pseudonym"} {
			for _, fields := range append([][]string{groups}, singles(groups)...) {
				var gone []sentinel
				for _, s := range all {
					if strings.Contains(" "+strings.Join(fields, " ")+" ", " "+s.group+" ") && (with != "mask" || s.group != "ip") {
						gone = append(gone, s)
					}
				}
				t.Run(fmt.Sprintf("%d %s %s", seed, with, strings.Join(fields, " ")), func(t *testing.T) {
					out := redact(t, rules(with, fields...), e)
					wantNone(t, out, gone)
					for path, s := range map[string]string{"api.request": out.API.Request.Data, "entity": out.Entity.Data, "unmapped": out.Unmapped["b"]} {
						if !json.Valid([]byte(s)) {
							t.Errorf("%s is no JSON any more: %.200s", path, s)
						}
					}
				})
			}
		}
	}
}

func singles(groups []string) [][]string {
	lists := make([][]string, len(groups))
	for i, g := range groups {
		lists[i] = []string{g}
	}
	return lists
}

// TestForms: what is known by its form, and what only looks like it.
func TestForms(t *testing.T) {
	s := mustNew(t, rules("drop", "email", "ip", "phone", "user_name"))
	for in, want := range map[string]string{
		"from 203.0.113.7.":                         "from ***.",
		"[2001:db8::1]:443 and fe80::1%eth0":        "[***]:443 and ***%eth0",
		"x-forwarded-for:2001:db8::1,10.0.0.1":      "x-forwarded-for:***,***",
		"net 10.1.2.0/24":                           "net ***/24",
		"AWS::IAM::Role resource::bucket std::f":    "AWS::IAM::Role resource::bucket std::f",
		"at 12:30:45, version 1.2.3, 1.2":           "at 12:30:45, version 1.2.3, 1.2",
		"Mozilla/5.0 Chrome/131.0.0.0 via 10.0.0.1": "Mozilla/5.0 Chrome/131.0.0.0 via ***",
		"<ada@example.com>, 'bob@x.example'":        "<***>, '***'",
		"arn:aws:sts::1:assumed-role/r/ada@a.co":    "arn:aws:sts::1:assumed-role/r/***",
		"email|ada@example.com":                     "email|***",
		"mailto:ada+x@sub.example.com?subject=a":    "mailto:***?subject=a",
		"jürgen@bücher.example.":                    "***.",
		"npm i @scope/name@1.2":                     "npm i @scope/name@1.2",
		"a @ b, @, x@y, @example.com":               "a @ b, @, x@y, @example.com",
		"call +49 (170) 555-0123 now":               "call *** now",
		"1 + 2 = 3; +1; +123":                       "1 + 2 = 3; +1; +123",
		"grant_type=password&username=ada&x=1":      "grant_type=password&username=***&x=1",
		`{"username":"ada","cut":"of`:               `{"username":"***","cut":"of`,
		`{"user_name" : "ada lovelace`:              `{"user_name" : "***`,
		`{\"username\":\"ada\",\"cut`:               `{\"username\":\"***\",\"cut`,
		"ada@example.com":                           "",
		"":                                          "",
		"\xff\xfe\\u12 % %zz \\":                    "\xff\xfe\\u12 % %zz \\",
	} {
		out, _ := s.Apply(&schema.Event{Message: in})
		if out.Message != want {
			t.Errorf("%q became %q, want %q", in, out.Message, want)
		}
	}
}

// TestShortValues: a short name is taken out as a word, not out of words.
func TestShortValues(t *testing.T) {
	s := mustNew(t, rules("mask", "user_name"))
	for in, want := range map[string]string{
		"login of Ann, ANN's, (ann)":      "login of ***, ***'s, (***)",
		"announce an annex, joann":        "announce an annex, joann",
		`"\nann\tlogged in", %22ann%22`:   `"\n***\tlogged in", %22***%22`,
		`\u003cann\u003e ann_b user/ann/`: `\u003c***\u003e ***_b user/***/`,
	} {
		out, _ := s.Apply(&schema.Event{User: &schema.UserObject{Name: "Ann"}, Message: in})
		if out.Message != want {
			t.Errorf("%q became %q, want %q", in, out.Message, want)
		}
	}
	out, _ := s.Apply(&schema.Event{User: &schema.UserObject{Name: "unknown"}, Message: "unknown error"})
	if out.Message != "unknown error" {
		t.Errorf("message %q", out.Message)
	}
}

var halfEscape = regexp.MustCompile(`(?i)(%[0-9a-f]?|\\(u[0-9a-f]{0,3})?)$`)

// TestMaskShowsNoName: what a mask leaves of one value is no other value.
func TestMaskShowsNoName(t *testing.T) {
	in := schema.Event{
		User:    &schema.UserObject{Name: "lovelace", EmailAddr: "ada@lovelace.example"},
		Message: "ada@lovelace.example, bob@lovelace.example, bob@example.com",
	}
	e := redact(t, rules("mask", "email", "user_name"), in)
	if e.User.EmailAddr != "***" || e.Message != "***, ***, b***@example.com" {
		t.Errorf("email_addr %q, message %q", e.User.EmailAddr, e.Message)
	}
}

// TestHostile: values that people choose themselves cost no more than others.
func TestHostile(t *testing.T) {
	s := mustNew(t, rules("pseudonym", "email", "user_name", "user_id", "full_name", "phone", "ip", "session", "location", "user_agent"))
	emails := make([]map[string]string, 5000)
	for i := range emails {
		emails[i] = map[string]string{"email": fmt.Sprintf("user%d@example.com", i)}
	}
	for name, text := range map[string]string{
		"pluses":      strings.Repeat("+", 200_000),
		"ats":         strings.Repeat("a@", 100_000),
		"one name":    strings.Repeat("a", 200_000) + "@b",
		"colons":      strings.Repeat(":", 200_000),
		"hex":         strings.Repeat("abcdef::", 25_000),
		"dots":        strings.Repeat("1.", 100_000),
		"equals":      strings.Repeat("ip=", 60_000),
		"quotes":      strings.Repeat(`ip="`, 50_000),
		"backslashes": strings.Repeat(`\`, 100_000),
		"percents":    strings.Repeat("%25", 60_000),
		"deep":        strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000),
		"deep names":  strings.Repeat(`{"user":`, 10_000) + `"ada"` + strings.Repeat("}", 10_000),
		"many":        quoted(emails),
	} {
		e := schema.Event{
			User: &schema.UserObject{Name: text[:1000]}, Message: text,
			API: &schema.API{Request: &schema.Request{Data: text}}, Unmapped: map[string]string{"x": text},
		}
		out, _ := s.Apply(&e) // what took more than linear time would take hours
		if name == "many" && strings.Contains(out.API.Request.Data, "example.com") {
			t.Error("an address of many is left")
		}
	}
}

func FuzzNoLeak(f *testing.F) {
	f.Add("Ada Lovelace", "login of ", " failed", 3)
	f.Add(`a\b"c<d>%41`, `{"x":"`, `"}`, 5)
	f.Add("+49 170 555", "\\", "%", 9)
	f.Add("日本 %E3 \\u0041", "[[", "]]", 7)
	f.Add("trailing\\\\", "{\"a\":[", "", 2)
	shapes := []*shape.Shape{
		mustNew(f, rules("drop", "user_name")),
		mustNew(f, rules("mask", "user_name", "email", "ip", "phone", "full_name", "user_id", "session", "location", "user_agent")),
		mustNew(f, rules("pseudonym", "user_name")),
	}
	f.Fuzz(func(t *testing.T, value, before, after string, way int) {
		value = strings.TrimSpace(value)
		if !utf8.ValidString(value) || utf8.RuneCountInString(value) < 10 || strings.ContainsAny(value, "*\x00") || strings.ContainsRune(value, utf8.RuneError) {
			t.Skip()
		}
		// A bare % or \ right before an escaped value makes of it another value.
		if halfEscape.MatchString(before) || halfEscape.MatchString(after) {
			t.Skip()
		}
		planted := disguise(value, way&0xff%disguises)
		e := schema.Event{
			User: &schema.UserObject{Name: value}, Message: before + planted + after, RawData: value,
			API:      &schema.API{Request: &schema.Request{Data: quoted(map[string]any{before: planted + after, planted: 1})}},
			Unmapped: map[string]string{before: after + planted, planted: "x"},
		}
		for i, s := range shapes {
			out, _ := s.Apply(&e)
			texts("", reflect.ValueOf(out).Elem(), func(path, text string) {
				if strings.Contains(strings.ToLower(text), strings.ToLower(planted)) || strings.Contains(text, value) {
					t.Errorf("shape %d: %s shows %q in %q", i, path, value, text)
				}
			})
			if !json.Valid([]byte(out.API.Request.Data)) {
				t.Errorf("shape %d: no JSON any more: %q", i, out.API.Request.Data)
			}
		}
	})
}
