package transform_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

const planted = "S3cr3tV4lue"

// TestScrubFindsWhatIsPlanted hides a secret in all the ways records and cut
// off records were seen to hold one, one within the other.
func TestScrubFindsWhatIsPlanted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		line, kind := plant(t, r)
		got := transform.Scrub(kind, line)
		if json.Valid(line) && !json.Valid(got) {
			t.Fatalf("no JSON any more:\n%s\n%s", line, got)
		}
		if bytes.Contains(landedText(got), []byte(planted)) {
			t.Fatalf("the secret is still there:\n%s\n%s", landedText(line), landedText(got))
		}
	}
}

// plant makes a line that holds the secret.
func plant(t *testing.T, r *rand.Rand) ([]byte, schema.Kind) {
	t.Helper()
	v := secretValue(t, r)
	for range r.IntN(6) {
		v = wrap(t, r, v)
	}
	line := encoded(t, map[string]any{"type": "s", "x": v})
	if r.IntN(4) > 0 {
		return []byte(line), schema.KindAuth0Log
	}
	cut := []byte(line[:len(line)-1])
	switch r.IntN(3) {
	case 0:
		return []byte(encoded(t, schema.Unparsed{Unparsed: schema.UnparsedBody{Base64: cut}})), schema.KindUnparsed
	case 1:
		return []byte(encoded(t, schema.Unparsed{Unparsed: schema.UnparsedBody{Text: string(cut)}})), schema.KindUnparsed
	}
	return cut, schema.KindAuth0Log
}

func secretValue(t *testing.T, r *rand.Rand) any {
	t.Helper()
	names := strings.Fields(`password client_secret accessToken refresh_token otp recovery_code newPassword sessionToken
		Authorization cookie private_key api_key SAMLResponse assertion id_token ticket secretHash resetUrl user_code`)
	name := names[r.IntN(len(names))]
	object := encoded(t, map[string]any{name: planted})
	return []any{
		map[string]any{name: planted},
		map[string]any{name: []any{planted, "x" + planted}},
		map[string]any{"name": name, "value": planted},
		"https://h/p?x=1&" + name + "=" + planted + "&y=2",
		"https://h/p#" + name + "=" + planted,
		name + "=" + planted,
		"u=" + url.QueryEscape("https://h/p?x=1&"+name+"="+planted+"&z=1"),
		"got " + object + " from it",
		object[:len(object)-r.IntN(3)],
		"Bearer " + planted + "123",
		"https://u:" + planted + "@h/",
		"eyJhbGciOi." + planted + ".x",
	}[r.IntN(12)]
}

func wrap(t *testing.T, r *rand.Rand, v any) any {
	t.Helper()
	switch r.IntN(5) {
	case 0:
		return map[string]any{"a": 1, "details": v}
	case 1:
		return []any{1, v}
	case 2:
		return map[string]any{"error": v}
	case 3:
		if s, ok := v.(string); ok {
			return "see: " + s
		}
	}
	return encoded(t, v)
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// landedText is the line, or the bytes that were landed in it.
func landedText(line []byte) []byte {
	var u schema.Unparsed
	if err := json.Unmarshal(line, &u); err == nil && len(u.Unparsed.Base64) > 0 {
		return u.Unparsed.Base64
	}
	return line
}
