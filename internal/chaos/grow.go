package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

// crowd are the users of the Auth0 tenant: more every time.
type crowd struct {
	mu    sync.Mutex
	lines [][]byte
}

func (c *crowd) add(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
}

// all of them, as they are now.
func (c *crowd) all(yield func([]byte) bool) {
	c.mu.Lock()
	lines := slices.Clone(c.lines)
	c.mu.Unlock()
	for _, line := range lines {
		if !yield(line) {
			return
		}
	}
}

// grow lets something happen everywhere.
func (w *world) grow(n int) error {
	w.growLogs(n)
	for range 1 + w.chance.n(4) {
		w.growUser()
	}
	for range w.chance.n(6) {
		w.growHistory()
	}
	if w.chance.one(2) {
		if err := w.growOld(1 + w.chance.n(n)); err != nil {
			return err
		}
	}
	if w.chance.one(3) {
		return w.growFiles(1 + w.chance.n(20))
	}
	return nil
}

// growLogs has new records in the tenant's log, a few of which come late.
func (w *world) growLogs(n int) {
	for range n {
		back := w.chance.within(2 * time.Second)
		if w.chance.one(20) {
			back = w.chance.within(4 * time.Minute)
		}
		id, line := w.log(time.Now().Add(-back))
		w.truth.record("acme", id, line)
		w.auth0.Insert(line)
	}
}

// log is the next record of the tenant's, as if it happened at an instant.
func (w *world) log(at time.Time) (id string, line []byte) {
	for {
		line = w.tenant.Logs().Log(w.logs)
		w.logs++
		old, own := gjson.GetBytes(line, "log_id").String(), gjson.GetBytes(line, "_id").String()
		date := gjson.GetBytes(line, "date")
		// Records that are odd in their id or date are for other tests: here each
		// has to have its place in the order.
		if old == "" || own != "" && own != old || date.Type != gjson.String || !json.Valid(line) || len(line) > 50_000 {
			continue
		}
		at = at.UTC()
		id = fmt.Sprintf("900%s%03d%036d", at.Format("20060102150405"), at.Nanosecond()/1e6, w.minted.Add(1))
		line = bytes.ReplaceAll(line, []byte(old), []byte(id))
		line = bytes.ReplaceAll(line, []byte(date.Raw), []byte(at.Format(`"2006-01-02T15:04:05.000Z"`)))
		return id, line
	}
}

// growUser has one more user on each side.
func (w *world) growUser() {
	n := w.minted.Add(1)
	id, mail := fmt.Sprintf("auth0|%024x", n), fmt.Sprintf("user%d@example.com", n)
	w.truth.user("acme_users", id, time.Now())
	w.users.add(fmt.Appendf(nil, `{"user_id":%q,"email":%q,"email_verified":true,"name":"User %d","created_at":"2024-01-01T00:00:00.000Z","identities":[{"connection":"Username-Password-Authentication","provider":"auth0","user_id":"%024x","isSocial":false}]}`, id, mail, n, n))
	sub := fmt.Sprintf("%08x-0000-4000-8000-%012x", n*2654435761%(1<<32), n)
	w.truth.user("pool", sub, time.Now())
	record := fmt.Appendf(nil, `{"Username":%q,"Attributes":[{"Name":"sub","Value":%[1]q},{"Name":"email","Value":%[2]q},{"Name":"email_verified","Value":"true"}],"Enabled":true,"UserStatus":"CONFIRMED","UserCreateDate":1697284013.0,"UserLastModifiedDate":1697287613.0}`, sub, mail)
	w.cognito.Change(func() { w.pool.Add(record, time.Time{}) })
}

// growHistory has one more event in CloudTrail's history: not so young that it is
// left for later, and not so old that it is behind what is read again.
func (w *world) growHistory() {
	id := w.uuid()
	at := time.Now().Add(-4*time.Minute - w.chance.within(30*time.Minute))
	line := fake.TrailRecord(id, "cognito-idp.amazonaws.com", fake.Region, at)
	w.truth.record("history", id, line)
	w.trail.Add(time.Time{}, line)
}

func (w *world) uuid() string {
	return fmt.Sprintf("%08x-1111-4111-8111-%012x", w.seed%(1<<32), w.minted.Add(1))
}

// growOld has one more file of logs in the archive.
func (w *world) growOld(n int) error {
	var file bytes.Buffer
	for range n {
		id, line := w.log(time.Now().Add(-w.chance.within(48 * time.Hour)))
		w.truth.record("old", id, line)
		file.Write(line)
		file.WriteByte('\n')
	}
	return w.file("in/old", fmt.Sprintf("%06d.ndjson.gz", w.minted.Add(1)), fake.Gzip(file.Bytes()))
}

// growFiles has one more file of CloudTrail's: in a folder, and in the trail's
// bucket. Now and then an event stands in two of them.
func (w *world) growFiles(n int) error {
	now := time.Now()
	for _, source := range []string{"files", "trail"} {
		if source == "trail" && w.files == nil {
			continue
		}
		var lines [][]byte
		for range n {
			id := w.uuid()
			line := fake.TrailRecord(id, "s3.amazonaws.com", fake.Region, now.Add(-w.chance.within(10*time.Minute)))
			w.truth.record(source, id, line)
			lines = append(lines, line)
		}
		if again := w.truth.of(source); w.chance.one(3) {
			for _, line := range again {
				lines = append(lines, line)
				break
			}
		}
		if source == "trail" {
			if _, err := w.files.File(now, now.Add(-10*time.Minute), now, lines...); err != nil {
				return err
			}
			continue
		}
		content := append(append([]byte(`{"Records":[`), bytes.Join(lines, []byte(","))...), "]}"...)
		if err := w.file("in/files", fmt.Sprintf("%06d.json.gz", w.minted.Add(1)), fake.Gzip(content)); err != nil {
			return err
		}
	}
	return nil
}

// file gets its name when it is whole.
func (w *world) file(dir, name string, content []byte) error {
	whole := w.path("coming")
	if err := os.WriteFile(whole, content, 0o600); err != nil {
		return err
	}
	return os.Rename(whole, filepath.Join(w.path(dir), name))
}

// kindOf the records of a source.
func kindOf(source string) schema.Kind {
	switch source {
	case "acme", "old":
		return schema.KindAuth0Log
	default:
		return schema.KindCloudTrail
	}
}
