package cognito_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// tenantPool serves the demo's company.
func tenantPool(change func(*fake.CognitoOptions)) (*pool, *fake.Tenant) {
	tenant := fake.NewTenant(fake.TenantOptions{Users: 120})
	server := fake.CognitoOptions{Users: tenant.CognitoList(), Settings: tenant.CognitoSettings()}
	if change != nil {
		change(&server)
	}
	p := newPool(server)
	p.opts.SkipSettings, p.opts.IdentityPoolIDs = false, []string{fake.IdentityPoolID}
	p.opts.MFA = []string{"no such group"}
	return p, tenant
}

// states are the states of all settings, by section and id.
func states(pages []extract.Page) map[string]string {
	got := map[string]string{}
	for _, p := range pages {
		for _, r := range p.Records {
			if r.Kind == schema.KindSetting {
				got[r.ID] = gjson.GetBytes(r.Bytes, "state").Str
			}
		}
	}
	return got
}

const (
	client1, client2 = "4nwclient0example", "5nwpublic0example"
	userPoolProvider = "cognito-idp.eu-west-1.amazonaws.com/" + fake.PoolID
	oidcProvider     = "arn:aws:iam::" + fake.AccountID + ":oidc-provider/" + fake.TenantHost + "/"
)

// wantStates is what the demo's pool has; what a client does not have is not an
// error of the settings.
func wantStates() map[string]string {
	want := map[string]string{
		"branding/" + client2: "unsupported", "ui_customization/" + client2: "unsupported", "risk/" + client2: "unsupported",
		"identity_pool_principal_tags/" + fake.IdentityPoolID + "/accounts.google.com": "unsupported",
	}
	for _, id := range []string{
		"user_pool/", "triggers/", "mfa/", "client/" + client1, "client/" + client2, "client_secrets/" + client1, "client_secrets/" + client2,
		"branding/" + client1, "ui_customization/" + client1, "risk/" + client1, "identity_provider/Auth0", "identity_provider/Google",
		"identity_provider/SignInWithApple", "resource_server/https://api.northwind.example/", "domain/northwind", "domain/login.northwind.example",
		"ui_customization/", "risk/", "log_delivery/", "tags/", "terms/11111111-2222-4333-8444-555555555555", "replica/eu-central-1",
		"signing_certificate/", "identity_pool/" + fake.IdentityPoolID, "identity_pool_roles/" + fake.IdentityPoolID,
		"identity_pool_principal_tags/" + fake.IdentityPoolID + "/" + userPoolProvider,
		"identity_pool_principal_tags/" + fake.IdentityPoolID + "/" + oidcProvider, "group_members/",
	} {
		want[id] = "ok"
	}
	return want
}

func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := tenantPool(nil)
		pages := p.mustRead(t, "")
		got := states(pages)
		maps.DeleteFunc(got, func(id, state string) bool { return strings.HasPrefix(id, "group/") && state == "ok" })
		for id, state := range wantStates() {
			if got[id] != state {
				t.Errorf("%s is %q, want %q", id, got[id], state)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("more settings than wanted: %v", got)
		}
		if data := line(t, pages, "group/nobody").Get("data").Str; gjson.Get(data, "GroupName").Str != "nobody" {
			t.Errorf("got group %s", data)
		}
		if n := last(pages).Counts["settings"]; n != int64(len(states(pages))) {
			t.Errorf("got %d settings counted, want %d", n, len(states(pages)))
		}
	})
}

