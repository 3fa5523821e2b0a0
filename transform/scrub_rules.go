package transform

import (
	"bytes"
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// The rules of [Scrub], as data. A change of any of them raises [ScrubVersion].
//
// Names are compared without case and without everything but letters and digits
// (clientSecret, client_secret and X-Client-Secret's last part are one name);
// what stands before the last ".", ":" or "/" does not count.

// marker stands where a secret stood.
const marker = "[scrubbed]"

// secretClass says what kind of secret a name promises, and so how far its
// value is to be trusted to be one.
type secretClass uint8

const (
	notSecret secretClass = iota
	// secretWhole: whatever is below is secret, objects and lists included, but
	// for the members of plainMembers. Numbers of four digits or more too.
	secretWhole
	// secretWord: as secretToken, but numbers of four digits or more are words.
	secretWord
	// secretToken: a string, or the strings of a list. An object of that name is
	// a setting ("refresh_token": {"rotation_type": …}); only its value is looked
	// at. Numbers are settings too.
	secretToken
	// secretCode: as secretToken, but numbers of four digits or more are codes;
	// shorter values are not, nor is the plain code of an error (errorParents).
	secretCode
)

// secretNames are whole names.
var secretNames = map[string]secretClass{
	// passwords and what stands for them
	"password": secretWord, "passwords": secretWord, "passwd": secretWord, "pwd": secretWord,
	"passphrase": secretWord, "smtppass": secretWord, "passwordhash": secretWhole,
	"passwordsalt": secretWhole, "passwordconfirmation": secretWord, "custompasswordhash": secretWhole,
	"passwordclaimsecretblock": secretWhole, "passwordclaimsignature": secretWhole, "srpa": secretWhole,
	"answer": secretCode, "challengeanswer": secretCode,
	// keys
	"secrets": secretWhole, "secrethash": secretWhole, "secretblock": secretWhole, "secretstring": secretWhole,
	"secretbinary": secretWhole, "signingkey": secretWhole, "decryptionkey": secretWhole,
	"encryptionkey": secretWhole, "sharedkey": secretWhole, "masterkey": secretWhole, "totpuri": secretWhole,
	"barcodeuri": secretWhole, "otpauthuri": secretWhole,
	// headers
	"cookie": secretWhole, "cookies": secretWhole, "setcookie": secretWhole,
	// tokens and assertions; logins are the tokens given to an identity pool
	"tokens": secretToken, "accesstokens": secretToken, "refreshtokens": secretToken, "idtokens": secretToken,
	"jwt": secretToken, "assertion": secretToken, "clientassertion": secretToken, "samlresponse": secretToken,
	"samlassertion": secretToken, "samlrequest": secretToken, "logins": secretWhole, "session": secretToken,
	"codeverifier": secretToken, "authreqid": secretToken,
	// one-time codes
	"code": secretCode, "codes": secretCode, "otp": secretCode, "totp": secretCode, "hotp": secretCode,
	"passcode": secretCode, "pin": secretCode, "verificationcode": secretCode, "confirmationcode": secretCode,
	"authorizationcode": secretCode, "authcode": secretCode, "devicecode": secretCode, "usercode": secretCode,
	"activationcode": secretCode, "bindingcode": secretCode, "oobcode": secretCode, "smscode": secretCode,
	"emailcode": secretCode, "mfacodes": secretCode, "backupcode": secretCode, "backupcodes": secretCode,
	// links that sign in or reset
	"reseturl": secretToken, "magiclink": secretToken, "verificationurl": secretToken, "verifyurl": secretToken,
	"invitationurl": secretToken, "invitation": secretToken, "ticketid": secretToken, "ticket": secretToken,
	"ticketurl": secretToken, "verificationuricomplete": secretToken,
	// addresses that are keys
	"webhookurl": secretToken, "sumosourceaddress": secretToken,
	// names that a suffix would take and that are no secrets
	// STS names the user in it, as the token said it.
	"subjectfromwebidentitytoken": notSecret,
	"accessedsecrets":             notSecret, "nexttoken": notSecret, "paginationtoken": notSecret,
	"clientrequesttoken": notSecret, "clienttoken": notSecret, "continuationtoken": notSecret,
	"idempotencytoken": notSecret, "pagetoken": notSecret, "startingtoken": notSecret,
	"nextforwardtoken": notSecret, "nextbackwardtoken": notSecret, "nextpagetoken": notSecret,
	"creationtoken": notSecret, "changetoken": notSecret,
	"locktoken": notSecret, "concurrencytoken": notSecret,
}

// secretSuffixes are ends of names.
var secretSuffixes = []struct {
	end   string
	class secretClass
}{
	{"password", secretWord},
	{"secret", secretWhole},
	{"secretkey", secretWhole},
	{"secretaccesskey", secretWhole},
	{"privatekey", secretWhole},
	{"signingkeys", secretWhole},
	{"apikey", secretWhole},
	{"apikeys", secretWhole},
	{"writekey", secretWhole},
	{"authorization", secretWhole},
	{"clientsecrets", secretWhole},
	{"token", secretToken},
	{"recoverycode", secretCode},
	{"recoverycodes", secretCode},
	{"otpcode", secretCode},
	{"mfacode", secretCode},
}

// secretMembers are names that are secret only as a member of another.
var secretMembers = []struct {
	parent, name string
	class        secretClass
}{
	// The environment of a custom database's scripts.
	{"options", "configuration", secretWhole},
	{"options", "bareconfiguration", secretWhole},
	// A one-time link of a passwordless sign-in; elsewhere a profile's address.
	{"details", "link", secretToken},
	{"body", "link", secretToken},
}

// secretBodies are management paths whose request body is all secret, its
// member names aside; a piece of the record's text each.
var secretBodies = []string{"/api/v2/rules-configs/", "/secrets"}

// plainMembers are no secrets even within one.
var plainMembers = []string{"name", "type", "id", "kid", "alg", "algorithm", "updatedat", "createdat"}

// errorParents are names of objects whose code is one of an error, or none that
// lets anyone in.
var errorParents = []string{
	"error", "err", "errors", "providererror", "failuredetails", "failure", "exception", "cause",
	"status", "state", "statereason", "instancestate", "currentstate", "previousstate",
	"country", "language", "currency",
}

// plainValues are values that show that somebody has cut out the secret before.
var plainValues = []string{marker, "HIDDEN_DUE_TO_SECURITY_REASONS", "REDACTED", "<redacted>", "[redacted]"}

// spanUnits are what a setting says under a token's name: in what its validity
// is counted. No token is one of them.
var spanUnits = []string{"seconds", "minutes", "hours", "days"}

// suffixEnds are the last letters of secretSuffixes: most names need no look at
// the list.
var suffixEnds = func() (ends [256]bool) {
	for _, s := range secretSuffixes {
		ends[s.end[len(s.end)-1]] = true
	}
	return ends
}()

// plainName brings a name into the form the rules are written in.
func plainName(name, buf []byte) []byte {
	if i := bytes.LastIndexAny(name, ".:/["); i >= 0 && i < len(name)-1 {
		name = name[i+1:]
	}
	buf = buf[:0]
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			buf = append(buf, c|0x20)
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80:
			buf = append(buf, c)
		}
	}
	return buf
}

