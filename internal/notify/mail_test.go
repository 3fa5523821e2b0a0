package notify_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/idtrail/idtrail/internal/notify"
)

// postbox is a mail server that wants a password.
type postbox struct {
	mu    sync.Mutex
	mails []letter
	// full refuses whatever is sent; open wants no password.
	full, open bool
}

type letter struct {
	from string
	to   []string
	text string
}

// NewSession is smtp's.
func (p *postbox) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{box: p, in: p.open}, nil
}

type session struct {
	box  *postbox
	in   bool
	mail letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.in = user == "idtrail" && password == secret; !s.in {
			return errors.New("no entry for " + user + " with " + password)
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	s.mail.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.full {
		return &smtp.SMTPError{Code: 552, Message: "you called with " + secret}
	}
	s.mail.text = string(text)
	s.box.mails = append(s.box.mails, s.mail)
	return nil
}

func (s *session) Reset()        { s.mail = letter{} }
func (s *session) Logout() error { return nil }

// serve runs the server, with STARTTLS, or TLS from the start, or neither.
func (p *postbox) serve(t *testing.T, conf *tls.Config, implicit bool) (address string) {
	t.Helper()
	s := smtp.NewServer(p)
	s.TLSConfig, s.AllowInsecureAuth = conf, conf == nil
	s.ErrorLog = silence{}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if implicit {
		l = tls.NewListener(l, conf)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	return address
}

// silence logs nothing.
type silence struct{}

func (silence) Printf(string, ...any) {}
func (silence) Println(...any)        {}

// certified are settings for a server of 127.0.0.1, and for a client that trusts it.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func TestMail(t *testing.T) {
	conf, trust := certified(t)
	for _, tt := range []struct {
		name, scheme string
		server       *tls.Config
	}{{"from the start", "smtps", conf}, {"once connected", "smtp", conf}, {"not at all, on this machine", "smtp", nil}} {
		t.Run(tt.name, func(t *testing.T) {
			box := &postbox{open: tt.server == nil}
			address := box.serve(t, tt.server, tt.scheme == "smtps")
			user := "idtrail:" + secret + "@"
			if box.open {
				user = ""
			}
			m := notify.Mail{URL: tt.scheme + "://" + user + address, From: "Idtrail <idtrail@example.com>", To: []string{"a@example.com", "b@example.com"}, TLS: trust}
			if err := m.Send(t.Context(), message()); err != nil {
				silent(t, err)
				t.Fatal(err)
			}
			if len(box.mails) != 1 || box.mails[0].from != "idtrail@example.com" || len(box.mails[0].to) != 2 {
				t.Fatalf("got %+v", box.mails)
			}
			checkLetter(t, box.mails[0].text)
		})
	}
}

func checkLetter(t *testing.T, text string) {
	t.Helper()
	got, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Subject": "idtrail: trouble: 1 new", "To": "<a@example.com>, <b@example.com>", "Auto-Submitted": "auto-generated", "Bcc": "",
		"Date": noon.Format(time.RFC1123Z),
	} {
		if h := got.Header.Get(name); h != want {
			t.Errorf("%s: got %q, want %q", name, h, want)
		}
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil || !strings.Contains(string(body), "FAILURE: source acme failed: odd & (!channel)") {
		t.Errorf("got %v, %s", err, body)
	}
	harmless(t, string(body))
}

// TestMailFails: each failure says what it is, and shows neither the password nor
// what the server said.
func TestMailFails(t *testing.T) {
	conf, trust := certified(t)
	good := func(scheme, address string) notify.Mail {
		return notify.Mail{URL: scheme + "://idtrail:" + secret + "@" + address, From: "i@example.com", To: []string{"a@example.com"}, TLS: trust}
	}
	full := &postbox{full: true}
	wrong := good("smtps", (&postbox{}).serve(t, conf, true))
	wrong.URL = strings.Replace(wrong.URL, "idtrail:", "idtrail:not", 1)
	untrusted := good("smtps", (&postbox{}).serve(t, conf, true))
	untrusted.TLS = nil
	anonymous := good("smtps", (&postbox{}).serve(t, conf, true))
	anonymous.URL = strings.Replace(anonymous.URL, "idtrail:"+secret+"@", "", 1)
	open := &postbox{}
	for name, tt := range map[string]struct {
		m    notify.Mail
		want string
	}{
		"a full box":              {good("smtps", full.serve(t, conf, true)), "the mail server answered 552"},
		"a wrong password":        {wrong, "the mail server answered 454"},
		"no password":             {anonymous, "the mail server answered 502"},
		"nobody there":            {good("smtp", "127.0.0.1:1"), "no connection to the receiver: connection refused"},
		"nobody we know":          {untrusted, "certificate"},
		"a password in the clear": {good("smtp", open.serve(t, nil, false)), "does it offer TLS"},
		"no TLS where said":       {good("smtps", (&postbox{}).serve(t, nil, false)), "TLS"},
	} {
		err := tt.m.Send(t.Context(), message())
		silent(t, err)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}
