package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// A page of settings is full with that many records or bytes: a branding can
// hold images of some megabytes.
const (
	fullRecords = 50
	fullBytes   = 1 << 20
)

// poolData is what DescribeUserPool said, or why it did not.
type poolData struct {
	data gjson.Result
	err  error
}

// describePool fails only where users cannot be read either, or not now.
func (s *Source) describePool(ctx context.Context) (poolData, error) {
	body, err := s.call(ctx, "DescribeUserPool", func(o func(*idp.Options)) error {
		_, err := s.client.idp.DescribeUserPool(ctx, &idp.DescribeUserPoolInput{UserPoolId: &s.opts.UserPoolID}, o)
		return err
	})
	if codeOf(err) == "ResourceNotFoundException" {
		return poolData{}, fmt.Errorf("no such user pool in %s: %w", s.opts.region(s.opts.UserPoolID), err)
	}
	if _, _, ok := stateOf(err); !ok {
		return poolData{}, err
	}
	return poolData{data: gjson.GetBytes(body, "UserPool"), err: err}, nil
}

// call makes a call of cognito-idp that reads settings.
func (s *Source) call(ctx context.Context, operation string, send func(func(*idp.Options)) error) ([]byte, error) {
	return s.client.pool(ctx, s.client.slow(operation), send)
}

// sections reads the settings, a record a section.
type sections struct {
	source *Source
	pool   poolData
	give   func([]schema.Raw) error
	// probe reads the first page of each list and its first element only.
	probe bool
	// refused keeps the errors of sections that may not be read, where it is not
	// nil.
	refused map[string][]error

	waiting []schema.Raw
	size    int
	count   int64
}

// read reads all sections but the groups'.
func (x *sections) read(ctx context.Context) error {
	for _, section := range []func(context.Context) error{
		x.userPool, x.factors, x.clients, x.providers, x.resourceServers, x.domains, x.look, x.risk,
		x.logDelivery, x.tags, x.terms, x.replicas, x.certificate, x.identityPools,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := section(ctx); err != nil {
			return fmt.Errorf("read settings: %w", err)
		}
	}
	return x.flush()
}

// stateOf tells what an error says about a section. ok is false where it says
// nothing about it: no connection, wrong credentials, throttling without end.
func stateOf(err error) (state, detail string, ok bool) {
	var api *APIError
	switch {
	case err == nil:
		return schema.SettingOK, "", true
	case !errors.As(err, &api) || errors.Is(err, ErrCredentials) || errors.Is(err, ErrThrottled):
		return "", "", false
	case errors.Is(err, ErrDenied):
		return schema.SettingDenied, "allow " + api.Service + ":" + api.Operation, true
	default:
		return schema.SettingUnsupported, api.Error(), true
	}
}

// put adds a section, or why it could not be read.
func (x *sections) put(section, id string, data []byte, err error) error {
	state, detail, ok := stateOf(err)
	if !ok {
		return err
	}
	if state == schema.SettingDenied && x.refused != nil {
		x.refused[section] = append(x.refused[section], err)
	}
	s := schema.Setting{Section: section, ID: id, State: state, Detail: detail}
	if err == nil && len(data) > 0 {
		s.Data = newFingerprints(x.source.Identity()).replace(gjson.ParseBytes(data))
	}
	r := settingRecord(s)
	x.waiting, x.size, x.count = append(x.waiting, r), x.size+len(r.Bytes), x.count+1
	if len(x.waiting) >= fullRecords || x.size >= fullBytes {
		return x.flush()
	}
	return nil
}

// flush hands on what is waiting.
func (x *sections) flush() error {
	records := x.waiting
	x.waiting, x.size = nil, 0
	if len(records) == 0 {
		return nil
	}
	return x.give(records)
}

func settingRecord(s schema.Setting) schema.Raw {
	text, _ := json.Marshal(s) // a struct of texts
	return schema.Raw{Kind: schema.KindSetting, ID: schema.KindSetting.ID(text), Bytes: text}
}

// putAll adds a section for every element of a list, and one without id for a
// list that is empty: it was read all the same.
func (x *sections) putAll(section, idMember string, list []gjson.Result) error {
	if len(list) == 0 {
		return x.put(section, "", []byte("[]"), nil)
	}
	for _, v := range list {
		if err := x.put(section, v.Get(idMember).String(), []byte(v.Raw), nil); err != nil {
			return err
		}
	}
	return nil
}

