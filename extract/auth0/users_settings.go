package auth0

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// section is a kind of a tenant's settings.
type section struct {
	name string
	path []string
	// list says that it is read in pages; others are one object or list.
	list bool
	// id is the member that names one of several.
	id    string
	scope string
}

// sections are the settings that are read, in this order, a call or a few each.
func sections() []section {
	return []section{
		{name: "tenant", path: []string{"tenants", "settings"}, scope: "read:tenant_settings"},
		{name: "brute_force_protection", path: []string{"attack-protection", "brute-force-protection"}, scope: "read:attack_protection"},
		{name: "suspicious_ip_throttling", path: []string{"attack-protection", "suspicious-ip-throttling"}, scope: "read:attack_protection"},
		{name: "breached_password_detection", path: []string{"attack-protection", "breached-password-detection"}, scope: "read:attack_protection"},
		{name: "guardian_factor", path: []string{"guardian", "factors"}, id: "name", scope: "read:guardian_factors"},
		{name: "log_stream", path: []string{"log-streams"}, id: "id", scope: "read:log_streams"},
		{name: "connection", path: []string{"connections"}, list: true, id: "id", scope: "read:connections"},
		{name: "client", path: []string{"clients"}, list: true, id: "client_id", scope: "read:clients"},
		{name: "resource_server", path: []string{"resource-servers"}, list: true, id: "id", scope: "read:resource_servers"},
		{name: "role", path: []string{"roles"}, list: true, id: "id", scope: "read:roles"},
		{name: "organization", path: []string{"organizations"}, list: true, id: "id", scope: "read:organizations"},
	}
}

func sectionAt(phase string) int {
	return slices.IndexFunc(sections(), func(s section) bool { return s.name == phase })
}

func knownPhase(phase string) bool {
	return phase == phaseMembers || phase == phaseUsers || sectionAt(phase) >= 0
}

// settingsPage reads a page of a section. One that may not be read, or cannot
// be, says so and is passed over: settings never stand in the way of users.
func (p *pass) settingsPage(ctx context.Context) ([]schema.Raw, error) {
	s := sections()[sectionAt(p.cur.Phase)]
	if p.walk == nil {
		p.walk = &walker{client: p.users.client, call: call{path: s.path, scope: s.scope}, at: p.cur.place}
	}
	begins := p.walk.at == place{}
	items, err := p.users.settings(ctx, p.walk, s)
	why, err := unread(err)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	var records []schema.Raw
	for _, item := range items {
		records = append(records, p.users.setting(s, item))
	}
	switch {
	case why.State != "":
		p.walk.over = true
		records = append(records, settingRecord(schema.Setting{Section: s.name, State: why.State, Detail: why.Detail}))
	case len(items) == 0 && begins && p.walk.over:
		records = append(records, settingRecord(schema.Setting{Section: s.name, State: schema.SettingOK, Detail: "there are none"}))
	}
	p.nextSection(s)
	p.cur.Settings += int64(len(records))
	return records, nil
}

// settings reads a page of a list, or all there is of what is none.
func (u *Users) settings(ctx context.Context, w *walker, s section) ([]gjson.Result, error) {
	if s.list {
		return w.next(ctx)
	}
	w.over = true
	body, _, err := u.client.do(ctx, w.call)
	if err != nil {
		return nil, err
	}
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		return root.Array(), nil
	}
	return []gjson.Result{root}, nil
}

// nextSection moves the cursor to the next page, or the next section.
func (p *pass) nextSection(s section) {
	p.cur.place = p.walk.at
	if !p.walk.over {
		return
	}
	p.walk, p.cur.place = nil, place{}
	p.cur.Phase = phaseMembers
	if next := sectionAt(s.name) + 1; next < len(sections()) {
		p.cur.Phase = sections()[next].name
	}
}

// unread tells an answer that settings can do without from a failure that will
// meet the users too. It has been asked for again before.
func unread(err error) (refusal, error) {
	why, err := refused(err)
	var status *StatusError
	if errors.As(err, &status) && !status.limited() && !errors.Is(err, ErrCredentials) {
		return refusal{schema.SettingUnsupported, "not read: " + err.Error()}, nil
	}
	return why, err
}

// setting makes the record of an item, secrets replaced.
func (u *Users) setting(s section, item gjson.Result) schema.Raw {
	id := ""
	if s.id != "" {
		if id = item.Get(s.id).String(); id == "" {
			sum := sha256.Sum256([]byte(item.Raw))
			id = "sha256:" + hex.EncodeToString(sum[:8])
		}
	}
	return settingRecord(schema.Setting{Section: s.name, ID: id, State: schema.SettingOK, Data: u.seal(item)})
}

func settingRecord(s schema.Setting) schema.Raw {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	raw := schema.Raw{Kind: schema.KindSetting, Bytes: text}
	raw.ID = raw.Kind.ID(text)
	return raw
}

// seal writes an answer with fingerprints in the place of secrets: a change
// still shows.
func (u *Users) seal(item gjson.Result) string {
	mac := hmac.New(sha256.New, []byte("idtrail fingerprint of a secret"))
	mac.Write([]byte(u.Identity()))
	s := sealer{key: mac.Sum(nil)}
	s.value(item, "", false)
	return s.out.String()
}

// sealer copies JSON and replaces secrets in it.
type sealer struct {
	key []byte
	out strings.Builder
}

// value copies one value, which stands under a name; all says that everything
// in it is secret.
func (s *sealer) value(v gjson.Result, name string, all bool) {
	switch {
	case v.IsObject():
		s.object(v, name, all)
	case v.IsArray():
		s.out.WriteByte('[')
		for i, item := range v.Array() {
			s.comma(i)
			s.value(item, name, all)
		}
		s.out.WriteByte(']')
	case (all || secretText(name)) && (v.Type == gjson.Number || v.Type == gjson.String && v.Str != ""):
		s.out.WriteString(`"` + s.fingerprint(v.String()) + `"`)
	default:
		s.out.WriteString(v.Raw)
	}
}

func (s *sealer) object(v gjson.Result, parent string, all bool) {
	s.out.WriteByte('{')
	i := 0
	v.ForEach(func(key, member gjson.Result) bool {
		s.comma(i)
		i++
		s.out.WriteString(key.Raw + ":")
		name := plainName(key.Str)
		s.value(member, name, all || secretWhole(parent, name))
		return true
	})
	s.out.WriteByte('}')
}

func (s *sealer) comma(i int) {
	if i > 0 {
		s.out.WriteByte(',')
	}
}

// fingerprint names a secret without telling it.
func (s *sealer) fingerprint(secret string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(secret))
	return "fingerprint:" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// plainName leaves letters and digits of a name, in lower case.
func plainName(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || c == ' ' || c == '.' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}

// secretWhole says whether everything under a name is secret: keys, and what a
// connection's scripts are made of and given.
func secretWhole(parent, name string) bool {
	switch name {
	case "configuration", "bareconfiguration", "customscripts":
		return parent == "options"
	case "signingkeys", "signingkey", "encryptionkey", "decryptionkey", "secrets", "clientsecrets":
		return true
	default:
		return hasSuffix(name, "secret", "password", "privatekey", "secretkey", "apikey", "accesskey", "writekey", "authorization")
	}
}

// secretText says whether a text under a name is secret, while an object of that
// name is a setting.
func secretText(name string) bool {
	return hasSuffix(name, "token", "webhookurl", "sumosourceaddress", "connectionstring", "passphrase", "smtppass")
}

func hasSuffix(name string, ends ...string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name, end) })
}
