// Package extract holds the contract of a source. Each vendor has a package of
// its own below this one; extracttest is the kit every one of them passes.
//
// A source only reads: it knows its vendor's API and its cursor, and nothing of
// segments, state, schema mapping or sinks. It never drops a record for being
// odd, and never scrubs: both happen where records are landed.
package extract

import (
	"context"
	"iter"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Cursor says where a source goes on: JSON, written and read by its source
// only, but clear enough for an operator to read. "" means "from the start".
type Cursor string

// Input is a finite piece a source reads to its end; see [schema.Input].
type Input = schema.Input

// Page is what one call, or one stretch of a file, gave.
type Page struct {
	Records []schema.Raw
	// Filtered counts records read and left out by the source's own filter
	// (event_sources); they are in no other count.
	Filtered int
	// Done names the inputs whose last record stands on this page.
	Done []Input
	Gaps []schema.Gap
	// Snapshot is set on every page of a snapshot source: the snapshot the
	// records belong to, Complete on its last page. A page holds records of one
	// snapshot only.
	Snapshot *schema.Snapshot
	// Next is where to go on once this page is durable. It is never behind the
	// cursor the page was read from; on overlap pages and inside a window that
	// is not drained it repeats the last safe value.
	Next Cursor
}

// Source reads one vendor's records.
type Source interface {
	// Name is the source's name in the config.
	Name() string
	// Start returns the cursor of a first run that begins at t.
	Start(t time.Time) Cursor
	// Pages reads from a cursor until the source is drained, oldest first where
	// the vendor allows. The sequence may be ranged over once. A failure comes
	// as the last element, with an empty page; every page before it is good.
	// Retries of single calls happen inside; ctx ends them.
	Pages(ctx context.Context, from Cursor) iter.Seq2[Page, error]
}

// Overlapper is a source that reads some records again on purpose. The ids it
// gave are kept for twice that long; those of a source without it, for good.
type Overlapper interface {
	Overlap() time.Duration
}

// Identified is a source that can name what it reads: tenant, pool, account and
// region. A chain of segments belongs to one identity; another is refused.
type Identified interface {
	Identity() string
}

// Checker is a source that can prove its credentials, rights and reachability
// with a few cheap calls. The findings are for people; an error means that the
// source cannot run.
type Checker interface {
	Check(ctx context.Context) ([]Finding, error)
}

// Finding is one result of a check.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	// Hint says what to do when it is not OK, and may add a fact when it is.
	Hint string `json:"hint,omitempty"`
	// Err is the cause where it is not OK, for who wants to tell which rights are
	// missing. It may be nil.
	Err error `json:"-"`
	// Volume is what was seen of what there is to read; nil where nothing was.
	Volume *Volume `json:"-"`
}

// Volume is an amount of what a source reads, as far as the vendor tells it before
// it is read.
type Volume struct {
	// Records, Objects (files) and Bytes, as they are stored; 0 is not known.
	Records, Objects, Bytes int64
	// Span is the time they are of; 0 is all there is.
	Span time.Duration
	// Oldest is what the vendor has back to; zero is not known.
	Oldest time.Time
}

// Ledger knows which inputs were read to their end by earlier runs. A source of
// finite inputs is given one when it is made.
type Ledger interface {
	// Finished returns the input last finished under key.
	Finished(ctx context.Context, key string) (Input, bool, error)
}

// Ranger is a source that can read a span of its past by itself, beside its
// ordinary reading: a back-fill.
type Ranger interface {
	// Range returns a cursor whose Pages end where the span does, and which says
	// so in every cursor of those pages. Records of a little beyond the span may
	// be among them. What of the span the vendor keeps no longer is a gap.
	Range(from, to time.Time) Cursor
}

// Skipper is a source that can be told to pass over something that it fails to
// read, run after run.
type Skipper interface {
	// Skip returns the cursor behind what is read next at c, and what is lost by
	// it. An error says why nothing can be skipped, and what to do instead.
	Skip(c Cursor) (Skipped, error)
	// Reached is until when everything was read at c; zero where c does not say.
	Reached(c Cursor) (time.Time, error)
}

// Skipped is what passing over a failure does.
type Skipped struct {
	Next Cursor
	// Gaps are the spans, or the inputs, that are not read then.
	Gaps []schema.Gap
}
