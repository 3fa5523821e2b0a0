package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/policy"
	"github.com/idtrail/idtrail/state"
)

// directory checks one that the first run makes, if need be.
func (k *checker) directory(part, dir string) {
	what, err := tryDirectory(dir, k.write)
	if err != nil {
		k.failed(part, "", err)
		return
	}
	k.add(checked{Part: part, State: checkOK, What: dir + " " + what})
}

func tryDirectory(dir string, write bool) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && !write:
		return "does not exist yet; the first run makes it", parentExists(dir)
	case errors.Is(err, syscall.ENOTDIR):
		return "", parentExists(dir)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("look at directory: %w", err)
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("%s is a file; name a directory", dir)
	case !write:
		return "exists", nil
	}
	return "can be written", tryWrite(dir)
}

// parentExists looks for a directory that the missing ones can be made in.
func parentExists(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		switch {
		case err == nil && info.IsDir():
			return nil
		case err == nil:
			return fmt.Errorf("%s cannot be made: %s is a file", dir, parent)
		case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || parent == filepath.Dir(parent):
			return fmt.Errorf("%s cannot be made: %w", dir, err)
		}
	}
}

func tryWrite(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return fmt.Errorf("write into directory: %w", err)
	}
	_, err = f.WriteString("idtrail check\n")
	if err := errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("write into directory: %w", err)
	}
	return nil
}

// store checks raw or the lake. It returns nil if there is nothing yet to look
// into, or nothing that works.
func (k *checker) store(ctx context.Context, part string, s config.Store) blob.Store {
	if !s.S3() {
		k.directory(part, s.URL)
		if _, err := os.Stat(s.URL); err != nil {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store(part)
	k.role, k.tenant = s.RoleARN, ""
	store, err := k.b.store(ctx, s)
	if err == nil {
		err = k.tryStore(ctx, part, store, s)
	}
	if stays := new(unremovable); errors.As(err, &stays) && s.S3() {
		k.warned(part, "", fmt.Errorf("%s may be written: %w", s.URL, stays), unremovableHint)
		return store
	}
	if err != nil {
		k.failed(part, "", err)
		return nil
	}
	if s.S3() {
		k.add(checked{Part: part, State: checkOK, What: s.URL + " " + k.reached(s)})
	}
	return store
}

func (k *checker) reached(s config.Store) string {
	switch {
	case !k.write:
		return "can be listed"
	case s.Lock.Mode != "":
		return "can be listed, takes locks and may be written: tried with a write that cannot succeed, since what is locked stays"
	case s.KMSKey != "":
		return "can be listed, written with its key, and replaced only where it is unchanged"
	default:
		return "can be listed and written, and replaced only where it is unchanged"
	}
}

func (k *checker) tryStore(ctx context.Context, part string, store blob.Store, s config.Store) error {
	for _, err := range store.List(ctx, "", "") {
		if err != nil {
			return err
		}
		break
	}
	if l, ok := store.(interface{ CheckLock(context.Context) error }); ok {
		if err := l.CheckLock(ctx); err != nil {
			return err
		}
	}
	switch {
	case !k.write:
		return nil
	case s.Lock.Mode != "":
		return tryRefused(ctx, part, store)
	default:
		return tryWrites(ctx, part, store)
	}
}

// unremovable says that nothing was written for good, since it would stay.
type unremovable struct{ err error }

func (e *unremovable) Error() string {
	return "tried with a write that cannot succeed, since what is written could not be removed: " + e.err.Error()
}

func (e *unremovable) Unwrap() error { return e.err }

// unremovableHint is what to do about it.
const unremovableHint = "a run needs no such right; with it, check --write proves conditional writes and keys, too"

// tryWrites proves that objects can be written, read and removed, created only
// where there is none and replaced only where they are unchanged: that is what
// keeps two runs apart, and evidence as it is. It writes nothing that it may not
// remove: in raw, verify would wonder what it is.
func tryWrites(ctx context.Context, part string, store blob.Store) (err error) {
	// No source's name begins with an underscore: nothing takes it for a segment.
	key, text := policy.ProbeFolder+"/"+rand.Text(), "idtrail check\n"
	if err := store.Delete(ctx, key); err != nil {
		if refused := tryRefused(ctx, part, store); refused != nil {
			return refused
		}
		return &unremovable{err}
	}
	first, err := store.PutNew(ctx, key, strings.NewReader(text))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Delete(ctx, key)) }()
	if err := readBack(ctx, store, key, text); err != nil {
		return err
	}
	if _, err := store.PutNew(ctx, key, strings.NewReader("twice\n")); !errors.Is(err, blob.ErrExist) {
		return ignored(store, "If-None-Match", err)
	}
	if _, err := store.PutMatch(ctx, key, first.ETag, strings.NewReader("idtrail check again\n")); err != nil {
		return err
	}
	if _, err := store.PutMatch(ctx, key, first.ETag, strings.NewReader("too late\n")); !errors.Is(err, blob.ErrChanged) {
		return ignored(store, "If-Match", err)
	}
	return nil
}