// Whatever may not be read, or is not to be had, says so in its own section;
// users and all other sections come all the same.
func TestSettingsRefused(t *testing.T) {
	sections := map[string][]string{
		"GetUserPoolMfaConfig": {"mfa"}, "ListUserPoolClients": {"client"}, "DescribeUserPoolClient": {"client"},
		"ListUserPoolClientSecrets": {"client_secrets"}, "DescribeManagedLoginBrandingByClient": {"branding"}, "ListIdentityProviders": {"identity_provider"},
		"DescribeIdentityProvider": {"identity_provider"}, "ListResourceServers": {"resource_server"}, "DescribeUserPoolDomain": {"domain"},
		"GetUICustomization": {"ui_customization"}, "DescribeRiskConfiguration": {"risk"}, "GetLogDeliveryConfiguration": {"log_delivery"},
		"ListTagsForResource": {"tags"}, "ListTerms": {"terms"}, "DescribeTerms": {"terms"}, "ListUserPoolReplicas": {"replica"},
		"GetSigningCertificate": {"signing_certificate"}, "DescribeIdentityPool": {"identity_pool"}, "GetIdentityPoolRoles": {"identity_pool_roles"},
		"GetPrincipalTagAttributeMap": {"identity_pool_principal_tags"}, "ListGroups": {"group", "group_members"}, "ListUsersInGroup": {"group_members"},
		"DescribeUserPool": {"user_pool", "triggers", "domain", "tags"},
	}
	refusals := map[string]string{
		"AccessDeniedException": "denied", "NotAuthorizedException": "denied", "FeatureUnavailableInTierException": "unsupported",
		"InvalidParameterException": "unsupported", "UnknownOperationException": "unsupported", "UserPoolAddOnNotEnabledException": "unsupported",
		"InternalErrorException": "unsupported",
	}
	for op, names := range sections {
		for code, state := range refusals {
			// One operation meets them all, the others one of each kind.
			if op != "ListTerms" && code != "AccessDeniedException" && code != "FeatureUnavailableInTierException" {
				continue
			}
			t.Run(op+" "+code, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, _ := tenantPool(func(o *fake.CognitoOptions) { o.Lacking = map[string]string{op: code} })
					pages := p.mustRead(t, "")
					if s := last(pages); !s.Complete || len(idsIn(pages)) != int(s.Counts["users"]) || s.Counts["users"] < 100 {
						t.Errorf("got snapshot %+v and %d users", s, len(idsIn(pages)))
					}
					found := map[string]bool{}
					for id, got := range states(pages) {
						section, _, _ := strings.Cut(id, "/")
						hit := slices.Contains(names, section)
						found[section] = found[section] || hit && got == state
						if _, base := wantStates()[id]; base && !hit && got != wantStates()[id] {
							t.Errorf("%s is %s too", id, got)
						}
					}
					for _, name := range names {
						if !found[name] {
							t.Errorf("section %s is not %s: %v", name, state, states(pages))
						}
					}
					if groups := line(t, pages, idsIn(pages)[0]).Get("groups"); groups.Type == gjson.Null != slices.Contains(names, "group_members") {
						t.Errorf("got groups %s", groups.Raw)
					}
				})
			})
		}
	}
}

// No error of a section is hidden that is not about the section.
func TestSettingsFail(t *testing.T) {
	for name, fault := range map[string]*fake.Fault{"cut": {Truncate: 3}, "expired": fake.CognitoFault(400, "ExpiredTokenException")} {
		synctest.Test(t, func(t *testing.T) {
			p, _ := tenantPool(func(o *fake.CognitoOptions) {
				o.Fault = func(c fake.Call) *fake.Fault {
					if c.Path == "ListTerms" {
						return fault
					}
					return nil
				}
			})
			if _, err := p.read(t, ""); err == nil {
				t.Errorf("%s: no error", name)
			}
		})
	}
}

// Nobody may ask for second factors: the users come without, and it is said.
func TestFactorsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(100), Denied: []string{"AdminGetUser"}})
		p.opts.MFA, p.opts.SkipSettings, p.opts.Shards = []string{"admin"}, false, 1
		pages := p.mustRead(t, "")
		if u := line(t, pages, subOf(10)); u.Get("mfa").Exists() || len(idsIn(pages)) != 100 {
			t.Errorf("got %s and %d users", u.Raw, len(idsIn(pages)))
		}
		if got := states(pages)["user_mfa/"]; got != "denied" {
			t.Errorf("user_mfa is %q", got)
		}
		if n := p.Count("AdminGetUser"); n != 1 {
			t.Errorf("got %d calls, want 1", n)
		}
	})
}

var fingerprint = regexp.MustCompile(`fingerprint:[0-9a-f]{16}`)

