package datadog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

// now is shortly after the golden records' time.
var now = time.Date(2026, 11, 19, 9, 0, 0, 0, time.UTC)

// secretKey is searched for in all that is said.
const secretKey = "0123456789abcdef0123456789abcdef"

func options() datadog.Options {
	return datadog.Options{
		Name: "dd", Site: "datadoghq.eu", APIKey: secretKey, Health: true,
		Tags: map[string]string{"env": "Prod EU", "team": "identity"},
		Now:  func() time.Time { return now },
	}
}

func protocol(t *testing.T, o datadog.Options) stream.Protocol {
	t.Helper()
	p, err := datadog.NewProtocol(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// encode appends one log and checks what must hold of any.
func encode(t *testing.T, p stream.Protocol, e schema.Event) (string, stream.Mark) {
	t.Helper()
	before, _ := json.Marshal(e)
	got, mark, err := p.Append([]byte("["), &e, now)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(e); !bytes.Equal(before, after) {
		t.Error("the event was changed")
	}
	if len(got) == 1 && mark.Skip {
		return "", mark
	}
	log := got[1:]
	if !json.Valid(log) || !utf8.Valid(log) {
		t.Fatalf("no JSON: %.2000s", log)
	}
	if len(log) > fake.DatadogMaxLog {
		t.Errorf("the log has %d bytes", len(log))
	}
	if got, want := gjson.GetBytes(log, "event_id").String(), schema.EventID(&e); got != want {
		t.Errorf("got event_id %s, want %s", got, want)
	}
	return string(log), mark
}

// mapped returns the events of a record the mapping is tested with.
func mapped(t *testing.T, path string) []schema.Event {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "transform", "testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Events []schema.Event }
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	return record.Events
}

func TestGolden(t *testing.T) {
	gap := notice.Gap(schema.Gap{
		Source: "acme", Stream: "main", From: now.Add(-48 * time.Hour), To: now.Add(-time.Hour),
		Reason: "the cursor is older than what the tenant keeps", DeclaredAt: now.Add(-time.Minute), Segment: 12,
	})
	gap.Metadata.UID = "gap/acme/12" // what it is named by is not of interest here
	for name, e := range map[string]schema.Event{
		"account_change":    mapped(t, "cloudtrail/admin_create_user.out.json")[0],
		"authentication":    mapped(t, "auth0_log/login_failed.out.json")[0],
		"authentication_ok": mapped(t, "auth0_log/login.out.json")[0],
		"entity_management": mapped(t, "auth0_log/sapi_attack_protection_off.out.json")[0],
		"user_access":       mapped(t, "auth0_log/sapi_role_users_fan_out.out.json")[0],
		"group_management":  mapped(t, "cloudtrail/add_user_to_group.out.json")[0],
		"api_activity":      mapped(t, "auth0_log/sapi_client_updated.out.json")[0],
		"base_event_gap":    gap,
	} {
		t.Run(name, func(t *testing.T) {
			log, mark := encode(t, protocol(t, options()), e)
			if mark != (stream.Mark{}) {
				t.Errorf("got mark %+v of an ordinary event", mark)
			}
			whole, _ := json.Marshal(e)
			if diff := cmp.Diff(decode(t, string(whole)), decode(t, gjson.Get(log, "ocsf").Raw)); diff != "" {
				t.Errorf("the event is not whole in ocsf (-want +got)\n%s", diff)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, []byte(log), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", got.String()+"\n")
		})
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", name, diff)
	}
}

// An event of which every field is set, to odd text, is a log of which every
// attribute is.
func TestEveryFieldSet(t *testing.T) {
	var e schema.Event
	loadtest.Fill(&e, 1)
	e.Time = now.UnixMilli()
	e.SrcEndpoint.Location.Lat, e.SrcEndpoint.Location.Long = new(52.5), new(-13.25)
	e.Metadata.Labels[1] = "person:p-1"
	e.API.Response.Code, e.StatusID, e.SeverityID = new(int32(404)), schema.StatusFailure, 6
	log, _ := encode(t, protocol(t, options()), e)
	for path, want := range map[string]any{
		"ddsource": "idtrail", "service": "idtrail", "hostname": e.DstEndpoint.Hostname, "status": "emergency",
		"timestamp": float64(now.UnixMilli()),
		"usr.id":    e.Actor.User.UID, "usr.name": e.Actor.User.Name, "usr.email": e.Actor.User.EmailAddr,
		"person":                                  "p-1",
		"network.client.ip":                       e.SrcEndpoint.IP,
		"network.client.geoip.city.name":          e.SrcEndpoint.Location.City,
		"network.client.geoip.country.iso_code":   e.SrcEndpoint.Location.Country,
		"network.client.geoip.continent.name":     e.SrcEndpoint.Location.Continent,
		"network.client.geoip.subdivision.name":   e.SrcEndpoint.Location.Region,
		"network.client.geoip.location.latitude":  52.5,
		"network.client.geoip.location.longitude": -13.25,
		"http.useragent":                          e.HTTPRequest.UserAgent,
		"http.method":                             e.HTTPRequest.HTTPMethod,
		"http.referer":                            e.HTTPRequest.Referrer,
		"http.url":                                e.HTTPRequest.URL.URLString,
		"http.url_details.host":                   e.HTTPRequest.URL.Hostname,
		"http.url_details.path":                   e.HTTPRequest.URL.Path,
		"http.url_details.queryString":            e.HTTPRequest.URL.QueryString,
		"http.status_code":                        404.0,
		"evt.name":                                e.ActivityName,
		"evt.outcome":                             "failure",
		"ocsf.raw_data":                           e.RawData,
	} {
		if got := gjson.Get(log, path).Value(); got != want {
			t.Errorf("%s: got %#v, want %#v", path, got, want)
		}
	}
	if message := gjson.Get(log, "message").String(); strings.ContainsAny(message, "\n\r\t") {
		t.Errorf("message %q is more than a line", message)
	}
	if late := gjson.Get(log, "event_time"); late.Exists() || gjson.Get(log, "slimmed").Exists() {
		t.Errorf("marks on an ordinary log: %s", log)
	}
}

// An event with nothing in it is a log all the same.
func TestEmptyEvent(t *testing.T) {
	log, mark := encode(t, protocol(t, options()), schema.Event{Time: -62_135_596_800_000})
	if !mark.TooOld || gjson.Get(log, "event_time").String() != "0001-01-01T00:00:00.000Z" {
		t.Errorf("got %+v, %s", mark, log)
	}
	log, mark = encode(t, protocol(t, options()), schema.Event{})
	if !mark.TooOld || gjson.Get(log, "event_time").String() != "1970-01-01T00:00:00.000Z" {
		t.Errorf("got %+v, %s", mark, log)
	}
	for _, group := range []string{"usr", "network", "http", "hostname"} {
		if gjson.Get(log, group).Exists() {
			t.Errorf("%s of an empty event: %s", group, log)
		}
	}
}

func TestWhoActed(t *testing.T) {
	ann, bob := &schema.UserObject{UID: "ann"}, &schema.UserObject{UID: "bob"}
	for name, test := range map[string]struct {
		event schema.Event
		want  string
	}{
		"sign-in":                {schema.Event{ClassUID: schema.ClassAuthentication, User: ann, Actor: &schema.Actor{User: bob}}, "ann"},
		"sign-in without a user": {schema.Event{ClassUID: schema.ClassAuthentication, Actor: &schema.Actor{User: bob}}, "bob"},
		"change by another":      {schema.Event{ClassUID: schema.ClassAccountChange, User: ann, Actor: &schema.Actor{User: bob}}, "bob"},
		"change by nobody":       {schema.Event{ClassUID: schema.ClassAccountChange, User: ann, Actor: &schema.Actor{AppName: "x"}}, "ann"},
		"nobody":                 {schema.Event{ClassUID: schema.ClassAPIActivity, Actor: &schema.Actor{}}, ""},
	} {
		log, _ := encode(t, protocol(t, options()), test.event)
		if got := gjson.Get(log, "usr.id").String(); got != test.want {
			t.Errorf("%s: got usr.id %q, want %q", name, got, test.want)
		}
	}
}

func TestWindow(t *testing.T) {
	for name, test := range map[string]struct {
		age    time.Duration
		tooOld bool
	}{
		"now":                  {0, false},
		"17 h 50 min":          {17*time.Hour + 50*time.Minute, false},
		"past the margin":      {17*time.Hour + 50*time.Minute + time.Millisecond, true},
		"a day":                {24 * time.Hour, true},
		"two hours ahead":      {-2 * time.Hour, false},
		"more than that ahead": {-2*time.Hour - time.Millisecond, true},
		"years ahead":          {-80 * 365 * 24 * time.Hour, true},
		"centuries":            {290 * 365 * 24 * time.Hour, true},
	} {
		for _, mode := range []datadog.TooOld{datadog.Restamp, datadog.Skip} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				o := options()
				o.TooOld = mode
				e := loadtest.Event(1, now)
				e.Time = now.UnixMilli() - test.age.Milliseconds()
				log, mark := encode(t, protocol(t, o), e)
				want := stream.Mark{TooOld: test.tooOld, Skip: test.tooOld && mode == datadog.Skip}
				if mark != want {
					t.Fatalf("got %+v, want %+v", mark, want)
				}
				if !want.Skip {
					wantTimes(t, log, e, test.tooOld)
				}
			})
		}
	}
}

