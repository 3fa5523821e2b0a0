package pipeline

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// EraseOptions say whose records are cut out.
type EraseOptions struct {
	// Names are the person's ids, e-mail addresses and user names, whole. A
	// record in which any of them stands is the person's.
	Names []string
	// Key makes the mark of the person that notes bear, which leads nowhere
	// without it.
	Key    []byte
	Reason string
	// DryRun only tells.
	DryRun bool
}

// EraseReport is what an erasure cut out of one source, or would.
type EraseReport struct {
	Source   string `json:"source"`
	Segments int64  `json:"segments"`
	Records  int64  `json:"records"`
	// Flushes were made again without them. Gone could not be: their segments
	// were pruned, and they may still hold rows of the person.
	Flushes int64    `json:"flushes"`
	Gone    int64    `json:"gone,omitempty"`
	Subject string   `json:"subject"`
	Notes   []string `json:"notes,omitempty"`
}

// leastName is how long a name has to be: a shorter one stands in records of
// others.
const leastName = 6

// Erase cuts the records of a person out of raw and lake, and leaves a mark in
// the place of each, so that the chain holds and the counts add up. What will
// change is written down before. Cut off, it is finished by the next run. What
// the vendor says of the person later is landed like anything else; what sinks
// of events were given is theirs. state.ErrHeld.
func (p *Pipeline) Erase(ctx context.Context, source Source, o EraseOptions) (r EraseReport, err error) {
	r.Source = source.Name
	if err := o.check(); err != nil {
		return r, err
	}
	r.Subject = o.subject()
	if err = p.checkOwner(ctx, []Source{source}); err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error { return p.erase(ctx, st, source, o, &r) })
	}
	if err != nil {
		return r, fmt.Errorf("erase from %s: %w", source.Name, err)
	}
	return r, nil
}

func (o EraseOptions) check() error {
	if len(o.Names) == 0 || len(o.Key) == 0 {
		return errors.New("erase: name the person, and a key to mark the notes with")
	}
	for _, name := range o.Names {
		if utf8.RuneCountInString(strings.TrimSpace(name)) < leastName {
			return fmt.Errorf("erase: a name of fewer than %d characters would be found in records of others", leastName)
		}
	}
	return nil
}

// subject marks the person: the same names and key give the same mark.
func (o EraseOptions) subject() string {
	names := slices.Clone(o.Names)
	for i, n := range names {
		names[i] = strings.ToLower(strings.TrimSpace(n))
	}
	slices.Sort(names)
	mac := hmac.New(sha256.New, o.Key)
	_, _ = mac.Write([]byte(strings.Join(names, "\n"))) // never fails
	return "hmac:" + hex.EncodeToString(mac.Sum(nil))
}

// eraser cuts one person out of one source.
type eraser struct {
	*delivery
	o     EraseOptions
	names []string // in lower case
	r     *EraseReport
}

func (p *Pipeline) erase(ctx context.Context, st *state.DB, source Source, o EraseOptions, r *EraseReport) error {
	v := &delivery{p: p, st: st, source: source, limits: p.Limits.withDefaults()}
	if err := v.identify(ctx); err != nil {
		return err
	}
	x := &eraser{delivery: v, o: o, r: r}
	for _, n := range o.Names {
		x.names = append(x.names, strings.ToLower(strings.TrimSpace(n)))
	}
	if !o.DryRun {
		if err := errors.Join(v.finishRewritings(ctx, false), v.finishErasures(ctx)); err != nil {
			return err
		}
	}
	at, err := p.freeTime(ctx, source.Name, proof.Erase)
	if err != nil {
		return err
	}
	change, err := x.stage(ctx, at)
	if err != nil || o.DryRun || len(change.Objects) == 0 {
		return err
	}
	return x.commit(ctx, change)
}

// commit writes down what will change, and changes it.
func (x *eraser) commit(ctx context.Context, change proof.Change) error {
	v, st, r := x.delivery, x.st, x.r
	if err := st.SetMemo(ctx, memoErasing, "1"); err != nil {
		return err
	}
	x.p.trace("erase.begun")
	notes, err := x.p.writeChange(ctx, change)
	if err != nil {
		return err
	}
	for _, n := range notes {
		r.Notes = append(r.Notes, n.key)
	}
	if r.Flushes, r.Gone, err = v.finishErasure(ctx, stagedUnder(x.source.Name, change.Time), notes); err != nil {
		return err
	}
	if err := st.SetMemo(ctx, memoErasing, ""); err != nil {
		return err
	}
	x.p.trace("erase.ended")
	return v.checkpoint(ctx)
}

