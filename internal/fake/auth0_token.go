package fake

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// token answers POST /oauth/token: client credentials as Basic or as form, or a
// signed assertion. JSON bodies are refused: no client of ours sends them.
func (a *Auth0) token(r *http.Request) answer {
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		return tokenError(http.StatusBadRequest, "invalid_request", "POST a form")
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		return tokenError(http.StatusForbidden, "unauthorized_client", "Grant type not allowed for the client.")
	}
	if !a.knows(r) {
		return tokenError(http.StatusUnauthorized, "access_denied", "Unauthorized")
	}
	if audience := r.PostForm.Get("audience"); audience != a.audience(r) {
		return tokenError(http.StatusForbidden, "access_denied", "Service not enabled within domain: "+audience)
	}
	return a.issue()
}

func (a *Auth0) audience(r *http.Request) string {
	if a.opts.Audience != "" {
		return a.opts.Audience
	}
	return scheme(r) + "://" + r.Host + "/api/v2/"
}

func (a *Auth0) knows(r *http.Request) bool {
	if assertion := r.PostForm.Get("client_assertion"); assertion != "" && a.opts.AssertionKey != nil {
		return a.asserted(assertion, scheme(r)+"://"+r.Host+"/") == nil
	}
	id, secret, basic := r.BasicAuth()
	if basic {
		// RFC 6749 2.3.1 has both halves form-encoded.
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	return same(id, a.opts.ClientID) && same(secret, a.opts.ClientSecret)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (a *Auth0) issue() answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued++
	text := fmt.Sprintf("fake-access-token-%04d", a.issued)
	a.tokens[text] = token{expires: a.opts.Now().Add(a.opts.TokenLifetime), scopes: slices.Clone(a.opts.Scopes)}
	body, _ := json.Marshal(map[string]any{
		"access_token": text,
		"scope":        strings.Join(a.opts.Scopes, " "),
		"expires_in":   int(a.opts.TokenLifetime / time.Second),
		"token_type":   "Bearer",
	})
	return answer{status: http.StatusOK, header: jsonHeader(), body: body}
}

// asserted checks a private key JWT: signature, issuer, audience, times.
func (a *Auth0) asserted(assertion, audience string) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return fmt.Errorf("parse assertion: %d parts", len(parts))
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("decode signature: %w", err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(a.opts.AssertionKey, crypto.SHA256, sum[:], sig); err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fmt.Errorf("decode claims: %w", err)
	}
	return a.claims(claims, audience)
}

func (a *Auth0) claims(text []byte, audience string) error {
	var c struct {
		Iss, Sub, Jti string
		Aud           any
		Exp           int64
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("read claims: %w", err)
	}
	if c.Iss != a.opts.ClientID || c.Sub != a.opts.ClientID || c.Jti == "" {
		return fmt.Errorf("check claims: not of this client")
	}
	if !strings.Contains(fmt.Sprint(c.Aud), strings.TrimSuffix(audience, "/")) {
		return fmt.Errorf("check claims: audience is not %s", audience)
	}
	if now := a.opts.Now().Unix(); c.Exp < now || c.Exp > now+300 {
		return fmt.Errorf("check claims: expiry is not within 5 minutes")
	}
	return nil
}

func tokenError(status int, code, description string) answer {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description})
	return answer{status: status, header: jsonHeader(), body: body}
}
