package fake_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/fake"
)

// TestGuard holds calls to a policy, by action, resource and region.
func TestGuard(t *testing.T) {
	reached := 0
	g := fake.NewGuard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	call := func(target, body string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/x/aws4_request")
		w := httptest.NewRecorder()
		before := reached
		g.ServeHTTP(w, r)
		if reached > before {
			return ""
		}
		return w.Body.String()
	}
	const idp, trail = "AWSCognitoIdentityProviderService.", "CloudTrail_20131101."
	if got := call(idp+"ListUsers", `{"UserPoolId":"eu-west-1_P"}`); got != "" {
		t.Errorf("without a policy: %s", got)
	}
	if err := g.Allow([]byte(`{"Statement":[
		{"Sid":"A","Effect":"Allow","Action":["cognito-idp:ListUsers"],"Resource":"arn:aws:cognito-idp:eu-west-1:*:userpool/eu-west-1_P"},
		{"Sid":"B","Effect":"Allow","Action":"cloudtrail:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}},
		{"Sid":"C","Effect":"Allow","Action":"cognito-idp:ListGroups","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},
		{"Sid":"D","Effect":"Allow","Action":"cognito-idp:DescribeUserPool","Resource":"*"}]}`), "D"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ target, body, refused string }{
		{idp + "ListUsers", `{"UserPoolId":"eu-west-1_P"}`, ""},
		{
			idp + "ListUsers", `{"UserPoolId":"eu-west-1_Q"}`,
			"not authorized to perform: cognito-idp:ListUsers on resource: arn:aws:cognito-idp:eu-west-1:" + fake.AccountID + ":userpool/eu-west-1_Q because",
		},
		{idp + "ListGroups", `{"UserPoolId":"eu-west-1_P"}`, "cognito-idp:ListGroups"},
		{idp + "DescribeUserPool", `{"UserPoolId":"eu-west-1_P"}`, "cognito-idp:DescribeUserPool"},
		{idp + "DescribeUserPoolDomain", `{"Domain":"d"}`, "perform: cognito-idp:DescribeUserPoolDomain because"},
		{idp + "ListTagsForResource", `{"ResourceArn":"arn:x"}`, "on resource: arn:x"},
		{"AWSCognitoIdentityService.DescribeIdentityPool", `{"IdentityPoolId":"eu-west-1:1"}`, ":identitypool/eu-west-1:1"},
		{trail + "LookupEvents", `{}`, ""},
		{"", `Action=GetCallerIdentity`, ""},
	} {
		if got := call(tt.target, tt.body); (got == "") != (tt.refused == "") || !strings.Contains(got, tt.refused) {
			t.Errorf("%s %s: got %q, want %q in it", tt.target, tt.body, got, tt.refused)
		}
	}
	if g.Allow([]byte("{")) == nil {
		t.Error("took what is no policy")
	}
}