// memoErasing is kept in the state while an erasure is under way.
const memoErasing = "erasing"

// stagedPrefix is where segments lie, as they will be, until an erasure is over:
// whoever finishes one that was cut off need not know whom it is for.
const stagedPrefix = "staged/"

func stagedUnder(source string, at time.Time) string {
	return stagedPrefix + source + "/" + at.UTC().Format("20060102T150405.000Z") + "/"
}

// stage finds the person's records, and puts aside what becomes of their
// segments.
func (x *eraser) stage(ctx context.Context, at time.Time) (proof.Change, error) {
	change := proof.Change{Kind: proof.Erase, Source: x.source.Name, Time: at, Reason: x.o.Reason, Subject: x.r.Subject, Head: -1}
	for seq, err := range segment.List(ctx, x.p.Raw, x.source.Name, 0) {
		if err != nil {
			return change, err
		}
		object, err := x.stageOne(ctx, seq, at)
		if err != nil {
			return change, err
		}
		if object.New == "" {
			continue
		}
		x.r.Segments++
		x.r.Records += object.Removed
		change.Objects = append(change.Objects, object)
	}
	return change, nil
}

func (x *eraser) stageOne(ctx context.Context, seq int64, at time.Time) (o proof.ChangedObject, err error) {
	seg, err := segment.Read(ctx, x.p.Raw, x.source.Name, seq)
	if err != nil {
		return o, err
	}
	var cut []segment.Erased
	for rec := range seg.Records() {
		if rec.Kind == schema.KindErased || !x.concerns(rec.Line) {
			continue
		}
		e := segment.Erased{Record: rec.At.Record, At: at, Note: proof.ChangeKey(x.source.Name, proof.Erase, at, 1)}
		if !rec.Kind.InSnapshot() {
			id := state.NewSeenID("", recordID(rec.Kind, rec.Line))
			e.Seen = hex.EncodeToString(id[:])
		}
		cut = append(cut, e)
	}
	if len(cut) == 0 {
		return o, nil
	}
	key := segment.Key(x.source.Name, seq)
	file, err := whole(ctx, x.p.Raw, key)
	if err != nil {
		return o, err
	}
	amended, err := segment.Amend(file, cut)
	if err != nil {
		return o, err
	}
	if !x.o.DryRun {
		if err := replaceObject(ctx, x.p.lake(), stagedUnder(x.source.Name, at)+key, amended); err != nil {
			return o, err
		}
		x.p.trace("segment.staged")
	}
	return proof.ChangedObject{Store: proof.Raw, Key: key, Old: fileHash(file), New: fileHash(amended), Removed: int64(len(cut))}, nil
}