// member takes one member out of an answer; the whole answer where it is not
// there.
func member(body []byte, name string) []byte {
	if v := gjson.GetBytes(body, name); v.Exists() {
		return []byte(v.Raw)
	}
	return body
}

// one reads a section of one call and adds the named member of the answer.
func (x *sections) one(section, id, name string, body []byte, err error) error {
	if err == nil && name != "" {
		body = member(body, name)
	}
	return x.put(section, id, body, err)
}

// list reads a list; where it may not be read, that is added, and it is empty.
func (x *sections) list(ctx context.Context, section, name string, call func(token *string) ([]byte, error)) ([]gjson.Result, error) {
	if x.probe {
		body, err := call(nil)
		if err != nil {
			return nil, x.put(section, "", nil, err)
		}
		found := gjson.GetBytes(body, name).Array()
		return found[:min(1, len(found))], x.put(section, "", nil, nil)
	}
	found, err := x.source.client.list(ctx, name, call)
	if err != nil {
		return nil, x.put(section, "", nil, err)
	}
	if len(found) == 0 {
		return nil, x.put(section, "", []byte("[]"), nil)
	}
	return found, nil
}

func (x *sections) userPool(context.Context) error {
	if x.pool.err != nil {
		if err := x.put("user_pool", "", nil, x.pool.err); err != nil {
			return err
		}
		return x.put("triggers", "", nil, x.pool.err)
	}
	if err := x.put("user_pool", "", []byte(x.pool.data.Raw), nil); err != nil {
		return err
	}
	triggers := "{}"
	if v := x.pool.data.Get("LambdaConfig"); v.IsObject() {
		triggers = v.Raw
	}
	return x.put("triggers", "", []byte(triggers), nil)
}

func (x *sections) factors(ctx context.Context) error {
	body, err := x.source.call(ctx, "GetUserPoolMfaConfig", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.GetUserPoolMfaConfig(ctx, &idp.GetUserPoolMfaConfigInput{UserPoolId: &x.source.opts.UserPoolID}, o)
		return err
	})
	return x.one("mfa", "", "", body, err)
}

func (x *sections) clients(ctx context.Context) error {
	found, err := x.list(ctx, "client", "UserPoolClients", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListUserPoolClients", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListUserPoolClients(ctx, &idp.ListUserPoolClientsInput{
				UserPoolId: &x.source.opts.UserPoolID, MaxResults: aws.Int32(pageSize), NextToken: token,
			}, o)
			return err
		})
	})
	for _, c := range found {
		if err := errors.Join(ctx.Err(), x.client(ctx, c.Get("ClientId").Str)); err != nil {
			return err
		}
	}
	return err
}

// client reads all there is about one client.
func (x *sections) client(ctx context.Context, id string) error {
	pool, cl := &x.source.opts.UserPoolID, x.source.client.idp
	body, err := x.source.call(ctx, "DescribeUserPoolClient", func(o func(*idp.Options)) error {
		_, err := cl.DescribeUserPoolClient(ctx, &idp.DescribeUserPoolClientInput{UserPoolId: pool, ClientId: &id}, o)
		return err
	})
	if err := x.one("client", id, "UserPoolClient", body, err); err != nil {
		return err
	}
	body, err = x.clientSecrets(ctx, id)
	if err := x.one("client_secrets", id, "", body, err); err != nil {
		return err
	}
	body, err = x.source.call(ctx, "DescribeManagedLoginBrandingByClient", func(o func(*idp.Options)) error {
		_, err := cl.DescribeManagedLoginBrandingByClient(ctx, &idp.DescribeManagedLoginBrandingByClientInput{UserPoolId: pool, ClientId: &id}, o)
		return err
	})
	if err := x.one("branding", id, "ManagedLoginBranding", body, err); err != nil {
		return err
	}
	if err := x.lookOf(ctx, id); err != nil {
		return err
	}
	return x.riskOf(ctx, id)
}

// clientSecrets reads what there is to know of a client's secrets: ids and
// dates, not values.
func (x *sections) clientSecrets(ctx context.Context, id string) ([]byte, error) {
	found, err := x.source.client.list(ctx, "ClientSecrets", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListUserPoolClientSecrets", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListUserPoolClientSecrets(ctx, &idp.ListUserPoolClientSecretsInput{
				UserPoolId: &x.source.opts.UserPoolID, ClientId: &id, NextToken: token,
			}, o)
			return err
		})
	})
	return joined(found), err
}

