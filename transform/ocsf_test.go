package transform_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
)

// The parameters the events of the table are tried with: none, those of any
// operation at once, and odd ones.
var awsParameters = map[string]string{
	"bare":   ``,
	"null":   `,"requestParameters":null,"responseElements":null,"additionalEventData":null,"userIdentity":null,"resources":null`,
	"listed": `,"requestParameters":[1,{"a":2}],"responseElements":[],"additionalEventData":"text","userIdentity":[],"resources":[null,1,{}],"addendum":7`,
	"failed": `,"errorCode":"AccessDenied","errorMessage":"not allowed","sourceIPAddress":"AWS Internal"`,
	"rich": `,"sourceIPAddress":"2001:DB8::7","userAgent":"aws-sdk","requestID":"r1","awsRegion":"eu-west-1","recipientAccountId":"123456789012",
		"userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::123456789012:assumed-role/ops/ada@example.com","principalId":"AROA:ada@example.com","accessKeyId":"ASIAEXAMPLE","accountId":"123456789012",
			"sessionContext":{"attributes":{"mfaAuthenticated":"true","creationDate":"20261119T080000Z"},"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::123456789012:role/ops"}}},
		"requestParameters":{"userPoolId":"eu-west-1_Pool","username":"ada","clientId":"client1","groupName":"admins","roleArn":"arn:aws:iam::123456789012:role/admins","providerName":"Auth0",
			"authFlow":"USER_SRP_AUTH","challengeName":"SMS_MFA","identityId":"eu-west-1:1","identityPoolId":"eu-west-1:p","identityIdsToDelete":["eu-west-1:1","eu-west-1:2"],
			"userName":"bob","roleName":"ops","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess","mfaConfiguration":"ON","userAttributes":[{"name":"email_verified","value":"true"}],
			"softwareTokenMfaSettings":{"enabled":true},"destinationUser":{"providerName":"Cognito","providerAttributeValue":"ada"}},
		"responseElements":{"userSub":"0a1b2c3d-0000-4000-8000-000000000001","challengeName":"SMS_MFA","status":"SUCCESS","ConsoleLogin":"Success","identityId":"eu-west-1:1","credentials":{"accessKeyId":"ASIA2"}},
		"additionalEventData":{"sub":"0a1b2c3d-0000-4000-8000-000000000001","MFAUsed":"Yes","userPoolId":"eu-west-1_Pool","userPoolDomain":"acme.auth.eu-west-1.amazoncognito.com",
			"requestParameters":{"client_id":["client1"],"grant_type":["client_credentials"]},"responseParameters":{"status":302.0}},
		"resources":[{"ARN":"arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Pool","accountId":"123456789012","type":"AWS::Cognito::UserPool"}]`,
}

// TestAWSTableIsOCSF maps every event of the table, and some of none, with all
// kinds of parameters: mapLine checks the events against the class definitions.
func TestAWSTableIsOCSF(t *testing.T) {
	rows := append(readTable(t, "tables/aws_events.csv"),
		[]string{"s3.amazonaws.com", "GetObject"}, []string{"ec2.amazonaws.com", "RunInstances"},
		[]string{"cognito-idp.amazonaws.com", "brand_new_POST"}, []string{"cognito-idp.amazonaws.com", "brand_new_GET"},
		[]string{"kms.amazonaws.com", "Frobnicate"}, []string{"", ""}, []string{"x", "é_Ünknown"})
	for _, row := range rows {
		for name, parameters := range awsParameters {
			for _, kind := range []string{"AwsApiCall", "AwsServiceEvent", "AwsConsoleSignIn"} {
				line := awsLine(t, row, kind, parameters)
				got := mapLine(t, schema.KindCloudTrail, line)
				if t.Failed() {
					t.Fatalf("%s %s, %s, %s parameters: %s", row[0], row[1], kind, name, line)
				}
				checkAWSRow(t, row, name, got)
			}
		}
	}
}

func checkAWSRow(t *testing.T, row []string, parameters string, got golden) {
	t.Helper()
	if got.Error != "" {
		t.Fatalf("%v: rejected: %s", row, got.Error)
	}
	if len(row) < 4 || parameters != "bare" {
		return
	}
	e := got.Events[0]
	if class := jsonNumber(t, row[2]); e.ClassUID != class && row[9] != "group_role" {
		t.Errorf("%v: class %d, want %d", row, e.ClassUID, class)
	}
	if want := jsonNumber(t, row[3]); e.ActivityID != want && row[9] != "group_role" {
		t.Errorf("%v: activity %d, want %d", row, e.ActivityID, want)
	}
	if row[4] != "" && e.ActivityName != row[4] {
		t.Errorf("%v: activity %q, want %q", row, e.ActivityName, row[4])
	}
	if want := jsonNumber(t, row[5]); e.SeverityID != want {
		t.Errorf("%v: severity %d, want %d", row, e.SeverityID, want)
	}
}

func awsLine(t *testing.T, row []string, kind, parameters string) []byte {
	t.Helper()
	line, _ := asLine(t, schema.KindCloudTrail, []byte(`{"eventVersion":"1.11","eventTime":"2026-11-19T08:30:00Z","eventID":"id-1","eventType":"`+kind+
		`","eventSource":"`+row[0]+`","eventName":"`+row[1]+`"`+parameters+`}`))
	if strings.Contains(string(line), "idtrail_unparsed") {
		t.Fatalf("the test's own line is no JSON: %s", line)
	}
	return line
}

// readTable reads a mapping table without its head.
func readTable(t *testing.T, path string) [][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func jsonNumber(t *testing.T, s string) int32 {
	t.Helper()
	var n int32
	if err := json.Unmarshal([]byte(s), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
