package auth0

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

const (
	usersPerPage = 500
	bytesPerPage = 4 << 20
	// maxIdle is how often a download may begin again without coming further.
	maxIdle = 6
)

// pass is one reading of Pages.
type pass struct {
	users *Users
	cur   usersCursor
	// fresh says that this pass began the snapshot.
	fresh bool

	walk   *walker // of the section of settings being read
	rights *rights

	file *file
	// taken counts the lines of the export that were given, mark is a hash of
	// them; both are ahead of the cursor within a page.
	taken int64
	mark  string
	// furthest is the line a download came to, idle how many came no further.
	furthest int64
	idle     int
}

// begin goes on with the cursor's snapshot if it is young and its export still
// there, else with a new one. A complete one that is still good leaves nothing
// to do.
func (p *pass) begin(ctx context.Context, from extract.Cursor) error {
	cur, err := parseUsersCursor(from)
	if err != nil {
		return err
	}
	p.cur = cur
	age := p.users.opts.Now().Sub(cur.Started)
	switch {
	case cur.Phase == phaseDone && age >= 0 && age < p.users.opts.Every:
		return nil
	case !cur.resumable(age):
		return p.anew(ctx)
	}
	p.taken, p.mark = cur.Users, cur.Mark
	j, err := p.users.readJob(ctx, cur.Job)
	if isStatus(err, http.StatusNotFound) || err == nil && j.status == "failed" {
		return p.anew(ctx)
	}
	return err
}

// resumable says whether a snapshot begun that long ago is to be gone on with. One
// begun in the future was by a clock that was wrong.
func (c usersCursor) resumable(age time.Duration) bool {
	return c.Phase != "" && c.Phase != phaseDone && knownPhase(c.Phase) && age >= 0 && age <= resumeWithin
}

// anew begins a snapshot. Its export is made while settings and memberships are
// read.
func (p *pass) anew(ctx context.Context) error {
	p.closeFile()
	now := p.users.opts.Now().UTC().Truncate(time.Millisecond)
	*p = pass{users: p.users, cur: p.cur.following(now), fresh: true}
	p.cur.Phase = sections()[0].name
	if p.users.opts.SkipSettings {
		p.cur.Phase = phaseMembers
	}
	id, err := p.users.createJob(ctx)
	p.cur.Job = id
	return err
}

func (p *pass) closeFile() {
	if p.file != nil {
		p.file.stop()
		p.file = nil
	}
}

// next reads a page of the phase the cursor is in.
func (p *pass) next(ctx context.Context) (extract.Page, error) {
	if err := ctx.Err(); err != nil {
		return extract.Page{}, err
	}
	snapshot := &schema.Snapshot{ID: p.cur.Snapshot, Begin: p.cur.Started}
	var records []schema.Raw
	var err error
	switch p.cur.Phase {
	case phaseMembers:
		records, err = p.membersPage(ctx)
	case phaseUsers:
		records, err = p.usersPage(ctx, snapshot)
	default:
		records, err = p.settingsPage(ctx)
	}
	if err != nil {
		return extract.Page{}, err
	}
	return extract.Page{Records: records, Snapshot: snapshot, Next: extract.Cursor(p.cur.String())}, nil
}

// membersPage reads who has which role and is where a member, and tells how far
// that could be read.
func (p *pass) membersPage(ctx context.Context) ([]schema.Raw, error) {
	if err := p.readRights(ctx); err != nil {
		return nil, err
	}
	var records []schema.Raw
	for _, part := range []struct {
		section string
		why     refusal
	}{
		{"role_members", p.rights.rolesWhy},
		{"organization_members", p.rights.orgsWhy},
		{"organization_member_roles", p.rights.memberRolesWhy},
	} {
		s := schema.Setting{Section: part.section, State: schema.SettingOK, Detail: part.why.Detail}
		if part.why.State != "" {
			s.State = part.why.State
		}
		records = append(records, settingRecord(s))
	}
	p.cur.Phase = phaseUsers
	p.cur.Settings += int64(len(records))
	return records, nil
}

// readRights reads them once: memberships are in no cursor, and are read again
// by whoever goes on with a snapshot.
func (p *pass) readRights(ctx context.Context) error {
	if p.rights != nil {
		return nil
	}
	r, err := p.users.readRights(ctx)
	if err != nil {
		return fmt.Errorf("read memberships: %w", err)
	}
	p.rights = r
	return nil
}

// usersPage reads lines of the export; the last page completes the snapshot.
func (p *pass) usersPage(ctx context.Context, snapshot *schema.Snapshot) ([]schema.Raw, error) {
	if err := p.readRights(ctx); err != nil {
		return nil, err
	}
	var records []schema.Raw
	size := 0
	for len(records) < usersPerPage && size < bytesPerPage {
		line, err := p.line(ctx)
		if errors.Is(err, errEnd) {
			return records, p.complete(ctx, snapshot)
		}
		if err != nil && !errors.Is(err, errLong) {
			return nil, fmt.Errorf("read export: %w", err)
		}
		records = append(records, p.record(line, err))
		size += len(line)
	}
	p.noteTaken()
	p.cur.Users, p.cur.Mark = p.taken, p.mark
	return records, nil
}