// joined makes a JSON list of its elements.
func joined(list []gjson.Result) []byte {
	out := []byte{'['}
	for i, v := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v.Raw...)
	}
	return append(out, ']')
}

func (x *sections) providers(ctx context.Context) error {
	found, err := x.list(ctx, "identity_provider", "Providers", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListIdentityProviders", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListIdentityProviders(ctx, &idp.ListIdentityProvidersInput{
				UserPoolId: &x.source.opts.UserPoolID, MaxResults: aws.Int32(pageSize), NextToken: token,
			}, o)
			return err
		})
	})
	for _, p := range found {
		name := p.Get("ProviderName").Str
		body, err := x.source.call(ctx, "DescribeIdentityProvider", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.DescribeIdentityProvider(ctx, &idp.DescribeIdentityProviderInput{
				UserPoolId: &x.source.opts.UserPoolID, ProviderName: &name,
			}, o)
			return err
		})
		if err := x.one("identity_provider", name, "IdentityProvider", body, err); err != nil {
			return err
		}
	}
	return err
}

func (x *sections) resourceServers(ctx context.Context) error {
	found, err := x.list(ctx, "resource_server", "ResourceServers", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListResourceServers", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListResourceServers(ctx, &idp.ListResourceServersInput{
				UserPoolId: &x.source.opts.UserPoolID, MaxResults: aws.Int32(50), NextToken: token,
			}, o)
			return err
		})
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return x.putAll("resource_server", "Identifier", found)
}

// domains reads the prefix and the custom domain; which there are, only the
// pool says.
func (x *sections) domains(ctx context.Context) error {
	if x.pool.err != nil {
		return x.put("domain", "", nil, x.pool.err)
	}
	found := 0
	for _, name := range []string{"Domain", "CustomDomain"} {
		domain := x.pool.data.Get(name).Str
		if domain == "" {
			continue
		}
		found++
		body, err := x.source.call(ctx, "DescribeUserPoolDomain", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.DescribeUserPoolDomain(ctx, &idp.DescribeUserPoolDomainInput{Domain: &domain}, o)
			return err
		})
		if err := x.one("domain", domain, "DomainDescription", body, err); err != nil {
			return err
		}
	}
	if found == 0 {
		return x.put("domain", "", []byte("[]"), nil)
	}
	return nil
}

func (x *sections) look(ctx context.Context) error { return x.lookOf(ctx, "") }

// lookOf reads the classic hosted UI's look, of the pool or of a client.
func (x *sections) lookOf(ctx context.Context, clientID string) error {
	in := &idp.GetUICustomizationInput{UserPoolId: &x.source.opts.UserPoolID}
	if clientID != "" {
		in.ClientId = &clientID
	}
	body, err := x.source.call(ctx, "GetUICustomization", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.GetUICustomization(ctx, in, o)
		return err
	})
	return x.one("ui_customization", clientID, "UICustomization", body, err)
}

func (x *sections) risk(ctx context.Context) error { return x.riskOf(ctx, "") }

func (x *sections) riskOf(ctx context.Context, clientID string) error {
	in := &idp.DescribeRiskConfigurationInput{UserPoolId: &x.source.opts.UserPoolID}
	if clientID != "" {
		in.ClientId = &clientID
	}
	body, err := x.source.call(ctx, "DescribeRiskConfiguration", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.DescribeRiskConfiguration(ctx, in, o)
		return err
	})
	return x.one("risk", clientID, "RiskConfiguration", body, err)
}

func (x *sections) logDelivery(ctx context.Context) error {
	body, err := x.source.call(ctx, "GetLogDeliveryConfiguration", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.GetLogDeliveryConfiguration(ctx, &idp.GetLogDeliveryConfigurationInput{UserPoolId: &x.source.opts.UserPoolID}, o)
		return err
	})
	return x.one("log_delivery", "", "LogDeliveryConfiguration", body, err)
}

func (x *sections) tags(ctx context.Context) error {
	arn := x.pool.data.Get("Arn").Str
	if x.pool.err != nil || arn == "" {
		return x.put("tags", "", nil, orElse[error](x.pool.err, &APIError{Operation: "DescribeUserPool", Code: "no Arn"}))
	}
	body, err := x.source.call(ctx, "ListTagsForResource", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.ListTagsForResource(ctx, &idp.ListTagsForResourceInput{ResourceArn: &arn}, o)
		return err
	})
	return x.one("tags", "", "Tags", body, err)
}

