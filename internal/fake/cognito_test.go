package fake_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	idp "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/smithy-go"

	"github.com/idtrail/idtrail/internal/fake"
)

// cognitoClients are the SDK's own clients of a fake: they decode every answer.
func cognitoClients(c *fake.Cognito) (*idp.Client, *cognitoidentity.Client) {
	cfg := aws.Config{
		Region: fake.Region, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", ""),
		HTTPClient: &http.Client{Transport: fake.Transport(c)}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	return idp.NewFromConfig(cfg), cognitoidentity.NewFromConfig(cfg)
}

func tenantCognito(change func(*fake.CognitoOptions)) *fake.Cognito {
	tenant := fake.NewTenant(fake.TenantOptions{Users: 150})
	opts := fake.CognitoOptions{Users: tenant.CognitoList(), Settings: tenant.CognitoSettings()}
	if change != nil {
		change(&opts)
	}
	return fake.NewCognito(opts)
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// Every page of every size gives each user once, in one chain of tokens.
func TestCognitoPaging(t *testing.T) {
	tests := []struct {
		limit int32
		pages []int
	}{{60, nil}, {1, nil}, {60, []int{7, 0}}, {0, []int{0, 0, 60}}}
	for _, tt := range tests {
		c := tenantCognito(func(o *fake.CognitoOptions) { o.Pages = tt.pages })
		client, _ := cognitoClients(c)
		p := idp.NewListUsersPaginator(client, &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID), Limit: aws.Int32(tt.limit)})
		seen := map[string]bool{}
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatalf("%+v: %v", tt, err)
			}
			if len(page.Users) > 60 {
				t.Errorf("a page of %d users", len(page.Users))
			}
			for _, u := range page.Users {
				if seen[*u.Username] || u.UserCreateDate == nil || !strings.HasPrefix(u.UserCreateDate.Format(time.RFC3339), "20") {
					t.Errorf("%+v: user %s comes twice or has no date", tt, *u.Username)
				}
				seen[*u.Username] = true
			}
		}
		if len(seen) < 140 {
			t.Errorf("%+v: got %d users", tt, len(seen))
		}
	}
}

func TestCognitoRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tenantCognito(nil)
		client, _ := cognitoClients(c)
		pool := aws.String(fake.PoolID)
		list := func(in idp.ListUsersInput) (*idp.ListUsersOutput, error) {
			in.UserPoolId = orElse(in.UserPoolId, pool)
			return client.ListUsers(t.Context(), &in)
		}
		first, err := list(idp.ListUsersInput{Filter: aws.String(`sub ^= ""`)})
		if err != nil {
			t.Fatal(err)
		}
		token := first.PaginationToken
		tests := []struct {
			name string
			in   idp.ListUsersInput
			want string
		}{
			{"limit", idp.ListUsersInput{Limit: aws.Int32(61)}, "InvalidParameterException"},
			{"filter", idp.ListUsersInput{Filter: aws.String(`custom:x = "a"`)}, "InvalidParameterException"},
			{"filter text", idp.ListUsersInput{Filter: aws.String(`sub > 3`)}, "InvalidParameterException"},
			{"attributes", idp.ListUsersInput{AttributesToGet: []string{"custom:x"}}, "InvalidParameterException"},
			{"token of another filter", idp.ListUsersInput{PaginationToken: token}, "InvalidParameterException"},
			{"made-up token", idp.ListUsersInput{PaginationToken: aws.String("AAAA")}, "InvalidParameterException"},
			{"pool", idp.ListUsersInput{UserPoolId: aws.String("eu-west-1_Other")}, "ResourceNotFoundException"},
		}
		for _, tt := range tests {
			if _, err := list(tt.in); codeOf(err) != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, codeOf(err), tt.want)
			}
		}
		good := idp.ListUsersInput{Filter: aws.String(`sub ^= ""`), PaginationToken: token}
		time.Sleep(time.Hour)
		if _, err := list(good); err != nil {
			t.Errorf("a token of an hour: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := list(good); codeOf(err) != "InvalidParameterException" {
			t.Errorf("an expired token: %s", codeOf(err))
		}
		if _, err := client.ListUsersInGroup(t.Context(), &idp.ListUsersInGroupInput{UserPoolId: pool, GroupName: aws.String("none")}); codeOf(err) != "ResourceNotFoundException" {
			t.Errorf("no such group: %s", codeOf(err))
		}
		if _, err := client.AdminGetUser(t.Context(), &idp.AdminGetUserInput{UserPoolId: pool, Username: aws.String("none")}); codeOf(err) != "UserNotFoundException" {
			t.Errorf("no such user: %s", codeOf(err))
		}
		if _, err := client.ListUserPools(t.Context(), &idp.ListUserPoolsInput{MaxResults: aws.Int32(1)}); codeOf(err) != "UnknownOperationException" {
			t.Errorf("an operation there is not: %s", codeOf(err))
		}
	})
}

func orElse[T any](v, otherwise *T) *T {
	if v != nil {
		return v
	}
	return otherwise
}

