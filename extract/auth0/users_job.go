package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
)

const (
	firstPoll = time.Second
	maxPoll   = 15 * time.Second
	// maxHint bounds how far a job's own estimate is believed.
	maxHint = time.Minute
	// maxUnknown is how often a job just made may be unknown.
	maxUnknown = 5
)

// exportFields are the attributes of a user that an export can hold. They are
// always named: without, Auth0 exports a few, under names for people.
var exportFields = []string{
	"user_id", "email", "email_verified", "username", "phone_number", "phone_verified",
	"name", "nickname", "given_name", "family_name", "picture",
	"created_at", "updated_at", "last_login", "last_ip", "logins_count", "last_password_reset",
	"multifactor", "multifactor_last_modified", "blocked", "identities", "app_metadata", "user_metadata",
}

// errStale says that a snapshot cannot be gone on with: its job or its file is
// not there any more, or is another.
var errStale = errors.New("the export is not there any more")

// createJob asks for an export of all users. Asked twice, because an answer was
// lost, Auth0 makes two exports; the other is never looked at.
func (u *Users) createJob(ctx context.Context) (string, error) {
	fields := make([]map[string]string, len(exportFields))
	for i, name := range exportFields {
		fields[i] = map[string]string{"name": name}
	}
	body, _, err := u.client.do(ctx, call{
		path: []string{"jobs", "users-exports"}, scope: "read:users",
		post: map[string]any{"format": "json", "fields": fields},
	})
	if err != nil {
		return "", fmt.Errorf("start export: %w", err)
	}
	id := gjson.GetBytes(body, "id").Str
	if !plainID(id) {
		return "", errors.New("start export: the job has no id")
	}
	return id, nil
}

// job is what Auth0 says of an export.
type job struct {
	status, location, details string
	// left is how long it will take, where that is told.
	left time.Duration
}

func (u *Users) readJob(ctx context.Context, id string) (job, error) {
	body, _, err := u.client.do(ctx, call{path: []string{"jobs", id}, scope: "read:users"})
	if err != nil {
		return job{}, fmt.Errorf("read export job: %w", err)
	}
	root := gjson.ParseBytes(body)
	return job{
		status: root.Get("status").Str, location: root.Get("location").Str,
		details: oneLine(root.Get("status_details").String()),
		left:    time.Duration(min(max(root.Get("time_left_seconds").Int(), 0), int64(maxHint/time.Second))) * time.Second,
	}, nil
}

// oneLine makes words fit for an error.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}

// location waits until the export is complete and returns a link to its file,
// which is good for a minute.
func (p *pass) location(ctx context.Context) (string, error) {
	delay, unknown := firstPoll, 0
	for {
		if p.users.opts.Now().Sub(p.cur.Started) > jobLife {
			return "", fmt.Errorf("export is older than %s: %w", jobLife, errStale)
		}
		j, err := p.users.readJob(ctx, p.cur.Job)
		switch {
		case isStatus(err, http.StatusNotFound):
			if unknown++; !p.fresh || unknown > maxUnknown {
				return "", fmt.Errorf("%w (%w)", errStale, err)
			}
		case err != nil:
			return "", err
		case j.status == "completed" && j.location != "":
			return j.location, nil
		case j.status == "failed":
			return "", p.failed(j)
		}
		if err := sleep(ctx, max(delay, j.left)); err != nil {
			return "", err
		}
		delay = min(delay*3/2, maxPoll)
	}
}

// failed is the error of an export that failed. One of an earlier run is no
// reason not to begin another.
func (p *pass) failed(j job) error {
	err := fmt.Errorf("%w: Auth0 says %q", ErrExport, j.details)
	if !p.fresh {
		return fmt.Errorf("%w (%w)", errStale, err)
	}
	return err
}

func isStatus(err error, status int) bool {
	var e *StatusError
	return errors.As(err, &e) && e.Status == status
}

// total is how many users the tenant's search counts, -1 where it does not say.
func (u *Users) total(ctx context.Context) (int64, error) {
	body, _, err := u.client.do(ctx, call{path: []string{"users"}, scope: "read:users", query: url.Values{
		"page": {"0"}, "per_page": {"1"}, "include_totals": {"true"},
		"fields": {"user_id"}, "include_fields": {"true"},
	}})
	if err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	root := gjson.ParseBytes(body)
	if total := root.Get("total"); total.Exists() {
		return total.Int(), nil
	}
	list := root
	if !root.IsArray() {
		list = root.Get("users")
	}
	if len(list.Array()) > 0 {
		return -1, nil
	}
	return 0, nil
}
