package proof

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// What a reader of notes tells apart.
var (
	// ErrUnsigned says that a note bears no signature.
	ErrUnsigned = errors.New("not signed")
	// ErrKey says that a note is signed, but by none of the keys given.
	ErrKey = errors.New("signed by a key that was not given")
	// ErrSignature says that the signature of a given key does not fit the text:
	// the text was altered.
	ErrSignature = errors.New("signature does not fit the text")
)

// Signer signs notes. The zero value leaves them unsigned.
type Signer struct{ signer note.Signer }

// NewSigner reads a private key as [GenerateKey] makes it. Errors do not hold
// the key.
func NewSigner(key string) (Signer, error) {
	s, err := note.NewSigner(strings.TrimSpace(key))
	if err != nil {
		return Signer{}, errors.New("read signing key: it is not of the form PRIVATE+KEY+name+id+key that idtrail keygen writes")
	}
	return Signer{s}, nil
}

// Signs says whether notes will bear a signature.
func (s Signer) Signs() bool { return s.signer != nil }

// Sign returns the note of a text. The text must end with a line feed.
func (s Signer) Sign(text string) ([]byte, error) {
	if s.signer == nil {
		return []byte(text + "\n"), nil
	}
	msg, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		return nil, fmt.Errorf("sign note: %w", err)
	}
	return msg, nil
}

// GenerateKey makes a key pair. The name says whose it is: a domain, say; it has
// neither spaces nor "+". The public key is the one that [Verifier] takes.
func GenerateKey(name string) (private, public string, err error) {
	private, public, err = note.GenerateKey(rand.Reader, name)
	if err == nil {
		_, err = note.NewSigner(private) // refuses a name that cannot be one
	}
	if err != nil {
		return "", "", fmt.Errorf("make signing key: name %q has to be a word without + or spaces: %w", name, err)
	}
	return private, public, nil
}

// Verifier knows the public keys that notes may be signed with.
type Verifier struct{ keys note.Verifiers }

// NewVerifier reads public keys of the form name+id+key.
func NewVerifier(public ...string) (Verifier, error) {
	var list []note.Verifier
	for _, key := range public {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return Verifier{}, fmt.Errorf("read public key %q: %w", key, err)
		}
		list = append(list, v)
	}
	return Verifier{note.VerifierList(list...)}, nil
}

// Open returns the text of a note, and the name of the key it is signed with.
// With ErrUnsigned and ErrKey the text is there all the same, and unproven; with
// any other error it is not to be believed.
func (v Verifier) Open(msg []byte) (text, signer string, err error) {
	text, signatures, err := split(msg)
	if err != nil {
		return "", "", err
	}
	if signatures == "" {
		return text, "", ErrUnsigned
	}
	keys := v.keys
	if keys == nil {
		keys = note.VerifierList()
	}
	n, err := note.Open(msg, keys)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case err == nil:
		return n.Text, n.Sigs[0].Name, nil
	case errors.As(err, &invalid):
		return "", invalid.Name, ErrSignature
	case errors.As(err, &unverified):
		return text, unverified.Note.UnverifiedSigs[0].Name, ErrKey
	default:
		return "", "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
}

// split cuts a note into its text, with the line feed at its end, and the lines
// of signatures.
func split(msg []byte) (text, signatures string, err error) {
	s := string(msg)
	i := strings.LastIndex(s, "\n\n")
	if i < 0 {
		return "", "", fmt.Errorf("%w: no blank line behind the text", ErrMalformed)
	}
	return s[:i+1], s[i+2:], nil
}