func TestCognitoFilters(t *testing.T) {
	c := tenantCognito(nil)
	client, _ := cognitoClients(c)
	all, err := client.ListUsers(t.Context(), &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID)})
	if err != nil {
		t.Fatal(err)
	}
	sub := ""
	for _, a := range all.Users[3].Attributes {
		if *a.Name == "sub" {
			sub = *a.Value
		}
	}
	total := 0
	for _, digit := range "0123456789abcdef" {
		p := idp.NewListUsersPaginator(client, &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID), Filter: aws.String(fmt.Sprintf(`sub ^= "%c"`, digit))})
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatalf("shard %c: %v", digit, err)
			}
			total += len(page.Users)
		}
	}
	whole := fake.NewTenant(fake.TenantOptions{Users: 150}).CognitoList().Len()
	if total != whole {
		t.Errorf("16 shards hold %d users, want %d", total, whole)
	}
	for filter, want := range map[string]int{
		`sub = "` + sub + `"`: 1, `sub ^= "` + sub[:20] + `"`: 1, `username = "` + *all.Users[3].Username + `"`: 1, `sub = "0"`: 0, `email = "nobody"`: 0,
	} {
		page, err := client.ListUsers(t.Context(), &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID), Filter: &filter})
		if err != nil || len(page.Users) != want {
			t.Errorf("%s: %v, want %d users", filter, err, want)
		}
	}
}

// What a quota allows comes at once; then a call is refused until time passes.
func TestCognitoQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tenantCognito(func(o *fake.CognitoOptions) { o.Quotas = fake.CognitoQuotas() })
		client, _ := cognitoClients(c)
		spent := func(call func() error) (n int) {
			for call() == nil {
				n++
			}
			return n
		}
		users := func() error {
			_, err := client.ListUsers(t.Context(), &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID)})
			return err
		}
		groups := func() error {
			_, err := client.ListGroups(t.Context(), &idp.ListGroupsInput{UserPoolId: aws.String(fake.PoolID)})
			return err
		}
		if got := spent(users); got != 30 {
			t.Errorf("%d lists of users, want 30", got)
		}
		if got := spent(groups); got != 5 {
			t.Errorf("%d lists of groups, want 5", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := spent(users); got != 3 {
			t.Errorf("%d lists of users a tenth of a second later, want 3", got)
		}
		calls := c.Calls()
		if last := calls[len(calls)-1]; last.Code != "TooManyRequestsException" || last.Status != 400 || last.Path != "ListUsers" {
			t.Errorf("journal ends with %+v", last)
		}
	})
}

// A user appears late and moves; groups and factors come as AWS gives them.
func TestCognitoChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := func(n int, more string) []byte {
			return fmt.Appendf(nil, `{"Username":"u%d","Attributes":[{"Name":"sub","Value":"%d"}],"Enabled":true,"UserCreateDate":"2024-01-01T00:00:00Z"%s}`, n, n, more)
		}
		list := fake.NewCognitoList(record(0, ""), record(1, `,"Groups":["a"],"UserMFASettingList":["SMS_MFA"]`), record(2, ""))
		list.Add(record(3, ""), time.Now().Add(time.Minute))
		c := fake.NewCognito(fake.CognitoOptions{Users: list})
		client, _ := cognitoClients(c)
		names := func() (got string) {
			page, err := client.ListUsers(t.Context(), &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID)})
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Users {
				got += *u.Username
			}
			return got
		}
		if got := names(); got != "u0u1u2" {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Minute)
		c.Change(func() { list.Move("2", -0.5); list.Remove("0"); list.Join("2", "a") })
		if got := names(); got != "u2u1u3" {
			t.Errorf("got %s", got)
		}
		members, err := client.ListUsersInGroup(t.Context(), &idp.ListUsersInGroupInput{UserPoolId: aws.String(fake.PoolID), GroupName: aws.String("a")})
		if err != nil || len(members.Users) != 2 {
			t.Errorf("got %v, %v", members, err)
		}
		u, err := client.AdminGetUser(t.Context(), &idp.AdminGetUserInput{UserPoolId: aws.String(fake.PoolID), Username: aws.String("u1")})
		if err != nil || !slices.Equal(u.UserMFASettingList, []string{"SMS_MFA"}) || len(u.UserAttributes) != 1 {
			t.Errorf("got %+v, %v", u, err)
		}
	})
}

