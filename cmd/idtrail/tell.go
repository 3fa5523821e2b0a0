package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/state"
)

// hookTimeout bounds one call to a watcher or a chat.
const hookTimeout = 10 * time.Second

// toldFolder is where, beside the states, it is remembered what people were told.
const toldFolder = "notify"

// tell tells people what a run has seen that they do not know yet.
func (o *outside) tell(ctx context.Context, res runResult, failure error) {
	if len(o.b.config.Notify) == 0 {
		return
	}
	v := &view{c: o.b.config, job: o.job, res: res, failure: failure, now: o.a.Now()}
	v.look(ctx, o.pipeline)
	if err := o.b.tell(ctx, v); err != nil {
		o.a.log.Warn("not everybody was told; the next run tries again", failureOf(err)...)
	}
}

// tell tells people what they do not know yet of a view.
func (b *builder) tell(ctx context.Context, v *view) error {
	targets, err := b.targets()
	if err != nil {
		return err
	}
	store, spare := b.toldStores(ctx)
	return notify.Tell(ctx, notify.Options{
		Targets: targets, Store: store, Spare: spare, Sources: sourceNames(b.config), From: b.config.Lake.URL, Now: b.now, See: v.sight,
	})
}

// tellStatus tells people what a status has seen: no run, and of each source where
// it stands.
func (b *builder) tellStatus(ctx context.Context, all []sourceStatus) error {
	if len(b.config.Notify) == 0 {
		return usage("name somebody in notify, or leave --notify out", "%s tells nobody", b.config.File)
	}
	v := &view{c: b.config, now: b.now(), standing: map[string]pipeline.Status{}, drained: map[string]time.Time{}}
	for _, s := range all {
		if s.Error == "" {
			v.standing[s.Source], v.drained[s.Source] = s.Status, s.LastDrain
		}
	}
	return b.tell(ctx, v)
}

// toldStores are where it is remembered what people were told: beside the states,
// and for while those in S3 cannot be reached, on this machine.
func (b *builder) toldStores(ctx context.Context) (store, spare blob.Store) {
	where := b.config.State
	where.URL += "/" + toldFolder
	// What cannot be opened now is nil, and told of then.
	if s, err := b.store(ctx, where); err == nil {
		store = s
	}
	if !where.S3() {
		return store, nil
	}
	if s, err := b.store(ctx, config.Store{URL: filepath.Join(b.config.StateDir(), toldFolder)}); err == nil {
		spare = s
	}
	return store, spare
}

// targets makes those who are told.
func (b *builder) targets() ([]notify.Target, error) {
	all := make([]notify.Target, len(b.config.Notify))
	for i, n := range b.config.Notify {
		sender, err := newSender(n)
		if err != nil {
			return nil, fmt.Errorf("notify %s: %w", n.Name, err)
		}
		all[i] = notify.Target{Name: n.Name, Sender: sender}
	}
	return all, nil
}

func newSender(n config.Notify) (notify.Sender, error) {
	ca, err := certificates(n.CAFile)
	if err != nil {
		return nil, err
	}
	if n.Kind == config.KindMail {
		conf, err := stream.TLSConfig(ca)
		return notify.Mail{URL: n.URL.Reveal(), From: n.From, To: n.To, TLS: conf}, err
	}
	client, err := stream.NewClient(stream.ClientOptions{CAPEM: ca, Timeout: hookTimeout})
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case config.KindSlack:
		return notify.Slack{URL: n.URL.Reveal(), Client: client}, nil
	case config.KindTeams:
		return notify.Teams{URL: n.URL.Reveal(), Client: client}, nil
	case config.KindWebhook:
		return notify.Webhook{URL: n.URL.Reveal(), Authorization: n.Authorization.Reveal(), Client: client}, nil
	default:
		return nil, fmt.Errorf("nothing sends kind %s", n.Kind)
	}
}

// view is what one run has seen: of its own sources all, of the others how long
// ago they were read.
type view struct {
	c       *config.Config
	job     task
	res     runResult
	failure error
	now     time.Time
	// standing of the run's own sources, and when the others were last read.
	standing map[string]pipeline.Status
	drained  map[string]time.Time
}

