package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/verify"
)

// verifyFlags are how verify was called.
type verifyFlags struct {
	raw, lake, manifests, region string
	sources, keys, anchors       []string
	deep                         bool
	workers                      int
	evidence                     evidenceFlags
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that nothing is missing, altered or doubled",
		Long: `Verify reads the raw segments, the flush records, the objects of the lake and
the notes about them, and says exactly what is missing, altered, doubled, cut
off or unaccounted for. It believes nothing but these objects: no state, no
vendor, no secret. So it works on the bucket and on a copy of it alike, and
without a config where --lake says where to look. It changes nothing.

Signatures are checked against the public keys given by --key or verify_keys;
without any, it says so, and whoever can write to the bucket could have made all
of it anew. An anchor is the head of a chain, kept outside of the bucket: the
chain_head events in the SIEM, or the line that verify prints. With one, the
cutting off of the newest segments together with their notes is found, too.

What a checkpoint lists is proven by its file's SHA-256. With --deep each
segment is unpacked all the same, and rows and records are counted.

With -o it writes an evidence report for auditors, a page or JSON: coverage by
day, counts, gaps, prunes and erasures, signatures, and what it cannot prove.

It exits with 0 if all is as it should be, and with 1 if something is wrong.`,
		Example: `  idtrail verify
  idtrail verify --lake ./copy --key "$(cat idtrail.pub)"
  idtrail verify --lake s3://acme-idtrail/lake --raw s3://acme-raw/raw --deep
  idtrail verify --anchor 'acme 4711 1f3c…9a' --anchor heads.txt
  idtrail verify --report 2026-01-01..2026-03-31 -o evidence.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context(), f) },
	}
	f.flags(cmd)
	return cmd
}

func (f *verifyFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.lake, "lake", "", "the lake, a `folder` or s3://bucket/prefix; no config is read then")
	flags.StringVar(&f.raw, "raw", "", "the segments' `folder` or s3://bucket/prefix (default <lake>/raw)")
	flags.StringVar(&f.manifests, "manifests", "", "where the `folder` manifests/ is, if not in the lake")
	flags.StringVar(&f.region, "region", "", "the buckets' `region`, with --lake (default: what the SDK finds)")
	flags.StringSliceVar(&f.sources, "source", nil, "only these sources")
	flags.StringArrayVar(&f.keys, "key", nil, "a public `key`, or a file with one a line; in place of verify_keys")
	flags.StringArrayVar(&f.anchors, "anchor", nil, "a chain's `head` kept elsewhere (\"source number sha256\"), or a file with one a line")
	flags.BoolVar(&f.deep, "deep", false, "unpack every segment, look for records there twice, and count all rows")
	flags.IntVar(&f.workers, "workers", 0, "objects read side by side (default 2)")
	f.evidence.flags(cmd)
}

func (a *app) verify(ctx context.Context, f verifyFlags) error {
	period, err := f.evidence.options()
	if err != nil {
		return err
	}
	o, err := a.verifyOptions(ctx, f)
	if err != nil {
		return err
	}
	var read atomic.Int64
	o.Progress = func(bytes int64) { read.Add(bytes) }
	var report verify.Report
	line := func() string { return fmt.Sprintf("verifying · %s MiB read", count(read.Load()>>20)) }
	a.term.during(line, func() { report, err = verify.Run(ctx, o) })
	unread := err
	if err != nil && !errors.Is(err, verify.ErrIncomplete) {
		return err
	}
	if err := f.evidence.write(a, period, report); err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(verifyResult{OK: report.OK() && unread == nil, Report: report})
	} else {
		err = a.printVerified(report)
	}
	switch {
	case err != nil:
		return err
	case unread != nil:
		return withHint(unread, "nothing is known of it, good or bad: look at the reason, and verify again")
	case !report.OK():
		return exitQuietly(exitFailed, many(int64(len(report.Findings)), "finding"))
	}
	return nil
}

// verifyResult is what verify --json prints.
type verifyResult struct {
	OK bool `json:"ok"`
	verify.Report
}

// verifyOptions say what to look at: what the flags name, else the config.
func (a *app) verifyOptions(ctx context.Context, f verifyFlags) (verify.Options, error) {
	o := verify.Options{Sources: f.sources, Deep: f.deep, Workers: f.workers, Now: a.Now}
	if f.workers < 0 {
		return o, usage("write 1 or more", "--workers %d is less than one", f.workers)
	}
	var err error
	if o.Anchors, err = anchors(f.anchors); err != nil {
		return o, err
	}
	places, keys, err := a.evidence(ctx, f)
	if err != nil {
		return o, err
	}
	if o.HaveKeys = len(keys) > 0; o.HaveKeys {
		if o.Keys, err = proof.NewVerifier(keys...); err != nil {
			return o, &exitError{code: exitUsage, err: err, hint: "write what idtrail keygen printed: name+id+key"}
		}
	}
	b := &builder{log: a.log, now: a.Now}
	if o.Lake, err = b.evidence(ctx, "lake", places.lake); err != nil {
		return o, err
	}
	if o.Raw, err = b.evidence(ctx, "raw", places.raw); err != nil {
		return o, err
	}
	if places.manifests.URL == places.lake.URL {
		return o, nil
	}
	manifests, err := b.evidence(ctx, "manifests", places.manifests)
	o.Lake = withManifests{Store: o.Lake, manifests: manifests}
	return o, err
}

// places are where evidence lies.
type places struct{ lake, raw, manifests config.Store }

// evidence says where to look, and which keys to believe.
func (a *app) evidence(ctx context.Context, f verifyFlags) (places, []string, error) {
	keys, err := publicKeys(f.keys)
	if err != nil {
		return places{}, nil, err
	}
	if f.lake != "" {
		at := func(url, or string) config.Store {
			return config.Store{URL: strings.TrimRight(cmp.Or(url, or), "/"), Region: f.region}
		}
		lake := strings.TrimRight(f.lake, "/")
		return places{lake: at(lake, "/"), raw: at(f.raw, lake+"/raw"), manifests: at(f.manifests, lake)}, keys, nil
	}
	for flag, value := range map[string]string{"--raw": f.raw, "--manifests": f.manifests, "--region": f.region} {
		if value != "" {
			return places{}, nil, usage("add --lake, or leave it out to look where the config says", "%s goes with --lake", flag)
		}
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return places{}, nil, err
	}
	for _, name := range f.sources {
		if _, ok := c.Source(name); !ok {
			a.log.Warn("source is not in the config", "source", name)
		}
	}
	if len(keys) == 0 {
		keys = c.VerifyKeys
	}
	return places{lake: c.Lake, raw: c.Raw, manifests: c.Manifests}, keys, nil
}

// evidence opens a place to read: it makes none, and locks nothing.
func (b *builder) evidence(ctx context.Context, part string, s config.Store) (blob.Store, error) {
	if !s.S3() {
		if info, err := os.Stat(s.URL); err != nil || !info.IsDir() {
			if err == nil {
				err = errors.New("not a folder")
			}
			return nil, withHint(fmt.Errorf("open %s %s: %w", part, s.URL, err), "name the lake with --lake, and raw with --raw if it is not in it")
		}
	}
	s.Lock = config.Lock{}
	store, err := b.store(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", part, err)
	}
	return store, nil
}

// publicKeys reads keys, and files of keys.
func publicKeys(args []string) ([]string, error) {
	return linesOf(args, func(s string) bool { return strings.Count(s, "+") >= 2 })
}

func anchors(args []string) ([]verify.Anchor, error) {
	lines, err := linesOf(args, func(s string) bool { return len(strings.Fields(s)) >= 3 })
	if err != nil {
		return nil, err
	}
	all := make([]verify.Anchor, len(lines))
	for i, line := range lines {
		if all[i], err = verify.ParseAnchor(line); err != nil {
			return nil, &exitError{code: exitUsage, err: err, hint: "write the head as verify prints it, or name a file with one a line"}
		}
	}
	return all, nil
}

// maxLines bounds a file of keys or anchors.
const maxLines = 16 << 20

// linesOf takes arguments as they are where they are values, and else as files
// with one a line; # begins a comment.
func linesOf(args []string, isValue func(string) bool) ([]string, error) {
	var lines []string
	for _, arg := range args {
		if isValue(arg) {
			lines = append(lines, arg)
			continue
		}
		info, err := os.Stat(arg)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("see: idtrail verify --help", "%q is neither a value nor a file", arg)
		}
		if err == nil && info.Size() > maxLines {
			return nil, usage("name a file with one a line", "%s is too large", arg)
		}
		text, err := os.ReadFile(arg)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", arg, err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}

// maxFindings are printed; --json has them all.
const maxFindings = 100

func (a *app) printVerified(r verify.Report) error {
	chains := [][]string{{"SOURCE", "SEGMENTS", "PROVEN", "RECORDS", "GAPS", "NOTES", "SIGNED", "CHANGES", ""}}
	flushed := [][]string{{"SOURCE", "SINK", "FLUSHES", "OBJECTS", "RECORDS", "REJECTED", "EVENTS", "USERS", "SETTINGS", "PENDING"}}
	changes := [][]string{{"SOURCE", "CHANGE", "TIME (UTC)", "OBJECTS", "REMOVED", "SIGNED", "REASON"}}
	for _, s := range r.Sources {
		chains = append(chains, []string{
			s.Source, count(s.Segments), count(s.Proven), count(s.Records), count(int64(len(s.Gaps))), count(s.Notes), count(s.Signed), count(int64(len(s.Changes))), wrongOf(r, s.Source),
		})
		for _, k := range s.Sinks {
			flushed = append(flushed, []string{
				s.Source, k.Sink, count(k.Flushes), count(k.Objects), count(k.Records), count(k.Rejected), count(k.Events), count(k.Users), count(k.Settings), count(k.Pending),
			})
		}
		for _, c := range s.Changes {
			changes = append(changes, []string{s.Source, c.Kind, c.Time.UTC().Format("2006-01-02 15:04:05"), count(int64(c.Objects)), count(c.Removed), yesNo(c.Signed), c.Reason})
		}
	}
	if err := a.printTables(chains, flushed, changes, classTable(r), findingTable(r)); err != nil {
		return err
	}
	// The heads stand behind it, and are to be copied as they are.
	said, heads, _ := strings.Cut(verdictOf(r), "\n\n")
	if heads != "" {
		heads = "\n" + heads
	}
	return a.printf("\n%s%s", legible(said, a.outWidth()), heads)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// wrongOf says what was found wrong of one source.
func wrongOf(r verify.Report, source string) string {
	n := int64(0)
	for _, f := range r.Findings {
		if f.Source == source {
			n++
		}
	}
	if n == 0 {
		return "ok"
	}
	return many(n, "finding")
}

// classTable counts what is wrong, by its class.
func classTable(r verify.Report) [][]string {
	n := map[verify.Class]int64{}
	var classes []verify.Class
	for _, f := range r.Findings {
		if n[f.Class]++; n[f.Class] == 1 {
			classes = append(classes, f.Class)
		}
	}
	slices.Sort(classes)
	rows := [][]string{{"WRONG", "FINDINGS"}}
	for _, c := range classes {
		rows = append(rows, []string{string(c), count(n[c])})
	}
	return rows
}

func findingTable(r verify.Report) [][]string {
	rows := [][]string{{"FINDING", "SOURCE", "OBJECT", "DETAIL"}}
	for _, f := range r.Findings[:min(maxFindings, len(r.Findings))] {
		rows = append(rows, []string{string(f.Class), f.Source, f.Object, f.Detail})
	}
	return rows
}

// verdictOf says in sentences what was proven, and against what.
func verdictOf(r verify.Report) string {
	var segments, proven, records int64
	for _, s := range r.Sources {
		segments, proven, records = segments+s.Segments, proven+s.Proven, records+s.Records
	}
	var text strings.Builder
	switch n := len(r.Findings); {
	case n > 0:
		fmt.Fprintf(&text, "%s: not all is as it should be.\n", many(int64(n), "finding"))
		if n > maxFindings {
			fmt.Fprintf(&text, "The first %d are shown; --json has them all.\n", maxFindings)
		}
	case r.Incomplete:
		text.WriteString("Not everything could be read; what could is as it should be.\n")
	case len(r.Sources) == 0:
		return "There is nothing to verify: no source has left anything here.\n"
	default:
		fmt.Fprintf(&text, "Nothing is missing, altered or doubled: %s in %s of %s.\n",
			many(records, "record"), many(segments, "segment"), many(int64(len(r.Sources)), "source"))
	}
	healthy := len(r.Findings) == 0 && !r.Incomplete
	if !r.Keyed {
		text.WriteString("No key was given: no signature was looked at, and who can write to the bucket could have made all of it anew.\n")
	} else if healthy {
		text.WriteString(signedLine(r, proven, segments))
	}
	if healthy {
		text.WriteString(headsOf(r))
	}
	return text.String()
}

// signedLine says by whom the segments are signed, and which are not yet.
func signedLine(r verify.Report, proven, segments int64) string {
	text := fmt.Sprintf("Signed by %s: %s of %s.", strings.Join(signers(r), ", "), count(proven), many(segments, "segment"))
	if proven < segments {
		text += " What was landed since is held by the chain alone."
	}
	return text + "\n"
}

// signers are the names of the keys that notes are signed with.
func signers(r verify.Report) []string {
	var names []string
	for _, s := range r.Sources {
		names = append(names, s.Keys...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return []string{"nobody"}
	}
	return names
}

// headsOf are the anchors to keep.
func headsOf(r verify.Report) string {
	var text strings.Builder
	text.WriteString("\nThe heads of the chains, for --anchor: keep them outside of the bucket.\n")
	for _, a := range r.Anchors() {
		fmt.Fprintln(&text, a)
	}
	return text.String()
}
