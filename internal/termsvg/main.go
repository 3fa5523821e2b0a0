// Termsvg draws text from its standard input as a terminal shows it, as an SVG on
// its standard output: the pictures in the documents, of what the program really
// prints. make picture uses it. It is no part of the program.
package main

import (
	"bufio"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

func main() {
	var p picture
	flag.StringVar(&p.command, "command", "", "the command that printed it, shown above")
	flag.StringVar(&p.omitFrom, "omit-from", "", "leave out lines from the first that begins so …")
	flag.StringVar(&p.omitTo, "omit-to", "", "… up to the next that begins so")
	flag.StringVar(&p.end, "end", "", "end before the first line that begins so")
	flag.Parse()
	if err := p.draw(os.Stdout, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "termsvg:", err)
		os.Exit(1)
	}
}

// picture says what is drawn of a text.
type picture struct{ command, omitFrom, omitTo, end string }

// The sizes of the picture, in pixels. Each line is given its length, so that it
// fits whatever font there is.
const (
	charWidth  = 8.4
	lineHeight = 19
	margin     = 18
	fontSize   = 14
)

func (p picture) draw(w io.Writer, r io.Reader) error {
	lines, err := p.lines(r)
	if err != nil {
		return err
	}
	columns := 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(l))
	}
	width, height := float64(columns)*charWidth+2*margin, len(lines)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>What %s prints</title>\n", escape(p.command))
	// A panel of its own colour is legible on a light page and on a dark one.
	b.WriteString("<style>text{font:" + fmt.Sprint(fontSize) + "px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d7dce3;white-space:pre}" +
		".prompt{fill:#8fd39a}.head{fill:#8b97a6}.good{fill:#8fd39a}</style>\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%d" rx="8" fill="#14181f" stroke="#3a424e"/>`+"\n", width, height)
	for i, l := range lines {
		if strings.TrimSpace(l) != "" {
			drawLine(&b, l, margin+i*lineHeight+fontSize)
		}
	}
	b.WriteString("</svg>\n")
	_, err = io.WriteString(w, b.String())
	return err
}

func drawLine(b *strings.Builder, line string, y int) {
	text := strings.TrimLeft(line, " ")
	indent, length := len(line)-len(text), utf8.RuneCountInString(text)
	fmt.Fprintf(b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
		margin+float64(indent)*charWidth, y, float64(length)*charWidth, class(text), escape(text))
}

// class is how a line is coloured.
func class(text string) string {
	switch {
	case strings.HasPrefix(text, "$ "):
		return ` class="prompt"`
	case strings.ToUpper(text) == text && strings.ContainsFunc(text, unicode.IsLetter):
		return ` class="head"`
	case strings.HasPrefix(text, "Nothing is missing"):
		return ` class="good"`
	default:
		return ""
	}
}

// lines are those that are drawn.
func (p picture) lines(r io.Reader) ([]string, error) {
	var lines []string
	if p.command != "" {
		lines = []string{"$ " + p.command}
	}
	omitted := false
	in := bufio.NewScanner(r)
	for in.Scan() {
		line := strings.TrimRight(in.Text(), " ")
		switch {
		case p.end != "" && strings.HasPrefix(line, p.end):
			return trim(lines), drain(in)
		case p.omitFrom != "" && strings.HasPrefix(line, p.omitFrom):
			omitted = true
			lines = append(lines, "…", "")
		case omitted && p.omitTo != "" && strings.HasPrefix(line, p.omitTo):
			omitted = false
		}
		if !omitted {
			lines = append(lines, line)
		}
	}
	return trim(lines), in.Err()
}

// drain reads the rest, so that whoever writes it is not cut off.
func drain(in *bufio.Scanner) error {
	for in.Scan() {
		continue
	}
	return in.Err()
}

// trim leaves out empty lines at the end.
func trim(lines []string) []string {
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// escape is the text within XML; what cannot be seen becomes U+FFFD.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}
