package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

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
	gzip    stream.Compressor
}

// Sites returns the sites the vendor's client knows.
func Sites() []string {
	servers := datadog.NewConfiguration().OperationServers[logsOperation]
	return servers[0].Variables["site"].EnumValues
}

func newClient(o Options) (*client, error) {
	c := &client{explain: explainer{sink: o.Name, site: o.Site, now: o.Now}}
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
	var err error
	cfg.HTTPClient, err = stream.NewClient(stream.ClientOptions{CAPEM: o.CAPEM, Timeout: o.Timeout, Transport: o.Transport})
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = "idtrail " + cfg.UserAgent
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
	u, err := stream.ParseURL(text)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", errors.New("url holds a query; only host and path are taken")
	}
	base := strings.TrimRight(u.String(), "/")
	return strings.TrimRight(strings.TrimSuffix(base, logsPath), "/"), nil
}

// post sends a JSON body, compressed, and says what became of it.
func (c *client) post(ctx context.Context, address string, body []byte) stream.Answer {
	return c.postPacked(ctx, address, c.gzip.Compress(body))
}

// postPacked posts a body that is compressed.
func (c *client) postPacked(ctx context.Context, address string, packed []byte) stream.Answer {
	resp, err := c.call(ctx, http.MethodPost, address, packed)
	if err != nil {
		return stream.Unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer stream.Drain(resp.Body)
	// The status alone decides: an answer accepted is often followed by a body
	// that is not the documented one.
	return c.explain.answer(resp)
}

// call makes one call. A body is compressed already, nil if there is none.
func (c *client) call(ctx context.Context, method, address string, body []byte) (*http.Response, error) {
	ctx = context.WithValue(ctx, datadog.ContextAPIKeys, c.keys)
	headers := map[string]string{"Accept": "application/json"}
	datadog.SetAuthKeys(ctx, &headers, [2]string{"apiKeyAuth", "DD-API-KEY"})
	var content any
	if body != nil {
		content, headers["Content-Type"] = body, "application/json"
	}
	req, err := c.api.PrepareRequest(ctx, address, method, content, headers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		// Told before, the vendor's client would compress it again, by a library
		// that takes six times as long.
		req.Header.Set("Content-Encoding", "gzip")
	}
	return c.api.CallAPI(req)
}
