package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// refusing is an S3 that refuses what a function says, in the words of AWS, and
// answers the rest as an empty bucket does.
func refusing(t *testing.T, refusal func(r *http.Request) string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if message := refusal(r); message != "" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<Error><Code>AccessDenied</Code><Message>` + message + `</Message></Error>`))
			return
		}
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// checkOf checks a config with the environment of the test.
func checkOf(t *testing.T, text string, code int, flags ...string) (checkResult, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "idtrail.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, logs bytes.Buffer
	got := run(t.Context(), append([]string{"check", "-c", file}, flags...), system{
		In: strings.NewReader(""), Out: &out, Err: &logs, Now: time.Now, Env: os.LookupEnv,
	})
	if got != code {
		t.Errorf("exit code %d, want %d\n%s\n%s", got, code, out.String(), logs.String())
	}
	if !slices.Contains(flags, "--json") {
		return checkResult{}, out.String()
	}
	var res checkResult
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return res, out.String()
}

const lakeInS3 = `
state: ./state
lake: {url: s3://acme-idtrail/lake, region: eu-west-1, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"}
sources: [{name: old, kind: archive, format: auth0_logs, path: "./*.yaml"}]
`

// TestCheckNamesKey: a write that is refused for want of a right on the key names
// that right, and not the one to write.
func TestCheckNamesKey(t *testing.T) {
	awsAlone(t)
	const key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	t.Setenv("AWS_ENDPOINT_URL_S3", refusing(t, func(r *http.Request) string {
		if r.Method != http.MethodPut {
			return ""
		}
		return "User: arn:aws:sts::123456789012:assumed-role/idtrail/idtrail is not authorized to perform: kms:GenerateDataKey on resource: " +
			key + " because no identity-based policy allows the kms:GenerateDataKey action"
	}))
	_, text := checkOf(t, lakeInS3, exitFailed, "--write")
	for _, want := range []string{
		"access denied: allow kms:GenerateDataKey on " + key, `"Sid": "Key"`, `"Action": "kms:GenerateDataKey"`, `"kms:ViaService": "s3.eu-west-1.amazonaws.com"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, `"s3:PutObject"`) {
		t.Errorf("advises a right that is there\n%s", text)
	}
}

// TestCheckNamesDenial: where a bucket policy denies, no statement is advised.
func TestCheckNamesDenial(t *testing.T) {
	awsAlone(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", refusing(t, func(*http.Request) string {
		return `User: x is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::acme-idtrail" with an explicit deny in a resource-based policy`
	}))
	res, _ := checkOf(t, lakeInS3, exitFailed, "--json")
	if len(res.Missing.Policies) > 0 {
		t.Errorf("advises %+v", res.Missing.Policies)
	}
	blocked := 0
	for _, line := range res.Checks {
		for _, m := range line.Missing {
			if m.Blocked == "a resource-based policy denies s3:ListBucket on arn:aws:s3:::acme-idtrail: that has to be changed, to allow it elsewhere does not help" {
				blocked++
			}
		}
	}
	if blocked != 2 { // raw and lake
		t.Errorf("%d lines say what denies, want 2: %+v", blocked, res.Checks)
	}
}

// TestCheckNamesRole: who may not become a role lacks that right, and the role
// lacks none.
func TestCheckNamesRole(t *testing.T) {
	awsAlone(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/x ` +
			`is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::210987654321:role/lake</Message></Error></ErrorResponse>`))
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_S3", refusing(t, func(*http.Request) string { return "" }))
	res, text := checkOf(t, `
state: ./state
lake: {url: s3://acme-idtrail/lake, region: eu-west-1, role_arn: "arn:aws:iam::210987654321:role/lake", external_id: x}
connections: {prod: {aws: {region: eu-west-1, role_arn: "arn:aws:iam::210987654321:role/lake", external_id: x}}}
sources: [{name: pool, kind: cognito_users, connection: prod, user_pool_id: eu-west-1_P}]
`, exitFailed, "--json")
	if len(res.Missing.Policies) != 1 || res.Missing.Policies[0].Role != "" || len(res.Missing.Policies[0].Document.Statement) != 1 {
		t.Fatalf("missing %+v", res.Missing)
	}
	s := res.Missing.Policies[0].Document.Statement[0]
	if s.Sid != "AssumeRoles" || !slices.Equal(s.Resource, []string{"arn:aws:iam::210987654321:role/lake"}) {
		t.Errorf("got %+v in\n%s", s, text)
	}
}

// TestCheckNamesSecret: a secret that may not be read is named with the right to
// read it, and the rest is checked.
func TestCheckNamesSecret(t *testing.T) {
	awsAlone(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	vault := httptest.NewServer(fake.NewVault(fake.VaultOptions{Fault: func(fake.Call) *fake.Fault {
		return fake.VaultFault(http.StatusBadRequest, "AccessDeniedException",
			"User: arn:aws:iam::123456789012:user/x is not authorized to perform: secretsmanager:GetSecretValue on resource: idtrail/auth0 because no identity-based policy allows the secretsmanager:GetSecretValue action")
	}}))
	defer vault.Close()
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", vault.URL)
	res, text := checkOf(t, `
state: ./state
lake: ./lake
connections: {acme: {auth0: acme.example, client_id: x, client_secret: "${secretsmanager:idtrail/auth0#secret}"}}
sources:
  - {name: acme, kind: auth0_logs, connection: acme}
  - {name: old, kind: archive, format: auth0_logs, path: "./*.yaml"}
`, exitUsage, "--json")
	if len(res.Missing.Policies) != 1 || res.Missing.Policies[0].Document.Statement[0].Sid != "Secrets" {
		t.Errorf("missing %+v in\n%s", res.Missing, text)
	}
	tried := map[string]string{}
	for _, line := range res.Checks {
		tried[line.Part+line.Name] = line.State
	}
	if tried["sourceold"] != checkOK || tried["sourceacme"] != checkWarning || tried["config"] != checkFailed {
		t.Errorf("tried %v", tried)
	}
}
