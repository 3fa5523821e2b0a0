package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// progressDelay keeps what is done at once from flickering.
	progressDelay = time.Second
	// progressEvery is the time between two writings: 5 Hz.
	progressEvery = 200 * time.Millisecond
	defaultWidth  = 80
)

// console is stderr: log lines, and below them on a terminal one line of
// progress that is written over. It may be used by several goroutines.
type console struct {
	w        io.Writer
	now      func() time.Time
	terminal bool
	fd       int

	mu     sync.Mutex
	silent bool
	begun  time.Time
	last   time.Time
	// line is what stands there now, unfinished.
	line string
}

func newConsole(w io.Writer, now func() time.Time) *console {
	c := &console{w: w, now: now}
	if f, ok := w.(*os.File); ok {
		c.fd = int(f.Fd())
		c.terminal = term.IsTerminal(c.fd)
	}
	return c
}

// Write writes log lines, above the line of progress.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
	return c.w.Write(p)
}

// progress shows a line, if there is a terminal, a second has passed since the
// first call and a fifth of one since the last line.
func (c *console) progress(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.terminal || c.silent {
		return
	}
	now := c.now()
	if c.begun.IsZero() {
		c.begun = now
	}
	if now.Sub(c.begun) < progressDelay || now.Sub(c.last) < progressEvery {
		return
	}
	c.last = now
	c.wipe()
	c.line = fit(printable(fmt.Sprintf(format, args...)), c.width()-1)
	_, _ = io.WriteString(c.w, c.line) // nothing depends on a line of progress
}

// during shows a line while work goes on, even if it waits for an answer all the
// time. The line is asked for anew whenever it is written.
func (c *console) during(line func() string, work func()) {
	if !c.terminal {
		work()
		return
	}
	done := make(chan struct{})
	var ticking sync.WaitGroup // the ticks must not outlive the work: its results follow
	ticking.Go(func() { c.tick(line, done) })
	defer func() {
		close(done)
		ticking.Wait()
		c.clear()
	}()
	work()
}

func (c *console) tick(line func() string, done <-chan struct{}) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		c.progress("%s", line())
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

// clear takes the line of progress away. A next one begins anew.
func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
	c.begun = time.Time{}
}

// silence ends all progress.
func (c *console) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
	c.silent = true
}

func (c *console) wipe() {
	if c.line == "" {
		return
	}
	c.line = ""
	_, _ = io.WriteString(c.w, "\r\x1b[K") // back to the start, erase to the end
}

func (c *console) width() int {
	if w, _, err := term.GetSize(c.fd); err == nil && w > 1 {
		return w
	}
	return defaultWidth
}

// fit cuts a line to a number of characters.
func fit(line string, most int) string {
	if utf8.RuneCountInString(line) <= most {
		return line
	}
	return string([]rune(line)[:max(0, most-1)]) + "…"
}
