package fake

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
)

// ProxyOptions say what [Proxy] lets through.
type ProxyOptions struct {
	// Hosts are the addresses of what may be reached, by host:port as clients ask
	// for it. They may be names that nobody else knows.
	Hosts map[string]string
	// User and Password are wanted of every client, where User is set.
	User, Password string
}

// Proxy is a proxy for HTTPS: it answers CONNECT, and nothing else. It may be
// used concurrently.
type Proxy struct {
	opts ProxyOptions

	mu    sync.Mutex
	asked []string
}

var _ http.Handler = (*Proxy)(nil)

// NewProxy makes one.
func NewProxy(opts ProxyOptions) *Proxy { return &Proxy{opts: opts} }

// Asked are the hosts that were asked for, each once, in the order they came.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// ServeHTTP opens a tunnel, and returns when it is closed.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, known := p.opts.Hosts[r.Host]
	p.note(r.Host)
	switch {
	case r.Method != http.MethodConnect:
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
	case p.opts.User != "" && r.Header.Get("Proxy-Authorization") != p.want():
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
	case !known:
		http.Error(w, "not allowed", http.StatusForbidden)
	default:
		p.tunnel(w, r, address)
	}
}

func (p *Proxy) want() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.opts.User+":"+p.opts.Password))
}

func (p *Proxy) note(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.asked, host) {
		p.asked = append(p.asked, host)
	}
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, address string) {
	var dialer net.Dialer
	far, err := dialer.DialContext(r.Context(), "tcp", address)
	if err != nil {
		http.Error(w, "no connection", http.StatusBadGateway)
		return
	}
	defer func() { _ = far.Close() }()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "no tunnel", http.StatusInternalServerError)
		return
	}
	defer func() { _ = near.Close() }()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { relay(far, buffered) })
	both.Go(func() { relay(near, far) })
	both.Wait()
}

// relay copies until one side ends, and tells the other.
func relay(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
