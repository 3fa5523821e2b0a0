package shape

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/idtrail/idtrail/schema"
)

// pass is the redaction of one event: first the values are gathered that are to
// go, then they are taken out wherever they stand.
type pass struct {
	*redactor

	needles []needle
	done    []done
	// gathered: all needles are known.
	gathered bool
}

// done is a value whose replacement is known: most stand in an event several
// times, and a hash costs more than all else.
type done struct {
	rule        *rule
	group       group
	name, value string
	with        string
}

// replace is [rule.replace], once for each value.
func (p *pass) replace(r *rule, g group, name, value string) string {
	if g != groupLocation {
		name = "" // it counts there only
	}
	for _, d := range p.done {
		if d.value == value && d.group == g && d.rule == r && d.name == name {
			return d.with
		}
	}
	d := done{r, g, name, value, r.replace(g, name, value)}
	if p.gathered {
		d.with = p.shown(r, d.with)
	}
	if len(p.done) < maxDone {
		p.done = append(p.done, d)
	}
	return d.with
}

// settle ends the gathering: now it is known what must not be shown.
func (p *pass) settle() {
	p.gathered = true
	for i, d := range p.done {
		p.done[i].with = p.shown(d.rule, d.with)
	}
	for i, n := range p.needles {
		p.needles[i].with = p.shown(n.rule, n.with)
	}
}

// shown is what a mask may show: of ada@lovelace.example not even the domain,
// where lovelace is a name to be taken out.
func (p *pass) shown(r *rule, with string) string {
	if r.with != WithMask || with == stars || len(p.find(foldLevel(with), nil)) == 0 {
		return with
	}
	return stars
}

// maxDone bounds how many are kept: they are looked through one by one.
const maxDone = 64

// needle is a value to look for.
type needle struct {
	text string // without case
	// word: it is so short that it counts only where no letter or digit stands
	// beside it.
	word bool
	// with takes its place; "" leaves it out.
	with string
	rule *rule
}

// apply returns a redacted copy of e.
func (r *redactor) apply(e *schema.Event) *schema.Event {
	c := clone(e)
	p := &pass{redactor: r}
	p.gather(c)
	visitor{do: p.redact}.event(c)
	p.coordinates(c)
	p.observables(c)
	p.unmapped(c)
	prune(c)
	return c
}

// gather notes what is to go: the values of attributes first, as those in data
// may be too many to look for.
func (p *pass) gather(e *schema.Event) {
	visitor{do: p.gatherValue}.event(e)
	for _, o := range e.Observables {
		k := p.observed(o)
		p.gatherValue(k.place, k.group, &o.Value)
	}
	visitor{do: func(_ place, g group, s *string) {
		if g == groupData && *s != "" {
			p.gatherData("", "", *s)
		}
	}}.event(e)
	for _, key := range slices.Sorted(maps.Keys(e.Unmapped)) {
		parent, name := lastNames(key)
		p.gatherData(parent, name, e.Unmapped[key])
	}
	p.settle()
}

func (p *pass) gatherValue(at place, g group, s *string) {
	if g == groupRaw || g == groupData || *s == "" {
		return
	}
	if rule := p.of(at, g); rule != nil {
		p.note(rule, g, at.name, *s)
	}
}

// note adds a value, and the forms it may stand in elsewhere.
func (p *pass) note(rule *rule, g group, name, value string) {
	value = strings.TrimSpace(value)
	n := utf8.RuneCountInString(value)
	if nobody[folded(value)] || g == groupLocation && n < 3 {
		return
	}
	with := p.replace(rule, g, name, value)
	if with == value {
		return
	}
	p.add(rule, value, with)
	switch g { //nolint:exhaustive // the others have one form
	case groupUserID:
		// Auth0 writes auth0|123 elsewhere as 123, AWS a session's name behind its role's id.
		if part := value[strings.LastIndexAny(value, "|:/")+1:]; part != value && utf8.RuneCountInString(part) > 2 {
			p.add(rule, part, p.replace(rule, g, name, part))
		}
	case groupIP:
		p.add(rule, strings.ReplaceAll(value, ".", "-"), with)
	case groupPhone:
		if d := digits(value); len(d) >= minDigits {
			p.add(rule, d, with)
		}
	}
	if strings.Contains(value, " ") {
		p.add(rule, strings.ReplaceAll(value, " ", "+"), with) // in a form
	}
}

// nobody are values that stand where there is none.
var nobody = map[string]bool{
	"": true, "-": true, "unknown": true, "anonymous": true, "none": true, "null": true, "true": true, "false": true, stars: true,
}

// maxNeedles bounds what is looked for. The attributes of an event are some 40;
// what a list in its data holds beyond is redacted where it stands.
const maxNeedles = 256

// shortValue is the length below which a value counts as a word only.
const shortValue = 8

func (p *pass) add(r *rule, value, with string) {
	n := needle{text: folded(value), with: with, rule: r}
	n.word = utf8.RuneCountInString(value) < shortValue && !strings.ContainsAny(value, "@|")
	if n.text == "" || len(p.needles) >= maxNeedles || slices.ContainsFunc(p.needles, func(m needle) bool { return m.text == n.text }) {
		return
	}
	p.needles = append(p.needles, n)
	if all := levels(value); len(all) > 1 {
		// The value itself has what reads as an escape.
		n.text = all[len(all)-1].text
		p.needles = append(p.needles, n)
	}
}

