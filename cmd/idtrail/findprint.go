package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/people"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// foundPrinter prints events as they come: each one JSON object, one line of CSV,
// or a line of a timeline.
type foundPrinter struct {
	a        *app
	user, ip string
	csv      bool
	accounts []people.Account
	// sourceWidth fits the names of the config's sources; width is that of the
	// terminal, 0 where there is none to cut lines for.
	sourceWidth, width int
	printed            int
	day                string
}

func (a *app) foundPrinter(c *config.Config, f findFlags) *foundPrinter {
	p := &foundPrinter{a: a, user: f.user, ip: f.ip, csv: f.csv, sourceWidth: len("SOURCE"), width: a.outWidth()}
	for _, s := range c.Sources {
		p.sourceWidth = max(p.sourceWidth, len(s.Name))
	}
	return p
}

// begin shows whose events are looked for.
func (p *foundPrinter) begin(profile people.Profile) error {
	p.accounts = profile.Accounts
	if p.a.json || p.csv {
		return nil
	}
	p.a.term.clear()
	heading := "Accounts\n"
	for i := range profile.Accounts {
		if err := p.account(heading, &profile.Accounts[i]); err != nil {
			return err
		}
		heading = ""
	}
	heading = "May be the same person's, and not followed; --candidates does\n"
	for i := range profile.Candidates {
		c := &profile.Candidates[i]
		if slices.Contains(profile.Accounts, *c) {
			continue
		}
		if err := p.account(heading, c); err != nil {
			return err
		}
		heading = ""
	}
	if len(profile.Accounts)+len(profile.Candidates) == 0 {
		return nil
	}
	return p.a.printf("\n")
}

// account shows one, and below it why.
func (p *foundPrinter) account(heading string, a *people.Account) error {
	name := ""
	if a.UserName != a.UserID {
		name = columnGap + a.UserName
	}
	line := printable(fmt.Sprintf("  %-*s  %s%s", p.sourceWidth, a.Source, a.UserID, name))
	indent := len("  ") + p.sourceWidth + len(columnGap)
	why := strings.Repeat(" ", indent) + because(a)
	return p.a.printf("%s%s\n%s\n", heading, wrap(line, p.width, indent), wrap(why, p.width, indent))
}

// because says why an account is taken for the person's.
func because(a *people.Account) string {
	var text []string
	if a.Named != "" {
		text = append(text, nameWords(a.Named))
	}
	if a.Rule != "" && a.PersonKey != "" {
		text = append(text, "linked by "+string(a.Rule)+", "+ruleWords(a.Rule))
	}
	if len(text) == 0 {
		text = append(text, "same e-mail, not proven")
	}
	if a.From != nil && a.To != nil {
		text = append(text, "from "+a.From.Format(time.DateOnly)+" to "+a.To.Format(time.DateOnly))
	}
	return strings.Join(text, "; ")
}

func nameWords(n people.Name) string {
	switch n {
	case people.ByID:
		return "its id"
	case people.ByPersonKey:
		return "its person key"
	case people.ByVerifiedEmail:
		return "its verified e-mail"
	case people.ByUserName:
		return "its user name"
	case people.ByEmail:
		return "its e-mail, not verified"
	}
	return string(n)
}

func ruleWords(r reconcile.Rule) string {
	switch r {
	case reconcile.RuleExplicit:
		return "an attribute names it"
	case reconcile.RuleFederation, reconcile.RuleFederationNoCase:
		return "federated identity"
	case reconcile.RuleSocial, reconcile.RuleSocialNoCase:
		return "same social account"
	case reconcile.RuleEmail:
		return "same verified e-mail"
	case reconcile.RulePhone:
		return "same verified phone"
	}
	return "a rule this version does not know"
}

func (p *foundPrinter) print(f *lake.Found) error {
	p.printed++
	switch {
	case p.a.json:
		return p.printJSON(f)
	case p.csv:
		return p.printCSV(f)
	}
	if p.printed == 1 {
		if err := p.line("TIME UTC", "SOURCE", "STATUS", "FROM", "WHAT"); err != nil {
			return err
		}
	}
	e := &f.Event
	at := e.TimeDT.UTC()
	if day := at.Format("2006-01-02 Monday"); day != p.day {
		p.day = day
		if err := p.a.printf("\n%s\n", day); err != nil {
			return err
		}
	}
	return p.line(at.Format(time.TimeOnly), f.Source, e.Status, from(e), what(e)+via(e)+p.whom(e))
}

