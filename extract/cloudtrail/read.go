package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/records"
	"github.com/idtrail/idtrail/schema"
)

// The bounds of a page.
const (
	pageRecords  = 1000
	pageBytes    = 4 << 20
	pageInputs   = 1000
	pageFiltered = 100_000
)

const (
	// readTries is how often a file is opened when the store fails while it is
	// read.
	readTries = 3
	// maxUnread bounds the files the cursor names as to be tried again.
	maxUnread = 100
)

// trailRun is one reading of the bucket.
type trailRun struct {
	trail *Trail
	yield func(extract.Page, error) bool

	cur   trailCursor // behind the last record seen
	start trailCursor // where the run began
	now   time.Time
	// page waits until the next record shows whether it is the last one.
	page  extract.Page
	bytes int
	dirty bool

	newest time.Time // the latest name seen
	held   time.Time // the earliest file that Upto must not pass, if any
	open   time.Time // the earliest digest that could not be judged yet, if any
	unread []error
	// read are the inputs of this run, which the ledger may not know yet.
	read map[string]extract.Input

	chains map[string]*chain
	// unsigned says that the store cannot tell signatures.
	unsigned bool
}

func (r *trailRun) all(ctx context.Context, from extract.Cursor) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.cur, err = parseTrailCursor(from); err != nil {
		return err
	}
	r.start, r.now = r.cur, r.trail.opts.Now().UTC().Truncate(time.Second)
	r.read, r.chains = map[string]extract.Input{}, map[string]*chain{}
	if r.cur.Upto.After(r.now.Add(24 * time.Hour)) {
		return fmt.Errorf("use cursor: it lies in the future, %s", r.cur.Upto.Format(time.RFC3339))
	}
	if err := r.leftovers(ctx); err != nil {
		return err
	}
	folders, err := r.trail.folders(ctx)
	if err != nil {
		return err
	}
	if err := r.enter(ctx, folders); err != nil {
		return err
	}
	if err := r.days(ctx, folders); err != nil {
		return err
	}
	return r.finish(ctx)
}

