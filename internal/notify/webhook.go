package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/idtrail/idtrail/load/stream"
)

// Webhook posts JSON of our own form.
type Webhook struct {
	URL string
	// Authorization is the header of that name, if it is not empty.
	Authorization string
	Client        *http.Client
}

// webhookBody is what a webhook is sent; docs/MONITORING.md shows it.
type webhookBody struct {
	Title string    `json:"title"`
	Text  string    `json:"text"`
	From  string    `json:"from"`
	At    time.Time `json:"at"`
	Test  bool      `json:"test,omitempty"`
	News  []News    `json:"news"`
}

// Send sends one message.
func (w Webhook) Send(ctx context.Context, m Message) error {
	body := webhookBody{Title: m.Title, Text: m.text(), From: m.From, At: m.At, Test: m.Test, News: m.News}
	if body.News == nil {
		body.News = []News{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return errNotSent
	}
	return call(ctx, w.Client, func(c *http.Client) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(text))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		if w.Authorization != "" {
			r.Header.Set("Authorization", w.Authorization)
		}
		return post(c, r)
	})
}

// post sends a request whose answer nobody reads.
func post(c *http.Client, r *http.Request) error {
	r.Header.Set("User-Agent", "idtrail")
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	stream.Drain(answer.Body)
	return answer.Body.Close()
}
