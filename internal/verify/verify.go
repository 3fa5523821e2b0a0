package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
)

// Class is what is wrong with something.
type Class string

// The classes of findings. Every one of them is wrong.
const (
	// Missing: named by something, and not there.
	Missing Class = "missing"
	// Altered: there, and not what it was.
	Altered Class = "altered"
	// Doubled: there twice.
	Doubled Class = "doubled"
	// Unaccounted: there, and named by nothing.
	Unaccounted Class = "unaccounted"
	// Truncated: the end of a chain is gone.
	Truncated Class = "truncated"
	// Unsigned: a note without a signature where a key was given.
	Unsigned Class = "unsigned"
	// WrongKey: a note signed with a key that was not given.
	WrongKey Class = "wrong key"
	// Unreadable: the store failed, or a newer program wrote it: no judgement.
	Unreadable Class = "unreadable"
)

// Finding is one thing that is wrong.
type Finding struct {
	Class  Class  `json:"class"`
	Source string `json:"source"`
	// Object is the store and key, or what else it is about.
	Object string `json:"object"`
	// Detail says how it was noticed, in a sentence.
	Detail string `json:"detail"`
}

// Anchor is a chain head kept elsewhere: in a SIEM, in a locked bucket, on
// paper.
type Anchor struct {
	Source string
	Seq    int64
	// SHA256 of the segment's header, in hex.
	SHA256 string
}

// ParseAnchor reads "source sequence sha256".
func ParseAnchor(s string) (Anchor, error) {
	var a Anchor
	n, err := fmt.Sscanf(strings.TrimSpace(s), "%s %d %s", &a.Source, &a.Seq, &a.SHA256)
	if err != nil || n != 3 || len(a.SHA256) != 64 || a.Seq < 0 {
		return Anchor{}, fmt.Errorf("anchor %q is not of the form: source number sha256", s)
	}
	return a, nil
}

// Options of a verification.
type Options struct {
	Raw, Lake blob.Store
	// Sources to look at; all that are found if empty.
	Sources []string
	// Keys the notes have to be signed with. Without any (HaveKeys false),
	// signatures are not looked at, and the report says so.
	Keys     proof.Verifier
	HaveKeys bool
	Anchors  []Anchor
	// Deep unpacks every segment, even where a checkpoint proves its file, looks
	// for records landed twice, and counts the rows of every object.
	Deep bool
	// Workers read objects side by side (2).
	Workers int
	Now     func() time.Time
	// Progress is told, from several goroutines, how many bytes were read; it
	// may be nil.
	Progress func(bytes int64)
}

// Report of a verification.
type Report struct {
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Raw      string    `json:"raw"`
	Lake     string    `json:"lake"`
	Deep     bool      `json:"deep"`
	Keyed    bool      `json:"keyed"`
	Sources  []Source  `json:"sources"`
	Findings []Finding `json:"findings"`
}

// OK says that nothing was found wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Run verifies. An error says that it could not be done; what is wrong with the
// evidence is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := Report{Began: o.Now().UTC(), Raw: o.Raw.URL(), Lake: o.Lake.URL(), Deep: o.Deep, Keyed: o.HaveKeys}
	sources := o.Sources
	if len(sources) == 0 {
		var err error
		if sources, err = findSources(ctx, o); err != nil {
			return r, err
		}
	}
	for _, source := range sources {
		s := newInspection(o, source)
		if err := s.run(ctx); err != nil {
			return r, err
		}
		r.Sources = append(r.Sources, s.out)
		r.Findings = append(r.Findings, s.findings...)
	}
	r.Ended = o.Now().UTC()
	return r, ctx.Err()
}