// leftovers reads the file an earlier run was interrupted in, and those it
// could not read.
func (r *trailRun) leftovers(ctx context.Context) error {
	if r.cur.Key != "" {
		if err := r.object(ctx, r.cur.Key); err != nil {
			return err
		}
		// Gone, or unreadable now: there is nothing to go on in.
		r.cur.Key, r.cur.Version, r.cur.Record = "", "", 0
	}
	for _, key := range slices.Clone(r.cur.Unread) {
		if err := r.object(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// settled takes a key off the list of those to be tried again.
func (r *trailRun) settled(key string) {
	if slices.Contains(r.cur.Unread, key) {
		r.cur.Unread = slices.DeleteFunc(slices.Clone(r.cur.Unread), func(k string) bool { return k == key })
		r.dirty = true
	}
}

// object reads one file by its key, unless it is finished.
func (r *trailRun) object(ctx context.Context, key string) error {
	info, err := r.trail.opts.Store.Head(ctx, key)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, blob.ErrNotExist):
		r.settled(key)
		return nil
	case err != nil:
		r.cannotRead(object{Info: blob.Info{Key: key}}, err)
		return nil
	}
	return r.file(ctx, object{Info: info})
}

// enter finds out where each folder is to be read from.
func (r *trailRun) enter(ctx context.Context, folders []*folder) error {
	files := r.back(r.cur.Upto)
	digests := r.back(r.cur.Proven)
	for _, f := range folders {
		from := files
		if f.digests {
			from = digests
		}
		if at, ok := r.cur.Behind[f.path]; ok {
			from = earliest(from, at)
		} else if isNew, err := r.isNew(ctx, f, from); err != nil {
			return err
		} else if isNew {
			from = r.cur.Since
			r.setBehind(f.path, from)
		}
		if err := f.begin(ctx, r.trail.opts.Store, from); err != nil {
			return err
		}
	}
	return nil
}

// back is where listing begins again, given how far it came.
func (r *trailRun) back(upto time.Time) time.Time {
	if upto.IsZero() {
		return r.cur.Since
	}
	span := r.trail.opts.Relist
	if r.now.Sub(r.cur.Deep) >= deepRelistEvery {
		span = max(span, deepRelist)
	}
	return latest(r.cur.Since, upto.Add(-span))
}

func (r *trailRun) setBehind(path string, at time.Time) {
	behind := map[string]time.Time{path: at}
	for p, t := range r.cur.Behind { // cursors that were given out share the old map
		if p != path {
			behind[p] = t
		}
	}
	r.cur.Behind = behind
}

// isNew says whether a folder holds files from before from that nobody has
// read: its region or account was not there, or not wanted, so far.
func (r *trailRun) isNew(ctx context.Context, f *folder, from time.Time) (bool, error) {
	if !from.After(r.cur.Since) {
		return false, nil
	}
	for info, err := range r.trail.opts.Store.List(ctx, f.path, f.after(truncateDay(r.cur.Since), r.cur.Since)) {
		if err != nil {
			return false, err
		}
		o, ok := f.parse(info)
		if !ok || o.stamp.Before(r.cur.Since.Truncate(time.Minute)) {
			continue
		}
		if !o.stamp.Before(from) || slices.Contains(r.cur.Unread, o.Key) {
			return false, nil
		}
		known, err := r.finished(ctx, o.Info)
		return !known, err
	}
	return false, nil
}

// placeOf returns account and region of a key, and whether it is one of the
// files, or the digests, of a trail.
func placeOf(key string) (place string, ok bool) {
	for _, kind := range []string{"/" + logFolder, "/" + digestFolder} {
		before, behind, found := strings.Cut(key, kind)
		region, _, inside := strings.Cut(behind, "/")
		if found && inside && accountForm.MatchString(lastName(before)) {
			return lastName(before) + "/" + region, true
		}
	}
	return "", false
}

// days reads day by day, of all folders together, so that a lake is filled in
// the order of its days.
func (r *trailRun) days(ctx context.Context, folders []*folder) error {
	for {
		var day time.Time
		for _, f := range folders {
			if !f.over && (day.IsZero() || f.next.Before(day)) {
				day = f.next
			}
		}
		if day.IsZero() || r.beyond(day) {
			return nil
		}
		for _, f := range folders {
			if f.over || !f.next.Equal(day) {
				continue
			}
			if err := r.folderDay(ctx, f, day); err != nil {
				return err
			}
		}
		r.passed(day.Add(24 * time.Hour))
		r.forget(day.Add(24*time.Hour - r.trail.opts.Relist))
	}
}

// folderDay reads a day of a folder.
func (r *trailRun) folderDay(ctx context.Context, f *folder, day time.Time) error {
	found, err := f.day(ctx, r.trail.opts.Store)
	if err != nil {
		return err
	}
	for _, o := range found {
		if r.beyond(o.stamp) {
			continue
		}
		r.newest = latest(r.newest, o.stamp)
		if f.digests {
			err = r.digest(ctx, f, o)
		} else {
			err = r.file(ctx, o)
		}
		if err != nil {
			return err
		}
	}
	if _, ok := r.cur.Behind[f.path]; ok {
		r.setBehind(f.path, day.Add(24*time.Hour))
	}
	return nil
}

// beyond says whether a time lies behind the span that is read.
func (r *trailRun) beyond(t time.Time) bool {
	return !r.cur.Until.IsZero() && !t.Before(r.cur.Until)
}

// forget drops what no digest of a later day lists: on a first run over years,
// the rest would fill the memory.
func (r *trailRun) forget(before time.Time) {
	for key := range r.read {
		if stamp := fileStamp(key); stamp.Before(before) {
			delete(r.read, key)
		}
	}
}

// fileStamp is the time a file's name bears, zero for any other key.
func fileStamp(key string) time.Time {
	m := logName.FindStringSubmatch(lastName(key))
	if m == nil {
		return time.Time{}
	}
	t, err := time.Parse("20060102T1504Z", m[1])
	if err != nil {
		return time.Time{}
	}
	return t
}

// passed notes that everything named earlier than at was listed and read.
func (r *trailRun) passed(at time.Time) {
	at = earliest(at, r.newest)
	upto := at
	if !r.held.IsZero() {
		upto = earliest(upto, r.held)
	}
	r.cur.Upto = latest(r.cur.Upto, earliest(upto, r.now))
	if r.trail.opts.SkipDigests {
		return
	}
	if !r.open.IsZero() {
		at = earliest(at, r.open)
	}
	r.cur.Proven = latest(r.cur.Proven, earliest(at, r.now))
}

// finished says whether an object was read to its end as it is now.
func (r *trailRun) finished(ctx context.Context, info blob.Info) (bool, error) {
	in, ok, err := r.known(ctx, info.Key)
	return ok && in.Size == info.Size && in.Version == info.ETag, err
}

// known returns what was last read under a key.
func (r *trailRun) known(ctx context.Context, key string) (extract.Input, bool, error) {
	if in, ok := r.read[key]; ok {
		return in, true, nil
	}
	if r.trail.opts.Ledger == nil {
		return extract.Input{}, false, nil
	}
	in, ok, err := r.trail.opts.Ledger.Finished(ctx, key)
	if err != nil {
		return in, false, fmt.Errorf("look up %s: %w", key, err)
	}
	return in, ok, nil
}

// file reads one file, unless it is finished. That it cannot be read is noted,
// and no error.
func (r *trailRun) file(ctx context.Context, o object) error {
	if known, err := r.finished(ctx, o.Info); err != nil || known {
		r.settled(o.Key)
		return err
	}
	if err := r.room(ctx, 0); err != nil {
		return err
	}
	skip := int64(0)
	if r.cur.Key == o.Key && r.cur.Version == o.ETag {
		skip = r.cur.Record
	}
	return r.tries(ctx, o, skip)
}

// tries reads a file, again where the store fails on the way.
func (r *trailRun) tries(ctx context.Context, o object, skip int64) error {
	for try := 1; ; try++ {
		err := r.attempt(ctx, &o, &skip)
		var failed *storeError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			r.settled(o.Key)
			return nil
		case !errors.As(err, &failed):
			return err
		case errors.Is(err, blob.ErrNotExist):
			r.trail.opts.Logger.Debug("file is gone", "source", r.trail.opts.Name, "key", o.Key)
			r.settled(o.Key)
			return nil
		case try < readTries && failed.reading:
			continue
		}
		r.cannotRead(o, failed.err)
		return nil
	}
}

