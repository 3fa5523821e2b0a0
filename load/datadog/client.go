package datadog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"

	"github.com/idtrail/idtrail/load/stream"
)

const (
	logsPath     = "/api/v2/logs"
	seriesPath   = "/api/v2/series"
	checkPath    = "/api/v1/check_run"
	validatePath = "/api/v1/validate"
)

// logsOperation names the intake in the vendor's table of servers.
const logsOperation = "v2.LogsApi.SubmitLog"

// client makes the calls. Of the vendor's client it uses the core alone: its
// packages of all operations take minutes and gigabytes to compile, for the four
// calls made here. What is repeated, and when, package stream decides; the
// vendor's own retries stay off.
type client struct {
	api  *datadog.APIClient
	keys map[string]datadog.APIKey
	// logs is the intake's address, base what the other calls' paths stand below.
	logs, base string
	// explain tells what an answer means for this sink.
	explain explainer
	packer  *packer
}

// Sites returns the sites the vendor's client knows.
func Sites() []string {
	servers := datadog.NewConfiguration().OperationServers[logsOperation]
	return servers[0].Variables["site"].EnumValues
}

func newClient(o Options) (*client, error) {
	c := &client{explain: explainer{sink: o.Name, site: o.Site, timeout: o.Timeout}, packer: newPacker()}
	cfg := datadog.NewConfiguration()
	if err := c.locate(cfg, o); err != nil {
		return nil, err
	}
	key := strings.TrimSpace(o.APIKey)
	switch {
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("api_key holds characters that no key has")
	case key == "" && o.URL == "":
		return nil, errors.New("api_key is empty")
	case key != "":
		c.keys = map[string]datadog.APIKey{"apiKeyAuth": {Key: key}}
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = "idtrail " + cfg.UserAgent
	cfg.HTTPClient = &http.Client{
		Transport: transport,
		Timeout:   o.Timeout,
		// The key would follow to wherever a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.api = datadog.NewAPIClient(cfg)
	return c, nil
}

func (c *client) locate(cfg *datadog.Configuration, o Options) error {
	if (o.Site == "") == (o.URL == "") {
		return errors.New("give either a site or a url")
	}
	if o.URL != "" {
		base, err := baseURL(o.URL)
		c.base, c.logs = base, base+logsPath
		return err
	}
	site := map[string]string{"site": o.Site}
	ctx := context.WithValue(context.Background(), datadog.ContextServerVariables, site)
	logs, err := cfg.ServerURLWithContext(ctx, logsOperation)
	if err != nil {
		return fmt.Errorf("site %q is none of %s", o.Site, strings.Join(Sites(), ", "))
	}
	base, err := cfg.ServerURL(0, site)
	if err != nil {
		return fmt.Errorf("find the API of site %q: %w", o.Site, err)
	}
	c.base, c.logs = base, logs+logsPath
	return nil
}

// baseURL returns the address without a slash at its end. The intake's whole
// address is taken too: it is what many pages show.
func baseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("url is no address like https://host/path")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("url has a user, a query or a fragment; only host and path are taken")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return "", errors.New("url is not https; plain http is taken on loopback only, it would send the key in the clear")
	}
	base := strings.TrimRight(u.String(), "/")
	return strings.TrimRight(strings.TrimSuffix(base, logsPath), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(o Options) (http.RoundTripper, error) {
	if o.Transport != nil {
		return o.Transport, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CAPEM) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(o.CAPEM) {
			return nil, errors.New("the CA file holds no certificate")
		}
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       90 * time.Second,
	}, nil
}

// post sends a JSON body, compressed, and says what became of it.
func (c *client) post(ctx context.Context, address string, body []byte) stream.Answer {
	resp, err := c.call(ctx, http.MethodPost, address, body)
	if err != nil {
		return c.explain.failure(ctx, err)
	}
	defer drain(resp)
	// The status alone decides: an answer accepted is often followed by a body
	// that is not the documented one.
	return c.explain.answer(resp)
}

// call makes one call. A body is sent as it is, compressed.
func (c *client) call(ctx context.Context, method, address string, body []byte) (*http.Response, error) {
	ctx = context.WithValue(ctx, datadog.ContextAPIKeys, c.keys)
	headers := map[string]string{"Accept": "application/json"}
	datadog.SetAuthKeys(ctx, &headers, [2]string{"apiKeyAuth", "DD-API-KEY"})
	var content any
	if body != nil {
		small, free, err := c.packer.pack(body)
		if err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		// The vendor's client makes its own copy of it.
		defer free()
		content, headers["Content-Type"] = small, "application/json"
	}
	req, err := c.api.PrepareRequest(ctx, address, method, content, headers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		// Told before, the vendor's client would compress it again.
		req.Header.Set("Content-Encoding", "gzip")
	}
	return c.api.CallAPI(req)
}

// drain reads what little there is of an answer, so that its connection is used
// again, and shows it to nobody.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}