// classOf says what a name, in plain form, promises.
func classOf(plain []byte) secretClass {
	if class, known := secretNames[string(plain)]; known {
		return class
	}
	if len(plain) == 0 || !suffixEnds[plain[len(plain)-1]] {
		return notSecret
	}
	for _, s := range secretSuffixes {
		if len(plain) >= len(s.end) && string(plain[len(plain)-len(s.end):]) == s.end {
			return s.class
		}
	}
	return notSecret
}

// classWithin is classOf for a member of an object that is itself a member
// called parent.
func classWithin(parent, plain []byte) secretClass {
	class := classOf(plain)
	if string(plain) == "code" && slices.Contains(errorParents, string(parent)) {
		return notSecret
	}
	if class != notSecret {
		return class
	}
	for _, m := range secretMembers {
		if string(plain) == m.name && string(parent) == m.parent {
			return m.class
		}
	}
	return notSecret
}

// keepsString says whether a string under a name of that class is no secret
// after all.
func keepsString(class secretClass, value []byte) bool {
	if len(bytes.Trim(value, "*")) == 0 || slices.Contains(plainValues, string(value)) || isFingerprint(value) {
		return true
	}
	switch class {
	case secretWhole, secretWord:
		return false
	case secretCode:
		return len(value) < 4
	default:
		return slices.Contains([]string{"true", "false", "null"}, string(value)) || slices.Contains(spanUnits, string(value))
	}
}

// isFingerprint says whether value is what a source put in the place of a secret:
// "fingerprint:" and 16 hex digits, which show a change and nothing else.
func isFingerprint(value []byte) bool {
	digits, ok := bytes.CutPrefix(value, []byte("fingerprint:"))
	return ok && len(digits) == 16 && len(bytes.Trim(digits, "0123456789abcdef")) == 0
}

// keepsNumber is keepsString for a number.
func keepsNumber(class secretClass, value []byte) bool {
	return class == secretToken || len(value) < 4
}

// bodyIsSecret says whether the record is of a call whose body is all secret.
func bodyIsSecret(kind schema.Kind, line []byte) bool {
	if kind != schema.KindAuth0Log && kind != schema.KindUnparsed {
		return false
	}
	return slices.ContainsFunc(secretBodies, func(piece string) bool {
		return bytes.Contains(line, []byte(piece))
	})
}
