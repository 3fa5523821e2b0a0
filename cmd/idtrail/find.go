package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

// findFlags are how find was called.
type findFlags struct {
	user, since, until string
	sources            []string
	limit              int
}

func (a *app) findCommand() *cobra.Command {
	var f findFlags
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Show what a person did, out of the lake",
		Long: `Find reads the events of one person back from the lake, of all sources, oldest
first. The person is named by an id, or by a user name or an e-mail address in
any case; who did something to the person is found too. It needs no other tool,
and no secret but the right to read the lake.`,
		Example: `  idtrail find --user jane@example.com --since 7d
  idtrail find --user 'auth0|5f7c8ec7c33c6c004bbafe82' --since 2026-11-01 --until 2026-11-08
  idtrail find --user jane@example.com --since 24h --json | jq .event.message`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.find(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.user, "user", "", "id, user name or e-mail address (required)")
	cmd.Flags().StringVar(&f.since, "since", "7d", "from when on: a span (7d, 36h) or a time")
	cmd.Flags().StringVar(&f.until, "until", "", "up to when: a span before now, or a time")
	cmd.Flags().StringSliceVar(&f.sources, "source", nil, "only these sources")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most so many events")
	return cmd
}

func (a *app) find(ctx context.Context, f findFlags) error {
	q, err := a.query(f)
	if err != nil {
		return err
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	store, err := a.builder(c).store(ctx, c.Lake)
	if err != nil {
		return fmt.Errorf("open lake: %w", err)
	}
	n := 0
	for found, err := range lake.Open(store).Find(ctx, q) {
		if err != nil {
			return err
		}
		a.term.clear()
		if err := a.printFound(found, n == 0); err != nil {
			return err
		}
		n++
	}
	if n == 0 && !a.json {
		return a.printf("nothing found of %s since %s\n", printable(q.User), q.Since.Format(time.RFC3339))
	}
	return nil
}

func (a *app) query(f findFlags) (lake.Query, error) {
	q := lake.Query{User: f.user, Sources: f.sources, Limit: f.limit}
	if f.user == "" {
		return q, usage("add --user with an id, a user name or an e-mail address", "find needs to know whom")
	}
	since, err := config.ParseSince(f.since)
	if err != nil {
		return q, usage("write a span like 7d, or a time like 2026-11-01", "--since: %w", err)
	}
	q.Since = since.At(a.Now()).UTC()
	if f.until == "" {
		return q, nil
	}
	until, err := config.ParseSince(f.until)
	if err != nil {
		return q, usage("write a span like 7d, or a time like 2026-11-01", "--until: %w", err)
	}
	q.Until = until.At(a.Now()).UTC()
	return q, nil
}

// printFound prints an event as it comes: one JSON object, or one line.
func (a *app) printFound(f lake.Found, first bool) error {
	if a.json {
		e := json.NewEncoder(a.Out)
		e.SetEscapeHTML(false)
		if err := e.Encode(map[string]any{"source": f.Source, "event": f.Event}); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		return nil
	}
	if first {
		if err := a.printf("%-24s  %-12s  %-34s  %-8s  %-16s  %s\n", "TIME (UTC)", "SOURCE", "WHAT", "STATUS", "FROM", "DETAIL"); err != nil {
			return err
		}
	}
	e := f.Event
	return a.printf("%-24s  %-12s  %-34s  %-8s  %-16s  %s\n",
		e.TimeDT.UTC().Format("2006-01-02 15:04:05.000"), f.Source, fit(printable(what(e)), 34), printable(e.Status), printable(from(e)), printable(detail(e)))
}

func what(e schema.Event) string { return e.ClassName + ": " + e.ActivityName }

func from(e schema.Event) string {
	if e.SrcEndpoint == nil {
		return ""
	}
	if e.SrcEndpoint.IP != "" {
		return e.SrcEndpoint.IP
	}
	return e.SrcEndpoint.SvcName
}

func detail(e schema.Event) string {
	text := e.Message
	if text == "" && e.API != nil {
		text = e.API.Operation
	}
	if e.StatusDetail != "" {
		text += " (" + e.StatusDetail + ")"
	}
	return text
}
