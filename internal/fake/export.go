package fake

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"
)

// The paths of exports of users.
const (
	ExportsPath = "/api/v2/jobs/users-exports"
	// ExportFilePath is where the files lie: behind a signature, and for nobody
	// who shows a token.
	ExportFilePath = "/exports/users.json.gz"
)

const (
	linkLife = time.Minute
	jobLife  = 24 * time.Hour
)

// ExportOptions say how exports go. The zero value is done at once and gives a
// gzip file.
type ExportOptions struct {
	// Takes is how long one is pending, and LeftSeconds whether the job says how
	// long it will still be.
	Takes       time.Duration
	LeftSeconds bool
	// Fails makes it fail, with this as status_details.
	Fails string
	// Plain gives a file that is not compressed; Header says Content-Encoding:
	// gzip of one that is.
	Plain, Header bool
}

type exportJob struct {
	id      string
	created time.Time
	fields  [][2]string // name, and as what it is exported
	tokens  bool        // of identity providers
}

// JobPath is the path of an export job: the n-th, from 1.
func JobPath(n int) string { return "/api/v2/jobs/" + jobID(n) }

func jobID(n int) string { return fmt.Sprintf("job_export%012d", n) }

// createExport starts a job. Like Auth0, it exports a few fields under names for
// people when none is asked for.
func (a *Auth0) createExport(q query) answer {
	var in struct {
		Format string `json:"format"`
		Fields []struct {
			Name     string `json:"name"`
			ExportAs string `json:"export_as"`
		} `json:"fields"`
	}
	text, err := io.ReadAll(io.LimitReader(q.r.Body, 1<<20))
	if err != nil || json.Unmarshal(text, &in) != nil || in.Format != "json" {
		return apiError(http.StatusBadRequest, "Payload validation error", "invalid_body")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	j := exportJob{id: jobID(len(a.jobs) + 1), created: a.opts.Now(), tokens: slices.Contains(q.scopes, "read:user_idp_tokens")}
	for _, f := range in.Fields {
		as := f.ExportAs
		if as == "" {
			as = f.Name
		}
		j.fields = append(j.fields, [2]string{f.Name, as})
	}
	if len(j.fields) == 0 {
		j.fields = [][2]string{{"user_id", "Id"}, {"given_name", "Given Name"}, {"family_name", "Family Name"}, {"email", "Email"}}
	}
	a.jobs[j.id] = j
	return jobAnswer(map[string]any{"id": j.id, "type": "users_export", "status": "pending", "format": "json", "created_at": iso(j.created)})
}

func jobAnswer(job map[string]any) answer {
	body, _ := json.Marshal(job)
	return answer{status: http.StatusOK, header: jsonHeader(), body: body}
}

// readJob tells how a job stands, and gives a link that is good for a minute.
func (a *Auth0) readJob(q query) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	j, ok := a.jobs[q.arg]
	age := a.opts.Now().Sub(j.created)
	if !ok || age >= jobLife {
		return apiError(http.StatusNotFound, "The job does not exist", "inexistent_job")
	}
	out := map[string]any{"id": j.id, "type": "users_export", "status": "pending", "format": "json", "created_at": iso(j.created)}
	switch {
	case age < a.opts.Export.Takes:
		out["percentage_done"] = int(100 * age / a.opts.Export.Takes)
		if a.opts.Export.LeftSeconds {
			out["time_left_seconds"] = int((a.opts.Export.Takes - age).Seconds())
		}
	case a.opts.Export.Fails != "":
		out["status"], out["status_details"] = "failed", a.opts.Export.Fails
	default:
		out["status"], out["percentage_done"], out["location"] = "completed", 100, a.link(q.r, j.id)
	}
	return jobAnswer(out)
}