// look reads the states. What cannot be read is not judged.
func (v *view) look(ctx context.Context, p *pipeline.Pipeline) {
	v.standing, v.drained = map[string]pipeline.Status{}, map[string]time.Time{}
	if p == nil {
		return
	}
	for _, s := range v.c.Sources {
		if slices.Contains(v.job.Sources, s.Name) {
			if all, err := p.Status(ctx, []pipeline.Source{{Name: s.Name, Kind: s.Kind}}); err == nil {
				v.standing[s.Name], v.drained[s.Name] = all[0], all[0].LastDrain
			}
			continue
		}
		switch shown, err := p.State.Show(ctx, s.Name); {
		case err == nil:
			v.drained[s.Name] = shown.LastDrain
		case errors.Is(err, state.ErrNone):
			v.drained[s.Name] = time.Time{}
		}
	}
}

// sight is what one target is to know of it.
func (v *view) sight(target string, first map[string]time.Time) notify.Sight {
	i := slices.IndexFunc(v.c.Notify, func(n config.Notify) bool { return n.Name == target })
	n := v.c.Notify[i]
	g := &gaze{view: v, of: n, first: first}
	for _, kind := range n.On {
		g.s.Kinds = append(g.s.Kinds, notify.Kind(kind))
	}
	g.known()
	g.runFailure()
	for _, s := range v.res.Sources {
		if g.about(s.Source) {
			g.failures(s)
			g.gaps(s)
		}
	}
	for _, r := range v.res.Reconciled {
		if g.about(r.Left) || g.about(r.Right) {
			g.reconciled(r)
		}
	}
	for _, name := range sourceNames(v.c) {
		if g.about(name) {
			g.stale(name)
		}
	}
	return g.s
}

// gaze is a view for one target.
type gaze struct {
	*view
	of    config.Notify
	first map[string]time.Time
	s     notify.Sight
}

// about says whether the target wants to know of a source.
func (g *gaze) about(source string) bool {
	return len(g.of.Sources) == 0 || slices.Contains(g.of.Sources, source)
}

func (g *gaze) wants(kind notify.Kind) bool { return slices.Contains(g.s.Kinds, kind) }

// known names all there is, as troubles are named.
func (g *gaze) known() {
	add := func(parts ...string) { g.s.Known = append(g.s.Known, strings.Join(parts, "/")) }
	for _, j := range g.c.Jobs {
		add("job", j.Name)
	}
	for _, s := range g.c.Sources {
		if !g.about(s.Name) {
			continue
		}
		add("source", s.Name)
		for _, k := range g.c.Sinks {
			add("sink", s.Name, k.Name)
		}
	}
	for _, r := range g.c.Reconcile {
		if g.about(r.Left) || g.about(r.Right) {
			add("pair", r.Left, r.Right)
			for _, limit := range slices.Sorted(maps.Keys(g.of.DriftAbove)) {
				add("pair", r.Left, r.Right, limit)
			}
		}
	}
}

// judge notes that something was looked at, and what is wrong with it, if
// anything is.
func (g *gaze) judge(kind notify.Kind, of string, wrong *notify.Trouble) {
	if !g.wants(kind) {
		return
	}
	g.s.Look(kind, of)
	if wrong != nil {
		wrong.Kind, wrong.Of = kind, of
		g.s.Troubles = append(g.s.Troubles, *wrong)
	}
}

// failedBecause is the trouble that an error is; nil for none.
func failedBecause(what string, err error) *notify.Trouble {
	if err == nil {
		return nil
	}
	t := &notify.Trouble{Text: what + " failed: " + err.Error(), Do: hintOf(err)}
	switch class := pipeline.ErrorClass(err); class {
	// Other classes come and go with the network's weather.
	case pipeline.ClassDenied, pipeline.ClassRefused, pipeline.ClassPanic:
		t.Mark = class
	}
	if t.Do == "" {
		t.Do = "the log and idtrail status say more; idtrail check tries it"
	}
	return t
}

// runFailure judges whether the run could begin at all.
func (g *gaze) runFailure() {
	for _, j := range g.job.parts {
		g.judge(notify.Failure, "job/"+j.Name, failedBecause("job "+j.Name, g.failure))
	}
}

