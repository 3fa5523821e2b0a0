package fake

import (
	"maps"
	"slices"
)

// CognitoSettings are the settings of a pool and of identity pools.
type CognitoSettings struct {
	// Answers by operation: "GetUserPoolMfaConfig", or with the id that is asked
	// for, "DescribeUserPoolClient/4nwclient0example".
	Answers map[string]map[string]any
	// Lists by operation, with an id where it lists something of something.
	Lists map[string][]map[string]any
	// Groups of the pool beside those users are in.
	Groups []string
}

// cognitoLists are the operations that list settings: the member they answer,
// and the most they give.
var cognitoLists = map[string]struct {
	member, limit string
	most          int
}{
	"ListGroups":                {"Groups", "Limit", 60},
	"ListUserPoolClients":       {"UserPoolClients", "MaxResults", 60},
	"ListUserPoolClientSecrets": {"ClientSecrets", "", 60},
	"ListIdentityProviders":     {"Providers", "MaxResults", 60},
	"ListResourceServers":       {"ResourceServers", "MaxResults", 50},
	"ListTerms":                 {"Terms", "MaxResults", 60},
	"ListUserPoolReplicas":      {"UserPoolReplicas", "", 60},
}

// id is what a call asks for, as the keys of [CognitoSettings] have it.
func (q cognitoQuery) id() string {
	for _, name := range []string{"ClientId", "ProviderName", "Domain", "TermsId"} {
		if id := q.text(name); id != "" {
			return "/" + id
		}
	}
	if pool := q.text("IdentityPoolId"); pool != "" {
		if name := q.text("IdentityProviderName"); name != "" {
			return "/" + pool + "/" + name
		}
		return "/" + pool
	}
	return ""
}

func (c *Cognito) setting(q cognitoQuery) (answer, string) {
	if _, ok := cognitoLists[q.op]; ok {
		return c.settingsPage(q)
	}
	found, ok := c.opts.Settings.Answers[q.op+q.id()]
	switch {
	case !ok && q.op == "DescribeUserPool":
		return cognitoAnswer(map[string]any{"UserPool": map[string]any{"Id": c.opts.PoolID, "EstimatedNumberOfUsers": c.opts.Users.Len()}})
	case !ok:
		return cognitoError("ResourceNotFoundException", "Not found.")
	}
	return cognitoAnswer(found)
}

func (c *Cognito) settingsPage(q cognitoQuery) (answer, string) {
	list := cognitoLists[q.op]
	limit, ok := q.pageLimit(list.limit, list.most)
	if !ok {
		return cognitoError("InvalidParameterException", "1 validation error detected.")
	}
	t, ok := c.start(q, "NextToken")
	if !ok {
		return cognitoError("InvalidParameterException", "Paging Marker is Invalid.")
	}
	all := c.opts.Settings.Lists[q.op+q.id()]
	if q.op == "ListGroups" {
		all = c.groups()
	}
	from := min(int(t.After)+1, len(all))
	to := min(from+limit, len(all))
	out := map[string]any{list.member: append([]map[string]any{}, all[from:to]...)}
	if to < len(all) {
		out["NextToken"] = c.next(t, float64(to-1))
	}
	return cognitoAnswer(out)
}

// groups are those named and those users are in.
func (c *Cognito) groups() []map[string]any {
	var all []map[string]any
	for _, name := range c.groupNames() {
		all = append(all, map[string]any{
			"GroupName": name, "UserPoolId": c.opts.PoolID, "Description": "Group " + name,
			"CreationDate": 1690000000.25, "LastModifiedDate": 1690000000.25,
		})
	}
	return all
}

