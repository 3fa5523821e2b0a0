package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that shows itself to nobody but [Secret.Reveal]: printed,
// logged or encoded, it reads "[redacted]", or "" when it is empty.
type Secret struct {
	// A closure, and not a string: fmt prints the fields of a struct it may not
	// call methods on (unexported ones) as they are.
	reveal func() string
}

// NewSecret wraps a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return value }}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Empty says whether there is no value.
func (s Secret) Empty() bool { return s.reveal == nil }

// String is what may be shown.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format shows the same under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString shows the same as String.
func (s Secret) GoString() string { return s.String() }

// MarshalText is what encoders see, JSON's among them.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML is what YAML encoders see.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue is what slog sees.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
