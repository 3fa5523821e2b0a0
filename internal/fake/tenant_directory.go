package fake

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// organizationCount is how many customers have an organization of their own.
const organizationCount = 5

// Directory is the tenant as its API shows it: the users of
// [Tenant.WriteAuth0Users], their roles, the organizations of some, and settings
// with secrets in them.
func (t *Tenant) Directory() *Directory {
	d := &Directory{
		Users:       t.exportLines(),
		Roles:       tenantRoles(),
		Connections: t.connections(),
		Clients:     t.clients(),
		ResourceServers: []json.RawMessage{
			t.text(map[string]any{"id": "nwApi1", "identifier": "https://api.northwind.example/", "signing_alg": "HS256", "signing_secret": t.secret(secretConnection, 3)}),
		},
		Settings: t.tenantSettings(),
	}
	roles := make([]MemberList, len(d.Roles))
	members := make([]MemberList, organizationCount)
	for i := range t.cases {
		left, _ := t.accounts(i)
		for _, u := range left {
			var held []string
			for n, r := range d.Roles {
				if slices.Contains(u.Roles, r.Name) {
					held = append(held, r.ID)
					roles[n] = append(roles[n], Member{User: u.UserID})
				}
			}
			if i%3 == 0 {
				members[i%organizationCount] = append(members[i%organizationCount], Member{User: u.UserID, Roles: held[:i%2*len(held)]})
			}
		}
	}
	for n := range roles {
		d.Roles[n].Members = roles[n]
	}
	for n := range members {
		d.Organizations = append(d.Organizations, Organization{
			ID: fmt.Sprintf("org_nwCustomer%d", n), Name: fmt.Sprintf("customer-%d", n),
			DisplayName: fmt.Sprintf("Customer %d", n), Members: members[n],
		})
	}
	return d
}

func (t *Tenant) exportLines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range t.cases {
			left, _ := t.accounts(i)
			for _, u := range left {
				text, err := json.Marshal(u)
				if err != nil {
					panic(err) // a struct of texts, numbers and maps of them
				}
				if !yield(text) {
					return
				}
			}
		}
	}
}

func tenantRoles() []Role {
	var all []Role
	for _, name := range append(slices.Clone(roles), "auditors") {
		id := "rol_nw" + strings.ToUpper(name[:1]) + name[1:]
		id += strings.Repeat("0", 19-len(id)) + "1"
		all = append(all, Role{ID: id, Name: name, Description: "May do what " + name + " do"})
	}
	return all
}

func (t *Tenant) text(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts
	}
	return text
}

func (t *Tenant) connections() []json.RawMessage {
	connection := func(id, name, strategy string, options map[string]any) json.RawMessage {
		return t.text(map[string]any{"id": id, "name": name, "strategy": strategy, "options": options, "enabled_clients": []string{apps[0].id}})
	}
	return []json.RawMessage{
		connection("con_nwDatabase00001", DatabaseName, "auth0", map[string]any{
			"passwordPolicy": "good", "brute_force_protection": true, "import_mode": true, "enabledDatabaseCustomization": true,
			"configuration": map[string]any{"DB_URI": t.secret(secretConnection, 0)},
			"customScripts": map[string]any{"login": "function login() { connect('" + t.secret(secretConnection, 1) + "'); }"},
		}),
		connection("con_nwGoogle0000001", GoogleName, "google-oauth2", map[string]any{
			"client_id": "northwind.apps.example", "client_secret": t.secret(secretConnection, 2), "scope": []string{"email", "profile"},
		}),
		connection("con_nwSms000000001", SMSName, SMSName, map[string]any{
			"twilio_sid": "ACnorthwind", "twilio_token": t.secret(secretConnection, 3), "totp": map[string]any{"time_step": 300, "length": 6},
		}),
		connection("con_nwPartners00001", PartnersName, "samlp", map[string]any{
			"signInEndpoint": "https://partners.example/sso", "signatureAlgorithm": "rsa-sha256",
			"decryptionKey": map[string]any{"key": t.secret(secretConnection, 0), "cert": "public"},
		}),
	}
}

func (t *Tenant) clients() []json.RawMessage {
	var all []json.RawMessage
	for i, app := range apps {
		all = append(all, t.text(map[string]any{
			"client_id": app.id, "name": app.name, "app_type": "spa", "is_first_party": true, "callbacks": []string{"https://portal.northwind.example/cb"},
			"client_secret": t.secret(secretClient, i), "token_endpoint_auth_method": "client_secret_post",
			"refresh_token": map[string]any{"rotation_type": "rotating", "token_lifetime": 2592000},
			"signing_keys":  []map[string]any{{"cert": "public", "pkcs7": "public", "subject": "/CN=" + TenantHost}},
		}))
	}
	return all
}

func (t *Tenant) tenantSettings() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"tenants/settings":                         t.text(map[string]any{"friendly_name": "Northwind", "session_lifetime": 168, "flags": map[string]bool{"enable_client_connections": false}}),
		"attack-protection/brute-force-protection": t.text(map[string]any{"enabled": true, "max_attempts": 10}),
		"guardian/factors":                         t.text([]map[string]any{{"name": "otp", "enabled": true}, {"name": "sms", "enabled": false}}),
		"log-streams": t.text([]map[string]any{{
			"id": "lst_nw0000000000000001", "type": "http", "status": "active",
			"sink": map[string]any{"httpEndpoint": "https://siem.northwind.example/", "httpAuthorization": t.secret(secretClient, 3)},
		}}),
	}
}

// DirectoryScopes are the scopes an application needs that reads all of a
// [Directory], less those that would show it secrets.
func DirectoryScopes() []string {
	return []string{
		"read:logs", "read:users", "read:roles", "read:role_members", "read:organizations", "read:organization_members",
		"read:organization_member_roles", "read:connections", "read:clients", "read:resource_servers",
		"read:tenant_settings", "read:attack_protection", "read:guardian_factors", "read:log_streams",
	}
}
