package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/people"
	"github.com/idtrail/idtrail/load/lake"
)

// findFlags are how find was called.
type findFlags struct {
	user, ip, since, until       string
	sources, classes, activities []string
	failed, newest, csv          bool
	onlyThis, candidates         bool
	limit                        int
}

func (a *app) findCommand() *cobra.Command {
	var f findFlags
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Show what a person did, out of the lake",
		Long: `Find reads the events of one person back from the lake, of all sources, oldest
first. The person is named by an id, by a user name or an e-mail address in any
case, or by a person key; who did something to the person is found too. It needs
no other tool, and no secret but the right to read the lake.

Accounts that table persons links to the one named are followed, and shown with
the rule that linked them; one that was the person's for a time, for that time
only. What only has the same e-mail address is no proof: it is shown, and
followed with --candidates.

An object that cannot be read is named, the others are searched all the same,
and the exit code is 3.`,
		Example: `  idtrail find --user jane@example.com --since 7d
  idtrail find --user 'auth0|5f7c8ec7' --since 2026-11-01 --until 2026-11-08
  idtrail find --user jane@example.com --failed --newest --limit 20
  idtrail find --ip 203.0.113.0/24 --since 24h --class authentication
  idtrail find --user jane@example.com --since 24h --json | jq .event.message`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.find(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.user, "user", "", "id, user name, e-mail address or person key")
	cmd.Flags().StringVar(&f.ip, "ip", "", "only from this address, or network as 203.0.113.0/24; of anybody without --user")
	cmd.Flags().StringVar(&f.since, "since", "7d", "from when on: a span (7d, 36h) or a time")
	cmd.Flags().StringVar(&f.until, "until", "", "up to when: a span before now, or a time")
	cmd.Flags().StringSliceVar(&f.sources, "source", nil, "only these sources")
	cmd.Flags().StringSliceVar(&f.classes, "class", nil, "only these classes, by name or number: authentication, 3001")
	cmd.Flags().StringSliceVar(&f.activities, "activity", nil, "only these activities, by name or number: logon")
	cmd.Flags().BoolVar(&f.failed, "failed", false, "only what did not succeed")
	cmd.Flags().BoolVar(&f.newest, "newest", false, "newest first")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most so many events, the oldest, or with --newest the newest")
	cmd.Flags().BoolVar(&f.onlyThis, "only-this-account", false, "follow no links to other accounts")
	cmd.Flags().BoolVar(&f.candidates, "candidates", false, "follow accounts, too, that may be the same person's without proof")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "one line of CSV an event, for a spreadsheet")
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
	p := a.foundPrinter(c, f)
	a.term.during(func() string { return "searching " + c.Lake.URL }, func() { err = a.findIn(ctx, store, q, f, p) })
	return err
}

// findIn looks up who is meant, and prints what is found of them.
func (a *app) findIn(ctx context.Context, store blob.Store, q lake.Query, f findFlags, p *foundPrinter) error {
	lookup := a.follow(ctx, store, f, p, &q)
	if lookup != nil && ctx.Err() != nil {
		return lookup
	}
	if lookup != nil {
		a.log.Error("linked accounts are not known, and not searched", "error", lookup)
	}
	missing := 0
	for found, err := range lake.Open(store).Find(ctx, q) {
		a.term.clear() // where both go to one terminal, the line is taken away first
		if object, ok := errors.AsType[*lake.ObjectError](err); ok {
			missing++
			a.log.Error("an object was not searched", "key", object.Key, "error", object.Err)
			continue
		}
		if err == nil {
			err = p.print(&found)
		}
		if err != nil {
			return err
		}
	}
	if err := p.end(q); err != nil {
		return err
	}
	if missing > 0 {
		return exitQuietly(exitPartly, many(int64(missing), "object")+" could not be read")
	}
	if lookup != nil {
		return exitQuietly(exitPartly, "linked accounts are not known")
	}
	return nil
}

// follow adds the accounts of whoever is looked for to the query, and shows them.
func (a *app) follow(ctx context.Context, store blob.Store, f findFlags, p *foundPrinter, q *lake.Query) error {
	if f.onlyThis || f.user == "" {
		return nil
	}
	profile, err := people.Resolve(ctx, store, f.user)
	if err != nil {
		return err
	}
	if f.candidates {
		profile.Accounts = append(profile.Accounts, profile.Candidates...)
	}
	for _, account := range profile.Accounts {
		q.Accounts = append(q.Accounts, lakeAccounts(account)...)
	}
	return p.begin(profile)
}

// lakeAccounts are what events may name an account by.
func lakeAccounts(a people.Account) []lake.Account {
	first := lake.Account{ID: a.UserID, Name: a.UserName}
	if a.From != nil {
		first.From = *a.From
	}
	if a.To != nil {
		first.To = *a.To
	}
	if a.Email == "" {
		return []lake.Account{first}
	}
	return []lake.Account{first, {Name: a.Email, From: first.From, To: first.To}}
}

func spanOf(q lake.Query) string {
	span := "since " + q.Since.Format(time.RFC3339)
	if !q.Until.IsZero() {
		span += " and before " + q.Until.Format(time.RFC3339)
	}
	return span
}

func (a *app) query(f findFlags) (lake.Query, error) {
	q := lake.Query{
		User: f.user, From: f.ip, Sources: f.sources, Limit: f.limit, Classes: f.classes, Activities: f.activities,
		Failed: f.failed, Newest: f.newest, Brief: !a.json && !f.csv,
	}
	if err := checkFind(a.json, f); err != nil {
		return q, err
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

func checkFind(asJSON bool, f findFlags) error {
	switch {
	case f.user == "" && f.ip == "":
		return usage("add --user with an id, a user name or an e-mail address", "find needs to know whom")
	case f.limit < 0:
		return usage("write 0 for all", "--limit %d is less than nothing", f.limit)
	case asJSON && f.csv:
		return usage("choose one", "--json and --csv are two forms")
	case f.onlyThis && f.candidates:
		return usage("choose one", "--only-this-account follows nothing, --candidates more than is proven")
	case f.ip != "" && lake.CheckFrom(f.ip) != nil:
		return usage("write it as 203.0.113.7, 2001:db8::7 or 203.0.113.0/24", "--ip: %w", lake.CheckFrom(f.ip))
	default:
		return nil
	}
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