// failures judges a source that was run, and its sinks as far as they were given
// something.
func (g *gaze) failures(s pipeline.SourceReport) {
	if s.Held || errors.Is(s.Err, context.Canceled) {
		return
	}
	g.judge(notify.Failure, "source/"+s.Source, failedBecause("source "+s.Source, s.Err))
	for _, k := range s.Sinks {
		if !k.NotDue {
			g.judge(notify.Failure, "sink/"+s.Source+"/"+k.Sink, failedBecause("sink "+k.Sink+" for source "+s.Source, k.Err))
		}
	}
}

// gapsShown is how many gaps a message describes.
const gapsShown = 2

// gaps are taken from the state, so that those of a run that was killed are told
// by the next.
func (g *gaze) gaps(s pipeline.SourceReport) {
	standing, ok := g.standing[s.Source]
	if !ok || !standing.Known || s.Held || !g.wants(notify.Gap) {
		return
	}
	if g.s.Gaps == nil {
		g.s.Gaps = map[string]notify.Gaps{}
	}
	text := []string{fmt.Sprintf("source %s: records were lost before they could be read, %s in all; the newest", s.Source, many(standing.GapsTotal, "gap"))}
	for _, gap := range standing.Gaps[:min(len(standing.Gaps), gapsShown)] {
		text = append(text, gapLine(gap))
	}
	g.s.Gaps[s.Source] = notify.Gaps{Total: standing.GapsTotal, New: s.Gaps, Text: strings.Join(text, "; ")}
}

// reconciled judges a comparison: that it could be made, and what it found.
func (g *gaze) reconciled(r pipeline.ReconcileReport) {
	pair := "pair/" + r.Left + "/" + r.Right
	what := "comparing " + r.Left + " with " + r.Right
	if !errors.Is(r.Err, context.Canceled) {
		g.judge(notify.Failure, pair, failedBecause(what, r.Err))
	}
	if r.Summary == nil {
		return
	}
	for _, limit := range slices.Sorted(maps.Keys(g.of.DriftAbove)) {
		n, most := findingsOf(r.Summary, limit), int64(g.of.DriftAbove[limit])
		var wrong *notify.Trouble
		if n > most {
			wrong = &notify.Trouble{
				Size: n, Text: fmt.Sprintf("%s and %s differ: %s, and more than %s is too many", r.Left, r.Right, driftCount(n, limit), count(most)),
				Do: "see which with: idtrail reconcile report",
			}
		}
		g.judge(notify.Drift, pair+"/"+limit, wrong)
	}
}

// findingsOf counts the findings that a limit is on.
func findingsOf(s *reconcile.Summary, limit string) int64 {
	if limit == config.AllFindings {
		return s.Findings
	}
	return s.BySeverity[reconcile.Severity(limit)] + s.ByType[reconcile.Type(limit)] // no name is both
}

func driftCount(n int64, limit string) string {
	if limit == config.AllFindings {
		return many(n, "finding")
	}
	return many(n, "finding") + " (" + limit + ")"
}

// stale judges how long ago a source was read to its end, and how long something
// has waited for its sinks.
func (g *gaze) stale(source string) {
	drained, ok := g.drained[source]
	if !ok {
		return
	}
	after := g.of.StaleAfter
	since := drained
	if since.IsZero() {
		since = g.first[source]
	}
	var wrong *notify.Trouble
	if g.now.Sub(since) > after {
		wrong = &notify.Trouble{
			Text: fmt.Sprintf("source %s was not read to its end within %s: %s", source, span(after), ago(drained, g.now)),
			Do:   "is idtrail run due for it, and working? idtrail status says what failed",
		}
	}
	g.judge(notify.Stale, "source/"+source, wrong)
	pace := paces(g.c)
	for _, k := range g.standing[source].Sinks {
		g.judge(notify.Stale, "sink/"+source+"/"+k.Sink, g.waiting(source, k, after+pace[k.Sink]))
	}
}

func (g *gaze) waiting(source string, k pipeline.SinkStatus, most time.Duration) *notify.Trouble {
	oldest := oldestOf(k)
	if oldest.IsZero() || g.now.Sub(oldest) <= most {
		return nil
	}
	return &notify.Trouble{
		Text: fmt.Sprintf("something of source %s waits for sink %s longer than %s: since %s UTC", source, k.Sink, span(most), oldest.UTC().Format(time.DateTime)),
		Do:   "nothing is lost; idtrail status says why it is not taken",
	}
}
