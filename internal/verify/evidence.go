package verify

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
)

// EvidenceOptions say what an evidence report is about. From and To bound the
// period, To exclusive; zero means open.
type EvidenceOptions struct {
	From, To time.Time
	// Version of the program, for the foot of the page.
	Version string
}

// Evidence is what can be shown, and what cannot, of a period. Findings, heads
// and the totals of sinks are of all there is, not of the period alone: what was
// altered outside of it makes it no less true, but has to be known.
type Evidence struct {
	Version  string    `json:"version,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Verified time.Time `json:"verified"`
	Raw      string    `json:"raw"`
	Lake     string    `json:"lake"`
	// OK says that nothing was found wrong.
	OK         bool             `json:"ok"`
	Deep       bool             `json:"deep"`
	Keyed      bool             `json:"keyed"`
	Incomplete bool             `json:"incomplete,omitempty"`
	Sources    []SourceEvidence `json:"sources"`
	Findings   []Finding        `json:"findings"`
	// Anchors are the heads to keep elsewhere.
	Anchors []string `json:"anchors"`
	Limits  []string `json:"limits"`
}

// SourceEvidence is the part about one source.
type SourceEvidence struct {
	Source
	// Coverage is by UTC day of landing, each day from the first to the last of
	// the period, and PeriodRecords their sum.
	Coverage       []DayEvidence `json:"coverage"`
	PeriodSegments int64         `json:"period_segments"`
	PeriodRecords  int64         `json:"period_records"`
}

// DayEvidence is what was landed on a day.
type DayEvidence struct {
	Date string `json:"date"`
	Day
	// share of the busiest day, in percent.
	share int
}

// Share of the busiest day of the period, in percent.
func (d DayEvidence) Share() int { return d.share }

// NewEvidence makes an evidence report of a verification.
func NewEvidence(o EvidenceOptions, r Report) Evidence {
	e := Evidence{
		Version: o.Version, From: o.From, To: o.To, Verified: r.Ended, Raw: r.Raw, Lake: r.Lake,
		OK: r.OK() && !r.Incomplete, Deep: r.Deep, Keyed: r.Keyed, Incomplete: r.Incomplete,
		Findings: r.Findings, Anchors: []string{}, Limits: limitsOf(r),
	}
	for _, s := range r.Sources {
		e.Sources = append(e.Sources, o.source(s))
	}
	for _, a := range r.Anchors() {
		e.Anchors = append(e.Anchors, a.String())
	}
	return e
}

func (o EvidenceOptions) source(s Source) SourceEvidence {
	e := SourceEvidence{Source: s, Coverage: o.coverage(s.Days)}
	e.Days = nil
	most := int64(1)
	for _, d := range e.Coverage {
		e.PeriodSegments += d.Segments
		e.PeriodRecords += d.Records
		most = max(most, d.Records)
	}
	for i := range e.Coverage {
		d := &e.Coverage[i]
		d.share = int((d.Records*100 + most - 1) / most)
	}
	e.Gaps = slices.DeleteFunc(slices.Clone(s.Gaps), func(g GapSpan) bool { return !o.overlaps(g.From, g.To) })
	e.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c ChangeSummary) bool { return !o.overlaps(c.Time, c.Time) })
	return e
}

func (o EvidenceOptions) overlaps(from, to time.Time) bool {
	return (o.To.IsZero() || from.Before(o.To)) && (o.From.IsZero() || !to.Before(o.From))
}

// maxDays bounds a report whose period nobody bounded.
const maxDays = 3700

// coverage is every day of the period, those without anything too; a period that
// is open begins and ends where something was landed.
func (o EvidenceOptions) coverage(days map[string]Day) []DayEvidence {
	landed := slices.Sorted(maps.Keys(days))
	if len(landed) == 0 && (o.From.IsZero() || o.To.IsZero()) {
		return nil
	}
	first, last := o.From.UTC(), o.To.UTC().Add(-1)
	if o.From.IsZero() {
		first = dayOf(landed[0])
	}
	if o.To.IsZero() {
		last = dayOf(landed[len(landed)-1])
	}
	var list []DayEvidence
	for at := first.Truncate(24 * time.Hour); !at.After(last) && len(list) < maxDays; at = at.AddDate(0, 0, 1) {
		date := at.Format(time.DateOnly)
		list = append(list, DayEvidence{Date: date, Day: days[date]})
	}
	return list
}

func dayOf(date string) time.Time {
	t, _ := time.Parse(time.DateOnly, date) // as it was formatted
	return t
}

// limitsOf says what the report does not prove.
func limitsOf(r Report) []string {
	list := []string{
		"It proves what was landed, and that it is unchanged since. It cannot prove that a vendor gave all that happened; spans known to be lost are listed as gaps.",
		"Whoever held the signing key could have signed something else. Keep the key where those who can write to the bucket cannot read it.",
		"If the newest segments and every note about them are removed together, only a head that was kept elsewhere shows it. The heads of this report are such anchors.",
		"It covers the segments, what was flushed from them, and the notes about both. Tables made of them later (persons, drift, reports) can be made again, and are not covered.",
	}
	if !r.Keyed {
		list = slices.Insert(list, 0, "No public key was given: signatures were not checked. Whoever can write to the bucket could have made all of it anew.")
	}
	if !r.Deep {
		list = append(list, "Segments that a checkpoint lists were proven by the SHA-256 of their files. They were not unpacked to look for records landed twice; a deep verification does.")
	}
	if r.Incomplete {
		list = slices.Insert(list, 0, "Something could not be read. Nothing is known of it.")
	}
	return list
}

// WriteJSON writes an evidence report for machines.
func WriteJSON(w io.Writer, o EvidenceOptions, r Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(NewEvidence(o, r)); err != nil {
		return fmt.Errorf("write evidence report: %w", err)
	}
	return nil
}

//go:embed evidence.html.tmpl
var evidenceHTML string

// WriteHTML writes an evidence report for people: one page that needs nothing
// beside itself, to read, print and keep.
func WriteHTML(w io.Writer, o EvidenceOptions, r Report) error {
	page, err := template.New("evidence").Funcs(template.FuncMap{
		"number": number, "stamp": stampOrNone, "date": dateOrNone, "before": func(t time.Time) string { return dateOrNone(t.Add(-1)) },
		"mib": mebibytes,
	}).Parse(evidenceHTML)
	if err == nil {
		err = page.Execute(w, NewEvidence(o, r))
	}
	if err != nil {
		return fmt.Errorf("write evidence report: %w", err)
	}
	return nil
}

// number groups digits by thousands, as every other output does.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func dateOrNone(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateOnly)
}
