package datadog_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

const deploy = "../../deploy/datadog"

// What the files in deploy/datadog name, the sink sends. What the pipeline makes
// of a log does not count.
func TestDeployNamesWhatIsSent(t *testing.T) {
	known := sent(t)
	checked := 0
	for name, text := range deployFiles(t) {
		for _, named := range namesIn(t, name, text) {
			checked++
			if !slices.Contains(known, named) {
				t.Errorf("%s names %s, which is not sent", name, named)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d names were found", checked)
	}
}

func deployFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(deploy, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[filepath.ToSlash(strings.TrimPrefix(path, filepath.FromSlash(deploy)+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	attributeForm = regexp.MustCompile(`@([a-z][a-z_.A-Z]*[a-zA-Z])\b`)
	metricForm    = regexp.MustCompile(`\bidtrail\.[a-z_.]*[a-z]`)
	tagForm       = regexp.MustCompile(`by \{([a-z_,]+)\}`)
	valueForm     = regexp.MustCompile(`@evt\.(?:name|category|outcome):\(?([a-z_ OR]+)`)
)

// namesIn returns what a file names: @attributes, metrics, #tags and =values.
func namesIn(t *testing.T, file, text string) (names []string) {
	t.Helper()
	if strings.HasSuffix(file, ".md") {
		// Words behind an @ may be people there.
		text = strings.ReplaceAll(text, "@dd.headers", "")
		text = strings.NewReplacer("@pipeline", "", "@dashboard", "", "@team", "", "`.", "`").Replace(text)
	} else if !json.Valid([]byte(text)) {
		t.Errorf("%s is no JSON", file)
	}
	for _, m := range attributeForm.FindAllStringSubmatch(text, -1) {
		names = append(names, "@"+m[1])
	}
	names = append(names, metricForm.FindAllString(text, -1)...)
	for _, m := range tagForm.FindAllStringSubmatch(text, -1) {
		for tag := range strings.SplitSeq(m[1], ",") {
			names = append(names, "#"+tag)
		}
	}
	for _, m := range valueForm.FindAllStringSubmatch(text, -1) {
		for value := range strings.SplitSeq(m[1], " OR ") {
			names = append(names, "="+strings.Fields(value)[0])
		}
	}
	if file == "pipeline.json" {
		for _, source := range gjson.Get(text, "processors.#.sources|@flatten").Array() {
			names = append(names, "@"+source.String())
		}
	}
	return names
}

// sent returns all names there are, in the form of namesIn.
func sent(t *testing.T) []string {
	t.Helper()
	known := []string{"=check"}
	var e schema.Event
	loadtest.Fill(&e, 1)
	e.Metadata.Labels[0], e.StatusID, e.RawData = "person:x", schema.StatusSuccess, strings.Repeat("x", 2_000_000)
	e.API.Response.Code, e.SrcEndpoint.Location.Lat = new(int32(200)), nil
	late, _ := encode(t, protocol(t, options()), e)
	known = append(known, paths("@", gjson.Parse(late))...)
	e.ClassUID, e.RawData, e.Time = schema.ClassAuthentication, "", now.UnixMilli()
	classes := []int32{
		schema.ClassAuthentication, schema.ClassAccountChange, schema.ClassEntityManagement, schema.ClassUserAccess,
		schema.ClassGroupManagement, schema.ClassAPIActivity, schema.ClassBase,
	}
	for _, class := range classes {
		for _, status := range []int32{schema.StatusSuccess, schema.StatusFailure} {
			e.ClassUID, e.StatusID = class, status
			log, _ := encode(t, protocol(t, options()), e)
			known = append(known, "="+gjson.Get(log, "evt.category").String(), "="+gjson.Get(log, "evt.outcome").String())
		}
	}
	for _, n := range []schema.Event{
		notice.Gap(schema.Gap{Source: "a", DeclaredAt: now}), notice.Drift(notice.DriftFacts{Left: "a", Right: "b", ComparedAt: now}),
	} {
		log, _ := encode(t, protocol(t, options()), n)
		known = append(known, "="+gjson.Get(log, "evt.name").String())
	}
	s, d := open(t, nil)
	h := health()
	h.Took = time.Second
	if err := s.Report(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	known = append(known, d.Checks()[0].Check)
	for _, m := range d.Series() {
		known = append(known, m.Metric)
		for _, tag := range m.Tags {
			key, _, _ := strings.Cut(tag, ":")
			known = append(known, "#"+key)
		}
	}
	return known
}

// paths returns the dotted names of all values, and of the objects they are in.
func paths(prefix string, v gjson.Result) (names []string) {
	v.ForEach(func(key, value gjson.Result) bool {
		name := prefix + key.String()
		names = append(names, name)
		if value.IsObject() {
			names = append(names, paths(name+".", value)...)
		}
		return true
	})
	return names
}

// The files have the members the calls they are for require.
func TestDeployForms(t *testing.T) {
	files := deployFiles(t)
	readme, monitors := files["README.md"], 0
	for name, text := range files {
		if strings.HasPrefix(name, "monitors/") {
			monitors++
			if typ := gjson.Get(text, "type").String(); !slices.Contains([]string{"service check", "query alert", "log alert"}, typ) {
				t.Errorf("%s: type %q", name, typ)
			}
			want := gjson.Get(text, "options.thresholds.critical")
			if query := gjson.Get(text, "query").String(); strings.Contains(query, "> ") && !strings.HasSuffix(query, "> "+want.Raw) {
				t.Errorf("%s: the query %q and its threshold %s differ", name, query, want.Raw)
			}
			for _, member := range []string{"name", "query", "message", "options.thresholds.critical"} {
				if !gjson.Get(text, member).Exists() {
					t.Errorf("%s has no %s", name, member)
				}
			}
			continue
		}
		if strings.HasSuffix(name, ".json") && !strings.Contains(readme, "]("+name+")") {
			t.Errorf("the README does not tell of %s", name)
		}
	}
	if monitors != 8 {
		t.Errorf("%d monitors", monitors)
	}
	absent := gjson.Get(files["monitors/run.json"], "options")
	if !absent.Get("notify_no_data").Bool() || absent.Get("no_data_timeframe").Int() == 0 {
		t.Error("nobody is told of runs that are missing")
	}
	pipeline := files["pipeline.json"]
	if gjson.Get(pipeline, "filter.query").String() != "source:idtrail" {
		t.Error("the pipeline is for other logs")
	}
	// Whatever else became the time of a log would have Datadog drop late ones.
	if got := gjson.Get(pipeline, `processors.#(type=="date-remapper").sources`).Raw; strings.Contains(got, "event_time") || got == "" {
		t.Errorf("the time is taken from %s", got)
	}
}
