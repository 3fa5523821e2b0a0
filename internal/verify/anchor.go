package verify

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Anchor is a head kept elsewhere: in a SIEM, in a locked bucket, on paper. It is
// the SHA-256 of a segment's header, or of a checkpoint's text.
type Anchor struct {
	Source string
	// Seq is the segment's number, or the checkpoint's.
	Seq        int64
	Checkpoint bool
	SHA256     string
}

// String is the form that ParseAnchor reads.
func (a Anchor) String() string {
	if a.Checkpoint {
		return fmt.Sprintf("%s checkpoint %d %s", a.Source, a.Seq, a.SHA256)
	}
	return fmt.Sprintf("%s %d %s", a.Source, a.Seq, a.SHA256)
}

// ParseAnchor reads "source number sha256", for the head of a chain of segments,
// or "source checkpoint number sha256".
func ParseAnchor(s string) (Anchor, error) {
	words := strings.Fields(s)
	a := Anchor{}
	if len(words) == 4 && words[1] == "checkpoint" {
		a.Checkpoint = true
		words = append(words[:1:1], words[2:]...)
	}
	if len(words) == 3 {
		var err error
		a.Source, a.SHA256 = words[0], strings.ToLower(words[2])
		if a.Seq, err = strconv.ParseInt(words[1], 10, 64); err == nil && a.Seq >= 0 && isHash(a.SHA256) {
			return a, nil
		}
	}
	return Anchor{}, fmt.Errorf("anchor %q is not of the form: source number sha256, or: source checkpoint number sha256", strings.TrimSpace(s))
}

func isHash(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// ReadAnchors reads one anchor a line. Empty lines, and those that begin with #,
// say nothing.
func ReadAnchors(r io.Reader) ([]Anchor, error) {
	var list []Anchor
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		a, err := ParseAnchor(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read anchors: %w", err)
	}
	return list, nil
}

// Anchors are the heads of what was verified: keep them where nobody who can
// write to the lake can, and hand them to a later verification.
func (r Report) Anchors() []Anchor {
	var list []Anchor
	for _, s := range r.Sources {
		if s.Head >= 0 {
			list = append(list, Anchor{Source: s.Source, Seq: s.Head, SHA256: s.HeadHash})
		}
		if s.Checkpoint > 0 {
			list = append(list, Anchor{Source: s.Source, Seq: s.Checkpoint, Checkpoint: true, SHA256: s.CheckpointHash})
		}
	}
	return list
}
