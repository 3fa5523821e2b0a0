package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/records"
)

// The bounds of a page.
const (
	pageRecords  = 1000
	pageBytes    = 4 << 20
	pageInputs   = 1000
	pageFiltered = 100_000
)

// settled is how long a local file must have been left alone before an end in
// the middle of a record is its end, and not its writer's next word.
const settled = 10 * time.Minute

// tries is how often a file is opened when the store fails while it is read.
const tries = 3

// errStopped says that the caller left the loop.
var errStopped = errors.New("stopped")

// run is one reading of the archive.
type run struct {
	src   *Source
	yield func(extract.Page, error) bool

	cur  cursor // behind the last record seen
	next cursor // behind the last record of page
	// page waits until the next record shows whether it is the last one, of its
	// snapshot or of all.
	page  extract.Page
	bytes int
	dirty bool

	unread []error
	files  int    // how many there are
	held   bool   // the end of a growing file was left for the next run
	inside string // the file last entered
}

func (r *run) all(ctx context.Context, from extract.Cursor) (err error) {
	if r.cur, err = parseCursor(from); err != nil || r.cur.Drained && !r.src.opts.Poll {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.cur.Drained = false
	files, troubles, err := r.src.list(ctx)
	if err != nil {
		return err
	}
	r.unread, r.files = troubles, len(files)+len(troubles)
	if r.src.opts.Snapshot == "all" {
		err = r.together(ctx, files)
	} else {
		err = r.oneByOne(ctx, files)
	}
	if err != nil {
		return err
	}
	return r.finish(ctx)
}

// oneByOne reads every file that is not finished yet.
func (r *run) oneByOne(ctx context.Context, files []file) error {
	todo, err := r.unfinished(ctx, files)
	if err != nil {
		return err
	}
	for _, f := range todo {
		skip := int64(0)
		if r.at(f) {
			skip = r.cur.Record
		}
		if err := r.file(ctx, f, skip); err != nil {
			return err
		}
	}
	return nil
}

// at says whether the cursor stands inside f.
func (r *run) at(f file) bool {
	return r.cur.Key == f.key && r.cur.Version == f.version && !r.cur.Done
}

// unfinished leaves out what the ledger, or the cursor, knows to be read, and
// puts the file the cursor stands in first: any other would move it away.
func (r *run) unfinished(ctx context.Context, files []file) ([]file, error) {
	var first, todo []file
	for _, f := range files {
		known, err := r.finished(ctx, f)
		switch {
		case err != nil:
			return nil, err
		case known:
		case r.at(f):
			first = append(first, f)
		default:
			todo = append(todo, f)
		}
	}
	return append(first, todo...), nil
}

func (r *run) finished(ctx context.Context, f file) (bool, error) {
	if r.cur.Key == f.key && r.cur.Version == f.version && r.cur.Done {
		return true, nil
	}
	if r.src.opts.Ledger == nil {
		return false, nil
	}
	in, ok, err := r.src.opts.Ledger.Finished(ctx, f.key)
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", f.key, err)
	}
	return ok && in.Size == f.size && in.Version == f.version, nil
}

// together reads all files as one snapshot. The same files are not read again;
// if one of them could not be read, all are, into the same snapshot, until each
// of them could.
func (r *run) together(ctx context.Context, files []file) error {
	if len(files) == 0 {
		return nil
	}
	last := files[len(files)-1]
	atEnd := r.cur.Key == last.key && r.cur.Version == last.version && r.cur.Done
	switch set := setOf(files); {
	case r.cur.Set != set || r.cur.Snapshot == nil:
		// As old as its youngest part.
		r.cur = cursor{Set: set, Issued: r.cur.Issued}
		r.begin(files, set)
	case r.cur.Snapshot.Over || atEnd && !r.cur.Missed:
		return nil
	case atEnd:
		again := &snapshot{ID: r.cur.Snapshot.ID, Begin: r.cur.Snapshot.Begin}
		r.cur = cursor{Set: set, Issued: r.cur.Issued, Snapshot: again}
	}
	if len(r.unread) > 0 {
		r.cur.Missed = true
	}
	return r.parts(ctx, files)
}

func (r *run) begin(files []file, set string) {
	begin := files[0].date
	for _, f := range files {
		if f.date.After(begin) {
			begin = f.date
		}
	}
	r.cur.Snapshot = r.issue(begin, set)
}

