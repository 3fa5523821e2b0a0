package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
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
  idtrail find --user 'auth0|5f7c8ec7' --since 2026-11-01 --until 2026-11-08
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
	store, err := a.builder(c).existing(ctx, c.Lake)
	if err != nil {
		return err
	}
	reader := lake.Open(store)
	if err := known(ctx, c, reader, q.Sources); err != nil {
		return err
	}
	p := a.foundPrinter(c, q.User)
	a.term.during(func() string { return "searching " + c.Lake.URL }, func() { err = p.all(reader.Find(ctx, q)) })
	if err != nil {
		return err
	}
	if p.printed == 0 && !a.json {
		return a.printf("nothing found of %s %s\n", printable(q.User), spanOf(q))
	}
	return nil
}

func spanOf(q lake.Query) string {
	span := "since " + q.Since.Format(time.RFC3339)
	if !q.Until.IsZero() {
		span += " and before " + q.Until.Format(time.RFC3339)
	}
	return span
}

func (a *app) query(f findFlags) (lake.Query, error) {
	q := lake.Query{User: f.user, Sources: f.sources, Limit: f.limit}
	if f.user == "" {
		return q, usage("add --user with an id, a user name or an e-mail address", "find needs to know whom")
	}
	if f.limit < 0 {
		return q, usage("write 0 for all", "--limit %d is less than nothing", f.limit)
	}
	var err error
	if q.Since, err = a.timeFlag("--since", f.since); err != nil {
		return q, err
	}
	if f.until == "" {
		return q, nil
	}
	if q.Until, err = a.timeFlag("--until", f.until); err != nil {
		return q, err
	}
	if !q.Since.Before(q.Until) {
		return q, usage("swap them, or leave --until out for up to now", "--since %s is not before --until %s", f.since, f.until)
	}
	return q, nil
}

func (a *app) timeFlag(name, text string) (time.Time, error) {
	since, err := config.ParseSince(text)
	if err != nil {
		return time.Time{}, usage("write a span like 7d, or a time like 2026-11-01", "%s %q %w", name, text, err)
	}
	return since.At(a.Now()).UTC(), nil
}

// known refuses sources that neither the config nor the lake has: nothing found
// would look like nothing done.
func known(ctx context.Context, c *config.Config, reader *lake.Reader, names []string) error {
	if len(names) == 0 {
		return nil
	}
	all, err := reader.Sources(ctx)
	if err != nil {
		return err
	}
	all = append(all, sourceNames(c)...)
	slices.Sort(all)
	for _, name := range names {
		if !slices.Contains(all, name) {
			return usage("known: "+strings.Join(slices.Compact(all), ", "), "there is no source %s", printable(name))
		}
	}
	return nil
}

// foundPrinter prints events as they come: each one JSON object, or one line.
type foundPrinter struct {
	a    *app
	user string
	// sourceWidth fits the names of the config's sources; width is that of the
	// terminal, 0 where there is none to cut lines for.
	sourceWidth, width int
	printed            int
}

func (a *app) foundPrinter(c *config.Config, user string) *foundPrinter {
	p := &foundPrinter{a: a, user: user, sourceWidth: len("SOURCE"), width: a.outWidth()}
	for _, s := range c.Sources {
		p.sourceWidth = max(p.sourceWidth, len(s.Name))
	}
	return p
}

func (p *foundPrinter) all(found iter.Seq2[lake.Found, error]) error {
	for f, err := range found {
		if err != nil {
			return err
		}
		p.a.term.clear() // where both go to one terminal, the line is taken away first
		if err := p.print(f); err != nil {
			return err
		}
	}
	return nil
}

func (p *foundPrinter) print(f lake.Found) error {
	p.printed++
	if p.a.json {
		e := json.NewEncoder(p.a.Out)
		e.SetEscapeHTML(false)
		if err := e.Encode(map[string]any{"source": f.Source, "event": f.Event}); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		return nil
	}
	if p.printed == 1 {
		if err := p.line("TIME (UTC)", "SOURCE", "STATUS", "FROM", "WHAT"); err != nil {
			return err
		}
	}
	e := &f.Event
	return p.line(e.TimeDT.UTC().Format(time.DateTime), f.Source, e.Status, from(e), what(e)+by(e, p.user))
}

// line prints the columns. On a terminal what does not fit goes on below.
func (p *foundPrinter) line(at, source, status, from, what string) error {
	line := printable(fmt.Sprintf("%-19s  %-*s  %-7s  %-15s  %s", at, p.sourceWidth, source, status, from, what))
	return p.a.printf("%s\n", wrap(strings.TrimRight(line, " "), p.width, len(time.DateTime)+len(columnGap)))
}

// wrap breaks a line at spaces, or where there is none within words, so that no
// part is longer than width; all but the first are indented, by less where that
// leaves no room. A width of 0 breaks nothing.
func wrap(line string, width, indent int) string {
	rest := []rune(line)
	if width <= 0 || len(rest) <= width {
		return line
	}
	if indent > width/2 {
		indent = min(len("    "), width/2)
	}
	var text strings.Builder
	for room := width; len(rest) > room; room = width - indent {
		end := room
		for i := room; i > indent; i-- {
			if rest[i] == ' ' {
				end = i
				break
			}
		}
		text.WriteString(strings.TrimRight(string(rest[:end]), " ") + "\n" + strings.Repeat(" ", indent))
		rest = []rune(strings.TrimLeft(string(rest[end:]), " "))
	}
	return text.String() + string(rest)
}

// what says what happened: the class and activity, and the vendor's own words.
func what(e *schema.Event) string {
	text := e.ClassName + ": " + e.ActivityName
	detail := e.Message
	if detail == "" && e.API != nil {
		detail = e.API.Operation
	}
	if detail != "" {
		text += ", " + detail
	}
	if e.StatusDetail != "" && e.StatusDetail != detail {
		text += " (" + e.StatusDetail + ")"
	}
	return text
}

// by names who did it, where that was not the person looked for.
func by(e *schema.Event, person string) string {
	if e.Actor == nil || e.Actor.User == nil {
		return ""
	}
	u := e.Actor.User
	names := []string{u.Name, u.EmailAddr, u.UID, u.UIDAlt}
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, person) }) {
		return ""
	}
	if name := cmp.Or(names...); name != "" {
		return ", by " + name
	}
	return ""
}

func from(e *schema.Event) string {
	if e.SrcEndpoint == nil {
		return ""
	}
	return cmp.Or(e.SrcEndpoint.IP, e.SrcEndpoint.SvcName)
}