// record makes the record of a line. What is no JSON object has no roles to
// stand beside, and is handed on as it is.
func (p *pass) record(line []byte, err error) schema.Raw {
	raw := schema.Raw{Kind: schema.KindAuth0User, Fault: fault(line)}
	if err != nil {
		raw.Fault = err.Error()
	}
	if raw.Fault != "" || line[0] != '{' {
		raw.Bytes = bytes.Clone(line)
		return raw
	}
	raw.ID = raw.Kind.ID(line)
	raw.Bytes = p.rights.wrap(line, raw.ID)
	return raw
}

// line returns the next line of the export that was not given before. A download
// that is cut off begins again behind a fresh link.
func (p *pass) line(ctx context.Context) ([]byte, error) {
	for {
		line, err := p.tryLine(ctx)
		if err == nil || errors.Is(err, errLong) {
			p.taken++
			return line, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !isDownload(err) {
			return nil, err
		}
		if err := p.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// downloadError is a failure of a download, worth another one.
type downloadError struct{ error }

// Unwrap returns the cause.
func (e downloadError) Unwrap() error { return e.error }

func isDownload(err error) bool { return errors.As(err, &downloadError{}) }

func (p *pass) tryLine(ctx context.Context) ([]byte, error) {
	if p.file == nil {
		if err := p.openFile(ctx); err != nil {
			return nil, err
		}
	}
	line, err := p.file.next()
	if err != nil && !errors.Is(err, errEnd) && !errors.Is(err, errLong) {
		return nil, downloadError{err}
	}
	return line, err
}

// openFile begins a download and goes to the first line not given yet. The link
// is asked for right before: it is good for a minute.
func (p *pass) openFile(ctx context.Context) error {
	link, err := p.location(ctx)
	if err != nil {
		return err
	}
	if p.file, err = p.users.open(ctx, link); err != nil {
		return downloadError{err}
	}
	for p.file.at < p.taken {
		if _, err := p.file.next(); errors.Is(err, errEnd) {
			return fmt.Errorf("file is shorter than it was: %w", errStale)
		} else if err != nil && !errors.Is(err, errLong) {
			return downloadError{err}
		}
	}
	if p.taken > 0 && p.file.mark() != p.mark {
		return fmt.Errorf("file is not what it was: %w", errStale)
	}
	return nil
}

// again closes a download that failed and waits before the next one. It gives up
// where several came no further.
func (p *pass) again(ctx context.Context, err error) error {
	if p.file != nil {
		if p.file.at > p.furthest {
			p.furthest, p.idle = p.file.at, 0
		}
		if p.file.at >= p.taken {
			p.noteTaken()
		}
		p.closeFile()
	}
	p.idle++
	if p.idle >= maxIdle {
		return fmt.Errorf("after %d downloads: %w", p.idle, err)
	}
	p.users.opts.Logger.DebugContext(ctx, "auth0 export will be downloaded again", "reason", err, "lines", p.taken)
	return sleep(ctx, backoff(p.idle-1))
}

// noteTaken remembers what the lines given so far were. A file stands at the
// line given last, unless it has not come there yet.
func (p *pass) noteTaken() {
	if p.file != nil && p.file.at == p.taken {
		p.mark = p.file.mark()
	}
}

// complete ends the snapshot with what its export held.
func (p *pass) complete(ctx context.Context, snapshot *schema.Snapshot) error {
	p.closeFile()
	if err := p.checkTotal(ctx); err != nil {
		return err
	}
	snapshot.Counts = map[string]int64{"users": p.taken, "settings": p.cur.Settings}
	p.rights.counts(snapshot.Counts)
	snapshot.Complete, snapshot.End = true, p.users.opts.Now().UTC()
	if snapshot.End.Before(snapshot.Begin) {
		snapshot.End = snapshot.Begin
	}
	p.cur = usersCursor{Snapshot: p.cur.Snapshot, Started: p.cur.Started, Newest: p.cur.Newest, Phase: phaseDone}
	return nil
}

// checkTotal compares the export with the tenant's search. That lags and may
// change meanwhile, so a difference is only told; but an export that is empty
// while there are users is an error, not the end of everybody.
func (p *pass) checkTotal(ctx context.Context) error {
	total, err := p.users.total(ctx)
	switch {
	case err != nil && (ctx.Err() != nil || p.taken == 0):
		return err
	case err != nil:
		p.users.opts.Logger.DebugContext(ctx, "auth0 did not count its users", "reason", err)
	case p.taken == 0 && total != 0:
		return fmt.Errorf("%w: its file is empty, but the tenant has users", ErrExport)
	case total >= 0 && total != p.taken:
		p.users.opts.Logger.WarnContext(ctx, "auth0 counts other users than its export holds", "exported", p.taken, "counted", total)
	}
	return nil
}