// end says so where nothing was found.
func (p *foundPrinter) end(q lake.Query) error {
	if p.printed > 0 || p.a.json || p.csv {
		return nil
	}
	of := ""
	if p.user != "" {
		of = " of " + printable(p.user)
	}
	if p.ip != "" {
		of += " from " + printable(p.ip)
	}
	return p.a.printf("nothing found%s %s\n", of, spanOf(q))
}

// foundJSON is an event as --json prints it. Account is the one of the person's
// that it names.
type foundJSON struct {
	Account *people.Account `json:"account,omitempty"`
	Event   *schema.Event   `json:"event"`
	Source  string          `json:"source"`
}

func (p *foundPrinter) printJSON(f *lake.Found) error {
	e := json.NewEncoder(p.a.Out)
	e.SetEscapeHTML(false)
	if err := e.Encode(foundJSON{p.accountOf(&f.Event), &f.Event, f.Source}); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// accountOf is the account of the person that an event names: by its id, else by
// its name.
func (p *foundPrinter) accountOf(e *schema.Event) *people.Account {
	users := usersOf(e)
	for _, same := range []func(u *schema.UserObject, a *people.Account) bool{
		func(u *schema.UserObject, a *people.Account) bool { return u.UID == a.UserID || u.UIDAlt == a.UserID },
		func(u *schema.UserObject, a *people.Account) bool {
			return strings.EqualFold(cmp.Or(u.Name, u.EmailAddr), a.UserName) || a.Email != "" && strings.EqualFold(cmp.Or(u.EmailAddr, u.Name), a.Email)
		},
	} {
		for i := range p.accounts {
			if slices.ContainsFunc(users, func(u *schema.UserObject) bool { return same(u, &p.accounts[i]) }) {
				return &p.accounts[i]
			}
		}
	}
	return nil
}

// usersOf are those an event names.
func usersOf(e *schema.Event) []*schema.UserObject {
	users := []*schema.UserObject{e.User, e.UserResult}
	if e.Actor != nil {
		users = append(users, e.Actor.User)
	}
	return slices.DeleteFunc(users, func(u *schema.UserObject) bool { return u == nil })
}

// printCSV prints a heading once, and one line.
func (p *foundPrinter) printCSV(f *lake.Found) error {
	columns := foundColumns()
	values := make([]string, len(columns))
	if p.printed == 1 {
		for i, c := range columns {
			values[i] = c.name
		}
		if err := reconcile.WriteRecord(p.a.Out, values); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
	account := cmp.Or(p.accountOf(&f.Event), &people.Account{})
	for i, c := range columns {
		values[i] = c.value(f, account)
	}
	if err := reconcile.WriteRecord(p.a.Out, values); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// foundColumn is a column of the CSV.
type foundColumn struct {
	name  string
	value func(f *lake.Found, a *people.Account) string
}

func foundColumns() []foundColumn {
	user := func(f *lake.Found) *schema.UserObject { return cmp.Or(f.Event.User, &schema.UserObject{}) }
	actor := func(f *lake.Found) *schema.UserObject {
		return cmp.Or(cmp.Or(f.Event.Actor, &schema.Actor{}).User, &schema.UserObject{})
	}
	return []foundColumn{
		{"time", func(f *lake.Found, _ *people.Account) string { return f.Event.TimeDT.UTC().Format(time.RFC3339Nano) }},
		{"source", func(f *lake.Found, _ *people.Account) string { return f.Source }},
		{"class", func(f *lake.Found, _ *people.Account) string { return f.Event.ClassName }},
		{"activity", func(f *lake.Found, _ *people.Account) string { return f.Event.ActivityName }},
		{"status", func(f *lake.Found, _ *people.Account) string { return f.Event.Status }},
		{"status_detail", func(f *lake.Found, _ *people.Account) string { return f.Event.StatusDetail }},
		{"message", func(f *lake.Found, _ *people.Account) string { return detail(&f.Event) }},
		{"user_id", func(f *lake.Found, _ *people.Account) string { return user(f).UID }},
		{"user_name", func(f *lake.Found, _ *people.Account) string { return cmp.Or(user(f).Name, user(f).EmailAddr) }},
		{"actor_id", func(f *lake.Found, _ *people.Account) string { return actor(f).UID }},
		{"actor_name", func(f *lake.Found, _ *people.Account) string { return cmp.Or(actor(f).Name, actor(f).EmailAddr) }},
		{"ip", func(f *lake.Found, _ *people.Account) string { return address(&f.Event) }},
		{"app", func(f *lake.Found, _ *people.Account) string { return appOf(&f.Event) }},
		{"account_source", func(_ *lake.Found, a *people.Account) string { return a.Source }},
		{"account_id", func(_ *lake.Found, a *people.Account) string { return a.UserID }},
		{"link_rule", func(_ *lake.Found, a *people.Account) string { return string(a.Rule) }},
		{"person_key", func(_ *lake.Found, a *people.Account) string { return a.PersonKey }},
		{"event_uid", func(f *lake.Found, _ *people.Account) string { return f.Event.Metadata.UID }},
	}
}

// line prints the columns. On a terminal what does not fit goes on below.
func (p *foundPrinter) line(at, source, status, from, what string) error {
	line := printable(fmt.Sprintf("%-8s  %-*s  %-7s  %-18s  %s", at, p.sourceWidth, source, status, from, what))
	return p.a.printf("%s\n", wrap(strings.TrimRight(line, " "), p.width, len(time.TimeOnly)+len(columnGap)))
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
	detail := detail(e)
	if detail != "" {
		text += ", " + detail
	}
	if e.StatusDetail != "" && e.StatusDetail != detail {
		text += " (" + e.StatusDetail + ")"
	}
	return text
}

// detail are the vendor's own words.
func detail(e *schema.Event) string {
	if e.Message == "" && e.API != nil {
		return e.API.Operation
	}
	return e.Message
}

// via names the application.
func via(e *schema.Event) string {
	if name := appOf(e); name != "" {
		return ", via " + name
	}
	return ""
}

// appOf is the application somebody used, by its name, or by its id where that is
// all that is known.
func appOf(e *schema.Event) string {
	if e.Actor == nil {
		return ""
	}
	return cmp.Or(e.Actor.AppName, e.Actor.AppUID)
}

// whom names who did it, or to whom, where that was not the person looked for.
func (p *foundPrinter) whom(e *schema.Event) string {
	text := ""
	if e.Actor != nil && e.Actor.User != nil && !p.isPerson(e.Actor.User) {
		// CloudTrail's word for who has not signed in yet tells nothing.
		if name := nameOf(e.Actor.User); name != "" && name != "unknown" {
			text += ", by " + name
		}
	}
	for _, u := range []*schema.UserObject{e.User, e.UserResult} {
		if u != nil && !p.isPerson(u) {
			if name := nameOf(u); name != "" && !strings.HasSuffix(text, " "+name) {
				text += ", of " + name
			}
		}
	}
	return text
}

func nameOf(u *schema.UserObject) string { return cmp.Or(u.Name, u.EmailAddr, u.UID, u.UIDAlt) }

// isPerson says whether a user is the person looked for, nobody if it does not
// matter who it was.
func (p *foundPrinter) isPerson(u *schema.UserObject) bool {
	is := func(name string) bool {
		if name == "" {
			return false
		}
		return strings.EqualFold(name, p.user) || slices.ContainsFunc(p.accounts, func(a people.Account) bool {
			return name == a.UserID || strings.EqualFold(name, a.UserName) || strings.EqualFold(name, a.Email)
		})
	}
	return is(u.Name) || is(u.EmailAddr) || is(u.UID) || is(u.UIDAlt)
}

// from is where it was done from, with the country where that is known.
func from(e *schema.Event) string {
	text := address(e)
	if e.SrcEndpoint != nil && e.SrcEndpoint.Location != nil && e.SrcEndpoint.Location.Country != "" {
		text += " " + e.SrcEndpoint.Location.Country
	}
	return text
}

func address(e *schema.Event) string {
	if e.SrcEndpoint == nil {
		return ""
	}
	return cmp.Or(e.SrcEndpoint.IP, e.SrcEndpoint.SvcName)
}
