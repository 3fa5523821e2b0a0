package fake

import "slices"

// cognitoCap is what any one operation on the settings of one pool may do a
// second, in the categories of cognitoCapped.
const cognitoCap = 5

var cognitoCapped = []string{"UserPoolRead", "UserPoolResourceRead", "UserPoolClientRead"}

// CognitoQuotas are AWS's quotas for the categories of reading operations.
func CognitoQuotas() map[string]float64 {
	return map[string]float64{
		"UserList": 30, "UserRead": 120, "UserPoolRead": 15, "UserPoolResourceRead": 20, "UserPoolClientRead": 15,
	}
}

// cognitoCategories says what quota an operation counts against.
var cognitoCategories = map[string]string{
	"ListUsers": "UserList", "ListUsersInGroup": "UserList",
	"AdminGetUser":     "UserRead",
	"DescribeUserPool": "UserPoolRead", "GetUserPoolMfaConfig": "UserPoolRead", "ListTagsForResource": "UserPoolRead",
	"GetLogDeliveryConfiguration": "UserPoolRead", "GetSigningCertificate": "UserPoolRead", "ListUserPoolReplicas": "UserPoolRead",
	"ListGroups": "UserPoolResourceRead", "ListIdentityProviders": "UserPoolResourceRead", "DescribeIdentityProvider": "UserPoolResourceRead",
	"ListResourceServers": "UserPoolResourceRead", "DescribeUserPoolDomain": "UserPoolResourceRead",
	"GetUICustomization": "UserPoolResourceRead", "DescribeRiskConfiguration": "UserPoolResourceRead",
	"DescribeManagedLoginBrandingByClient": "UserPoolResourceRead", "ListTerms": "UserPoolResourceRead", "DescribeTerms": "UserPoolResourceRead",
	"ListUserPoolClients": "UserPoolClientRead", "DescribeUserPoolClient": "UserPoolClientRead", "ListUserPoolClientSecrets": "UserPoolClientRead",
}

// cognitoOperations are those of user pools that are answered,
// cognitoIdentityOperations those of identity pools.
var (
	cognitoOperations = func() (all []string) {
		for op := range cognitoCategories {
			all = append(all, op)
		}
		slices.Sort(all)
		return all
	}()
	cognitoIdentityOperations = []string{"DescribeIdentityPool", "GetIdentityPoolRoles", "GetPrincipalTagAttributeMap"}
)