// concerns says whether any of the names stands in a record, as a whole word, in
// whatever member.
func (x *eraser) concerns(line []byte) bool {
	text := strings.ToLower(string(line))
	if strings.Contains(text, `\`) {
		text += "\n" + strings.ToLower(unescaped(line))
	}
	return slices.ContainsFunc(x.names, func(name string) bool { return hasWord(text, name) })
}

// unescaped are all texts in a JSON value, with those that are JSON themselves
// read too.
func unescaped(line []byte) string {
	var b strings.Builder
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return b.String()
		}
		if s, ok := token.(string); ok {
			b.WriteString(s + "\n")
			if strings.Contains(s, `\`) && json.Valid([]byte(s)) {
				b.WriteString(unescaped([]byte(s)))
			}
		}
	}
}

// hasWord says whether name stands in text with nothing of a word around it.
func hasWord(text, name string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		behind, _ := utf8.DecodeRuneInString(text[i+len(name):])
		if !isWord(before) && !isWord(behind) {
			return true
		}
		from = i + 1
	}
}

func isWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

func whole(ctx context.Context, store blob.Store, key string) ([]byte, error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	file, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return file, nil
}

func replaceObject(ctx context.Context, store blob.Store, key string, content []byte) error {
	if _, err := (replacing{store}).PutNew(ctx, key, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// finishErasures finishes erasures that were cut off: those whose segments still
// lie aside. What lies there without a note was never decided, and is dropped.
func (v *delivery) finishErasures(ctx context.Context) error {
	memo, err := v.st.Memo(ctx, memoErasing)
	if err != nil {
		return err
	}
	groups, err := v.stagedGroups(ctx)
	if err != nil {
		return err
	}
	notes, err := v.p.changes(ctx, v.source.Name, proof.Erase)
	if err != nil {
		return err
	}
	for _, group := range groups {
		var mine []note
		for _, n := range notes {
			if stagedUnder(v.source.Name, n.change.Time) == group && concernsRaw(n.change) {
				mine = append(mine, n)
			}
		}
		if len(mine) == 0 {
			err = v.dropStaged(ctx, group)
		} else {
			_, _, err = v.finishErasure(ctx, group, mine)
		}
		if err != nil {
			return fmt.Errorf("finish erasure from %s: %w", v.source.Name, err)
		}
	}
	if memo == "" {
		return nil
	}
	return v.st.SetMemo(ctx, memoErasing, "")
}

func concernsRaw(c *proof.Change) bool {
	return len(c.Objects) > 0 && c.Objects[0].Store == proof.Raw
}

func (v *delivery) stagedGroups(ctx context.Context) ([]string, error) {
	var groups []string
	prefix := stagedPrefix + v.source.Name + "/"
	for info, err := range v.p.Lake.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		stamp, _, ok := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		if group := prefix + stamp + "/"; ok && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// finishErasure replaces the segments that notes name by those that lie aside,
// then makes the flushes again that were made of them; what lies aside goes last,
// for it says that there is something to do.
func (v *delivery) finishErasure(ctx context.Context, group string, notes []note) (flushes, gone int64, err error) {
	var seqs []int64
	for _, n := range notes {
		for _, o := range n.change.Objects {
			seq, err := v.amend(ctx, group, o)
			if err != nil {
				return 0, 0, err
			}
			seqs = append(seqs, seq)
		}
	}
	for _, d := range v.rewriters() {
		n, lost, err := d.without(ctx, seqs, notes[0].change)
		flushes, gone = flushes+n, gone+lost
		if err != nil {
			return flushes, gone, err
		}
	}
	return flushes, gone, errors.Join(v.st.SetMemo(ctx, memoRewriting, ""), v.dropStaged(ctx, group))
}

// amend replaces one segment, unless that was done.
func (v *delivery) amend(ctx context.Context, group string, o proof.ChangedObject) (int64, error) {
	seq, err := segment.SeqOf(v.source.Name, o.Key)
	if err != nil {
		return 0, err
	}
	sum, err := sumOf(ctx, v.p.Raw, o.Key)
	if err != nil {
		return 0, err
	}
	if sum == o.Old {
		if err := v.replaceSegment(ctx, group, o); err != nil {
			return 0, err
		}
	} else if sum != o.New {
		return 0, fmt.Errorf("%s is neither as it was nor as it should be: verify says more", o.Key)
	}
	if err := v.st.SetFile(ctx, seq, o.New); err != nil {
		return 0, err
	}
	v.p.trace("segment.reindexed")
	return seq, v.st.ClearRejects(ctx, seq, seq+1)
}

func (v *delivery) replaceSegment(ctx context.Context, group string, o proof.ChangedObject) error {
	file, err := whole(ctx, v.p.Lake, group+o.Key)
	if err != nil {
		return err
	}
	if fileHash(file) != o.New {
		return fmt.Errorf("%s is not what was written down", group+o.Key)
	}
	info, err := v.p.Raw.Head(ctx, o.Key)
	if err == nil {
		_, err = v.p.raw().PutMatch(ctx, o.Key, info.ETag, bytes.NewReader(file))
	}
	if err != nil {
		return fmt.Errorf("replace %s (it may be locked): %w", o.Key, err)
	}
	v.p.trace("segment.amended")
	return nil
}

func (v *delivery) dropStaged(ctx context.Context, group string) error {
	for info, err := range v.p.Lake.List(ctx, group, "") {
		if err == nil {
			err = v.p.lake().Delete(ctx, info.Key)
		}
		if err != nil {
			return fmt.Errorf("drop %s: %w", group, err)
		}
	}
	return nil
}

// without makes the flushes of some segments again.
func (d *deliverer) without(ctx context.Context, seqs []int64, c *proof.Change) (flushes, gone int64, err error) {
	pruned, err := prunedBefore(ctx, d.st)
	if err != nil {
		return 0, 0, err
	}
	for r, err := range lake.Open(d.p.Lake).Flushes(ctx, d.sink.Name(), d.source.Name) {
		if err != nil {
			return flushes, gone, err
		}
		if !slices.ContainsFunc(seqs, func(seq int64) bool { return seq >= r.From && seq < r.To }) || r.State == lake.StateOpen {
			continue
		}
		if r.From < pruned {
			gone++
			continue
		}
		w := &rewrite{d: d, flush: r, kind: proof.Erase, reason: c.Reason, subject: c.Subject}
		if _, err := w.make(ctx); err != nil {
			return flushes, gone, err
		}
		flushes++
	}
	return flushes, gone, nil
}
