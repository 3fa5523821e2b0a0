package lake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/idtrail/idtrail/load"
)

// Check lists the sink's flush records, and with write also writes, reads and
// removes an object in _check/.
func (s *Sink) Check(ctx context.Context, write bool) error {
	err := s.checkList(ctx)
	if err == nil && write {
		err = s.checkWrite(ctx)
	}
	if err == nil && write {
		err = s.checkTemp()
	}
	if err != nil {
		return s.explain("check", "access", err)
	}
	return nil
}

func (s *Sink) checkList(ctx context.Context) error {
	prefix := "flushes/" + s.o.Name + "/"
	for _, err := range s.o.Store.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		break
	}
	return nil
}

func (s *Sink) checkWrite(ctx context.Context) (err error) {
	text := "idtrail check " + rand.Text()
	// No table is called so: nothing takes it for a part of the lake.
	key := "_check/" + s.o.Name + "-" + rand.Text()
	if err := s.o.Store.Delete(ctx, key); err != nil {
		return fmt.Errorf("%w that it can be written, since nothing can be removed again: %w", load.ErrUnproven, err)
	}
	if _, err := s.o.Store.PutNew(ctx, key, strings.NewReader(text)); err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	defer func() {
		if deleteErr := s.o.Store.Delete(ctx, key); deleteErr != nil {
			err = errors.Join(err, fmt.Errorf("delete %s: %w", key, deleteErr))
		}
	}()
	body, _, err := s.o.Store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	got, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if string(got) != text {
		return fmt.Errorf("read %s: the store returned other bytes than were written", key)
	}
	return nil
}

// checkTemp shows that an object can be made.
func (s *Sink) checkTemp() error {
	f, err := newTempFile(s.o.TempDir)
	if err != nil {
		return err
	}
	defer f.remove()
	if _, err := f.Write([]byte("check")); err != nil {
		return err
	}
	return f.flush()
}
