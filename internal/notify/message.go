package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How much one message holds.
const (
	maxNews = 10
	maxText = 300
)

// Message is what is sent. Its texts are plain: they hold no markup.
type Message struct {
	Title string
	// Lines are the news for people, one each.
	Lines []string
	// News are the same for programs, all of them.
	News []News
	From string
	At   time.Time
	Test bool
}

func newMessage(from string, at time.Time, news []News) Message {
	m := Message{Title: title(news), News: news, From: from, At: at}
	for i, n := range news {
		if i == maxNews {
			m.Lines = append(m.Lines, fmt.Sprintf("And %d more: idtrail status shows them.", len(news)-maxNews))
			break
		}
		m.Lines = append(m.Lines, n.line())
	}
	return m
}

// title says how much there is of what.
func title(news []News) string {
	count := map[string]int{}
	for _, n := range news {
		count[n.State]++
	}
	var parts []string
	for _, part := range []struct{ state, what string }{{IsNew, "new"}, {IsChanged, "changed"}, {IsOver, "over"}} {
		if n := count[part.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.what))
		}
	}
	what := "troubles"
	if len(news) == 1 {
		what = "trouble"
	}
	return "idtrail: " + what + ": " + strings.Join(parts, ", ")
}

// line is one of the news for people.
func (n News) line() string {
	switch {
	case n.State == IsOver:
		return "OVER " + string(n.Kind) + ", since " + n.Since.Format(time.DateTime) + " UTC: " + n.Text
	case n.Do == "":
		return strings.ToUpper(string(n.Kind)) + ": " + n.Text
	default:
		return strings.ToUpper(string(n.Kind)) + ": " + n.Text + ". To do: " + n.Do
	}
}

// text is the whole message.
func (m Message) text() string {
	return strings.Join(m.Lines, "\n\n") + "\n\n" + m.From + ", " + m.At.Format(time.DateTime) + " UTC"
}

// plainer takes what chats and mail readers make something of: mentions, links,
// and the marks of Markdown and mrkdwn.
var plainer = strings.NewReplacer(
	"://", "[:]//", "www.", "www[.]", "@", "(at)", "<", "(", ">", ")", "](", "] (", "`", "'", "*", "+", "~~", "~", "__", "_",
)

// Plain makes text of strangers fit to be sent: one line, not too long, without
// control characters, and with nothing in it that a reader makes a mention, a
// link or a picture of.
func Plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, text)
	text = strings.TrimSpace(plainer.Replace(text))
	if utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText-1]) + "…"
	}
	return text
}
