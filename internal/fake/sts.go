package fake

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AssumedKey begins the access keys that [STS] gives out. What follows is the
// name of the role.
const AssumedKey = "ASIA"

// STSOptions say which roles [STS] gives.
type STSOptions struct {
	// Roles are the external ids that the trust policies want, by the roles' ARNs;
	// "" wants none.
	Roles map[string]string
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
}

// STSCall is what was asked of AssumeRole.
type STSCall struct {
	RoleARN, Session, ExternalID string
	Duration                     time.Duration
	// Region the call was signed for.
	Region string
}

// STS is the Security Token Service, as far as roles are assumed: an
// http.Handler. It may be used concurrently. Signatures are not checked, but have
// to be there.
type STS struct {
	opts STSOptions

	mu    sync.Mutex
	calls []STSCall
}

var _ http.Handler = (*STS)(nil)

// NewSTS makes one.
func NewSTS(opts STSOptions) *STS {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &STS{opts: opts}
}

// Calls returns the calls so far, oldest first.
func (s *STS) Calls() []STSCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// ServeHTTP answers AssumeRole.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	form, err := url.ParseQuery(string(body))
	region, service := signedFor(r)
	seconds, durationErr := strconv.Atoi(form.Get("DurationSeconds"))
	switch {
	case err != nil || form.Get("Action") != "AssumeRole":
		stsError(w, http.StatusBadRequest, "InvalidAction")
		return
	case service != "sts":
		stsError(w, http.StatusForbidden, "IncompleteSignature")
		return
	case durationErr != nil || seconds < 900 || seconds > 12*3600 || form.Get("RoleSessionName") == "":
		stsError(w, http.StatusBadRequest, "ValidationError")
		return
	}
	call := STSCall{
		RoleARN: form.Get("RoleArn"), Session: form.Get("RoleSessionName"), ExternalID: form.Get("ExternalId"),
		Duration: time.Duration(seconds) * time.Second, Region: region,
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	if want, ok := s.opts.Roles[call.RoleARN]; !ok || want != call.ExternalID {
		stsError(w, http.StatusForbidden, "AccessDenied")
		return
	}
	s.assume(w, call)
}

type stsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func (s *STS) assume(w http.ResponseWriter, call STSCall) {
	type result struct {
		Credentials stsCredentials
	}
	body, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"AssumeRoleResponse"`
		Result  result   `xml:"AssumeRoleResult"`
	}{Result: result{stsCredentials{
		AccessKeyID:     AssumedKey + call.RoleARN[strings.LastIndexByte(call.RoleARN, '/')+1:],
		SecretAccessKey: "secret", SessionToken: "token",
		Expiration: s.opts.Now().Add(call.Duration).UTC().Format(time.RFC3339),
	}}})
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(body)
}

func stsError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>"+code+"</Code><Message>no</Message></Error></ErrorResponse>")
}