func (a *Auth0) link(r *http.Request, job string) string {
	expires := strconv.FormatInt(a.opts.Now().Add(linkLife).Unix(), 10)
	u := url.URL{Scheme: scheme(r), Host: r.Host, Path: ExportFilePath}
	u.RawQuery = url.Values{"job": {job}, "Expires": {expires}, "Signature": {signature(job, expires)}}.Encode()
	return u.String()
}

// signature is what makes a link one that this server gave.
func signature(words ...string) string {
	h := fnv.New128a()
	_, _ = fmt.Fprint(h, "export link", words)
	return fmt.Sprintf("sIgn4ture%x", h.Sum(nil))
}

// exportFile answers as a store of files does that is reached by signed links.
func (a *Auth0) exportFile(r *http.Request) answer {
	q := r.URL.Query()
	expires, err := strconv.ParseInt(q.Get("Expires"), 10, 64)
	a.mu.Lock()
	defer a.mu.Unlock()
	j, ok := a.jobs[q.Get("job")]
	switch now := a.opts.Now(); {
	case r.Method != http.MethodGet:
		return storeError(http.StatusMethodNotAllowed, "MethodNotAllowed")
	case r.Header.Get("Authorization") != "":
		return storeError(http.StatusBadRequest, "InvalidArgument")
	case err != nil || q.Get("Signature") != signature(q.Get("job"), q.Get("Expires")):
		return storeError(http.StatusForbidden, "SignatureDoesNotMatch")
	case now.Unix() > expires:
		return storeError(http.StatusForbidden, "AccessDenied")
	case !ok || now.Sub(j.created) >= jobLife:
		return storeError(http.StatusNotFound, "NoSuchKey")
	}
	h := http.Header{"Content-Type": {"application/octet-stream"}}
	if a.opts.Export.Header && !a.opts.Export.Plain {
		h.Set("Content-Encoding", "gzip")
	}
	return answer{status: http.StatusOK, header: h, stream: func(w io.Writer) error { return a.writeExport(w, j) }}
}

func storeError(status int, code string) answer {
	return answer{
		status: status, header: http.Header{"Content-Type": {"application/xml"}},
		body: []byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code></Error>`),
	}
}

func (a *Auth0) writeExport(w io.Writer, j exportJob) error {
	if a.opts.Export.Plain {
		return a.writeLines(w, j)
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if err := a.writeLines(z, j); err != nil {
		return err
	}
	return z.Close()
}

func (a *Auth0) writeLines(w io.Writer, j exportJob) error {
	out := bufio.NewWriterSize(w, 64<<10)
	for line := range a.users() {
		if _, err := out.Write(append(j.pick(line), '\n')); err != nil {
			return fmt.Errorf("write export: %w", err)
		}
	}
	return out.Flush()
}

// pick makes a user of the fields that were asked for. What is no JSON object is
// left as it is.
func (j exportJob) pick(line []byte) []byte {
	root := gjson.ParseBytes(line)
	if !json.Valid(line) || !root.IsObject() {
		return slices.Clone(line)
	}
	out := []byte{'{'}
	root.ForEach(func(name, value gjson.Result) bool {
		i := slices.IndexFunc(j.fields, func(f [2]string) bool { return f[0] == name.Str })
		if i < 0 {
			return true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), j.fields[i][1]...), '"', ':')
		if name.Str == "identities" && !j.tokens && strings.Contains(value.Raw, "token") {
			out = append(out, withoutTokens(value)...)
		} else {
			out = append(out, value.Raw...)
		}
		return true
	})
	return append(out, '}')
}

func withoutTokens(identities gjson.Result) []byte {
	var out bytes.Buffer
	out.WriteByte('[')
	for i, identity := range identities.Array() {
		if i > 0 {
			out.WriteByte(',')
		}
		kept := map[string]json.RawMessage{}
		for name, value := range identity.Map() {
			if !strings.Contains(name, "token") {
				kept[name] = json.RawMessage(value.Raw)
			}
		}
		text, _ := json.Marshal(kept)
		out.Write(text)
	}
	out.WriteByte(']')
	return out.Bytes()
}
