package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
)

// notes are what the notes about a source say, as far as they are proven.
type notes struct {
	// last is the newest checkpoint that is proven; nil if none is.
	last     *proof.Checkpoint
	segments map[int64]listed
	// byFile finds the segment a file belongs to.
	byFile  map[string]int64
	gaps    map[int64][]proof.Gap
	flushes map[flushName]proof.Flush
	// changed is what each content of an object became by a change, removed the
	// objects that changes took away, and erased the records they cut out of a
	// segment.
	changed map[version]proof.ChangedObject
	removed map[string]bool
	erased  map[string]int64
	// pruned is the newest segment a change removed, with its header's hash.
	pruned     int64
	prunedHash string
}

// listed is a segment as a checkpoint lists it.
type listed struct {
	proof.Segment
	number int64 // of the checkpoint
}

type flushName struct {
	sink string
	from int64
}

// version is an object with one content.
type version struct{ store, key, hash string }

func noNotes() notes {
	return notes{
		segments: map[int64]listed{}, byFile: map[string]int64{}, gaps: map[int64][]proof.Gap{},
		flushes: map[flushName]proof.Flush{}, changed: map[version]proof.ChangedObject{},
		removed: map[string]bool{}, erased: map[string]int64{}, pruned: -1,
	}
}

// noteFile is a note as it is found.
type noteFile struct {
	key string
	// number of a checkpoint; 0 for a change.
	number     int64
	text       string
	signer     string
	fault      error // what proof.Verifier said of it
	checkpoint *proof.Checkpoint
	change     *proof.Change
	// broken says that what it says cannot be known, proven that it is what was
	// written.
	broken, proven bool
}

// signed says that it bears the signature of a key that was given.
func (f *noteFile) signed() bool { return f.fault == nil && !f.broken }

var (
	checkpointName = regexp.MustCompile(`/(\d{12})\.note$`)
	changeName     = regexp.MustCompile(`/(?:prune|erase|replay)-[0-9TZ.]+-(\d+)\.note$`)
)

// readNotes reads all notes about the source and takes in what is proven.
func (s *inspection) readNotes(ctx context.Context) error {
	s.notes, s.checkpoints = noNotes(), map[int64]string{}
	keys, err := s.listNotes(ctx)
	if err != nil {
		return err
	}
	files := make([]noteFile, len(keys))
	// Notes are small and many: what is waited for is the store.
	err = each(ctx, noteReaders, keys, func(ctx context.Context, i int, key string) error {
		f, err := s.openNote(ctx, key)
		files[i] = f
		return err
	})
	if err != nil {
		return err
	}
	var checkpoints, changes []*noteFile
	for i := range files {
		f := &files[i]
		s.countNote(f)
		if f.number > 0 {
			s.newest = f.number
			s.checkpoints[f.number] = ""
			if f.text != "" {
				s.checkpoints[f.number] = proof.HashText(f.text)
			}
			checkpoints = append(checkpoints, f)
		} else {
			changes = append(changes, f)
		}
	}
	s.judgeCheckpoints(checkpoints)
	s.judgeChanges(changes, s.takeCheckpoints(checkpoints))
	s.judgeSignatures(checkpoints, changes)
	return nil
}

const noteReaders = 8

