package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/proof"
)

// errSigningKey tells nothing of the key.
var errSigningKey = errors.New("the signing key is not what idtrail keygen writes")

// signingKeys are what a config signs with, and whose signatures it believes:
// its own, and those of the keys it names.
func signingKeys(c *config.Config) (s proof.Signer, v proof.Verifier, err error) {
	public := slices.Clone(c.VerifyKeys)
	if !c.SigningKey.Empty() {
		if s, err = proof.NewSigner(c.SigningKey.Reveal()); err != nil {
			return s, v, withHint(err, "make one with: idtrail keygen")
		}
		own, err := publicHalf(c.SigningKey.Reveal())
		if err != nil {
			return s, v, withHint(err, "make one with: idtrail keygen")
		}
		public = append(public, own)
	}
	slices.Sort(public)
	v, err = proof.NewVerifier(slices.Compact(public)...)
	if err != nil {
		return s, v, withHint(err, "write into verify_keys what idtrail keygen printed: name+id+key")
	}
	return s, v, nil
}

// ed25519Seed is the mark of the one kind of private key there is.
const ed25519Seed = 1

// publicHalf is the public key of a private one.
func publicHalf(private string) (string, error) {
	// PRIVATE+KEY+name+id+key; the key may hold a + itself.
	parts := strings.SplitN(strings.TrimSpace(private), "+", 5)
	if len(parts) != 5 {
		return "", errSigningKey
	}
	key, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(key) != 1+ed25519.SeedSize || key[0] != ed25519Seed {
		return "", errSigningKey
	}
	public, ok := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errSigningKey
	}
	text, err := note.NewEd25519VerifierKey(parts[2], public)
	if err != nil {
		return "", fmt.Errorf("make public key: %w", errSigningKey)
	}
	return text, nil
}
