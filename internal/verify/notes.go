package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
)

// notes are what the signed notes of a source say, as far as they are to be
// believed.
type notes struct {
	last     *proof.Checkpoint
	segments map[int64]proof.Segment
	gaps     map[[2]int64]proof.Gap
	flushes  map[flushName]proof.Flush
	// changed is what each object of a change became.
	changed map[version]proof.ChangedObject
	// pruned is the newest segment a change removed, with its header's hash.
	pruned     int64
	prunedHash string
}

type flushName struct {
	sink string
	from int64
}

// version is an object with one content; Hash is "" for one that was not there.
type version struct{ store, key, hash string }

// maxNote bounds a note: readers of signed notes take no more than a megabyte.
const maxNote = 1 << 20

var checkpointName = regexp.MustCompile(`/\d{12}\.note$`)

// readNotes reads all notes about the source, in the order of their names:
// checkpoints by number, then changes by kind and time.
func (s *inspection) readNotes(ctx context.Context) error {
	s.notes = notes{
		segments: map[int64]proof.Segment{}, gaps: map[[2]int64]proof.Gap{},
		flushes: map[flushName]proof.Flush{}, changed: map[version]proof.ChangedObject{}, pruned: -1,
	}
	named := map[string]string{} // changes a checkpoint names
	for info, err := range s.o.Lake.List(ctx, proof.Prefix(s.out.Source), "") {
		if err != nil {
			return fmt.Errorf("list notes: %w", err)
		}
		text, believed, err := s.open(ctx, info.Key)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if checkpointName.MatchString(info.Key) {
			s.checkpoint(info.Key, text, believed, named)
		} else {
			s.change(info.Key, text, believed)
			if want, ok := named[info.Key]; ok && want != proof.HashText(text) {
				s.find(Altered, info.Key, "a checkpoint names it with another text")
			}
			delete(named, info.Key)
		}
	}
	for key := range named {
		s.find(Missing, key, "a checkpoint names this record of a change")
	}
	return nil
}

// open returns the text of a note, "" where it is not to be believed at all, and
// whether its signature is as asked for.
func (s *inspection) open(ctx context.Context, key string) (text string, believed bool, err error) {
	msg, err := readAll(ctx, s.o.Lake, key)
	if err != nil {
		return "", false, s.unreadable(ctx, key, err)
	}
	s.out.Notes++
	text, signer, err := s.o.Keys.Open(msg)
	if err == nil {
		s.out.Signed++
		s.sawKey(signer)
		return text, true, nil
	}
	if errors.Is(err, proof.ErrUnsigned) {
		s.out.Unsigned++
	} else if signer != "" {
		s.sawKey(signer)
	}
	switch {
	case errors.Is(err, proof.ErrUnsigned) && s.o.HaveKeys:
		s.find(Unsigned, key, "bears no signature")
	case errors.Is(err, proof.ErrKey) && s.o.HaveKeys:
		s.find(WrongKey, key, "is signed with a key called %s that was not given", signer)
	case errors.Is(err, proof.ErrUnsigned), errors.Is(err, proof.ErrKey):
		return text, true, nil // nobody asked for signatures
	default:
		s.find(Altered, key, "%v", err)
		return "", false, nil
	}
	return text, false, nil
}

func readAll(ctx context.Context, store blob.Store, key string) ([]byte, error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	msg, err := io.ReadAll(io.LimitReader(body, maxNote+1))
	err = errors.Join(err, body.Close())
	if err == nil && len(msg) > maxNote {
		err = fmt.Errorf("read %s: too large", key)
	}
	return msg, err
}

func (s *inspection) sawKey(name string) {
	for _, known := range s.out.Keys {
		if known == name {
			return
		}
	}
	s.out.Keys = append(s.out.Keys, name)
}

// checkpoint takes in what a checkpoint lists; one that is not to be believed
// proves nothing, but has its place in the chain of them.
func (s *inspection) checkpoint(key, text string, believed bool, named map[string]string) {
	c, err := proof.ParseCheckpoint(text)
	if err != nil {
		s.find(Altered, key, "%v", err)
		return
	}
	if c.Source != s.out.Source || key != proof.Key(c.Source, c.Number) {
		s.find(Altered, key, "calls itself checkpoint %d of source %s: it was moved", c.Number, c.Source)
		return
	}
	s.follow(key, c)
	if !believed {
		return
	}
	for _, seg := range c.Segments {
		s.notes.segments[seg.Seq] = seg
	}
	for _, g := range c.GapList {
		s.notes.gaps[[2]int64{g.Segment, g.N}] = g
	}
	for _, f := range c.Flushes {
		s.notes.flushes[flushName{f.Sink, f.From}] = f
	}
	for _, ref := range c.Changes {
		named[ref.Key] = ref.Hash
	}
}

// follow checks that checkpoints come without a hole, each naming the one before.
func (s *inspection) follow(key string, c *proof.Checkpoint) {
	number, hash := int64(0), ""
	if s.notes.last != nil {
		number, hash = s.notes.last.Number, s.notes.last.Hash()
	}
	switch {
	case c.Number == number+2:
		s.find(Missing, proof.Key(c.Source, number+1), "checkpoint %d is there, the one before it is not", c.Number)
	case c.Number > number+2:
		s.find(Missing, proof.Key(c.Source, number+1), "checkpoints %d to %d are not there, %d is", number+1, c.Number-1, c.Number)
	case c.Previous != hash:
		s.find(Altered, key, "does not name the checkpoint before it: one of the two is another than was written")
	}
	s.notes.last = c
}

// change takes in a record of a change.
func (s *inspection) change(key, text string, believed bool) {
	c, err := proof.ParseChange(text)
	if err != nil {
		s.find(Altered, key, "%v", err)
		return
	}
	if c.Source != s.out.Source {
		s.find(Altered, key, "is about source %s: it was moved", c.Source)
		return
	}
	sum := ChangeSummary{Kind: c.Kind, Time: c.Time, Reason: c.Reason, Subject: c.Subject, Objects: len(c.Objects), Note: key, Signed: believed && s.o.HaveKeys}
	for _, o := range c.Objects {
		sum.Removed += o.Removed
		if believed {
			s.notes.changed[version{o.Store, o.Key, o.Old}] = o
		}
	}
	s.out.Changes = append(s.out.Changes, sum)
	if believed && c.Kind == proof.Prune && c.Head > s.notes.pruned {
		s.notes.pruned, s.notes.prunedHash = c.Head, c.HeadHash
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