// parts reads the files behind the cursor, and completes the snapshot if none
// of all is missing.
func (r *run) parts(ctx context.Context, files []file) error {
	first, skip := 0, int64(0)
	for i, f := range files {
		if r.cur.Key == f.key && r.cur.Version == f.version {
			first, skip = i, r.cur.Record
			if r.cur.Done {
				first, skip = i+1, 0
			}
		}
	}
	for _, f := range files[first:] {
		before := len(r.unread)
		if err := r.file(ctx, f, skip); err != nil {
			return err
		}
		r.cur.Missed = r.cur.Missed || len(r.unread) > before
		skip = 0
	}
	if !r.cur.Missed && !r.cur.Snapshot.Faulty && !r.held {
		r.complete()
	}
	return nil
}

func setOf(files []file) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d %q\n", f.key, f.size, f.version)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// issue names a new snapshot. One that begins later than every one before it
// cannot bear another's name; one in the same second counts on; one that is
// older bears a number made of what it is read from, so that no list of all
// names has to be kept.
func (r *run) issue(begin time.Time, what string) *snapshot {
	begin = begin.UTC().Truncate(time.Second)
	s := &snapshot{Begin: begin, ID: begin.Format("20060102T150405Z")}
	switch last := r.cur.Issued; {
	case last == nil || begin.After(last.Begin):
		r.cur.Issued = &issued{Begin: begin, N: 1}
	case begin.Equal(last.Begin):
		r.cur.Issued = &issued{Begin: begin, N: last.N + 1}
		s.ID += fmt.Sprintf("-%d", last.N+1)
	default:
		h := fnv.New32a()
		fmt.Fprint(h, what)
		s.ID += fmt.Sprintf("-%d", 1_000_000+uint64(h.Sum32()))
	}
	return s
}

// file reads one file, but for its first skip records. That it cannot be read
// is noted, and no error.
func (r *run) file(ctx context.Context, f file, skip int64) error {
	for try := 1; ; try++ {
		err := r.attempt(ctx, &f, &skip)
		var failed *storeError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case !errors.As(err, &failed):
			return err
		case isGone(err):
			r.src.opts.Logger.Debug("file is gone", "source", r.src.opts.Name, "key", f.key)
			return nil
		case try < tries && failed.reading:
			continue
		}
		r.src.opts.Logger.Warn("file could not be read", "source", r.src.opts.Name, "key", f.key, "error", failed.err)
		r.unread = append(r.unread, fmt.Errorf("%s: %w", f.key, failed.err))
		return nil
	}
}

// storeError is an error of the store or the system, not of the reading.
type storeError struct {
	err     error
	reading bool // it was open by then: another try may go on
}

func (e *storeError) Error() string { return e.err.Error() }

func (e *storeError) Unwrap() error { return e.err }

// attempt reads a file from its beginning and gives out what lies behind skip,
// which it moves on, so that another attempt does not give it out again.
func (r *run) attempt(ctx context.Context, f *file, skip *int64) error {
	body, now, err := r.src.tree.open(ctx, *f)
	if err != nil {
		return &storeError{err: err}
	}
	c := records.Open(ctx, body)
	defer func() { _ = c.Close() }() // all is read by then: it can tell nothing
	if now.version != f.version || now.size != f.size {
		*skip = 0
	}
	*f = now
	rd := reading{run: r, file: now, content: c, split: records.NewSplitter(c), skip: skip}
	rd.enter()
	return rd.all(ctx)
}

// reading is one pass over one file.
type reading struct {
	*run
	file    file
	content *records.Content
	split   *records.Splitter
	skip    *int64
	n       int64 // records seen
	faulty  int64 // of them, those that are no JSON value
}

// enter sets the page and the cursor up for the file.
func (rd *reading) enter() {
	r, what := rd.run, rd.file.key+"\x00"+rd.file.version
	again := r.inside == what || r.at(rd.file) && r.cur.Snapshot != nil
	if r.inside = what; r.src.kind.IsUser() && r.src.opts.Snapshot != "all" && !again {
		r.cur.Snapshot = r.issue(rd.file.date, what)
	}
}

func (rd *reading) all(ctx context.Context) error {
	for {
		p, err := rd.split.Next()
		if err == nil && p.Tail && (rd.content.StoreError() != nil || rd.growing()) {
			err = io.EOF
		}
		switch {
		case errors.Is(err, io.EOF):
			return rd.end(ctx)
		case err != nil:
			return fmt.Errorf("read %s: %w", rd.file.key, err)
		}
		rd.n++
		if p.Fault != "" {
			rd.faulty++
		}
		if rd.n <= *rd.skip {
			continue
		}
		if err := rd.add(ctx, p); err != nil {
			return err
		}
	}
}

// growing says whether the file may be only half written.
func (rd *reading) growing() bool {
	return rd.src.opts.Poll && rd.src.tree.growing() && rd.src.opts.Now().Sub(rd.file.modified) < settled
}

