package notify

import (
	"context"
	"net/http"

	goteams "github.com/atc0005/go-teams-notify/v2"
	"github.com/atc0005/go-teams-notify/v2/adaptivecard"
)

// Teams sends an Adaptive Card to a workflow of Power Automate that posts what
// its webhook is sent.
type Teams struct {
	URL    string
	Client *http.Client
}

// Send sends one card.
func (t Teams) Send(ctx context.Context, m Message) error {
	card, err := adaptivecard.NewTextBlockCard(m.text(), m.Title, true)
	if err != nil {
		return errNotSent
	}
	message, err := adaptivecard.NewMessageFromCard(card)
	if err != nil {
		return errNotSent
	}
	return call(ctx, t.Client, func(c *http.Client) error {
		// Its list of known addresses lags behind, and the config has checked this one.
		client := goteams.NewTeamsClient().SetHTTPClient(c).SkipWebhookURLValidationOnSend(true)
		return client.SendWithContext(ctx, t.URL, message)
	})
}