// No secret lands, before or after scrubbing; its fingerprint does, and tells a
// change from none.
func TestSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tenant := tenantPool(nil)
		prints := func() map[string]string {
			got := map[string]string{}
			for _, page := range p.mustRead(t, "") {
				for _, r := range page.Records {
					landed := string(transform.Scrub(r.Kind, r.Bytes))
					for _, secret := range tenant.Secrets() {
						if strings.Contains(string(r.Bytes), secret) || strings.Contains(landed, secret) {
							t.Errorf("a secret lands in %s", r.ID)
						}
					}
					if r.Kind == schema.KindSetting && strings.Contains(landed, "[scrubbed]") {
						t.Errorf("setting %s loses something: %s", r.ID, landed)
					}
					if all := fingerprint.FindAllString(landed, -1); all != nil {
						got[r.ID] = strings.Join(all, " ")
					}
				}
			}
			return got
		}
		first, again := prints(), prints()
		if !maps.Equal(first, again) {
			t.Errorf("fingerprints differ between two runs: %v, %v", first, again)
		}
		ids := slices.Sorted(maps.Keys(first))
		want := []string{"client/" + client1, "client_secrets/" + client1, "identity_provider/Auth0", "identity_provider/Google", "identity_provider/SignInWithApple"}
		if !slices.Equal(ids, want) {
			t.Errorf("fingerprints in %v, want them in %v", ids, want)
		}
		if first["identity_provider/Auth0"] == first["identity_provider/Google"] {
			t.Error("two secrets have one fingerprint")
		}
	})
}

// A pool of thousands of settings stays within what one operation may do.
func TestSettingsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := tenantPool(func(o *fake.CognitoOptions) {
			o.Quotas = fake.CognitoQuotas()
			list := o.Settings.Lists["ListUserPoolClients"]
			for range 99 {
				list = append(list, list[0])
			}
			o.Settings.Lists["ListUserPoolClients"] = list
		})
		p.opts.SettingsRate, p.opts.Rate = 0, 0
		p.mustRead(t, "")
		at := map[string][]time.Time{}
		for _, c := range p.Calls() {
			if c.Code == "TooManyRequestsException" {
				t.Fatalf("%s was throttled", c.Path)
			}
			at[c.Path] = append(at[c.Path], c.At)
		}
		calls := at["DescribeUserPoolClient"]
		if got := float64(len(calls)-1) / calls[len(calls)-1].Sub(calls[0]).Seconds(); len(calls) != 101 || got > 5.0/3+0.01 {
			t.Errorf("%d calls at %.2f a second", len(calls), got)
		}
	})
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fake.CognitoOptions)
		bad    []string
		fails  bool
	}{
		{"good", nil, nil, false},
		{"no clients", func(o *fake.CognitoOptions) { o.Denied = []string{"DescribeUserPoolClient", "GetIdentityPoolRoles"} }, []string{"settings: client", "settings: identity_pool_roles"}, false},
		{"no groups", func(o *fake.CognitoOptions) { o.Denied = []string{"ListUsersInGroup"} }, []string{"groups"}, false},
		{"no pool read", func(o *fake.CognitoOptions) { o.Denied = []string{"DescribeUserPool"} }, []string{
			"settings: domain", "settings: tags", "settings: triggers", "settings: user_pool", "user pool " + fake.PoolID,
		}, false},
		{"no users", func(o *fake.CognitoOptions) { o.Denied = []string{"ListUsers"} }, []string{"users"}, true},
		{"no such pool", func(o *fake.CognitoOptions) { o.PoolID = "eu-west-1_Other" }, []string{"user pool " + fake.PoolID}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := tenantPool(tt.change)
				findings, err := p.source(t).Check(t.Context())
				var bad []string
				for _, f := range findings {
					if !f.OK {
						bad = append(bad, f.What)
						if f.Hint == "" {
							t.Errorf("%s: no hint", f.What)
						}
					}
				}
				slices.Sort(bad)
				if !slices.Equal(bad, tt.bad) || (err != nil) != tt.fails {
					t.Errorf("got %v and error %v, want %v", bad, err, tt.bad)
				}
				if n := p.Count(""); n > 35 {
					t.Errorf("a check made %d calls", n)
				}
			})
		})
	}
}
