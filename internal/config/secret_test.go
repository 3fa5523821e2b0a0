package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/idtrail/idtrail/internal/config"
)

const hidden = "s3cr3t-value-7b1f"

func TestSecretShowsItselfToNobody(t *testing.T) {
	s := config.NewSecret(hidden)
	inside := struct {
		Shown  config.Secret
		hidden config.Secret
		Ptr    *config.Secret
		Map    map[string]config.Secret
	}{s, s, &s, map[string]config.Secret{"k": s}}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&shown, verb+verb+verb+"\n", s, &s, inside)
	}
	fmt.Fprintln(&shown, s, inside)
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
		for _, v := range []any{s, &s, map[string]any{"k": s, "p": &s}, struct{ S config.Secret }{s}} {
			text, err := marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "[redacted]") {
				t.Errorf("marshalled %T: got %s, want [redacted]", v, text)
			}
			shown.Write(text)
		}
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(h).Info("m", "secret", s, "inside", inside, "ptr", &s)
	}
	if strings.Contains(shown.String(), hidden) || strings.Contains(shown.String(), fmt.Sprintf("%x", hidden)) {
		t.Errorf("the secret shows:\n%s", shown.String())
	}
	if got := s.Reveal(); got != hidden {
		t.Errorf("Reveal: got %q, want the secret", got)
	}
}

func TestEmptySecret(t *testing.T) {
	for _, s := range []config.Secret{{}, config.NewSecret("")} {
		if !s.Empty() || s.Reveal() != "" || s.String() != "" {
			t.Errorf("got Empty %v, Reveal %q, String %q; want an empty secret", s.Empty(), s.Reveal(), s)
		}
	}
}
