package auth0

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxLine bounds a user. Profiles have at most 1 MB.
	maxLine = 16 << 20
	// keptOfLine is what is kept of a line that is longer.
	keptOfLine = 64 << 10
	lineBuffer = 64 << 10
)

var (
	// errCut says that a file ended before its end.
	errCut = errors.New("the file ends too early")
	// errEnd says that a file was read to its proven end. It is not io.EOF, which
	// is also what a connection that was closed says.
	errEnd = errors.New("end of file")
	// errLong says that a line is no user: the rest of it is skipped.
	errLong = errors.New("line is longer than 16 MiB")
)

// file is an export that is being downloaded: one user a line.
type file struct {
	lines *bufio.Reader
	line  []byte
	// at counts the lines given, sum is over them.
	at   int64
	sum  hash.Hash
	stop func()
}

// open begins to download an export. The link is a signature by itself: no token
// goes with it, and it stands in no error.
func (u *Users) open(ctx context.Context, link string) (*file, error) {
	target, err := u.checkLink(link)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	guard := &guard{timeout: u.opts.Timeout, cancel: cancel}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		cancel()
		return nil, errors.New("export has a link that is none")
	}
	req.Header.Set("User-Agent", userAgent)
	// Asked for by ourselves, gzip is not undone on the way: whether the file is
	// compressed is seen by its first bytes, whatever the header says.
	req.Header.Set("Accept-Encoding", "gzip")
	var res *http.Response
	err = guard.during(func() (err error) {
		res, err = u.download.Do(req) //nolint:bodyclose // closed by stop
		return err
	})
	if err != nil {
		cancel()
		return nil, strip(err)
	}
	stop := func() {
		cancel()
		_ = res.Body.Close()
	}
	f, err := newFile(res, guard)
	if err != nil {
		stop()
		return nil, err
	}
	f.stop = stop
	return f, nil
}

// checkLink refuses a link that would show the users to the network.
func (u *Users) checkLink(link string) (*url.URL, error) {
	target, err := url.Parse(link)
	if err != nil || target.Host == "" || target.User != nil {
		return nil, errors.New("export has a link that is none")
	}
	if err := u.mayFetch(target); err != nil {
		return nil, err
	}
	return target, nil
}

// follow checks where a link leads to, and does not hand it on.
func (u *Users) follow(req *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("export's link leads nowhere")
	}
	req.Header.Del("Referer")
	return u.mayFetch(req.URL)
}

func (u *Users) mayFetch(target *url.URL) error {
	local := u.client.base.Scheme == "http" && loopback(target.Hostname())
	if target.Scheme != "https" && (target.Scheme != "http" || !local) {
		return fmt.Errorf("export lies at %s, not behind https", target.Host)
	}
	return nil
}

// guard ends a download on which nothing comes for too long. Time that passes
// between reads is ours, not the server's.
type guard struct {
	timeout time.Duration
	cancel  context.CancelFunc
}

func (g *guard) during(f func() error) error {
	fired := make(chan struct{})
	t := time.AfterFunc(g.timeout, func() {
		close(fired)
		g.cancel()
	})
	err := f()
	if t.Stop() || err == nil {
		return err
	}
	<-fired
	return fmt.Errorf("nothing came for %s", g.timeout)
}

// body is what the server sends, guarded, and held to the length it announced.
type body struct {
	io.Reader
	guard *guard
	left  int64
}

func (b *body) Read(p []byte) (n int, err error) {
	err = b.guard.during(func() (err error) {
		n, err = b.Reader.Read(p)
		return err
	})
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		return n, errCut
	}
	return n, err
}

func newFile(res *http.Response, g *guard) (*file, error) {
	if res.StatusCode != http.StatusOK {
		return nil, &StatusError{Status: res.StatusCode}
	}
	raw := bufio.NewReaderSize(&body{Reader: res.Body, guard: g, left: res.ContentLength}, lineBuffer)
	plain, zipped, err := unzip(raw)
	if err != nil {
		return nil, err
	}
	if !zipped && res.ContentLength < 0 && res.ProtoMajor == 1 && len(res.TransferEncoding) == 0 {
		return nil, errors.New("the server does not tell where the file ends")
	}
	return &file{lines: bufio.NewReaderSize(plain, lineBuffer), sum: sha256.New()}, nil
}

// unzip sees gzip by its first bytes, also gzip within gzip: a compressed file
// that was compressed again on the way.
func unzip(r *bufio.Reader) (io.Reader, bool, error) {
	for depth := 0; ; depth++ {
		head, err := r.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, fmt.Errorf("read export: %w", err)
		}
		if depth == 2 || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
			return r, depth > 0, nil
		}
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, false, fmt.Errorf("read export: %w", err)
		}
		r = bufio.NewReaderSize(z, lineBuffer)
	}
}

// next returns the next line, good until the call after it; errEnd only at the
// proven end of a whole file. errLong comes with the beginning of the line.
func (f *file) next() ([]byte, error) {
	for {
		line, ended, err := f.readLine()
		if err != nil && !errors.Is(err, errLong) {
			return nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 && err == nil {
			continue
		}
		if !ended && err == nil && !json.Valid(line) {
			return nil, errCut
		}
		f.at++
		f.sum.Write(line)
		f.sum.Write([]byte{'\n'})
		return line, err
	}
}

// readLine reads up to the next line feed; ended is false where the file ends
// without one.
func (f *file) readLine() (line []byte, ended bool, err error) {
	f.line = f.line[:0]
	long := false
	for {
		part, err := f.lines.ReadSlice('\n')
		if long = long || len(f.line)+len(part) > maxLine; long {
			f.line = append(f.line, part...)[:keptOfLine]
		} else {
			f.line = append(f.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(f.line) > 0, err == nil:
			if long {
				return f.line, true, errLong
			}
			return f.line, err == nil, nil
		case errors.Is(err, io.EOF):
			return nil, false, errEnd
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, false, errCut
		default:
			return nil, false, err
		}
	}
}

// mark is a hash of the lines given so far.
func (f *file) mark() string { return hex.EncodeToString(f.sum.Sum(nil)[:8]) }
