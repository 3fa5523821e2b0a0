package notify

import (
	"context"
	"net/http"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"
)

// Slack sends to an incoming webhook.
type Slack struct {
	URL    string
	Client *http.Client
}

// Send sends one message of plain text: in it, nothing is a mention or a link.
// Its blocks are well below what Slack takes of them, 3000 characters each.
// https://docs.slack.dev/reference/block-kit/blocks/section-block
func (s Slack) Send(ctx context.Context, m Message) error {
	off := false
	blocks := []slack.Block{slack.NewHeaderBlock(plainText(m.Title))}
	for _, line := range m.Lines {
		blocks = append(blocks, slack.NewSectionBlock(plainText(line), nil, nil))
	}
	blocks = append(blocks, slack.NewContextBlock("", plainText(m.From)))
	return call(ctx, s.Client, func(c *http.Client) error {
		return slack.PostWebhookCustomHTTPContext(ctx, s.URL, c, &slack.WebhookMessage{
			Text:   slackutilsx.EscapeMessage(m.Title + "\n" + m.text()), // for notifications, and where blocks are not shown
			Blocks: &slack.Blocks{BlockSet: blocks}, UnfurlLinks: &off, UnfurlMedia: &off,
		})
	})
}

func plainText(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, slackutilsx.EscapeMessage(text), false, false)
}
