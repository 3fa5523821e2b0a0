package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/load/lake"
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

// ErrIncomplete says that something could not be read, so that nothing is known
// of it: the store failed, or a newer program wrote it. It is no judgement.
var ErrIncomplete = errors.New("not everything could be read")

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
	// TempDir is where a deep verification puts the ids that do not fit into
	// memory; the system's if "".
	TempDir string
	// IDsInMemory is how many those are, of 32 bytes each (1 Mi).
	IDsInMemory int
	Now         func() time.Time
	// Progress is told, from several goroutines, how many bytes were read; it
	// may be nil.
	Progress func(bytes int64)
}

// Report of a verification.
type Report struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Raw   string    `json:"raw"`
	Lake  string    `json:"lake"`
	Deep  bool      `json:"deep"`
	Keyed bool      `json:"keyed"`
	// Incomplete says that something could not be read.
	Incomplete bool      `json:"incomplete,omitempty"`
	Sources    []Source  `json:"sources"`
	Findings   []Finding `json:"findings"`
}

// OK says that nothing was found wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Run verifies. What is wrong with the evidence is in the report; an error says
// that the verification could not be done, or, as ErrIncomplete, not of all.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.IDsInMemory <= 0 {
		o.IDsInMemory = idsInMemory
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of a field
	}
	r := Report{Began: o.Now().UTC(), Raw: o.Raw.URL(), Lake: o.Lake.URL(), Deep: o.Deep, Keyed: o.HaveKeys, Findings: []Finding{}}
	sources := o.Sources
	if len(sources) == 0 {
		var err error
		if sources, err = findSources(ctx, o); err != nil {
			return r, err
		}
		if r.Findings, err = strays(ctx, o); err != nil {
			return r, err
		}
	}
	var unread []error
	for _, source := range sources {
		s, err := inspect(ctx, o, source)
		if err != nil {
			return r, err
		}
		r.Sources = append(r.Sources, s.out)
		r.Findings = append(r.Findings, s.findings...)
		unread = append(unread, s.unread...)
	}
	r.Ended = o.Now().UTC()
	if len(unread) > 0 {
		r.Incomplete = true
		return r, fmt.Errorf("%w: %w", ErrIncomplete, errors.Join(unread...))
	}
	return r, ctx.Err()
}

// strays finds what lies in a table's folder and in no source's.
func strays(ctx context.Context, o Options) ([]Finding, error) {
	list := []Finding{}
	for info, err := range lake.Open(o.Lake).Strays(ctx) {
		if err != nil {
			return nil, err
		}
		list = append(list, Finding{Class: Unaccounted, Object: info.Key, Detail: "belongs to no source; nothing of idtrail put it there"})
	}
	return list, nil
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
	found, err := lake.Open(o.Lake).AllSources(ctx)
	if err != nil {
		return nil, err
	}
	names = append(names, found...)
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
	// Erased records were cut out of segments on purpose; Records counts them.
	Erased int64 `json:"erased,omitempty"`
	// Head is the newest segment, HeadHash the SHA-256 of its header: keep it
	// elsewhere, as an anchor.
	Head     int64  `json:"head"`
	HeadHash string `json:"head_sha256"`
	// Checkpoint is the number of the newest one that is proven, CheckpointHash
	// the SHA-256 of its text.
	Checkpoint     int64  `json:"checkpoint,omitempty"`
	CheckpointHash string `json:"checkpoint_sha256,omitempty"`
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
	Bytes    int64 `json:"bytes"`
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
	Gaps     int64 `json:"gaps"`
	Rows     int64 `json:"rows"`
}

// Mapped records: those that were not rejected.
func (s Sink) Mapped() int64 { return s.Records - s.Rejected }

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
