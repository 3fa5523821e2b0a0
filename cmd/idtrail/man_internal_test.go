package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// manDir is where make man has the pages written. A test does it, so that what
// turns help into pages is no part of the program.
var manDir = flag.String("man", "", "write the man pages to this directory")

// TestManPages: there is a page for each verb, and it says all that its help says.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := doc.GenManTree(manReady(allVerbs()[0]), &doc.GenManHeader{Section: "1", Source: "idtrail", Manual: "idtrail"}, dir); err != nil {
		t.Fatal(err)
	}
	for _, verb := range allVerbs() {
		name := strings.ReplaceAll(verb.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		checkPage(t, verb, name, string(page))
	}
}

// allVerbs are the program's commands, the root first, made anew.
func allVerbs() []*cobra.Command {
	root := (&app{term: newConsole(io.Discard, time.Now)}).root()
	all := []*cobra.Command{root}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands()...)
	}
	return all
}

// manReady prepares a command and those below it for the generator, which takes
// a description for Markdown.
func manReady(cmd *cobra.Command) *cobra.Command {
	cmd.DisableAutoGenTag = true
	cmd.Long = asMarkdown(cmd.Long)
	for _, c := range cmd.Commands() {
		manReady(c)
	}
	return cmd
}

// asMarkdown keeps lines that are indented as they are.
func asMarkdown(long string) string {
	var b strings.Builder
	list := false
	for line := range strings.Lines(long) {
		indented := strings.HasPrefix(line, "  ")
		if indented != list {
			b.WriteString("\n")
		}
		if list = indented; list {
			line = "    " + line
		}
		b.WriteString(line)
	}
	return b.String()
}

// macro is a line that man reads as an order: those the pages are to have, and
// nothing that a text happens to begin with.
var macro = regexp.MustCompile(`^\.(TH|SH|PP|TP|IP|EX|EE|RS|RE|nh|br|ti|nf|fi|TS|TE|PD|in)\b`)

func checkPage(t *testing.T, verb *cobra.Command, name, page string) {
	t.Helper()
	text := plainRoff(page)
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, ".") && !macro.MatchString(line) || strings.HasPrefix(line, "'") {
			t.Errorf("%s: man would read a text as an order: %s", name, line)
		}
	}
	wants := []string{verb.Short}
	wants = append(wants, strings.Split(strings.TrimSpace(verb.Example), "\n")...)
	for line := range strings.Lines(verb.Long) {
		wants = append(wants, strings.TrimSpace(line))
	}
	verb.LocalFlags().VisitAll(func(f *pflag.Flag) { wants = append(wants, "--"+f.Name) })
	for _, want := range wants {
		if want = words(want); !strings.Contains(text, want) {
			t.Errorf("%s: lacks %q", name, want)
		}
	}
}

// plainRoff is what a page says, without what it is set in.
func plainRoff(page string) string {
	page = regexp.MustCompile(`\\f[BIRP]`).ReplaceAllString(page, "")
	return words(strings.NewReplacer(`\-`, "-", `\&`, "", `\\`, `\`, `\(aq`, "'", `\e`, `\`).Replace(page))
}

// words are the words of a text, whatever space is between them.
func words(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "")), " ") }