// readBack proves that what was written can be read: with a key of KMS, that takes
// a right of its own.
func readBack(ctx context.Context, store blob.Store, key, text string) error {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("read %s/%s: the store returned other bytes than were written", store.URL(), key)
	}
	return nil
}

// tryRefused tries to replace an object that is not there: who may not write is
// told so, and who may is told that nothing is there. So a place that locks what is
// written is tried, and nothing stays.
func tryRefused(ctx context.Context, part string, store blob.Store) error {
	key := policy.ProbeFolder + "/" + rand.Text()
	if part == "manifests" {
		key = part + "/" + key // of a lake that is locked there only
	}
	_, err := store.PutMatch(ctx, key, `"d41d8cd98f00b204e9800998ecf8427e"`, strings.NewReader("idtrail check\n"))
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrChanged) {
		return nil
	}
	if err != nil {
		return err
	}
	return ignored(store, "If-Match", fmt.Errorf("%s was written, and is locked", key))
}

// errUnconditional says that a store writes where it was told not to.
var errUnconditional = errors.New("the condition is not honoured")

func ignored(store blob.Store, condition string, err error) error {
	if err != nil && !errors.Is(err, blob.ErrExist) && !errors.Is(err, blob.ErrChanged) {
		return err
	}
	return fmt.Errorf("%s writes in spite of %s (%w): two runs could hold one source, and evidence could be replaced; use a store with conditional writes",
		store.URL(), condition, errors.Join(errUnconditional, err))
}

// state checks where the state is: a directory, or a place in S3 and the
// directory of the copies.
func (k *checker) state(ctx context.Context, c *config.Config) {
	if !c.State.S3() {
		k.directory("state", c.StateDir())
		return
	}
	k.directory("state_cache", c.StateDir())
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store("state")
	k.role, k.tenant = c.State.RoleARN, ""
	store, err := k.b.store(ctx, c.State)
	if err == nil {
		err = k.tryStore(ctx, "state", store, c.State)
	}
	if err == nil && k.write {
		err = tryClock(ctx, store)
	}
	if err != nil {
		k.failed("state", "", err) // what it cannot remove, too: a run removes old copies
		return
	}
	k.add(checked{Part: "state", State: checkOK, What: c.State.URL + " " + k.reached(c.State)})
	k.holders(ctx, c)
}

// tryClock proves what else a lease stands on: that the store says what time it is.
func tryClock(ctx context.Context, store blob.Store) (err error) {
	key := policy.ProbeFolder + "/" + rand.Text()
	if _, err := store.PutNew(ctx, key, strings.NewReader("idtrail check\n")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Delete(ctx, key)) }()
	info, err := store.Head(ctx, key)
	if err == nil && (info.Now.IsZero() || info.Modified.IsZero()) {
		err = fmt.Errorf("%s does not say what time it is, so nobody can tell how old a lease is", store.URL())
	}
	return err
}

// holders says who holds a source now.
func (k *checker) holders(ctx context.Context, c *config.Config) {
	states, err := k.b.states(ctx)
	if err != nil {
		k.failed("state", "", err)
		return
	}
	for _, s := range c.Sources {
		shown, err := states.Show(ctx, s.Name)
		switch {
		case errors.Is(err, state.ErrNone):
		case err != nil:
			k.failed("state", s.Name, err)
		default:
			for _, line := range holdingDetails(shown.Holding) {
				k.add(checked{Part: "state", Name: s.Name, State: checkOK, What: line})
			}
		}
	}
}
