package main

import (
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/proof"
)

func TestPublicHalf(t *testing.T) {
	for range 50 { // base64 may hold a plus
		private, public, err := proof.GenerateKey("acme-audit")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := publicHalf(private + "\n"); err != nil || got != public {
			t.Fatalf("got %s and %v, want %s", got, err, public)
		}
	}
	for _, bad := range []string{"", "x", "PRIVATE+KEY+a+b", "PRIVATE+KEY+a+b+!", "PRIVATE+KEY+acme+00000000+AAAA"} {
		if _, err := publicHalf(bad); err == nil {
			t.Errorf("%q passes for a key", bad)
		}
	}
}

// TestSigningKeys: what a config signs itself it believes, too.
func TestSigningKeys(t *testing.T) {
	private, _, err := proof.GenerateKey("acme")
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := proof.GenerateKey("old")
	if err != nil {
		t.Fatal(err)
	}
	s, v, err := signingKeys(&config.Config{SigningKey: config.NewSecret(private), VerifyKeys: []string{old}})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.Sign("a text\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, signer, err := v.Open(msg); err != nil || signer != "acme" {
		t.Errorf("got signer %q and %v, want acme", signer, err)
	}
	if s, _, err := signingKeys(&config.Config{}); err != nil || s.Signs() {
		t.Errorf("without a key: got %v and that it signs %v", err, s.Signs())
	}
	const secret = "PRIVATE+KEY+acme+00000000+c2VjcmV0"
	if _, _, err := signingKeys(&config.Config{SigningKey: config.NewSecret(secret)}); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("got %v, want an error that does not hold the key", err)
	}
}