// findSources lists who has segments, notes or flushes, or an anchor.
func findSources(ctx context.Context, o Options) ([]string, error) {
	var names []string
	for _, a := range o.Anchors {
		names = append(names, a.Source)
	}
	for _, place := range []struct {
		store  blob.Store
		prefix string
	}{{o.Raw, ""}, {o.Lake, "manifests/"}} {
		found, err := folders(ctx, place.store, place.prefix)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	sinks, err := folders(ctx, o.Lake, "flushes/")
	if err != nil {
		return nil, err
	}
	for _, sink := range sinks {
		found, err := folders(ctx, o.Lake, "flushes/"+sink+"/")
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// folders lists the folders right below a prefix, one key each: a year's objects
// are not to be listed for a handful of names.
func folders(ctx context.Context, store blob.Store, prefix string) ([]string, error) {
	var names []string
	for after := ""; ; {
		name := ""
		for info, err := range store.List(ctx, prefix, after) {
			if err != nil {
				return nil, fmt.Errorf("list %s/%s: %w", store.URL(), prefix, err)
			}
			var deeper bool
			if name, _, deeper = strings.Cut(strings.TrimPrefix(info.Key, prefix), "/"); deeper {
				break
			}
			name = ""
		}
		if name == "" {
			return names, nil
		}
		names = append(names, name)
		after = prefix + name + "0" // "0" is next to "/"
	}
}

// Source is what was found of one source.
type Source struct {
	Source   string `json:"source"`
	Kind     string `json:"kind"`
	Identity string `json:"identity"`
	// Segments and Records in raw, of which Proven segments are listed by a
	// checkpoint; Bytes of their files.
	Segments int64 `json:"segments"`
	Proven   int64 `json:"proven"`
	Records  int64 `json:"records"`
	Bytes    int64 `json:"bytes"`
	// Head is the newest segment, HeadHash the SHA-256 of its header: keep it
	// elsewhere, as an anchor.
	Head     int64  `json:"head"`
	HeadHash string `json:"head_sha256"`
	// First and Last event, and when the first and the last segment were landed.
	First       time.Time `json:"first_event,omitzero"`
	Last        time.Time `json:"last_event,omitzero"`
	FirstLanded time.Time `json:"first_landed,omitzero"`
	LastLanded  time.Time `json:"last_landed,omitzero"`
	Gaps        []GapSpan `json:"gaps,omitempty"`
	Sinks       []Sink    `json:"sinks,omitempty"`
	// Notes are the checkpoints and changes read; Signed of them bear a
	// signature of a key given.
	Notes    int64    `json:"notes"`
	Signed   int64    `json:"signed"`
	Unsigned int64    `json:"unsigned"`
	Keys     []string `json:"keys,omitempty"`
	// Pruned and Erased objects are explained by a record of that change.
	Changes []ChangeSummary `json:"changes,omitempty"`
	Days    map[string]Day  `json:"days,omitempty"`
}

// GapSpan is a span declared lost.
type GapSpan struct {
	Segment int64     `json:"segment"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Reason  string    `json:"reason"`
}

// Day is what was landed on one UTC day.
type Day struct {
	Segments int64 `json:"segments"`
	Records  int64 `json:"records"`
}

// Sink is what a sink of the lake holds of the source.
type Sink struct {
	Sink    string `json:"sink"`
	Flushes int64  `json:"flushes"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	// Upto is the first segment not flushed yet; Pending records lie behind it.
	Upto    int64 `json:"upto"`
	Pending int64 `json:"pending"`
	// Records flushed = rejected + mapped; Events, Users, Settings are rows.
	Records  int64 `json:"records"`
	Rejected int64 `json:"rejected"`
	Events   int64 `json:"events"`
	Users    int64 `json:"users"`
	Settings int64 `json:"settings"`
}

// ChangeSummary is one change made on purpose.
type ChangeSummary struct {
	Kind    string    `json:"kind"`
	Time    time.Time `json:"time"`
	Reason  string    `json:"reason"`
	Subject string    `json:"subject,omitempty"`
	Objects int       `json:"objects"`
	Removed int64     `json:"removed"`
	Note    string    `json:"note"`
	Signed  bool      `json:"signed"`
}

// inspection is the verification of one source.
type inspection struct {
	o   Options
	out Source

	mu       sync.Mutex
	findings []Finding

	notes notes
	chain []link // by number, from the first that is there
}

func newInspection(o Options, source string) *inspection {
	return &inspection{o: o, out: Source{Source: source, Head: -1, Days: map[string]Day{}}}
}

func (s *inspection) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.readNotes, s.readChain, s.readFlushes, s.readUnnamed} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("verify %s: %w", s.out.Source, err)
		}
	}
	s.anchors()
	slices.SortStableFunc(s.findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
	return nil
}

func (s *inspection) find(class Class, object, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings = append(s.findings, Finding{Class: class, Source: s.out.Source, Object: object, Detail: fmt.Sprintf(format, args...)})
}

// unreadable notes what could not be read, and ends the work only where ctx did.
func (s *inspection) unreadable(ctx context.Context, object string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.find(Unreadable, object, "%v", err)
	return nil
}

// each calls do for every item, some side by side.
func each[T any](ctx context.Context, workers int, items []T, do func(context.Context, int, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, item := range items {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i, item) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}