// cannotRead notes an object that is to be tried again.
func (r *trailRun) cannotRead(o object, err error) {
	if slices.Contains(r.cur.GivenUp, o.Key) {
		r.cur.Key, r.cur.Version, r.cur.Record = "", "", 0
		return
	}
	r.trail.opts.Logger.Warn("object could not be read", "source", r.trail.opts.Name, "key", o.Key, "error", err)
	r.unread = append(r.unread, fmt.Errorf("%s: %w", o.Key, err))
	r.cur.Key, r.cur.Version, r.cur.Record = "", "", 0
	switch {
	case slices.Contains(r.cur.Unread, o.Key):
	case len(r.cur.Unread) < maxUnread:
		r.cur.Unread = append(slices.Clone(r.cur.Unread), o.Key)
	case !o.stamp.IsZero() && (r.held.IsZero() || o.stamp.Before(r.held)):
		r.held = o.stamp
	}
	r.dirty = true
}

// storeError is an error of the store, not of the reading.
type storeError struct {
	err     error
	reading bool // the object was open by then: another try may go on
}

func (e *storeError) Error() string { return e.err.Error() }

func (e *storeError) Unwrap() error { return e.err }

// attempt reads a file from its beginning and gives out what lies behind skip,
// which it moves on, so that another attempt does not give it out again.
func (r *trailRun) attempt(ctx context.Context, o *object, skip *int64) error {
	body, now, err := r.trail.opts.Store.Get(ctx, o.Key)
	if err != nil {
		return &storeError{err: err}
	}
	c := records.Open(ctx, body)
	defer func() { _ = c.Close() }() // all is read by then: it can tell nothing
	if now.ETag != o.ETag || now.Size != o.Size {
		*skip = 0
	}
	o.Info = now
	fr := fileReading{trailRun: r, object: *o, content: c, split: records.NewSplitter(c), skip: skip}
	return fr.all(ctx)
}

