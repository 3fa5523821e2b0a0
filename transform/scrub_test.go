package transform_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// jwt is the shape of a token, not one that anybody accepts.
const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhdXRoMHwxIn0.c2lnbmF0dXJl"

func TestScrub(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"password of a signup", `{"details":{"body":{"email":"a@b.c","password":"hunter2!","tenant":"t"}}}`,
			`{"details":{"body":{"email":"a@b.c","password":"[scrubbed]","tenant":"t"}}}`,
		},
		{
			"spelling kept", "{ \"Password\" :\t\"x\\u0041\\\"y\" , \"n\" : 1.50e+02 }",
			"{ \"Password\" :\t\"[scrubbed]\" , \"n\" : 1.50e+02 }",
		},
		{
			"prefixed and camel case", `{"newPassword":"a","PREVIOUS_PASSWORD":"b","temporary-password":"c","proposedPassword":"d"}`,
			`{"newPassword":"[scrubbed]","PREVIOUS_PASSWORD":"[scrubbed]","temporary-password":"[scrubbed]","proposedPassword":"[scrubbed]"}`,
		},
		{"numeric password", `{"password":123456,"code":987654}`, `{"password":"[scrubbed]","code":"[scrubbed]"}`},
		{"escaped name", `{"pass\u0077ord":"x1"}`, `{"pass\u0077ord":"[scrubbed]"}`},
		{"device code", `{"details":{"code":"ABCD-EFGH"}}`, `{"details":{"code":"[scrubbed]"}}`},
		{"authorization code in an array", `{"qs":{"code":["abcdef"]}}`, `{"qs":{"code":["[scrubbed]"]}}`},
		{"reset URL", `{"details":{"resetUrl":"https://t.auth0.com/lo/reset?ticket=abc#"}}`, `{"details":{"resetUrl":"[scrubbed]"}}`},
		{"magic link", `{"details":{"link":"https://t.auth0.com/passwordless/verify?x=1"}}`, `{"details":{"link":"[scrubbed]"}}`},
		{"ticket", `{"response":{"body":{"ticket":"https://t/u?x"}}}`, `{"response":{"body":{"ticket":"[scrubbed]"}}}`},
		{
			"recovery codes", `{"recovery_code":"AAAA","recovery_codes":["B1B1","C2C2"]}`,
			`{"recovery_code":"[scrubbed]","recovery_codes":["[scrubbed]","[scrubbed]"]}`,
		},
		{
			"identity tokens", `{"identities":[{"access_token":"ya29","access_token_secret":"s","refresh_token":"1//0","user_id":5}]}`,
			`{"identities":[{"access_token":"[scrubbed]","access_token_secret":"[scrubbed]","refresh_token":"[scrubbed]","user_id":5}]}`,
		},
		{
			"keys", `{"signingKey":{"key":"-----","cert":"c"},"private_key":"k","datadogApiKey":"d","segmentWriteKey":"w"}`,
			`{"signingKey":{"key":"[scrubbed]","cert":"[scrubbed]"},"private_key":"[scrubbed]","datadogApiKey":"[scrubbed]","segmentWriteKey":"[scrubbed]"}`,
		},
		{
			"action secrets", `{"secrets":[{"name":"API","value":"v1","updated_at":"2024"}]}`,
			`{"secrets":[{"name":"API","value":"[scrubbed]","updated_at":"2024"}]}`,
		},
		{
			"rule configs", `{"details":{"request":{"path":"/api/v2/rules-configs/KEY","body":{"value":"v"}}}}`,
			`{"details":{"request":{"path":"/api/v2/rules-configs/KEY","body":{"value":"[scrubbed]"}}}}`,
		},
		{
			"hook secrets before their path", `{"body":{"MY":"v"},"path":"/api/v2/hooks/1/secrets"}`,
			`{"body":{"MY":"[scrubbed]"},"path":"/api/v2/hooks/1/secrets"}`,
		},
		{"database environment", `{"options":{"configuration":{"URI":"mongodb"}}}`, `{"options":{"configuration":{"URI":"[scrubbed]"}}}`},
		{
			"headers", `{"headers":{"Authorization":"Bearer abc","Cookie":"a=b","host":"h"}}`,
			`{"headers":{"Authorization":"[scrubbed]","Cookie":"[scrubbed]","host":"h"}}`,
		},
		{
			"name and value", `[{"name":"password","value":"x"},{"Value":"y","Name":"custom:api_token"},{"name":"plain","value":"z"}]`,
			`[{"name":"password","value":"[scrubbed]"},{"Value":"[scrubbed]","Name":"custom:api_token"},{"name":"plain","value":"z"}]`,
		},
		{
			"credentials of an identity", `{"responseElements":{"credentials":{"accessKeyId":"ASIA1","secretKey":"s/k","sessionToken":"IQoJ","expiration":"d"}}}`,
			`{"responseElements":{"credentials":{"accessKeyId":"ASIA1","secretKey":"[scrubbed]","sessionToken":"[scrubbed]","expiration":"d"}}}`,
		},
		{"assumed role", `{"secretAccessKey":"w","SessionToken":"F"}`, `{"secretAccessKey":"[scrubbed]","SessionToken":"[scrubbed]"}`},
		{
			"challenge answers", `{"challengeResponses":{"USERNAME":"u","SMS_MFA_CODE":"123456","SECRET_HASH":"h","ANSWER":"blue"},"session":"AYAB"}`,
			`{"challengeResponses":{"USERNAME":"u","SMS_MFA_CODE":"[scrubbed]","SECRET_HASH":"[scrubbed]","ANSWER":"[scrubbed]"},"session":"[scrubbed]"}`,
		},
		{"provider details", `{"providerDetails":{"client_id":"c","client_secret":"s"}}`, `{"providerDetails":{"client_id":"c","client_secret":"[scrubbed]"}}`},
		{
			"JSON in a string", `{"CloudTrailEvent":"{\"a\":\"b\\n\",\"password\":\"x\\\"y\",\"n\":10}"}`,
			`{"CloudTrailEvent":"{\"a\":\"b\\n\",\"password\":\"[scrubbed]\",\"n\":10}"}`,
		},
		{"JSON in JSON in a string", `{"a":"{\"b\":\"{\\\"otp\\\":123456}\"}"}`, `{"a":"{\"b\":\"{\\\"otp\\\":\\\"[scrubbed]\\\"}\"}"}`},
		{"JWT anywhere", `{"x":"got ` + jwt + `, bad"}`, `{"x":"got [scrubbed], bad"}`},
		{"bearer", `{"x":"authorization was bearer abc123def456"}`, `{"x":"authorization was bearer [scrubbed]"}`},
		{
			"URL parameters", `{"u":"https://a.b/cb?code=abcdef&state=s1#access_token=tok&x=1"}`,
			`{"u":"https://a.b/cb?code=[scrubbed]&state=s1#access_token=[scrubbed]&x=1"}`,
		},
		{
			"URL in a URL", `{"u":"/login?returnTo=https%3A%2F%2Fa%2Fcb%3Fticket%3Dabc123%26y%3D1&z=2"}`,
			`{"u":"/login?returnTo=https%3A%2F%2Fa%2Fcb%3Fticket%3D[scrubbed]%26y%3D1&z=2"}`,
		},
		{"password in a URL", `{"u":"mongodb://me:pa:ss@host/db"}`, `{"u":"mongodb://me:[scrubbed]@host/db"}`},
		{
			"form", `{"body":"grant_type=password&username=u&password=p%26q&client_secret=s"}`,
			`{"body":"grant_type=password&username=u&password=[scrubbed]&client_secret=[scrubbed]"}`,
		},
		{
			"private key", `{"x":"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"}`,
			`{"x":"-----BEGIN RSA PRIVATE KEY-----[scrubbed]-----END RSA PRIVATE KEY-----\n"}`,
		},
		{"prose", `{"m":"login failed, password: hunter2"}`, `{"m":"login failed, password: [scrubbed]"}`},
		{"JSON within prose", `{"m":"got {\"client_secret\": \"abc\"} from it"}`, `{"m":"got {\"client_secret\": \"[scrubbed]\"} from it"}`},
		{"cut off JSON", `{"type":"ss","details":{"password":"hunt`, `{"type":"ss","details":{"password":"[scrubbed]`},
		{"cut off list", `{"recovery_codes":["AAAA","BBB`, `{"recovery_codes":"[scrubbed]"`},
		{"cut off string of JSON", `{"x":"{\"a\":1,\"otp\":\"hunt`, `{"x":"{\"a\":1,\"otp\":\"[scrubbed]`},
		{"escaped separators", `got \u0026token\u003dabcdef\u0026x=1`, `got \u0026token\u003d[scrubbed]\u0026x=1`},
		{"recovery code of an error", `{"error":{"recovery_code":"AAAA","code":"E_CODE"}}`, `{"error":{"recovery_code":"[scrubbed]","code":"E_CODE"}}`},
		{"cut off number", `{"otp":123456,"x":`, `{"otp":"[scrubbed]","x":`},
		{
			"landed text", `{"idtrail_unparsed":{"reason":"r","text":"{\"password\":\"hunt"}}`,
			`{"idtrail_unparsed":{"reason":"r","text":"{\"password\":\"[scrubbed]"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			got := transform.Scrub(schema.KindAuth0Log, in)
			if string(got) != tt.want {
				t.Errorf("Scrub\n in   %s\n got  %s\n want %s", tt.in, got, tt.want)
			}
			if string(in) != tt.in {
				t.Errorf("Scrub wrote to its argument: %s", in)
			}
			if again := transform.Scrub(schema.KindAuth0Log, got); !bytes.Equal(again, got) {
				t.Errorf("Scrub again = %s", again)
			}
		})
	}
}

// What is no secret stays, byte for byte: too much cut is evidence lost.
func TestScrubKeeps(t *testing.T) {
	lines := []string{
		`{"type":"ss","errorCode":"invalid_code","status_code":"1234","statusCode":4001,"country_code":"GB","event_code":"abcd"}`,
		`{"details":{"session_id":"abcdefghij","error":{"code":"ECONNREFUSED","message":"m"}}}`,
		`{"details":{"accessedSecrets":["client_secret","signing_keys"]}}`,
		`{"token_type":"Bearer","token_endpoint_auth_method":"client_secret_post","password_policy":"good"}`,
		`{"refresh_token":{"rotation_type":"rotating","leeway":0,"token_lifetime":2592000}}`,
		`{"options":{"authentication_methods":{"password":{"enabled":true,"api_behavior":"required"}}}}`,
		`{"password":null,"mfa_code":"","client_secret":true,"last_password_reset":"2024-01-01T00:00:00.000Z"}`,
		`{"requestParameters":{"authParameters":"HIDDEN_DUE_TO_SECURITY_REASONS","password":"HIDDEN_DUE_TO_SECURITY_REASONS"}}`,
		`{"password":"*****","nextToken":"AAAA","clientRequestToken":"0b1c","maxResults":50}`,
		`{"scope":"openid offline_access read:client_keys create:tickets password:reset","strategy":"auth0"}`,
		`{"request":{"auth":{"strategy":"jwt","credentials":{"jti":"1234567890abcdef","scopes":["read:users"]}}}}`,
		`{"user_agent":"Mozilla/5.0 (Windows NT 10.0; rv:109.0) Gecko/20100101","u":"https://a.b:8443/x?page=1&q=code"}`,
		`{"description":"Basic authentication failed; Bearer token is invalid, code: expired"}`,
		`{"userIdentity":{"accessKeyId":"ASIAXXXX","sessionContext":{"sessionIssuer":{"type":"Role"},"attributes":{"mfaAuthenticated":"false"}}}}`,
		`{"responseElements":{"creationToken":"abcd1234","stateReason":{"code":"Client.UserInitiated"}}}`,
		`{"link":"https://facebook.com/me","identities":[{"user_id":12345678901234567890}]}`,
		`{"grant_type":"authorization_code","response_type":"code id_token","q":"grant_type=authorization_code&response_type=code"}`,
		"{\"x\":\"\xff\xfe\",\"y\":\"\\ud800\"}",
		`"text"`, `[]`, ``, `null`, `not json at all`,
	}
	for _, line := range lines {
		for _, kind := range []schema.Kind{schema.KindAuth0Log, schema.KindAuth0User, schema.KindCloudTrail} {
			if got := transform.Scrub(kind, []byte(line)); string(got) != line {
				t.Errorf("Scrub(%s)\n got  %s\n want %s", kind, got, line)
			}
		}
	}
}

// A source puts fingerprints where secrets stood: they stay, and nothing that
// only looks like one.
func TestScrubKeepsFingerprints(t *testing.T) {
	const mark = "fingerprint:0123456789abcdef"
	tests := map[string]bool{
		mark: true, "": true,
		mark + "0": false, mark[:len(mark)-1]: false, "x" + mark: false, "fingerprint:0123456789ABCDEF": false,
		"fingerprint:s3cr3ts3cr3ts3c": false, "fingerprint:": false, "Fingerprint:0123456789abcdef": false,
	}
	for value, kept := range tests {
		for _, line := range []string{
			`{"client_secret":"` + value + `"}`,
			`{"section":"client","id":"c","data":"{\"client_secret\":\"` + value + `\",\"signing_keys\":[{\"cert\":\"` + value + `\"}]}"}`,
			`{"options":{"configuration":{"A":"` + value + `"}},"twilio_token":"` + value + `"}`,
		} {
			got := transform.Scrub(schema.KindSetting, []byte(line))
			if (string(got) == line) != kept {
				t.Errorf("%s became %s", line, got)
			}
			if !kept && len(value) > 15 && bytes.Contains(got, []byte(value)) {
				t.Errorf("%s is still in %s", value, got)
			}
		}
	}
}

func TestScrubLandedBytes(t *testing.T) {
	body := []byte("\xff\xfe{\"password\":\"hunter2\",\"x\":1")
	line, err := json.Marshal(schema.Unparsed{Unparsed: schema.UnparsedBody{Reason: "cut", Base64: body}})
	if err != nil {
		t.Fatal(err)
	}
	var got schema.Unparsed
	if err := json.Unmarshal(transform.Scrub(schema.KindUnparsed, line), &got); err != nil {
		t.Fatal(err)
	}
	want := "\xff\xfe{\"password\":\"[scrubbed]\",\"x\":1"
	if string(got.Unparsed.Base64) != want {
		t.Errorf("body = %q, want %q", got.Unparsed.Base64, want)
	}
	other := `{"idtrail_unparsed":{"base64":"not base64!"},"base64":"` + base64.StdEncoding.EncodeToString(body) + `"}`
	if got := transform.Scrub(schema.KindUnparsed, []byte(other)); string(got) != other {
		t.Errorf("Scrub = %s, want it unchanged", got)
	}
}

// A text made to be slow for a searcher that starts over at each find.
func TestScrubIsLinear(t *testing.T) {
	for _, piece := range []string{"token=", "token:\\\"", "://", "eyJ", "-----BEGIN ", "\"password\":[", "%25", "bearer ", "[", "{\\\"a\\\":", "a@://:"} {
		line := []byte(`{"x":"` + strings.Repeat(piece, 1<<20/len(piece)) + `"}`)
		if !json.Valid(line) {
			line = []byte(strings.Repeat(piece, 1<<20/len(piece)))
		}
		start := time.Now()
		transform.Scrub(schema.KindAuth0Log, line)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("1 MiB of %q took %s", piece, took)
		}
	}
}

func FuzzScrub(f *testing.F) {
	for _, seed := range []string{
		`{"password":"x","code":123456,"a":"{\"otp\":\"1234\"}"}`, `{"u":"https://u:p@h/?token=a%26b#code=abcd"}`,
		`{"secrets":[{"name":"a","value":{"b":"c"}}],"x":"Bearer abcdefgh1"}`, `{"x":"` + jwt + `"}`,
		`{"idtrail_unparsed":{"reason":"","base64":"eyJwYXNzd29yZCI6ImEi"}}`, `"password": "a`, `token=token=b`,
		`{"recovery_codes":["a`, `{"a":"\\\"password\\\":[1,2"}`, "{\"password\":\"\xff\"}", `[[[[[[{"pin":99999}]]]]]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, kind := range []schema.Kind{schema.KindAuth0Log, schema.KindUnparsed} {
			before := bytes.Clone(line)
			got := transform.Scrub(kind, line)
			if !bytes.Equal(before, line) {
				t.Fatalf("Scrub wrote to its argument %q", before)
			}
			if json.Valid(line) && !json.Valid(got) {
				t.Fatalf("Scrub(%q) = %q: no JSON any more", line, got)
			}
			if again := transform.Scrub(kind, got); !bytes.Equal(again, got) {
				t.Fatalf("Scrub(%q) = %q, again %q", line, got, again)
			}
		}
	})
}

func BenchmarkScrub(b *testing.B) {
	clean := []byte(`{"_id":"90020240501120000000000000000000000000000000000000000001","date":"2024-05-01T12:00:00.000Z","type":"s","description":"","connection":"Username-Password-Authentication","connection_id":"con_1","client_id":"abcdefgh","client_name":"My App","ip":"203.0.113.7","user_agent":"Chrome 124.0.0 / Mac OS X 10.15.7","details":{"prompts":[{"name":"prompt-authenticate","initiatedAt":1714564799000,"completedAt":1714564800000,"connection":"db","strategy":"auth0","identity":"65aa","stats":{"loginsCount":12},"elapsedTime":1000}],"initiatedAt":1714564798000,"completedAt":1714564800000,"elapsedTime":2000,"session_id":"Zm9vYmFyYmF6"},"hostname":"acme.eu.auth0.com","user_id":"auth0|65aa","user_name":"ada@example.com","strategy":"auth0","strategy_type":"database","$event_schema":{"version":"1.0.0"},"log_id":"90020240501120000000000000000000000000000000000000000001","tenant_name":"acme"}`)
	dirty := bytes.Replace(clean, []byte(`"session_id"`), []byte(`"resetUrl":"https://acme.eu.auth0.com/lo/reset?ticket=abc","password":"x","session_id"`), 1)
	for name, line := range map[string][]byte{"clean": clean, "dirty": dirty} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				transform.Scrub(schema.KindAuth0Log, line)
			}
		})
	}
}
