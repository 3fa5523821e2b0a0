package notify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Heartbeat is pinged as runs begin and end, by a watcher that tells when no ping
// comes: as healthchecks.io, and those that do as it does.
// https://healthchecks.io/docs/http_api/
type Heartbeat struct {
	URL string
	// Start pings URL/start when a run begins, Fail URL/fail when it fails; without
	// Fail nothing is sent then, and the watcher misses it.
	Start, Fail bool
	Client      *http.Client
}

// pingTimeout bounds one ping.
const pingTimeout = 10 * time.Second

// Begun says that a run has begun.
func (h Heartbeat) Begun(ctx context.Context) error {
	if !h.Start {
		return nil
	}
	return h.ping(ctx, "start", "")
}

// Ended says how a run ended; note is for whoever looks.
func (h Heartbeat) Ended(ctx context.Context, failed bool, note string) error {
	switch {
	case !failed:
		return h.ping(ctx, "", note)
	case h.Fail:
		return h.ping(ctx, "fail", note)
	default:
		return nil
	}
}

// ping never shows the URL: whoever knows it can keep an alarm from going off.
func (h Heartbeat) ping(ctx context.Context, signal, note string) error {
	u, err := url.Parse(h.URL)
	if err != nil {
		return errNotSent
	}
	if signal != "" {
		u = u.JoinPath(signal)
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err = call(ctx, h.Client, func(c *http.Client) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(note))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
		return post(c, r)
	})
	if err != nil {
		return fmt.Errorf("ping heartbeat: %w", err)
	}
	return nil
}