// redact changes one attribute.
func (p *pass) redact(at place, g group, s *string) {
	if *s == "" {
		return
	}
	rule := p.of(at, g)
	switch {
	case rule == nil && g == groupRaw && p.dropRaw:
		*s = ""
	case rule == nil:
		*s = p.free(at, g, *s)
	case g == groupRaw || g == groupData:
		*s = rule.whole()
	default:
		*s = p.replace(rule, g, at.name, strings.TrimSpace(*s))
	}
}

// free redacts an attribute that has no rule of its own.
func (p *pass) free(at place, g group, s string) string {
	switch {
	case g == groupRaw || g == groupData:
		return p.data("", "", s)
	case at == place{"metadata", "labels"}:
		return p.label(s)
	}
	return p.text(s, at.name == "user_agent")
}

// whole is what stands in the place of many values.
func (r *rule) whole() string {
	if r.with == WithDrop {
		return ""
	}
	return stars
}

// label redacts a label. The person's key is a hash without a secret of an
// account's id: who knows the id could find it.
func (p *pass) label(s string) string {
	name, value, ok := strings.Cut(s, ":")
	switch {
	case ok && name == "person" && p.person != nil:
		if p.person.with != WithPseudonym {
			return ""
		}
		return name + p.person.pseudonym("", value)[len("text"):]
	case ok && name == "identity" && p.byGroup[groupUserID] != nil:
		if value = p.replace(p.byGroup[groupUserID], groupUserID, name, value); value == "" {
			return ""
		}
		return name + ":" + value
	}
	return p.text(s, false)
}

// text takes out of a text all that has to go.
func (p *pass) text(s string, versions bool) string {
	if s == "" {
		return s
	}
	all := levels(s)
	var spans []span
	for _, l := range all {
		spans = p.find(l, spans)
	}
	return splice(s, p.findForms(all[len(all)-1], versions, spans))
}

// find adds where the gathered values stand.
func (p *pass) find(l level, spans []span) []span {
	for _, n := range p.needles {
		for i := 0; i+len(n.text) <= len(l.text); {
			k := strings.Index(l.text[i:], n.text)
			if k < 0 {
				break
			}
			start, end := i+k, i+k+len(n.text)
			i = end
			if n.word && !standsAlone(l.text, start, end) {
				i = start + 1
				continue
			}
			spans = l.add(spans, start, end, n.with)
		}
	}
	return spans
}

// standsAlone says whether no letter or digit touches one at an end of
// s[start:end].
func standsAlone(s string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:start])
	first, _ := utf8.DecodeRuneInString(s[start:end])
	last, _ := utf8.DecodeLastRuneInString(s[start:end])
	after, _ := utf8.DecodeRuneInString(s[end:])
	return (!isWord(before) || !isWord(first)) && (!isWord(last) || !isWord(after))
}

func (p *pass) coordinates(e *schema.Event) {
	for _, n := range []struct {
		in string
		*schema.NetworkEndpoint
	}{{"src_endpoint.location", e.SrcEndpoint}, {"dst_endpoint.location", e.DstEndpoint}} {
		if n.NetworkEndpoint == nil || n.Location == nil {
			continue
		}
		if p.of(place{n.in, "lat"}, groupLocation) != nil {
			n.Location.Lat = nil
		}
		if p.of(place{n.in, "long"}, groupLocation) != nil {
			n.Location.Long = nil
		}
	}
}

// observables redacts each as the attribute it names.
func (p *pass) observables(e *schema.Event) {
	left := e.Observables[:0]
	for _, o := range e.Observables {
		k, had := p.observed(o), o.Value
		if p.redact(k.place, k.group, &o.Value); o.Value != "" || had == "" {
			left = append(left, o)
		}
	}
	e.Observables = left
	if len(left) == 0 {
		e.Observables = nil
	}
}

// unmapped redacts the values by the names in their keys, and the keys too:
// where a vendor keeps something by person, they hold who.
func (p *pass) unmapped(e *schema.Event) {
	if len(e.Unmapped) == 0 {
		return
	}
	whole := p.byGroup[groupUnmapped]
	if isNotice(e) {
		whole = nil // it holds nothing but what idtrail counted
	}
	if whole != nil && whole.with == WithDrop {
		e.Unmapped = nil
		return
	}
	out := make(map[string]string, len(e.Unmapped))
	for _, key := range slices.Sorted(maps.Keys(e.Unmapped)) {
		value := stars
		if whole == nil {
			parent, name := lastNames(key)
			value = p.data(parent, name, e.Unmapped[key])
		}
		if value != "" || e.Unmapped[key] == "" {
			out[p.key(out, key)] = value
		}
	}
	e.Unmapped = out
}

// key redacts a key; keys that become the same are numbered.
func (p *pass) key(taken map[string]string, key string) string {
	clean := p.text(key, false)
	if clean == key {
		return key
	}
	if clean == "" {
		clean = stars
	}
	numbered := clean
	for i := 2; ; i++ {
		if _, ok := taken[numbered]; !ok {
			return numbered
		}
		numbered = clean + "#" + strconv.Itoa(i)
	}
}