func wantTimes(t *testing.T, log string, e schema.Event, late bool) {
	t.Helper()
	wantStamp, wantTime := e.Time, ""
	if late {
		wantStamp, wantTime = now.UnixMilli(), time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if got := gjson.Get(log, "timestamp").Raw; got != gjson.Parse(string(mustJSON(wantStamp))).Raw {
		t.Errorf("got timestamp %s, want %d", got, wantStamp)
	}
	if got := gjson.Get(log, "event_time").String(); got != wantTime {
		t.Errorf("got event_time %q, want %q", got, wantTime)
	}
	if got := strings.Contains(gjson.Get(log, "ddtags").String(), "late:true"); got != late {
		t.Errorf("tag late:true is %v, want %v", got, late)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func TestSlimming(t *testing.T) {
	big := strings.Repeat("a\"ü", 400_000)
	for name, test := range map[string]struct {
		grow       func(*schema.Event)
		slim, dead bool
		kept       string // a path that has to be there still
	}{
		"not large":       {func(e *schema.Event) {}, false, false, "ocsf.raw_data"},
		"raw record":      {func(e *schema.Event) { e.RawData = big }, true, false, "ocsf.unmapped"},
		"just under 1 MB": {func(e *schema.Event) { e.RawData = strings.Repeat("x", 990_000) }, false, false, "ocsf.raw_data"},
		"response":        {func(e *schema.Event) { e.API = &schema.API{Response: &schema.Response{Data: big}} }, true, false, "ocsf.user.uid"},
		"request":         {func(e *schema.Event) { e.API = &schema.API{Request: &schema.Request{UID: "r", Data: big}} }, true, false, "ocsf.api.request.uid"},
		"unmapped":        {func(e *schema.Event) { e.Unmapped = map[string]string{"a": big} }, true, false, "ocsf.user.uid"},
		"message":         {func(e *schema.Event) { e.Message = big }, true, false, "ocsf.message"},
		"user agent":      {func(e *schema.Event) { e.HTTPRequest.UserAgent = big }, true, false, "http.useragent"},
		"url":             {func(e *schema.Event) { e.HTTPRequest.URL = &schema.URL{URLString: big} }, true, false, "http.url"},
		"entity":          {func(e *schema.Event) { e.Entity = &schema.ManagedEntity{UID: "x", Data: big} }, true, false, "ocsf.entity.uid"},
		"groups":          {func(e *schema.Event) { e.User.Groups = []schema.Group{{Name: big}} }, true, false, "ocsf.user.uid"},
		"its own id":      {func(e *schema.Event) { e.Metadata.UID = big }, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadtest.Event(1, now)
			test.grow(&e)
			p := protocol(t, options())
			if test.dead {
				got, mark, err := p.Append([]byte("[1,"), &e, now)
				if err == nil || mark != (stream.Mark{}) || strings.Contains(err.Error(), "aaa") {
					t.Errorf("got %d bytes, %+v, %v", len(got), mark, err)
				}
				return
			}
			log, mark := encode(t, p, e)
			if mark.Slimmed != test.slim || gjson.Get(log, "slimmed").Bool() != test.slim {
				t.Errorf("got mark %+v, slimmed %s, want %v", mark, gjson.Get(log, "slimmed"), test.slim)
			}
			if strings.Contains(gjson.Get(log, "ddtags").String(), "slimmed:true") != test.slim {
				t.Errorf("tags %s", gjson.Get(log, "ddtags"))
			}
			if !gjson.Get(log, test.kept).Exists() {
				t.Errorf("%s is missing", test.kept)
			}
			if test.slim && gjson.Get(log, "ocsf.raw_data").Exists() {
				t.Error("the raw record is still there")
			}
		})
	}
}

func TestTags(t *testing.T) {
	e := loadtest.Event(1, now)
	e.Metadata.Product.Name, e.Metadata.TenantUID = "Amazon, Cognito", "eu-west-1_Ab,c"
	log, _ := encode(t, protocol(t, options()), e)
	want := "env:prod_eu,team:identity,product:amazon_cognito,tenant:eu-west-1_ab_c"
	if got := gjson.Get(log, "ddtags").String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, test := range [][2]string{
		{"Straße/ÄÖ", "k:straße/äö"},
		{"a::", "k:a"},
		{"", "k"},
		{"  spaces  here ", "k:_spaces_here"},
		{"a\",\"b\\", "k:a_b"},
		{"bad\xff\xfeutf", "k:bad_utf"},
		{strings.Repeat("x", 300), "k:" + strings.Repeat("x", 198)},
		{"日本", "k:日本"},
	} {
		if got := datadog.AppendTag("k:", test[0]); got != test[1] {
			t.Errorf("%q: got %q, want %q", test[0], got, test[1])
		}
	}
}