// The SDK's own decoders find in every answer of the tenant's settings what
// they look for: nothing in it is unknown to them or of another type.
func TestCognitoSettingsDecode(t *testing.T) {
	client, identity := cognitoClients(tenantCognito(nil))
	pool, cl, ctx := aws.String(fake.PoolID), aws.String("4nwclient0example"), t.Context()
	ipool := aws.String(fake.IdentityPoolID)
	answers := map[string]func() (any, error){
		"UserPool": func() (any, error) { return client.DescribeUserPool(ctx, &idp.DescribeUserPoolInput{UserPoolId: pool}) },
		"WebAuthnConfiguration": func() (any, error) {
			return client.GetUserPoolMfaConfig(ctx, &idp.GetUserPoolMfaConfigInput{UserPoolId: pool})
		},
		"Groups": func() (any, error) { return client.ListGroups(ctx, &idp.ListGroupsInput{UserPoolId: pool}) },
		"UserPoolClients": func() (any, error) {
			return client.ListUserPoolClients(ctx, &idp.ListUserPoolClientsInput{UserPoolId: pool, MaxResults: aws.Int32(60)})
		},
		"UserPoolClient": func() (any, error) {
			return client.DescribeUserPoolClient(ctx, &idp.DescribeUserPoolClientInput{UserPoolId: pool, ClientId: cl})
		},
		"ClientSecrets": func() (any, error) {
			return client.ListUserPoolClientSecrets(ctx, &idp.ListUserPoolClientSecretsInput{UserPoolId: pool, ClientId: cl})
		},
		"Providers": func() (any, error) {
			return client.ListIdentityProviders(ctx, &idp.ListIdentityProvidersInput{UserPoolId: pool})
		},
		"IdentityProvider": func() (any, error) {
			return client.DescribeIdentityProvider(ctx, &idp.DescribeIdentityProviderInput{UserPoolId: pool, ProviderName: aws.String("Auth0")})
		},
		"ResourceServers": func() (any, error) {
			return client.ListResourceServers(ctx, &idp.ListResourceServersInput{UserPoolId: pool, MaxResults: aws.Int32(50)})
		},
		"DomainDescription": func() (any, error) {
			return client.DescribeUserPoolDomain(ctx, &idp.DescribeUserPoolDomainInput{Domain: aws.String("northwind")})
		},
		"UICustomization": func() (any, error) {
			return client.GetUICustomization(ctx, &idp.GetUICustomizationInput{UserPoolId: pool})
		},
		"RiskConfiguration": func() (any, error) {
			return client.DescribeRiskConfiguration(ctx, &idp.DescribeRiskConfigurationInput{UserPoolId: pool})
		},
		"ManagedLoginBranding": func() (any, error) {
			return client.DescribeManagedLoginBrandingByClient(ctx, &idp.DescribeManagedLoginBrandingByClientInput{UserPoolId: pool, ClientId: cl})
		},
		"LogDeliveryConfiguration": func() (any, error) {
			return client.GetLogDeliveryConfiguration(ctx, &idp.GetLogDeliveryConfigurationInput{UserPoolId: pool})
		},
		"Tags": func() (any, error) {
			return client.ListTagsForResource(ctx, &idp.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:x")})
		},
		"Terms": func() (any, error) {
			return client.ListTerms(ctx, &idp.ListTermsInput{UserPoolId: pool, MaxResults: aws.Int32(60)})
		},
		"Terms of one": func() (any, error) {
			return client.DescribeTerms(ctx, &idp.DescribeTermsInput{UserPoolId: pool, TermsId: aws.String("11111111-2222-4333-8444-555555555555")})
		},
		"UserPoolReplicas": func() (any, error) {
			return client.ListUserPoolReplicas(ctx, &idp.ListUserPoolReplicasInput{UserPoolId: pool})
		},
		"Certificate": func() (any, error) {
			return client.GetSigningCertificate(ctx, &idp.GetSigningCertificateInput{UserPoolId: pool})
		},
		"CognitoIdentityProviders": func() (any, error) {
			return identity.DescribeIdentityPool(ctx, &cognitoidentity.DescribeIdentityPoolInput{IdentityPoolId: ipool})
		},
		"RoleMappings": func() (any, error) {
			return identity.GetIdentityPoolRoles(ctx, &cognitoidentity.GetIdentityPoolRolesInput{IdentityPoolId: ipool})
		},
		"PrincipalTags": func() (any, error) {
			return identity.GetPrincipalTagAttributeMap(ctx, &cognitoidentity.GetPrincipalTagAttributeMapInput{
				IdentityPoolId: ipool, IdentityProviderName: aws.String("cognito-idp." + fake.Region + ".amazonaws.com/" + fake.PoolID),
			})
		},
	}
	for name, call := range answers {
		out, err := call()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		member, _, _ := strings.Cut(name, " ")
		if v := reflect.ValueOf(out).Elem().FieldByName(member); !v.IsValid() || v.IsZero() {
			t.Errorf("%s is empty in %+v", name, out)
		}
	}
}

// Over a real socket, and without a signature.
func TestCognitoServer(t *testing.T) {
	server := httptest.NewServer(tenantCognito(nil))
	defer server.Close()
	client := idp.New(idp.Options{
		Region: fake.Region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", ""),
	})
	if _, err := client.ListUsers(t.Context(), &idp.ListUsersInput{UserPoolId: aws.String(fake.PoolID)}); err != nil {
		t.Error(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService.ListUsers")
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("X-Amzn-Errortype"); res.StatusCode != http.StatusBadRequest || got != "MissingAuthenticationTokenException" {
		t.Errorf("got status %d, %s", res.StatusCode, got)
	}
}