func (x *sections) terms(ctx context.Context) error {
	found, err := x.list(ctx, "terms", "Terms", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListTerms", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListTerms(ctx, &idp.ListTermsInput{
				UserPoolId: &x.source.opts.UserPoolID, MaxResults: aws.Int32(pageSize), NextToken: token,
			}, o)
			return err
		})
	})
	for _, t := range found {
		id := t.Get("TermsId").Str
		body, err := x.source.call(ctx, "DescribeTerms", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.DescribeTerms(ctx, &idp.DescribeTermsInput{UserPoolId: &x.source.opts.UserPoolID, TermsId: &id}, o)
			return err
		})
		if err := x.one("terms", id, "Terms", body, err); err != nil {
			return err
		}
	}
	return err
}

func (x *sections) replicas(ctx context.Context) error {
	found, err := x.list(ctx, "replica", "UserPoolReplicas", func(token *string) ([]byte, error) {
		return x.source.call(ctx, "ListUserPoolReplicas", func(o func(*idp.Options)) error {
			_, err := x.source.client.idp.ListUserPoolReplicas(ctx, &idp.ListUserPoolReplicasInput{UserPoolId: &x.source.opts.UserPoolID, NextToken: token}, o)
			return err
		})
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return x.putAll("replica", "RegionName", found)
}

func (x *sections) certificate(ctx context.Context) error {
	body, err := x.source.call(ctx, "GetSigningCertificate", func(o func(*idp.Options)) error {
		_, err := x.source.client.idp.GetSigningCertificate(ctx, &idp.GetSigningCertificateInput{UserPoolId: &x.source.opts.UserPoolID}, o)
		return err
	})
	return x.one("signing_certificate", "", "", body, err)
}

func (x *sections) identityPools(ctx context.Context) error {
	for _, id := range x.source.opts.IdentityPoolIDs {
		if err := errors.Join(ctx.Err(), x.identityPool(ctx, id)); err != nil {
			return err
		}
	}
	return nil
}

// identityPool reads one identity pool, its roles, and the principal tags of
// each of its providers.
func (x *sections) identityPool(ctx context.Context, id string) error {
	cl := x.source.client.identity
	region := func(o *cognitoidentity.Options) { o.Region = x.source.opts.region(id) }
	call := func(operation string, send func(func(*cognitoidentity.Options)) error) ([]byte, error) {
		return x.source.client.identityPool(ctx, x.source.client.slow(operation), send)
	}
	body, err := call("DescribeIdentityPool", func(o func(*cognitoidentity.Options)) error {
		_, err := cl.DescribeIdentityPool(ctx, &cognitoidentity.DescribeIdentityPoolInput{IdentityPoolId: &id}, region, o)
		return err
	})
	if err := x.one("identity_pool", id, "", body, err); err != nil {
		return err
	}
	providers := providersOf(gjson.ParseBytes(body))
	body, err = call("GetIdentityPoolRoles", func(o func(*cognitoidentity.Options)) error {
		_, err := cl.GetIdentityPoolRoles(ctx, &cognitoidentity.GetIdentityPoolRolesInput{IdentityPoolId: &id}, region, o)
		return err
	})
	if err := x.one("identity_pool_roles", id, "", body, err); err != nil {
		return err
	}
	for _, provider := range providers {
		body, err := call("GetPrincipalTagAttributeMap", func(o func(*cognitoidentity.Options)) error {
			_, err := cl.GetPrincipalTagAttributeMap(ctx, &cognitoidentity.GetPrincipalTagAttributeMapInput{
				IdentityPoolId: &id, IdentityProviderName: &provider,
			}, region, o)
			return err
		})
		if err := x.one("identity_pool_principal_tags", id+"/"+provider, "", body, err); err != nil {
			return err
		}
	}
	return nil
}

// providersOf names the providers of an identity pool as principal tags name
// them.
func providersOf(pool gjson.Result) []string {
	var names []string
	for _, p := range pool.Get("CognitoIdentityProviders").Array() {
		names = append(names, p.Get("ProviderName").Str)
	}
	for _, list := range []string{"OpenIdConnectProviderARNs", "SamlProviderARNs"} {
		for _, arn := range pool.Get(list).Array() {
			names = append(names, arn.Str)
		}
	}
	pool.Get("SupportedLoginProviders").ForEach(func(name, _ gjson.Result) bool {
		names = append(names, name.Str)
		return true
	})
	return names
}
