package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// maxMarks is how many combining marks may stand on one character; more would
// be drawn over the lines around it.
const maxMarks = 2

// visible makes text harmless to show: what a terminal obeys, what changes the
// order letters are drawn in, and what cannot be seen at all is spelled out.
func visible(s string) string {
	var b strings.Builder
	marks := maxMarks // none may stand at the beginning
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > maxMarks {
				b.WriteString(spell(r))
			} else {
				b.WriteRune(r)
			}
			continue
		case hidden(r):
			b.WriteString(spell(r))
		default:
			b.WriteRune(r)
		}
		marks = 0
	}
	return b.String()
}

// hidden is what has no shape of its own: controls, formats, spaces other than
// the space, private and unassigned characters, and letters drawn as nothing.
func hidden(r rune) bool {
	switch r {
	case ' ':
		return false
	case 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0:
		return true
	}
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r)
}

func spell(r rune) string {
	q := strconv.QuoteRuneToASCII(r)
	return q[1 : len(q)-1]
}

// columnsOf is how many columns of a terminal a text takes.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	case width.Neutral, width.EastAsianAmbiguous, width.EastAsianNarrow, width.EastAsianHalfwidth:
	}
	return 1
}

// fit cuts a text to n columns, or fills it up to them.
func fit(s string, n int) string {
	if have := columnsOf(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	used, end := 0, 0
	for i, r := range s {
		if used+runeColumns(r) > n-1 {
			break
		}
		used += runeColumns(r)
		end = i + utf8.RuneLen(r)
	}
	return s[:end] + "…" + strings.Repeat(" ", max(0, n-1-used))
}

// thousands writes a number as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many is a number of things; the plural is the regular one.
func many(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return thousands(n) + " " + thing
}

// column is one column of a report people read.
type column struct {
	title string
	value func(d *Drift) string
	// always says that the column is shown even when nothing stands in it.
	always bool
}

// columnsFor are the columns that say something about a type.
func columnsFor(t Type) []column {
	severity := column{title: "Severity", value: func(d *Drift) string { return string(d.Severity) }}
	confidence := column{title: "Confidence", value: func(d *Drift) string { return string(d.Confidence) }}
	left := column{title: "Left account", value: func(d *Drift) string { return account(d.LeftName, d.LeftID) }}
	right := column{title: "Right account", value: func(d *Drift) string { return account(d.RightName, d.RightID) }}
	rule := column{title: "Rule", value: func(d *Drift) string { return string(d.Rule) }}
	field := column{title: "Field", value: func(d *Drift) string { return d.Field }}
	leftValue := column{title: "Left value", value: func(d *Drift) string { return d.LeftValue }, always: true}
	rightValue := column{title: "Right value", value: func(d *Drift) string { return d.RightValue }, always: true}
	detail := column{title: "Detail", value: func(d *Drift) string { return d.Detail }}
	switch t {
	case MissingLeft:
		return []column{severity, right, confidence, detail}
	case MissingRight:
		return []column{severity, left, confidence, detail}
	case Duplicate:
		value := column{title: "Value", value: func(d *Drift) string { return d.LeftValue + d.RightValue }}
		return []column{severity, left, right, rule, value, detail}
	case LinkConflict:
		return []column{severity, left, right, rule, detail}
	case Candidate:
		return []column{left, right, leftValue, detail}
	case Attribute, Status, Groups, MFA:
	}
	return []column{severity, left, right, rule, field, leftValue, rightValue, detail}
}

// account names an account as people know it, with its id.
func account(name, id string) string {
	if name == "" || name == id {
		return id
	}
	return name + " (" + id + ")"
}

// heading says what a type of finding means.
func heading(t Type, s *Summary) string {
	switch t {
	case MissingLeft:
		return "in " + s.Right.Source + ", not in " + s.Left.Source
	case MissingRight:
		return "in " + s.Left.Source + ", not in " + s.Right.Source
	case Attribute:
		return "a field differs"
	case Status:
		return "disabled, pending or to be reset on one side only"
	case Groups:
		return "a group or role on one side only"
	case MFA:
		return "a second factor on one side only"
	case Duplicate:
		return "several accounts of one side are one person's"
	case LinkConflict:
		return "keys contradict each other"
	case Candidate:
		return "same e-mail address, which is no proof: not linked"
	}
	return string(t)
}

// facts are the lines above the findings.
func facts(s *Summary) [][2]string {
	rules := []string{}
	for st := stepK1; st < stepEmail; st++ {
		if n := s.LinkedByRule[st.rule()]; n > 0 {
			rules = append(rules, string(st.rule())+" "+thousands(n))
		}
	}
	by := ""
	if len(rules) > 0 {
		by = " (" + strings.Join(rules, ", ") + ")"
	}
	return [][2]string{
		{"left", sideFact(&s.Left)},
		{"right", sideFact(&s.Right)},
		{"linked", many(s.Linked, "pair") + by},
		{"compared", fmt.Sprintf("%s, %s without a difference; %s out of scope",
			many(s.Compared, "pair"), thousands(s.Equal), thousands(s.LinkedOutOfScope))},
		{"findings", fmt.Sprintf("%s: %s high, %s medium, %s low", thousands(s.Findings),
			thousands(s.BySeverity[SeverityHigh]), thousands(s.BySeverity[SeverityMedium]), thousands(s.BySeverity[SeverityLow]))},
	}
}

func sideFact(s *SideSummary) string {
	return fmt.Sprintf("%s, snapshot %s: %s, %s in scope, %s without a partner, %s with an unverified e-mail address",
		s.Source, s.Snapshot.ID, many(s.Users, "account"), thousands(s.InScope), thousands(s.Unlinked), thousands(s.EmailUnverified))
}
