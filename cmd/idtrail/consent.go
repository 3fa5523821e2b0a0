package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/idtrail/idtrail/internal/config"
)

// consent asks whoever is at the terminal whether what was shown is to be done.
// Off a terminal, where nobody is, --yes has to say so.
func (a *app) consent(ctx context.Context, yes bool) error {
	if yes {
		return nil
	}
	f, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("look at it with --dry-run where there is one, and add --yes", "this changes what is kept, and there is no terminal to ask at")
	}
	if _, err := fmt.Fprint(a.Err, "Go on? [no] "); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read answer: %w", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return &exitError{code: exitFailed, err: errors.New("nothing was changed"), hint: "answer yes to go on"}
	}
	return nil
}

// sourceOf is a source of the config, by its name.
func sourceOf(c *config.Config, name string) (config.Source, error) {
	s, ok := c.Source(name)
	if !ok {
		return s, usage("known: "+strings.Join(sourceNames(c), ", "), "there is no source %s", printable(name))
	}
	return s, nil
}

// sourcesOf are the sources named, or all.
func sourcesOf(c *config.Config, names []string) ([]config.Source, error) {
	if len(names) == 0 {
		return c.Sources, nil
	}
	sources := make([]config.Source, len(names))
	for i, name := range names {
		var err error
		if sources[i], err = sourceOf(c, name); err != nil {
			return nil, err
		}
	}
	return sources, nil
}
