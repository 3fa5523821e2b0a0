// Package archive reads records out of files: exports, log archives, trail
// files, in a directory or a bucket, once or polled as they come.
//
// A file may hold JSON values one a line or one behind the other, arrays, the
// wrappers vendors put around arrays ({"Records":[…]}, {"Users":[…]},
// {"logs":[…]}, {"Events":[…]}, {"logEvents":[…]}), or all of these mixed;
// plain, gzip or zstd, which its first bytes tell. It is read as a stream, in bounded memory. Each
// element is a record, byte for byte as it stands. What is no JSON value comes
// as a record with a fault, and costs no neighbour.
//
// It does not unwrap envelopes (schema.Kind does when a record is mapped), drop
// copies, or judge what a record says, but for the event sources of CloudTrail.
//
// # Order
//
// Files are read by date, then by key. A file's date is the one its key bears:
// in its name (2026-11-19, 20261119T2355Z, epoch seconds and the like), else in
// its folders (2026/11/19, dt=2026-11-19). Of user files, one without is as old
// as its modification time; of event files, those without come last, by key.
// Only the file a run was interrupted in is read before all others.
package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/denial"
	"github.com/idtrail/idtrail/internal/records"
	"github.com/idtrail/idtrail/schema"
)

// Options make a Source. Name, Format and one of Path and Store are needed.
type Options struct {
	Name string
	// Format is what the records are: auth0_logs, auth0_users, cognito_users,
	// cognito_auth_events or cloudtrail.
	Format string
	// Path is a file, a directory (all below it, but names that begin with a
	// dot) or a pattern: *, ?, [a-z], [!a-z], {a,b}, and ** for any number of
	// folders; a backslash takes a character literally.
	Path string
	// Store, with Prefix, is where objects lie instead. Glob, if set, is a
	// pattern their keys have to match behind the prefix.
	Store  blob.Store
	Prefix string
	Glob   string
	// EventSources are the services whose CloudTrail events are kept, with or
	// without ".amazonaws.com"; nil means those of identity, "all" every one. An
	// event that names no source is kept.
	EventSources []string
	// Poll looks for new and changed files on every run. Without it the source
	// is drained once all files are read, and never looks again.
	Poll bool
	// Snapshot says what one snapshot of users is: "file" (or ""): each file;
	// "all": the files that are there when a run begins, together.
	Snapshot string
	// Ledger knows which files are finished; nil knows of none.
	Ledger extract.Ledger
	// Now is the time, the system's if nil. Logger may be nil.
	Now    func() time.Time
	Logger *slog.Logger
}

// ErrUnread says that some files could not be read: the store or the system
// refused. Everything else was read, and the next run tries them again.
var ErrUnread = errors.New("files could not be read")

// Source reads an archive.
type Source struct {
	opts    Options
	kind    schema.Kind
	tree    tree
	sources map[string]bool // the event sources kept, nil for all
}

var (
	_ extract.Source     = (*Source)(nil)
	_ extract.Identified = (*Source)(nil)
	_ extract.Checker    = (*Source)(nil)
)

// New checks the options. It touches no file.
func New(o Options) (*Source, error) {
	s := &Source{opts: o}
	for _, set := range []func() error{s.setKind, s.setSnapshot, s.setTree, s.setSources} {
		if err := set(); err != nil {
			return nil, fmt.Errorf("archive %q: %w", o.Name, err)
		}
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now //nolint:forbidigo // a default only: the commands hand theirs in
	}
	if s.opts.Logger == nil {
		s.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

func (s *Source) setKind() error {
	switch s.opts.Format {
	case "auth0_logs":
		s.kind = schema.KindAuth0Log
	case "auth0_users":
		s.kind = schema.KindAuth0User
	case "cognito_users":
		s.kind = schema.KindCognitoUser
	case "cognito_auth_events":
		s.kind = schema.KindCognitoAuthEvent
	case "cloudtrail":
		s.kind = schema.KindCloudTrail
	default:
		return fmt.Errorf("format %q: use auth0_logs, auth0_users, cognito_users, cognito_auth_events or cloudtrail", s.opts.Format)
	}
	return nil
}

func (s *Source) setSnapshot() error {
	switch mode := s.opts.Snapshot; {
	case mode != "" && mode != "file" && mode != "all":
		return fmt.Errorf("snapshot %q: use file or all", mode)
	case mode != "" && !s.kind.IsUser():
		return fmt.Errorf("snapshot is for users, not for %s", s.opts.Format)
	}
	return nil
}

func (s *Source) setTree() (err error) {
	switch {
	case (s.opts.Path == "") == (s.opts.Store == nil):
		return errors.New("name either a path or a bucket")
	case s.opts.Path != "" && (s.opts.Prefix != "" || s.opts.Glob != ""):
		return errors.New("prefix and glob are for buckets: write the pattern into the path")
	case s.opts.Path != "":
		s.tree, err = newLocal(s.opts)
	default:
		s.tree, err = newObjects(s.opts)
	}
	return err
}

func (s *Source) setSources() error {
	given := s.opts.EventSources
	switch {
	case s.kind != schema.KindCloudTrail && len(given) > 0:
		return fmt.Errorf("event sources are for cloudtrail, not for %s", s.opts.Format)
	case s.kind != schema.KindCloudTrail || slices.Contains(given, "all"):
		return nil
	case given == nil:
		given = []string{"cognito-idp", "cognito-identity", "signin", "sts", "iam"}
	}
	s.sources = map[string]bool{}
	for _, name := range given {
		if name = strings.ToLower(name); !strings.Contains(name, ".") {
			name += ".amazonaws.com"
		}
		s.sources[name] = true
	}
	return nil
}

// Name implements extract.Source.
func (s *Source) Name() string { return s.opts.Name }

// Start implements extract.Source. An archive is read whole, whatever t is: a
// part of it is named by its path.
func (s *Source) Start(time.Time) extract.Cursor { return "" }

// Identity implements extract.Identified: the format, and the place without
// its pattern, so that a pattern may be changed.
func (s *Source) Identity() string {
	return "archive:" + s.opts.Format + ":" + s.tree.where()
}

// Pages implements extract.Source. The error is ErrUnread if some files could
// not be read and all others were.
func (s *Source) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		left := false // whoever left the loop is told nothing more, not of a cancelled read either
		r := run{src: s, yield: func(p extract.Page, err error) bool {
			left = !yield(p, err)
			return !left
		}}
		if err := r.all(ctx, from); err != nil && !left {
			yield(extract.Page{}, fmt.Errorf("read archive %s: %w", s.tree.where(), err))
		}
	}
}