func (rd *reading) add(ctx context.Context, p records.Piece) error {
	rec, kept := rd.src.raw(p)
	if err := rd.room(ctx, len(rec.Bytes)); err != nil {
		return err
	}
	if kept {
		rd.page.Records = append(rd.page.Records, rec)
		rd.bytes += len(rec.Bytes)
	} else {
		rd.page.Filtered++
	}
	*rd.skip = rd.n
	rd.move(false)
	return nil
}

// move puts the cursor behind the last record seen.
func (rd *reading) move(done bool) {
	r := rd.run
	r.cur.Key, r.cur.Version, r.cur.Record, r.cur.Done = rd.file.key, rd.file.version, rd.n, done
	r.turn()
}

// turn makes the waiting page end where the reading is.
func (r *run) turn() {
	r.next, r.page.Snapshot, r.dirty = r.cur, r.cur.Snapshot.page(), true
}

// end closes the account of a file.
func (rd *reading) end(ctx context.Context) error {
	if err := rd.content.StoreError(); err != nil {
		return &storeError{err: err, reading: true}
	}
	cut := rd.split.Rest() != "" || rd.content.Fault() != ""
	if cut && rd.growing() {
		rd.held = true
		return nil
	}
	if err := rd.part(ctx); err != nil {
		return err
	}
	in := extract.Input{
		Key: rd.file.key, SHA256: rd.content.SHA256(), Size: rd.file.size, Version: rd.file.version,
		Records: rd.n, Fault: rd.fault(),
	}
	if s := rd.cur.Snapshot; s != nil {
		rd.count(s, in)
	}
	rd.page.Done = append(rd.page.Done, in)
	rd.move(true)
	rd.src.opts.Logger.Debug("file is read", "source", rd.src.opts.Name, "key", in.Key,
		"records", in.Records, "faulty", rd.faulty, "fault", in.Fault)
	return nil
}

// count adds the file to its snapshot, and completes one that is this file.
func (rd *reading) count(s *snapshot, in extract.Input) {
	next := *s
	next.Users += rd.n - rd.faulty
	next.Unparsed += rd.faulty
	next.Faulty = next.Faulty || in.Fault != ""
	next.Over = rd.src.opts.Snapshot != "all" && !next.Faulty
	rd.cur.Snapshot = &next
}

// fault says why the end of the file could not be read.
func (rd *reading) fault() string {
	switch {
	case rd.content.Fault() != "":
		return rd.content.Fault()
	case rd.split.Rest() != "":
		return rd.split.Rest()
	case rd.content.Size() == 0 && rd.src.kind.IsUser():
		// Taken for a snapshot, it would say that there are no users any more.
		return "is empty"
	}
	return ""
}

// complete completes a snapshot of many files on the page that waits, or on one
// of its own.
func (r *run) complete() {
	next := *r.cur.Snapshot
	next.Over = true
	r.cur.Snapshot = &next
	r.turn()
}

// room gives the waiting page out if another record would be too much for it.
func (rd *reading) room(ctx context.Context, size int) error {
	p := &rd.page
	if len(p.Records) >= pageRecords || len(p.Records) > 0 && rd.bytes+size > pageBytes || p.Filtered >= pageFiltered {
		return rd.flush(ctx)
	}
	return rd.part(ctx)
}

// part gives the waiting page out if it is of another snapshot.
func (rd *reading) part(ctx context.Context) error {
	p := &rd.page
	other := p.Snapshot != nil && p.Snapshot.ID != rd.cur.Snapshot.ID
	if other || len(p.Done) >= pageInputs {
		return rd.flush(ctx)
	}
	return nil
}

func (r *run) flush(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := r.page
	if p.Next, err = r.next.encode(); err != nil {
		return err
	}
	r.page, r.bytes, r.dirty = extract.Page{}, 0, false
	if !r.yield(p, nil) {
		return errStopped
	}
	return ctx.Err()
}

// finish gives the last page out, and says what could not be read. Only when
// that is nothing, and the files are read once, the source is drained.
func (r *run) finish(ctx context.Context) error {
	drained := len(r.unread) == 0 && !r.src.opts.Poll
	// With nothing else to say, a snapshot's source leaves that unsaid: it has no
	// page without a snapshot.
	if !r.dirty && drained && !r.src.kind.IsUser() {
		r.next, r.dirty = r.cur, true
	}
	if r.dirty {
		r.next.Drained = drained
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	if n := len(r.unread); n > 0 {
		return fmt.Errorf("%d of %d %w and will be tried again, the first: %w", n, r.files, ErrUnread, r.unread[0])
	}
	return nil
}
