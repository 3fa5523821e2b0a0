package reconcile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// noLink stands for an account without a partner.
const noLink = int32(-1)

// What a store remembers of each account.
const (
	flagInScope uint8 = 1 << iota
	// flagSeveral: under the rule being applied there are several candidates.
	flagSeveral
	// flagLostK1 and flagLostK2: its claim names no account of the other side.
	flagLostK1
	flagLostK2
	// flagShared: it shares a key with an account it could not be linked to.
	flagShared
	// flagCandidate: an account of the other side has its e-mail address.
	flagCandidate
)

// store holds one side: in memory a few bytes an account, the fields to compare
// on a tape, sorted by id. An account is known by its place in that order.
type store struct {
	Side
	auth0 bool
	tape  *tape
	offs  []int64
	flags []uint8
	link  []int32
	rule  []step // that linked it
	sum   SideSummary
	buf   []byte

	filter filter
	attrs  map[string]bool
	// withLink and withFederated count accounts that may have claims of K1, K2;
	// withAttrs those that have an attribute to compare.
	withLink, withFederated, withAttrs int64
}

func (s *store) len() int { return len(s.flags) }

func (s *store) inScope(i int32) bool { return s.flags[i]&flagInScope != 0 }

func (s *store) linked(i int32) bool { return s.link[i] != noLink }

// load reads the side's users to their end.
func (s *store) load(ctx context.Context, o *Options) error {
	s.tape = &tape{dir: o.TempDir, limit: o.spill}
	sorted := newSpool(o.TempDir, o.spill)
	withPipe, err := s.read(ctx, sorted)
	if err != nil {
		return errors.Join(err, sorted.close())
	}
	if err := s.settle(sorted); err != nil {
		return err
	}
	s.auth0 = s.Kind == schema.KindAuth0User || s.Kind == "" && 2*withPipe > s.sum.Users
	if s.Kind == "" {
		s.sum.Kind = schema.KindCognitoUser
		if s.auth0 {
			s.sum.Kind = schema.KindAuth0User
		}
	}
	return nil
}

// read puts the users into the spool; it counts the ids of Auth0's form.
func (s *store) read(ctx context.Context, sorted *spool) (withPipe int64, err error) {
	var rec []byte
	n := 0
	for u, err := range s.Users {
		if err != nil {
			return 0, fmt.Errorf("read users of %s: %w", s.Source, err)
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return 0, fmt.Errorf("read users of %s: %w", s.Source, context.Cause(ctx))
		}
		if u.UserID == "" {
			s.sum.Unidentified++
			continue
		}
		if strings.Contains(u.UserID, "|") {
			withPipe++
		}
		u.Attributes = pick(u.Attributes, s.attrs)
		rec = appendUser(appendKey(rec[:0], u.UserID), &u)
		if err := sorted.add(rec); err != nil {
			return 0, fmt.Errorf("keep users of %s: %w", s.Source, err)
		}
	}
	return withPipe, nil
}

// settle writes the sorted users to the tape, of those with the same id only
// the one changed last.
func (s *store) settle(sorted *spool) error {
	var held *schema.User
	err := sorted.each(func(rec []byte) error {
		u, err := cutUser(rec)
		if err != nil {
			return err
		}
		if held != nil && held.UserID == u.UserID {
			s.sum.Repeated++
			if !olderThan(&u, held) {
				held = &u
			}
			return nil
		}
		err = s.keep(held)
		held = &u
		return err
	})
	if err == nil {
		err = s.keep(held)
	}
	if err == nil {
		err = s.tape.seal()
	}
	if err != nil {
		return fmt.Errorf("keep users of %s: %w", s.Source, err)
	}
	s.offs = append(s.offs, s.tape.size)
	return nil
}

// cutUser reads a user behind its key.
func cutUser(rec []byte) (schema.User, error) {
	_, body, ok := cutKey(rec)
	if !ok {
		return schema.User{}, errSpilled
	}
	return decodeUser(body)
}

func olderThan(u, other *schema.User) bool {
	return u.UpdatedAt != nil && other.UpdatedAt != nil && u.UpdatedAt.Before(*other.UpdatedAt)
}

func (s *store) keep(u *schema.User) error {
	if u == nil {
		return nil
	}
	s.offs = append(s.offs, s.tape.size)
	s.buf = appendUser(s.buf[:0], u)
	if err := s.tape.write(s.buf); err != nil {
		return err
	}
	flags := uint8(0)
	s.sum.Users++
	if s.filter.has(u) {
		flags |= flagInScope
		s.sum.InScope++
	} else {
		s.sum.OutOfScope++
	}
	s.flags = append(s.flags, flags)
	s.link = append(s.link, noLink)
	s.rule = append(s.rule, 0)
	s.census(u)
	return nil
}

func (s *store) census(u *schema.User) {
	if u.EmailNorm != "" && !isTrue(u.EmailVerified) {
		s.sum.EmailUnverified++
	}
	if u.LinkID != "" {
		s.withLink++
	}
	if len(u.Identities) > 0 || isExternal(u) {
		s.withFederated++
	}
	if len(u.Attributes) > 0 {
		s.withAttrs++
	}
}

// at reads one account.
func (s *store) at(i int32) (schema.User, error) {
	n := int(s.offs[i+1] - s.offs[i])
	return s.decode(io.NewSectionReader(s.tape, s.offs[i], int64(n)), n)
}

func (s *store) decode(r io.Reader, n int) (schema.User, error) {
	if cap(s.buf) < n {
		s.buf = make([]byte, 2*n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(r, s.buf); err != nil {
		return schema.User{}, fmt.Errorf("read temporary file: %w", err)
	}
	return decodeUser(s.buf)
}

// each reads all accounts in order.
func (s *store) each(ctx context.Context, fn func(i int32, u *schema.User) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(s.tape, 0, s.tape.size), 64<<10)
	for i := range s.flags {
		if i%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u, err := s.decode(r, int(s.offs[i+1]-s.offs[i]))
		if err != nil {
			return err
		}
		if err := fn(int32(i), &u); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) close() error {
	if s.tape == nil {
		return nil
	}
	return s.tape.close()
}

func pick(m map[string]string, names map[string]bool) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(names))
	for n := range names {
		if v, ok := m[n]; ok {
			out[n] = v
		}
	}
	return out
}

func isTrue(p *bool) bool { return p != nil && *p }

// isExternal says that a Cognito account was made by a sign-in through an
// identity provider. Only of such accounts the pool itself composed the name.
func isExternal(u *schema.User) bool { return strings.EqualFold(u.StatusRaw, "EXTERNAL_PROVIDER") }
