package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// Whatever a program prints, the picture is well-formed, and shows it as text.
func TestDraw(t *testing.T) {
	var b strings.Builder
	p := picture{command: "make demo", omitFrom: "missing", omitTo: "Verified", end: "All of that"}
	text := "SOURCE  READ\n<img src=x onerror=alert(1)> & \x1b[2J\u202e\xff  3\nmissing (3)\n  secret\nVerified:\n  Nothing is missing\n\nAll of that\nmore\n"
	if err := p.draw(&b, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	got := wellFormed(t, b.String())
	for _, want := range []string{"$ make demo", "SOURCE  READ", "<img src=x onerror=alert(1)> & \uFFFD[2J\uFFFD\uFFFD  3", "…", "Nothing is missing"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	for _, gone := range []string{"secret", "All of that", "more"} {
		if strings.Contains(got, gone) {
			t.Errorf("shows %q:\n%s", gone, got)
		}
	}
}

// The picture in README.md is one of these, and small.
func TestPicture(t *testing.T) {
	text, err := os.ReadFile("../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	if got := wellFormed(t, string(text)); !strings.Contains(got, "Nothing is missing, altered or doubled") || len(text) > 40<<10 {
		t.Errorf("%d bytes, with the text\n%s", len(text), got)
	}
	for _, active := range []string{"<script", "href", "onload", "url("} {
		if strings.Contains(string(text), active) {
			t.Errorf("holds %s", active)
		}
	}
}

// wellFormed is the text of a document.
func wellFormed(t *testing.T, document string) string {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(strings.NewReader(document))
	for {
		switch token, err := d.Token(); {
		case errors.Is(err, io.EOF):
			return text.String()
		case err != nil:
			t.Fatalf("%v in\n%s", err, document)
		default:
			if chars, ok := token.(xml.CharData); ok {
				text.Write(chars)
			}
		}
	}
}
