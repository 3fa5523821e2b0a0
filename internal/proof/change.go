package proof

import (
	"fmt"
	"strings"
	"time"
)

const changeTitle = "idtrail change v1"

// What a [Change] may be.
const (
	// Prune removes what is older than its retention.
	Prune = "prune"
	// Erase cuts one person's records out.
	Erase = "erase"
	// Replay maps again what was mapped before.
	Replay = "replay"
)

// The stores an object of a change may lie in.
const (
	Raw  = "raw"
	Lake = "lake"
)

// Change says which objects were changed on purpose, by what and why. It is
// written before the change is made, so that none is ever unexplained; a change
// cut off is finished as it says.
type Change struct {
	Kind, Source string
	// Time it was decided; part of its key.
	Time time.Time
	// Reason is for people. Subject is the person an erasure is for: a keyed
	// hash, never an id in clear.
	Reason, Subject string
	// Head of what was pruned off the chain: the last segment removed, and the
	// SHA-256 of its header, which the first one kept names. -1 and "" if none.
	Head     int64
	HeadHash string
	Objects  []ChangedObject
}

// ChangedObject is one object of a change.
type ChangedObject struct {
	// Store is Raw or Lake.
	Store, Key string
	// Old and New are the SHA-256 of the object before and after; New is "" for
	// one that is removed, Old for one that is new.
	Old, New string
	// Records or rows taken out of it.
	Removed int64
}

// ChangeKey is where the n-th note of a change lies in the lake; one change may
// need several, from 1 on.
func ChangeKey(source, kind string, at time.Time, n int) string {
	return fmt.Sprintf("%s%s-%s-%d.note", Prefix(source), kind, at.UTC().Format("20060102T150405.000Z"), n)
}

// Text is what is signed.
func (c *Change) Text() string {
	var b strings.Builder
	b.WriteString(changeTitle + "\n")
	line(&b, "change", c.Kind, c.Source, c.Time)
	line(&b, "reason", c.Reason)
	line(&b, "subject", c.Subject)
	line(&b, "head", c.Head, c.HeadHash)
	for _, o := range c.Objects {
		line(&b, "object", o.Store, o.Key, o.Old, o.New, o.Removed)
	}
	return b.String()
}

// ParseChange reads a text. It takes no other text than Text writes.
func ParseChange(text string) (*Change, error) {
	c := &Change{}
	if err := parse(text, changeTitle, c.take); err != nil {
		return nil, fmt.Errorf("read change: %w", err)
	}
	if c.Text() != text {
		return nil, fmt.Errorf("read change: %w: not in the order or form it was written in", ErrMalformed)
	}
	return c, nil
}

func (c *Change) take(key string, w *words) {
	switch key {
	case "change":
		c.Kind, c.Source, c.Time = w.text(), w.text(), w.time()
	case "reason":
		c.Reason = w.text()
	case "subject":
		c.Subject = w.text()
	case "head":
		c.Head, c.HeadHash = w.int(), w.hash()
	case "object":
		c.Objects = append(c.Objects, ChangedObject{w.text(), w.text(), w.hash(), w.hash(), w.int()})
	default:
		w.fail("unknown line %q", key)
	}
}
