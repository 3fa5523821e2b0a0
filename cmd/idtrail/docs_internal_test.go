package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// yamlBlock is an example in a document.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestExamplesOfDelivery: what docs/DELIVERY.md and README.md show of a config
// works as it stands.
func TestExamplesOfDelivery(t *testing.T) {
	const base = "state: state\nlake: lake\nsources:\n  - {name: acme, kind: archive, format: cloudtrail, path: in}\n"
	const sink = "sinks:\n  - {name: lake, kind: parquet}\n  - name: x\n    kind: otlp\n    url: https://x.example\n    "
	found := 0
	for _, file := range []string{"../../docs/DELIVERY.md", "../../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			example := block[1]
			switch key, _, _ := strings.Cut(example, ":"); key {
			case "sinks":
				example = base + example
			case "filter", "redact":
				example = base + sink + strings.ReplaceAll(example, "\n", "\n    ")
			}
			found++
			c, err := config.Parse([]byte(example), file, config.Options{
				Dir: t.TempDir(), Env: func(string) (string, bool) { return "value-of-16-characters", true },
			})
			if err != nil {
				t.Errorf("%v in\n%s", err, example)
				continue
			}
			b := &builder{config: c, log: slog.New(slog.DiscardHandler), now: time.Now}
			if _, err := b.sinks(nil); err != nil {
				t.Errorf("%v in\n%s", err, example)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d examples, which is too few", found)
	}
}

// TestExamplesOfMonitoring: what docs/MONITORING.md shows of a config works as it
// stands.
func TestExamplesOfMonitoring(t *testing.T) {
	text, err := os.ReadFile("../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	base := "state: state\nlake: lake\nsources:\n"
	for _, name := range []string{"acme", "trail", "users", "pool", "left", "right"} {
		format := "auth0_users"
		if name == "acme" || name == "trail" {
			format = "cloudtrail"
		}
		base += "  - {name: " + name + ", kind: archive, format: " + format + ", path: in/" + name + "}\n"
	}
	env := func(name string) (string, bool) {
		return map[bool]string{true: "smtps://user:password@smtp.example", false: "https://hooks.example/x"}[name == "SMTP_URL"], true
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	for _, block := range blocks {
		example := base + block[1]
		if !strings.Contains(example, "reconcile:\n") {
			example += "reconcile: [{left: left, right: right}]\n"
		}
		c, err := config.Parse([]byte(example), "MONITORING.md", config.Options{Dir: t.TempDir(), Env: env})
		if err != nil {
			t.Errorf("%v in\n%s", err, example)
			continue
		}
		if _, err := (&builder{config: c}).targets(); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	if len(blocks) != 2 {
		t.Errorf("found %d examples, want 2", len(blocks))
	}
}

// TestSummaryIsDescribed: each key that run --json prints stands in
// docs/MONITORING.md.
func TestSummaryIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## The summary of a run")
	if !ok {
		t.Fatal("the section is gone")
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[runResult](), reflect.TypeFor[pipeline.SourceReport](), reflect.TypeFor[pipeline.SinkReport](), reflect.TypeFor[pipeline.ReconcileReport](),
	} {
		for _, key := range jsonKeys(of) {
			if !strings.Contains(section, "`"+key+"`") && !strings.Contains(section, "`"+key+"[]`") && !strings.Contains(section, "."+key+"[]`") {
				t.Errorf("%s: %s is not described", of, key)
			}
		}
	}
}

// jsonKeys are the keys of a struct as encoding/json writes it.
func jsonKeys(of reflect.Type) []string {
	var keys []string
	for f := range of.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "" && f.Anonymous:
			keys = append(keys, jsonKeys(f.Type)...)
		case key != "-":
			keys = append(keys, key)
		}
	}
	return keys
}

// proofName is a test as the documents name it: `package.Test`.
var proofName = regexp.MustCompile("`([a-z][a-z0-9/_]*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// TestProofsExist: a document that names a test which is gone proves nothing.
func TestProofsExist(t *testing.T) {
	for file, least := range map[string]int{"DELIVERY.md": 60, "GUARANTEES.md": 50} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		all := proofName.FindAllStringSubmatch(string(text), -1)
		if len(all) < least {
			t.Errorf("%s: found %d tests named, which is too few: the form of their names has changed", file, len(all))
		}
		for _, name := range all {
			if !hasTest(t, filepath.Join("../..", name[1]), name[2]) {
				t.Errorf("%s: %s has no %s", file, name[1], name[2])
			}
		}
	}
}

// hasTest says whether a test file of the folder has that function.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ` + name + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			return true
		}
	}
	return false
}