func (s *inspection) listNotes(ctx context.Context) ([]string, error) {
	var keys []string
	for info, err := range s.o.Lake.List(ctx, proof.Prefix(s.out.Source), "") {
		if err != nil {
			return nil, fmt.Errorf("list notes: %w", err)
		}
		s.mark(info)
		if !checkpointName.MatchString(info.Key) && !changeName.MatchString(info.Key) {
			s.find(Unaccounted, info.Key, "is no note, and does not belong there")
			continue
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

// openNote reads a note and says what is wrong with it by itself; what is wrong
// with its signature is judged when all are read.
func (s *inspection) openNote(ctx context.Context, key string) (noteFile, error) {
	f := noteFile{key: key}
	if m := checkpointName.FindStringSubmatch(key); m != nil {
		f.number, _ = strconv.ParseInt(m[1], 10, 64)
	}
	msg, err := readAll(ctx, s.o.Lake, key)
	if errors.Is(err, errTooLarge) {
		f.broken, f.fault = true, err
		s.find(Altered, key, "%v", err)
		return f, nil
	}
	if err != nil {
		f.broken, f.fault = true, err
		return f, s.unreadable(ctx, key, err)
	}
	f.text, f.signer, f.fault = s.o.Keys.Open(msg)
	if f.fault != nil && !errors.Is(f.fault, proof.ErrUnsigned) && !errors.Is(f.fault, proof.ErrKey) {
		f.broken = true
		if errors.Is(f.fault, proof.ErrMalformed) {
			f.fault = errors.New("is not of the form of a note any more: its text or its signature was damaged")
		}
		s.find(Altered, key, "%v", f.fault)
		return f, nil
	}
	if err := f.parse(s.out.Source); err != nil {
		f.broken = true
		s.find(Altered, key, "%v", err)
	}
	return f, nil
}

// parse reads the text, and holds what it calls itself against its key.
func (f *noteFile) parse(source string) (err error) {
	if f.number > 0 {
		if f.checkpoint, err = proof.ParseCheckpoint(f.text); err != nil {
			return err
		}
		if c := f.checkpoint; c.Source != source || f.key != proof.Key(c.Source, c.Number) {
			return fmt.Errorf("calls itself checkpoint %d of source %s: it was moved", c.Number, c.Source)
		}
		return nil
	}
	if f.change, err = proof.ParseChange(f.text); err != nil {
		return err
	}
	part := 0
	if m := changeName.FindStringSubmatch(f.key); m != nil {
		part, _ = strconv.Atoi(m[1])
	}
	if c := f.change; c.Source != source || f.key != proof.ChangeKey(c.Source, c.Kind, c.Time, part) {
		return fmt.Errorf("calls itself a change of source %s at %s: it was moved", c.Source, c.Time.Format("2006-01-02T15:04:05.000Z"))
	}
	return nil
}

// maxNote bounds a note: readers of signed notes take no more than a megabyte.
const maxNote = 1 << 20

var errTooLarge = errors.New("is larger than anything that belongs there")

func readAll(ctx context.Context, store blob.Store, key string) ([]byte, error) {
	return readUpTo(ctx, store, key, maxNote)
}

func readUpTo(ctx context.Context, store blob.Store, key string, limit int64) ([]byte, error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	var msg bytes.Buffer
	n, err := io.Copy(&msg, io.LimitReader(body, limit+1))
	if err = errors.Join(err, body.Close()); err == nil && n > limit {
		err = errTooLarge
	}
	return msg.Bytes(), err
}

func (s *inspection) countNote(f *noteFile) {
	s.out.Notes++
	switch {
	case errors.Is(f.fault, proof.ErrUnsigned):
		s.out.Unsigned++
	case f.signed():
		s.out.Signed++
	}
	if f.signer != "" && !slices.Contains(s.out.Keys, f.signer) {
		s.out.Keys = append(s.out.Keys, f.signer)
	}
}

// judgeCheckpoints finds out which are proven: by their own signature, or by the
// next one naming their text. Where nobody asked for signatures, none is needed.
func (s *inspection) judgeCheckpoints(list []*noteFile) {
	var next *noteFile // the one after, if it is there
	for _, f := range slices.Backward(list) {
		f.proven = !f.broken && (f.fault == nil || !s.o.HaveKeys)
		if next != nil && next.number == f.number+1 && !next.broken && !f.broken {
			s.judgeLink(f, next)
		}
		next = f
	}
	s.judgeNumbers(list)
}

// judgeNumbers checks that checkpoints begin with the first and leave none out.
func (s *inspection) judgeNumbers(list []*noteFile) {
	number := int64(0)
	for _, f := range list {
		if from := number + 1; f.number > from {
			s.find(Missing, proof.Key(s.out.Source, from), "%s not there, checkpoint %d is", plural("checkpoint", from, f.number-1), f.number)
		}
		number = f.number
	}
	if len(list) > 0 && list[0].number == 1 && !list[0].broken && list[0].checkpoint.Previous != "" {
		s.find(Altered, list[0].key, "names a checkpoint before it, and is the first")
	}
}

// judgeLink judges f by the checkpoint after it.
func (s *inspection) judgeLink(f, next *noteFile) {
	fits := next.checkpoint.Previous == proof.HashText(f.text)
	switch {
	case !next.proven:
		// What is wrong with that one says nothing of this one.
	case fits:
		f.proven = true
	default:
		f.proven = false
		s.find(Altered, f.key, "is not the one that checkpoint %d names", next.number)
	}
}

// plural is "checkpoint 3 is" or "checkpoints 3 to 5 are".
func plural(what string, from, to int64) string {
	if from == to {
		return fmt.Sprintf("%s %d is", what, from)
	}
	return fmt.Sprintf("%ss %d to %d are", what, from, to)
}

// takeCheckpoints takes in what the proven ones list, and returns the changes
// they name.
func (s *inspection) takeCheckpoints(list []*noteFile) (named map[string]string) {
	named = map[string]string{}
	n := &s.notes
	for _, f := range list {
		if !f.proven {
			continue
		}
		c := f.checkpoint
		for _, seg := range c.Segments {
			n.segments[seg.Seq] = listed{seg, c.Number}
			n.byFile[seg.File] = seg.Seq
			delete(n.gaps, seg.Seq)
		}
		for _, g := range c.GapList {
			n.gaps[g.Segment] = append(n.gaps[g.Segment], g)
		}
		for _, fl := range c.Flushes {
			n.flushes[flushName{fl.Sink, fl.From}] = fl
		}
		for _, ref := range c.Changes {
			named[ref.Key] = ref.Hash
		}
		n.last = c
	}
	if n.last != nil {
		s.out.Checkpoint, s.out.CheckpointHash = n.last.Number, n.last.Hash()
	}
	return named
}

// judgeChanges takes in the records of changes that bear a signature or that a
// checkpoint names.
func (s *inspection) judgeChanges(list []*noteFile, named map[string]string) {
	for _, f := range list {
		want, isNamed := named[f.key]
		delete(named, f.key)
		if f.broken {
			continue
		}
		if isNamed && want != proof.HashText(f.text) {
			s.find(Altered, f.key, "a checkpoint names it with another text")
			continue
		}
		f.proven = isNamed || f.fault == nil || !s.o.HaveKeys
		s.takeChange(f)
	}
	for key := range named {
		s.find(Missing, key, "a checkpoint names this record of a change")
	}
}

func (s *inspection) takeChange(f *noteFile) {
	c, n := f.change, &s.notes
	sum := ChangeSummary{Kind: c.Kind, Time: c.Time, Reason: c.Reason, Subject: c.Subject, Objects: len(c.Objects), Note: f.key, Signed: f.signed()}
	for _, o := range c.Objects {
		sum.Removed += o.Removed
		if !f.proven {
			continue
		}
		n.changed[version{o.Store, o.Key, o.Old}] = o
		switch {
		case o.New == "":
			n.removed[o.Store+":"+o.Key] = true
		case o.Store == proof.Raw:
			n.erased[o.Key] += o.Removed
		}
	}
	s.out.Changes = append(s.out.Changes, sum)
	if f.proven && c.Kind == proof.Prune && c.Head > n.pruned {
		n.pruned, n.prunedHash = c.Head, c.HeadHash
	}
}

// judgeSignatures names the notes that are not signed as asked for: all at once
// where none is. One that was written before there was a key needs none once a
// signed checkpoint proves it.
func (s *inspection) judgeSignatures(checkpoints, changes []*noteFile) {
	all := slices.Concat(checkpoints, changes)
	if !s.o.HaveKeys || len(all) == 0 {
		return
	}
	first := slices.IndexFunc(checkpoints, (*noteFile).signed)
	if first < 0 && !slices.ContainsFunc(changes, (*noteFile).signed) {
		s.noneSigned(all, checkpoints)
		return
	}
	for i, f := range all {
		switch early := i < first; {
		case f.broken || f.fault == nil:
		case errors.Is(f.fault, proof.ErrKey):
			s.find(WrongKey, f.key, "is signed with a key called %s that was not given", f.signer)
		case !early || !f.proven:
			s.find(Unsigned, f.key, "bears no signature")
		}
	}
}

// noneSigned says once that no note bears a signature of the keys given.
func (s *inspection) noneSigned(all, checkpoints []*noteFile) {
	var of *noteFile
	for _, f := range slices.Concat(checkpoints, all) {
		if of == nil && !f.broken {
			of = f
		}
	}
	for _, f := range checkpoints {
		if !f.broken {
			of = f // the newest
		}
	}
	switch {
	case of == nil: // each was found to be altered
	case errors.Is(of.fault, proof.ErrKey):
		s.find(WrongKey, of.key, "is signed with a key called %s that was not given, and no note of this source with one that was", of.signer)
	default:
		s.find(Unsigned, of.key, "bears no signature, nor does any note of this source")
	}
}

// becomes follows the changes of an object from one content on: whether now ("":
// it is not there) is what it was or became.
func (n *notes) becomes(store, key, was, now string) bool {
	for range len(n.changed) + 1 {
		if was == now {
			return true
		}
		c, ok := n.changed[version{store, key, was}]
		if !ok || c.New == "" {
			return ok && now == ""
		}
		was = c.New
	}
	return false
}

// isChanged says that a change made something else of an object's content.
func (n *notes) isChanged(store, key, was string) bool {
	_, ok := n.changed[version{store, key, was}]
	return ok
}

// gone says that a change removed an object that had the content was, or, where
// that is "", whatever it had.
func (n *notes) gone(store, key, was string) bool {
	if was == "" {
		return n.removed[store+":"+key]
	}
	return n.becomes(store, key, was, "")
}