func (c *Cognito) groupNames() []string {
	names := map[string]bool{}
	for _, name := range c.opts.Settings.Groups {
		names[name] = true
	}
	if _, crowd := c.opts.Users.(CognitoCrowd); crowd {
		return slices.Sorted(maps.Keys(map[string]bool{"all": true, "tenth": true}))
	}
	for i := range c.opts.Users.Span("", -1) {
		for _, name := range c.opts.Users.At(i).Groups {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (c *Cognito) hasGroup(name string) bool { return slices.Contains(c.groupNames(), name) }

// IdentityPoolID is the identity pool beside the tenant's user pool.
const IdentityPoolID = Region + ":0a1b2c3d-1111-4222-8333-444455556666"

// CognitoSettings are those of the tenant's pools. The secrets in them are
// among [Tenant.Secrets].
func (t *Tenant) CognitoSettings() CognitoSettings {
	s := CognitoSettings{
		Answers: map[string]map[string]any{}, Lists: map[string][]map[string]any{}, Groups: []string{"nobody"},
	}
	t.poolSettings(&s)
	t.clientSettings(&s)
	t.providerSettings(&s)
	identityPoolSettings(&s)
	return s
}

const cognitoDate = 1690000000.125

func (t *Tenant) poolSettings(s *CognitoSettings) {
	users := t.CognitoList().Len()
	lambda := map[string]any{"PreSignUp": "arn:aws:lambda:" + Region + ":" + AccountID + ":function:pre-sign-up"}
	s.Answers["DescribeUserPool"] = map[string]any{"UserPool": map[string]any{
		"Id": PoolID, "Name": TenantName, "Arn": "arn:aws:cognito-idp:" + Region + ":" + AccountID + ":userpool/" + PoolID,
		"EstimatedNumberOfUsers": users, "CreationDate": cognitoDate, "LastModifiedDate": cognitoDate, "MfaConfiguration": "OPTIONAL",
		"DeletionProtection": "ACTIVE", "UserPoolTier": "PLUS", "Domain": "northwind", "CustomDomain": "login.northwind.example",
		"UsernameConfiguration": map[string]any{"CaseSensitive": false}, "AutoVerifiedAttributes": []string{"email"},
		"Policies": map[string]any{"PasswordPolicy": map[string]any{
			"MinimumLength": 12, "RequireUppercase": true, "TemporaryPasswordValidityDays": 7, "PasswordHistorySize": 4,
		}},
		"AdminCreateUserConfig": map[string]any{"AllowAdminCreateUserOnly": true, "InviteMessageTemplate": map[string]any{
			"EmailMessage": "Your username is {username} and temporary password is {####}.",
		}},
		"SchemaAttributes": []any{map[string]any{"Name": LinkAttribute, "AttributeDataType": "String", "Mutable": true, "Required": false}},
		"LambdaConfig":     lambda,
	}}
	s.Answers["GetUserPoolMfaConfig"] = map[string]any{
		"MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": map[string]any{"Enabled": true},
		"WebAuthnConfiguration": map[string]any{"RelyingPartyId": "northwind.example", "UserVerification": "required"},
	}
	for _, domain := range []string{"northwind", "login.northwind.example"} {
		s.Answers["DescribeUserPoolDomain/"+domain] = map[string]any{"DomainDescription": map[string]any{
			"Domain": domain, "UserPoolId": PoolID, "AWSAccountId": AccountID, "Status": "ACTIVE", "Version": "20260101", "ManagedLoginVersion": 2,
		}}
	}
	s.Answers["GetUICustomization"] = map[string]any{"UICustomization": map[string]any{"UserPoolId": PoolID, "ClientId": "ALL", "CSS": ".logo{}"}}
	s.Answers["DescribeRiskConfiguration"] = map[string]any{"RiskConfiguration": map[string]any{
		"UserPoolId": PoolID, "CompromisedCredentialsRiskConfiguration": map[string]any{"Actions": map[string]any{"EventAction": "BLOCK"}},
	}}
	s.Answers["GetLogDeliveryConfiguration"] = map[string]any{"LogDeliveryConfiguration": map[string]any{"UserPoolId": PoolID, "LogConfigurations": []any{
		map[string]any{"LogLevel": "INFO", "EventSource": "userAuthEvents", "S3Configuration": map[string]any{"BucketArn": "arn:aws:s3:::nw-auth-events"}},
	}}}
	s.Answers["ListTagsForResource"] = map[string]any{"Tags": map[string]any{"team": "identity"}}
	s.Answers["GetSigningCertificate"] = map[string]any{"Certificate": "MIIDvTCCAqWgAwIBAgIJ"}
	s.Lists["ListUserPoolReplicas"] = []map[string]any{{"RegionName": "eu-central-1", "Role": "SECONDARY", "Status": "ACTIVE"}}
	s.Lists["ListTerms"] = []map[string]any{{"TermsId": "11111111-2222-4333-8444-555555555555", "TermsName": "terms-of-use", "Enforcement": "NONE", "CreationDate": cognitoDate, "LastModifiedDate": cognitoDate}}
	s.Answers["DescribeTerms/11111111-2222-4333-8444-555555555555"] = map[string]any{"Terms": map[string]any{
		"TermsId": "11111111-2222-4333-8444-555555555555", "TermsName": "terms-of-use", "Enforcement": "NONE", "TermsSource": "LINK",
		"Links": map[string]any{"cognito:default": "https://northwind.example/terms"}, "UserPoolId": PoolID, "ClientId": cognitoClients[0],
		"CreationDate": cognitoDate, "LastModifiedDate": cognitoDate,
	}}
	s.Lists["ListResourceServers"] = []map[string]any{{
		"UserPoolId": PoolID, "Identifier": "https://api.northwind.example/", "Name": "API",
		"Scopes": []any{map[string]any{"ScopeName": "read", "ScopeDescription": "Read orders"}},
	}}
}

// cognitoClients are the ids of the pool's clients; the first has a secret.
var cognitoClients = []string{"4nwclient0example", "5nwpublic0example"}

func (t *Tenant) clientSettings(s *CognitoSettings) {
	for i, id := range cognitoClients {
		client := map[string]any{
			"ClientId": id, "ClientName": apps[i].name, "UserPoolId": PoolID, "CreationDate": cognitoDate, "LastModifiedDate": cognitoDate,
			"RefreshTokenValidity": 30, "TokenValidityUnits": map[string]any{"AccessToken": "hours", "IdToken": "minutes", "RefreshToken": "days"},
			"ExplicitAuthFlows": []string{"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}, "AllowedOAuthFlows": []string{"code"},
			"CallbackURLs": []string{"https://portal.northwind.example/callback"}, "SupportedIdentityProviders": []string{"COGNITO", "Auth0"},
			"EnableTokenRevocation": true, "PreventUserExistenceErrors": "ENABLED",
		}
		if i == 0 {
			client["ClientSecret"] = t.secret(secretClient, 0)
			s.Lists["ListUserPoolClientSecrets/"+id] = []map[string]any{
				{"ClientSecretId": id + "--1690000000000", "ClientSecretCreateDate": cognitoDate},
				{"ClientSecretId": id + "--1760000000000", "ClientSecretCreateDate": cognitoDate, "ClientSecretValue": t.secret(secretClient, 1)},
			}
			s.Answers["DescribeManagedLoginBrandingByClient/"+id] = map[string]any{"ManagedLoginBranding": map[string]any{
				"ManagedLoginBrandingId": "22222222-2222-4333-8444-555555555555", "UserPoolId": PoolID, "UseCognitoProvidedValues": true,
			}}
			s.Answers["GetUICustomization/"+id] = map[string]any{"UICustomization": map[string]any{"UserPoolId": PoolID, "ClientId": id}}
			s.Answers["DescribeRiskConfiguration/"+id] = map[string]any{"RiskConfiguration": map[string]any{"UserPoolId": PoolID, "ClientId": id}}
		}
		s.Answers["DescribeUserPoolClient/"+id] = map[string]any{"UserPoolClient": client}
		s.Lists["ListUserPoolClients"] = append(s.Lists["ListUserPoolClients"], map[string]any{"ClientId": id, "ClientName": apps[i].name, "UserPoolId": PoolID})
	}
}

func (t *Tenant) providerSettings(s *CognitoSettings) {
	details := map[string]map[string]any{
		"Auth0": {
			"client_id": apps[0].id, "client_secret": t.secret(secretConnection, 0), "oidc_issuer": "https://" + TenantHost + "/",
			"authorize_scopes": "openid email", "attributes_request_method": "GET", "token_url": "https://" + TenantHost + "/oauth/token",
		},
		"Google":          {"client_id": "10530.apps.googleusercontent.example", "client_secret": t.secret(secretConnection, 1), "authorize_scopes": "email"},
		"SignInWithApple": {"client_id": "example.northwind", "team_id": "NWTEAM", "key_id": "NWKEY", "private_key": t.secret(secretConnection, 2)},
	}
	kinds := map[string]string{"Auth0": "OIDC", "Google": "Google", "SignInWithApple": "SignInWithApple"}
	for _, name := range slices.Sorted(maps.Keys(details)) {
		brief := map[string]any{"ProviderName": name, "ProviderType": kinds[name], "CreationDate": cognitoDate, "LastModifiedDate": cognitoDate}
		s.Lists["ListIdentityProviders"] = append(s.Lists["ListIdentityProviders"], brief)
		full := maps.Clone(brief)
		full["UserPoolId"], full["ProviderDetails"] = PoolID, details[name]
		full["AttributeMapping"], full["IdpIdentifiers"] = map[string]any{"email": "email", "username": "sub"}, []string{}
		s.Answers["DescribeIdentityProvider/"+name] = map[string]any{"IdentityProvider": full}
	}
}

func identityPoolSettings(s *CognitoSettings) {
	provider := "cognito-idp." + Region + ".amazonaws.com/" + PoolID
	oidc := "arn:aws:iam::" + AccountID + ":oidc-provider/" + TenantHost + "/"
	s.Answers["DescribeIdentityPool/"+IdentityPoolID] = map[string]any{
		"IdentityPoolId": IdentityPoolID, "IdentityPoolName": TenantName, "AllowUnauthenticatedIdentities": false, "AllowClassicFlow": false,
		"CognitoIdentityProviders":  []any{map[string]any{"ProviderName": provider, "ClientId": cognitoClients[0], "ServerSideTokenCheck": true}},
		"OpenIdConnectProviderARNs": []string{oidc}, "SupportedLoginProviders": map[string]any{"accounts.google.com": "10530"},
	}
	role := "arn:aws:iam::" + AccountID + ":role/authenticated"
	s.Answers["GetIdentityPoolRoles/"+IdentityPoolID] = map[string]any{
		"IdentityPoolId": IdentityPoolID, "Roles": map[string]any{"authenticated": role},
		"RoleMappings": map[string]any{provider + ":" + cognitoClients[0]: map[string]any{"Type": "Token", "AmbiguousRoleResolution": "Deny"}},
	}
	for _, name := range []string{provider, oidc} {
		s.Answers["GetPrincipalTagAttributeMap/"+IdentityPoolID+"/"+name] = map[string]any{
			"IdentityPoolId": IdentityPoolID, "IdentityProviderName": name, "UseDefaults": false, "PrincipalTags": map[string]any{"department": "department"},
		}
	}
}
