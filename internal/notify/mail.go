package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"strconv"

	"github.com/wneessen/go-mail"

	"github.com/idtrail/idtrail/load/stream"
)

// Mail sends by SMTP.
type Mail struct {
	// URL is smtps://user:password@host:465, or smtp:// for STARTTLS, which is
	// insisted on but on loopback; a password is never sent in the clear.
	URL  string
	From string
	To   []string
	// TLS are the settings of the connection; nil for the system's.
	TLS *tls.Config
}

// Send sends one mail to all.
func (m Mail) Send(ctx context.Context, msg Message) error {
	mail, err := m.compose(msg)
	if err != nil {
		return errNotSent
	}
	client, err := m.client()
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, mail); err != nil {
		return mailError(ctx, err)
	}
	return nil
}

func (m Mail) compose(msg Message) (*mail.Msg, error) {
	out := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(out.From(m.From), out.To(m.To...)); err != nil {
		return nil, err
	}
	out.Subject(msg.Title)
	out.SetDateWithValue(msg.At)
	// Nobody is to answer, and no absence note is to come back.
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetMessageID()
	out.SetBodyString(mail.TypeTextPlain, msg.text()+"\n")
	return out, nil
}

func (m Mail) client() (*mail.Client, error) {
	u, err := url.Parse(m.URL)
	if err != nil {
		return nil, errNotSent // its text would show the password
	}
	host := u.Hostname()
	o := []mail.Option{mail.WithTimeout(sendTimeout), mail.WithHELO("localhost")}
	switch {
	case u.Scheme == "smtps":
		o = append(o, mail.WithSSL(), mail.WithPort(465))
	case stream.Loopback(host):
		o = append(o, mail.WithTLSPolicy(mail.TLSOpportunistic), mail.WithPort(587))
	default:
		o = append(o, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithPort(587))
	}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		o = append(o, mail.WithPort(port))
	}
	if m.TLS != nil {
		conf := m.TLS.Clone()
		conf.ServerName = host
		o = append(o, mail.WithTLSConfig(conf))
	}
	if password, ok := u.User.Password(); ok {
		o = append(o, mail.WithUsername(u.User.Username()), mail.WithPassword(password), mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover))
	}
	client, err := mail.NewClient(host, o...)
	if err != nil {
		return nil, errNotSent
	}
	return client, nil
}

// mailError says what failed without what the server said: it may quote what it
// was sent.
func mailError(ctx context.Context, err error) error {
	var (
		reply *textproto.Error
		send  *mail.SendError
		op    *net.OpError
		cert  *tls.CertificateVerificationError
		plain tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &reply):
		return replyError(reply.Code)
	case errors.As(err, &send) && send.ErrorCode() != 0:
		return replyError(send.ErrorCode())
	case ctx.Err() != nil, errors.As(err, &op), errors.As(err, &cert), errors.As(err, &plain):
		return stream.Unanswered(ctx, err).Err
	default:
		return errors.New("the mail server does not take it: does it offer TLS, and a way to sign in?")
	}
}

func replyError(code int) error {
	text := fmt.Sprintf("the mail server answered %d", code)
	if code == 530 || code == 534 || code == 535 {
		text += ": are user and password right?"
	}
	return errors.New(text)
}
