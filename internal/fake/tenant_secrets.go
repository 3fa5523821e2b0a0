package fake

import "fmt"

// secretKind is where a secret is planted.
type secretKind string

const (
	secretReset      secretKind = "reset"      // scpr: details.resetUrl
	secretMagic      secretKind = "magic"      // cls: details.link
	secretTicket     secretKind = "ticket"     // sapi tickets: response.body.ticket
	secretPassword   secretKind = "password"   // ss, sapi users: body.password
	secretClient     secretKind = "client"     // sapi clients: response.body.client_secret
	secretConnection secretKind = "connection" // sapi connections: request.body.options.client_secret
	secretRecovery   secretKind = "recovery"   // sapi: response.body.recovery_code
	secretRefresh    secretKind = "refresh"    // mgmt_api_read: response.body.refresh_token
	secretIdentity   secretKind = "identity"   // users: identities[].access_token
	secretSession    secretKind = "session"    // CloudTrail: credentials.sessionToken
	secretTemporary  secretKind = "temporary"  // CloudTrail: requestParameters.temporaryPassword
)

var secretKinds = []secretKind{
	secretReset, secretMagic, secretTicket, secretPassword, secretClient, secretConnection, secretRecovery,
	secretRefresh, secretIdentity, secretSession, secretTemporary,
}

// perKind is how many different secrets of a kind there are.
const perKind = 4

// secret is the n-th secret of a kind, modulo [perKind].
func (t *Tenant) secret(kind secretKind, n int) string {
	return "sEcr3t" + t.hash(26, streamSecret, kind, n%perKind)
}

// Secrets lists every secret planted in records, users and trail: none of them
// may be found in anything idtrail writes.
func (t *Tenant) Secrets() []string {
	var all []string
	for _, kind := range secretKinds {
		for n := range perKind {
			all = append(all, t.secret(kind, n))
		}
	}
	return all
}

// secretURL is a link that lets anyone in.
func (t *Tenant) secretURL(kind secretKind, n int) string {
	return fmt.Sprintf("https://%s/u/reset-verify?ticket=%s#", TenantHost, t.secret(kind, n))
}