// fileReading is one pass over one file.
type fileReading struct {
	*trailRun
	object
	content *records.Content
	split   *records.Splitter
	skip    *int64
	n       int64 // records seen
}

func (fr *fileReading) all(ctx context.Context) error {
	for {
		p, err := fr.split.Next()
		if err == nil && p.Tail && fr.content.StoreError() != nil {
			err = io.EOF
		}
		switch {
		case errors.Is(err, io.EOF):
			return fr.end()
		case err != nil:
			return fmt.Errorf("read %s: %w", fr.Key, err)
		}
		if fr.n++; fr.n <= *fr.skip {
			continue
		}
		if err := fr.add(ctx, p); err != nil {
			return err
		}
	}
}

func (fr *fileReading) add(ctx context.Context, p records.Piece) error {
	rec, kept := fr.trail.raw(p)
	if err := fr.room(ctx, len(rec.Bytes)); err != nil {
		return err
	}
	if kept {
		fr.page.Records = append(fr.page.Records, rec)
		fr.bytes += len(rec.Bytes)
	} else {
		fr.page.Filtered++
	}
	*fr.skip, fr.dirty = fr.n, true
	fr.cur.Key, fr.cur.Version, fr.cur.Record = fr.Key, fr.ETag, fr.n
	return nil
}

// raw makes the record of a piece; false if the filter leaves it out.
func (t *Trail) raw(p records.Piece) (schema.Raw, bool) {
	rec := schema.Raw{Kind: schema.KindCloudTrail, Bytes: p.Bytes, Fault: p.Fault}
	if p.Fault != "" {
		return rec, true
	}
	if name := eventSource(p.Bytes); t.sources != nil && name != "" && !t.sources[fullSource(name)] {
		return rec, false
	}
	rec.ID, rec.Time = rec.Kind.ID(p.Bytes), rec.Kind.Time(p.Bytes)
	return rec, true
}

// end closes the account of a file.
func (fr *fileReading) end() error {
	if err := fr.content.StoreError(); err != nil {
		return &storeError{err: err, reading: true}
	}
	fault := fr.content.Fault()
	if fault == "" {
		fault = fr.split.Rest()
	}
	fr.done(extract.Input{
		Key: fr.Key, SHA256: fr.content.SHA256(), Size: fr.Size, Version: fr.ETag, Records: fr.n, Fault: fault,
	})
	return nil
}

// done notes an input as finished, on the page of its last record.
func (r *trailRun) done(in extract.Input) {
	r.page.Done = slices.DeleteFunc(r.page.Done, func(old extract.Input) bool { return old.Key == in.Key })
	r.page.Done = append(r.page.Done, in)
	r.cur.Key, r.cur.Version, r.cur.Record, r.dirty = "", "", 0, true
	r.read[in.Key] = in
	r.trail.opts.Logger.Debug("input is read", "source", r.trail.opts.Name, "key", in.Key, "records", in.Records, "fault", in.Fault)
}

// room gives the waiting page out if another record would be too much for it.
func (r *trailRun) room(ctx context.Context, size int) error {
	p := &r.page
	if len(p.Records) >= pageRecords || len(p.Records) > 0 && r.bytes+size > pageBytes ||
		p.Filtered >= pageFiltered || len(p.Done) >= pageInputs {
		return r.flush(ctx)
	}
	return nil
}

func (r *trailRun) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := r.page
	p.Next = r.cur.encode()
	r.page, r.bytes, r.dirty = extract.Page{}, 0, false
	if !r.yield(p, nil) {
		return errStopped
	}
	return ctx.Err()
}

// finish gives the last page out, and says what could not be read.
func (r *trailRun) finish(ctx context.Context) error {
	r.passed(r.now)
	r.cur.Behind = nil
	if r.now.Sub(r.cur.Deep) >= deepRelistEvery {
		r.cur.Deep = r.now
	}
	if r.dirty || r.cur.encode() != r.start.encode() {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	if n := len(r.unread); n > 0 {
		return fmt.Errorf("%d %w and will be tried again, the first: %w", n, ErrUnread, r.unread[0])
	}
	return nil
}
