package notify

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Kind is what a target may want to be told of.
type Kind string

// The kinds of troubles.
const (
	// Failure: a source, a sink, a comparison or a whole run failed.
	Failure Kind = "failure"
	// Gap: records were lost before they could be read. It is never over.
	Gap Kind = "gap"
	// Stale: a source was not read to its end, or something waits for a sink, for
	// too long.
	Stale Kind = "stale"
	// Drift: the users of two systems differ by more than is put up with.
	Drift Kind = "drift"
)

// Trouble is something wrong.
type Trouble struct {
	Kind Kind
	// Of names what it is about, with slashes: source/acme, sink/acme/dd,
	// drift/users/pool/high. With the kind it names the trouble.
	Of string
	// Mark is told again when it changes: the class of a failure.
	Mark string
	// Size, where it counts something, is told again when it has doubled.
	Size int64
	// Text is one line for people, and Do what they may do about it. Both may hold
	// words of others.
	Text, Do string
}

func (t Trouble) key() string { return string(t.Kind) + "/" + t.Of }

// Sight is what a run has seen for one target.
type Sight struct {
	// Kinds are what the target wants to be told of. What is remembered of others is
	// forgotten.
	Kinds []Kind
	// Looked names, by kind and what it is about, what was looked at: a trouble
	// remembered of it that is not among Troubles is over.
	Looked map[Kind][]string
	// Known names everything there is: what is remembered of anything else is
	// forgotten, and nobody told.
	Known    []string
	Troubles []Trouble
	// Gaps by source.
	Gaps map[string]Gaps
}

// Look notes that something was looked at.
func (s *Sight) Look(kind Kind, of string) {
	if s.Looked == nil {
		s.Looked = map[Kind][]string{}
	}
	s.Looked[kind] = append(s.Looked[kind], of)
}

// Gaps of a source: all there are, and how many of them are of this run. Those
// before the first run that remembers are not told.
type Gaps struct {
	Total, New int64
	// Text says of the newest ones what they are.
	Text string
}

// What is new about a trouble.
const (
	IsNew     = "new"
	IsChanged = "changed"
	IsOver    = "over"
)

// News is a trouble as a message tells it.
type News struct {
	Kind  Kind      `json:"kind"`
	Of    string    `json:"of"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
	Do    string    `json:"hint,omitempty"`

	memory *told // as it is to be remembered; nil if it is over
	gaps   int64 // as they are to be remembered, for a gap
}

// plan says what a target is to be told, given what it was told before.
func plan(before *targetMemory, s Sight, now time.Time) []News {
	var news []News
	current := map[string]bool{}
	for _, t := range s.Troubles {
		current[t.key()] = true
		if n, ok := newsOf(before.Told[t.key()], t, now); ok {
			news = append(news, n)
		}
	}
	for key, was := range before.Told {
		kind, of, _ := strings.Cut(key, "/")
		if !current[key] && slices.Contains(s.Looked[Kind(kind)], of) {
			news = append(news, News{Kind: Kind(kind), Of: of, State: IsOver, Since: was.Since, Text: was.Text})
		}
	}
	for source, g := range s.Gaps {
		if n, ok := newGaps(before, source, g, now); ok {
			news = append(news, n)
		}
	}
	slices.SortFunc(news, byWeight)
	return news
}

// newsOf says whether a trouble is new, or another than was told.
func newsOf(was *told, t Trouble, now time.Time) (News, bool) {
	n := News{Kind: t.Kind, Of: t.Of, State: IsNew, Since: now, Text: Plain(t.Text), Do: Plain(t.Do)}
	if was != nil {
		if was.Mark == t.Mark && t.Size <= 2*was.Size {
			return News{}, false
		}
		n.State, n.Since = IsChanged, was.Since
	}
	n.memory = &told{Mark: t.Mark, Size: t.Size, Since: n.Since, Text: n.Text}
	return n, true
}

// newGaps says whether gaps were declared that were not told. What there was
// before anybody remembered is not told.
func newGaps(before *targetMemory, source string, g Gaps, now time.Time) (News, bool) {
	was, known := before.Gaps[source]
	if !known {
		was = g.Total - g.New
	}
	if g.Total <= was {
		return News{}, false
	}
	return News{
		Kind: Gap, Of: "source/" + source, State: IsNew, Since: now, Text: Plain(g.Text),
		Do: "nothing brings these records back by itself; idtrail status lists every gap, and idtrail backfill reads what the vendor still has", gaps: g.Total,
	}, true
}

// byWeight puts what is over last, and lost evidence first.
func byWeight(a, b News) int {
	weight := func(n News) int {
		if n.State == IsOver {
			return 9
		}
		return slices.Index([]Kind{Gap, Failure, Stale, Drift}, n.Kind)
	}
	return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a.Of, b.Of))
}
