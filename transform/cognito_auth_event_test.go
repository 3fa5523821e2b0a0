package transform_test

import (
	"testing"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

func FuzzCognitoAuthEvent(f *testing.F) {
	fuzzKind(f, schema.KindCognitoAuthEvent)
}

// Every combination of words the log is known to use is an OCSF event, and a
// threat is never a quiet one.
func TestCognitoAuthEventWords(t *testing.T) {
	for _, name := range []string{"SignIn", "SignUp", "ForgotPassword", "PasswordChange", "ResendCode", "Passkey", ""} {
		for _, response := range []string{"Pass", "Fail", "InProgress", "", "pass"} {
			for decision, threat := range map[string]bool{
				"NoRisk": false, "PASS": false, "": false, "AccountTakeover": true, "ACCOUNT_TAKEOVER": true, "Block": true, "BLOCK": true,
			} {
				line := []byte(`{"eventSource":"USER_AUTH_EVENTS","eventTimestamp":1763640000,"message":{"eventType":"` + name +
					`","eventResponse":"` + response + `","riskDecision":"` + decision + `"}}`)
				got := mapLine(t, schema.KindCognitoAuthEvent, line)
				if got.Error != "" || len(got.Events) != 1 {
					t.Fatalf("%s: got %d events, error %q", line, len(got.Events), got.Error)
				}
				if e := got.Events[0]; (e.SeverityID >= 4) != threat {
					t.Errorf("%s: severity %d", line, e.SeverityID)
				}
			}
		}
	}
}

func TestCognitoAuthEventIsNoSecret(t *testing.T) {
	line := []byte(`{"message":{"eventId":"e1","eventType":"SignIn","challenges":["Password:Success"],"userName":"ada"}}`)
	if got := transform.Scrub(schema.KindCognitoAuthEvent, line); string(got) != string(line) {
		t.Errorf("got %s, want it unchanged", got)
	}
}