// Check implements extract.Checker.
func (s *Source) Check(ctx context.Context) ([]extract.Finding, error) {
	files, troubles, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("check archive %s: %w", s.tree.where(), err)
	}
	var size int64
	for _, f := range files {
		size += f.size
	}
	found := []extract.Finding{{
		What: fmt.Sprintf("%s: %s, %s", s.tree.where(), extract.Many(int64(len(files)), "file"), extract.Size(size)), OK: true,
		Volume: &extract.Volume{Objects: int64(len(files)), Bytes: size},
	}}
	if len(files) == 0 {
		found[0].Hint = "none so far: it is looked at again on every run"
	}
	for _, err := range troubles {
		found = append(found, unreadable(err))
	}
	if len(files) > 0 {
		body, _, err := s.tree.open(ctx, files[0])
		if len(denial.All(err)) > 0 { // the others will be refused, too
			return append(found, unreadable(err)), fmt.Errorf("check archive %s: %w", s.tree.where(), err)
		}
		if err != nil {
			return append(found, unreadable(err)), nil
		}
		if err := body.Close(); err != nil {
			return append(found, unreadable(err)), nil
		}
	}
	return found, nil
}

func unreadable(err error) extract.Finding {
	return extract.Finding{What: err.Error(), Hint: "grant the right to read it, or leave it out by a pattern", Err: err}
}

// list returns the files to read in their order. Without polling, no file at
// all is an error.
func (s *Source) list(ctx context.Context) ([]file, []error, error) {
	files, troubles, err := s.tree.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	files = slices.DeleteFunc(files, s.passedOver)
	if len(files) == 0 && len(troubles) == 0 && !s.opts.Poll {
		return nil, nil, errors.New("no file is there, or none matches the pattern")
	}
	for i := range files {
		files[i].date = s.date(files[i])
	}
	slices.SortFunc(files, byDate)
	return files, troubles, nil
}

// passedOver says whether a file is none of the format's: CloudTrail's digests
// lie beside its trail files and hold no events.
func (s *Source) passedOver(f file) bool {
	return s.kind == schema.KindCloudTrail && strings.Contains("/"+f.key, "/CloudTrail-Digest/")
}

func (s *Source) date(f file) time.Time {
	d := keyDate(f.key)
	if d.IsZero() && s.kind.IsUser() {
		return f.modified.UTC().Truncate(time.Second)
	}
	return d
}

func byDate(a, b file) int {
	if a.date.IsZero() != b.date.IsZero() {
		return b.date.Compare(a.date)
	}
	if c := a.date.Compare(b.date); c != 0 {
		return c
	}
	return strings.Compare(a.key, b.key)
}

// raw makes the record of a piece; false if the filter leaves it out.
func (s *Source) raw(p records.Piece) (schema.Raw, bool) {
	rec := schema.Raw{Kind: s.kind, Bytes: p.Bytes, Fault: p.Fault}
	if p.Fault != "" {
		return rec, true
	}
	if !s.keeps(p.Bytes) {
		return rec, false
	}
	rec.ID, rec.Time = s.kind.ID(p.Bytes), s.kind.Time(p.Bytes)
	return rec, true
}

// keeps says whether an event is of a source that is kept. Exports of Cognito's
// own authentication log name a stream there, not a service.
func (s *Source) keeps(line []byte) bool {
	if s.sources == nil {
		return true
	}
	rec := s.kind.Record(line)
	name := gjson.GetBytes(rec, "eventSource")
	if name.Type != gjson.String || name.Str == "" || gjson.GetBytes(rec, "logSourceId").Exists() {
		return true
	}
	return s.sources[strings.ToLower(name.Str)]
}
