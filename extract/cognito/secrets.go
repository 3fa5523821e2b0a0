package cognito

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tidwall/gjson"
)

// secretEnds are ends of the names whose values are secrets: a client's
// ClientSecret, a provider's client_secret or private_key. Names are compared in
// lower case, letters and digits only.
var secretEnds = []string{"secret", "secretvalue", "secretkey", "privatekey", "password", "apikey"}

// fingerprints replace secrets so that a change still shows: the same secret of
// the same pool has the same one, and nobody who does not know the secret gets
// it out of it. (Who can guess a secret can test the guess: AWS makes those of
// clients; those of providers are as good as the provider's.)
type fingerprints struct{ key []byte }

// newFingerprints keys them to the source, so that pools cannot be compared.
func newFingerprints(identity string) fingerprints {
	mac := hmac.New(sha256.New, []byte("idtrail fingerprint of a secret"))
	mac.Write([]byte(identity))
	return fingerprints{mac.Sum(nil)}
}

// of is "fingerprint:" and the first 8 bytes of HMAC-SHA256, hex.
func (f fingerprints) of(secret string) string {
	mac := hmac.New(sha256.New, f.key)
	mac.Write([]byte(secret))
	return "fingerprint:" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// replace returns the JSON value with fingerprints for its secrets.
func (f fingerprints) replace(v gjson.Result) string {
	var out strings.Builder
	f.write(&out, v, false)
	return out.String()
}

func (f fingerprints) write(out *strings.Builder, v gjson.Result, secret bool) {
	switch {
	case v.IsObject():
		f.writeAll(out, v, secret, "{}")
	case v.IsArray():
		f.writeAll(out, v, secret, "[]")
	case secret && (v.Type == gjson.String && v.Str != "" || v.Type == gjson.Number):
		out.WriteString(`"` + f.of(v.String()) + `"`)
	default:
		out.WriteString(strings.TrimSpace(v.Raw))
	}
}

// writeAll writes the members of an object or the elements of a list.
func (f fingerprints) writeAll(out *strings.Builder, v gjson.Result, secret bool, brackets string) {
	out.WriteString(brackets[:1])
	first := true
	v.ForEach(func(name, value gjson.Result) bool {
		if !first {
			out.WriteByte(',')
		}
		first = false
		below := secret
		if v.IsObject() {
			out.WriteString(name.Raw + ":")
			below = below || isSecretName(name.Str)
		}
		f.write(out, value, below)
		return true
	})
	out.WriteString(brackets[1:])
}

func isSecretName(name string) bool {
	plain := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(name))
	for _, end := range secretEnds {
		if strings.HasSuffix(plain, end) {
			return true
		}
	}
	return false
}
