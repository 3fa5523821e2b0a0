// Package deploy_test checks the files of this folder: that each has the form
// its tool reads, that they agree with each other and with the configs among
// them, and that those load. That the verbs and flags they name exist is checked
// in cmd/idtrail; the add-ons of datadog and splunk with their sinks.
package deploy_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/serve"
)

// home is the one directory the image writes to.
const home = "/var/lib/idtrail"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load parses a config in which all that is referred to is there.
func load(t *testing.T, name, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text), name, config.Options{
		Dir: t.TempDir(), SkipSecrets: true, Env: func(name string) (string, bool) {
			return home + "/cache", name == "XDG_CACHE_HOME" // as the image has it
		},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("%s: %v", name, c.Warnings)
	}
	return c
}

func configs(t *testing.T) map[string]*config.Config {
	t.Helper()
	mapped := ""
	for _, o := range objects(t, "config.yaml") {
		if o["kind"] == "ConfigMap" {
			mapped = at[string](t, o, "data", "idtrail.yaml")
		}
	}
	return map[string]*config.Config{
		"kubernetes": load(t, "kubernetes", mapped),
		"systemd":    load(t, "systemd", read(t, "systemd/idtrail.yaml")),
		"terraform":  load(t, "terraform", read(t, "terraform/examples/complete/idtrail.yaml")),
	}
}

// jobs are the schedules of a config, by job.
func jobs(c *config.Config) map[string]string {
	all := map[string]string{}
	for _, j := range c.Jobs {
		all[j.Name] = j.Schedule
	}
	return all
}

func TestConfigs(t *testing.T) {
	for name, c := range configs(t) {
		if len(c.Jobs) != 2 {
			t.Errorf("%s: %d jobs", name, len(c.Jobs))
		}
		s3 := strings.HasPrefix(c.State.URL, "s3://") && strings.HasPrefix(c.Lake.URL, "s3://")
		if name != "systemd" && !s3 {
			t.Errorf("%s: state %s and lake %s are on a disk that does not last", name, c.State.URL, c.Lake.URL)
		}
	}
	text := read(t, "systemd/idtrail.yaml")
	for _, path := range regexp.MustCompile(`(?m)^(?:state|lake): (.*)$`).FindAllStringSubmatch(text, -1) {
		if !filepath.IsAbs(path[1]) {
			t.Errorf("%s would be below the directory of the secrets", path[1])
		}
	}
}

// A unit gives the config its secrets as files that stand beside it.
func TestSecretsOfUnits(t *testing.T) {
	dir := t.TempDir()
	for _, line := range unit(t, "idtrail@.service")["Service"]["LoadCredential"] {
		name, from, _ := strings.Cut(line, ":")
		if from != "/etc/idtrail/"+name {
			t.Errorf("credential %s is of %s", name, from)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret-of-"+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := []byte(read(t, "systemd/idtrail.yaml"))
	path := filepath.Join(dir, "idtrail.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(t.Context(), config.Options{Path: path, Dir: "/", Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Connections["acme"].Auth0.ClientSecret.Reveal(); got != "secret-of-auth0_client_secret" {
		t.Errorf("the secret is %q", got)
	}
}

// --- Kubernetes -------------------------------------------------------------

type object = map[string]any

func objects(t *testing.T, name string) []object {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, "kubernetes/"+name)))
	var all []object
	for {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, o)
	}
}

// at walks down by keys, and by 0 into the first of a list.
func at[T any](t *testing.T, v any, path ...string) T {
	t.Helper()
	for i, key := range path {
		switch in := v.(type) {
		case object:
			v = in[key]
		case []any:
			if key != "0" || len(in) == 0 {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			v = in[0]
		default:
			t.Fatalf("nothing at %v", path[:i+1])
		}
	}
	got, ok := v.(T)
	if !ok {
		t.Fatalf("%v is %T: %v", path, v, v)
	}
	return got
}

func TestKustomization(t *testing.T) {
	k := objects(t, "kustomization.yaml")[0]
	for _, r := range at[[]any](t, k, "resources") {
		for _, o := range objects(t, r.(string)) {
			if o["apiVersion"] == nil || o["kind"] == nil || at[string](t, o, "metadata", "name") == "" {
				t.Errorf("%v: an object without kind or name", r)
			}
		}
	}
	if level := at[string](t, objects(t, "namespace.yaml")[0], "metadata", "labels", "pod-security.kubernetes.io/enforce"); level != "restricted" {
		t.Errorf("the namespace is %s", level)
	}
}

func TestCronJobs(t *testing.T) {
	got := map[string]string{}
	for _, o := range objects(t, "cronjobs.yaml") {
		spec := at[object](t, o, "spec")
		if spec["concurrencyPolicy"] != "Forbid" || spec["timeZone"] != "Etc/UTC" {
			t.Errorf("%v, %v", spec["concurrencyPolicy"], spec["timeZone"])
		}
		if n := at[uint64](t, spec, "startingDeadlineSeconds"); n < 10 {
			t.Errorf("with a deadline of %d s the controller, which looks every 10 s, may miss it", n)
		}
		if n := at[uint64](t, spec, "jobTemplate", "spec", "backoffLimit"); n != 0 {
			t.Errorf("it is tried again %d times", n)
		}
		pod := at[object](t, spec, "jobTemplate", "spec", "template", "spec")
		if pod["restartPolicy"] != "Never" {
			t.Errorf("restart policy %v", pod["restartPolicy"])
		}
		checkPod(t, pod)
		args := at[[]any](t, pod, "containers", "0", "args")
		got[args[1].(string)] = at[string](t, spec, "schedule")
		if name := at[string](t, o, "metadata", "name"); name != "idtrail-"+args[1].(string) {
			t.Errorf("%s runs %v", name, args)
		}
	}
	if diff := cmp.Diff(jobs(configs(t)["kubernetes"]), got); diff != "" {
		t.Errorf("schedules (-config +cron jobs)\n%s", diff)
	}
}

func TestServeOnKubernetes(t *testing.T) {
	o := objects(t, "serve.yaml")[0]
	if at[uint64](t, o, "spec", "replicas") != 1 || at[string](t, o, "spec", "strategy", "type") != "Recreate" {
		t.Error("more than one would run at a time")
	}
	if diff := cmp.Diff(at[object](t, o, "spec", "selector", "matchLabels"), at[object](t, o, "spec", "template", "metadata", "labels")); diff != "" {
		t.Errorf("it does not select its own pods\n%s", diff)
	}
	pod := at[object](t, o, "spec", "template", "spec")
	checkPod(t, pod)
	c := at[object](t, pod, "containers", "0")
	port := at[object](t, c, "ports", "0")
	for probe, path := range map[string]string{"livenessProbe": "/livez", "readinessProbe": "/healthz"} {
		get := at[object](t, c, probe, "httpGet")
		if get["path"] != path || get["port"] != port["name"] {
			t.Errorf("%s: %v", probe, get)
		}
	}
	args := at[[]any](t, c, "args")
	if i := slices.Index(args, any("--listen")); i < 0 || args[i+1] != ":8080" || port["containerPort"] != uint64(8080) {
		t.Errorf("it does not listen where it is probed: %v, %v", args, port)
	}
}

// checkPod checks what the profile "restricted" demands, and more.
func checkPod(t *testing.T, pod object) {
	t.Helper()
	want := object{
		"runAsNonRoot": true, "runAsUser": uint64(65532), "runAsGroup": uint64(65532), "fsGroup": uint64(65532),
		"seccompProfile": object{"type": "RuntimeDefault"},
	}
	if diff := cmp.Diff(want, at[object](t, pod, "securityContext")); diff != "" {
		t.Errorf("pod (-want +got)\n%s", diff)
	}
	c := at[object](t, pod, "containers", "0")
	want = object{
		"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []any{"ALL"}},
	}
	if diff := cmp.Diff(want, at[object](t, c, "securityContext")); diff != "" {
		t.Errorf("container (-want +got)\n%s", diff)
	}
	if at[string](t, c, "resources", "limits", "memory") == "" || at[string](t, c, "resources", "requests", "cpu") == "" {
		t.Error("no resources are set")
	}
	if n := at[uint64](t, pod, "terminationGracePeriodSeconds"); n < 25 {
		t.Errorf("%d s are too few to stop in", n)
	}
	checkVolumes(t, pod, c)
}

func checkVolumes(t *testing.T, pod, c object) {
	t.Helper()
	volumes := map[string]object{}
	for _, v := range at[[]any](t, pod, "volumes") {
		volumes[at[string](t, v, "name")] = v.(object)
	}
	writable := ""
	for _, m := range at[[]any](t, c, "volumeMounts") {
		if volumes[at[string](t, m, "name")] == nil {
			t.Errorf("%v mounts no volume", m)
		}
		delete(volumes, at[string](t, m, "name"))
		if m.(object)["readOnly"] != true {
			writable += at[string](t, m, "mountPath")
		}
	}
	if writable != home || len(volumes) > 0 {
		t.Errorf("%s is writable; volumes %v are mounted nowhere", writable, volumes)
	}
}

// --- systemd and cron -------------------------------------------------------

// unit is a unit file: section, setting, values in their order.
func unit(t *testing.T, name string) map[string]map[string][]string {
	t.Helper()
	u := map[string]map[string][]string{}
	section := ""
	for i, line := range strings.Split(read(t, "systemd/"+name), "\n") {
		key, value, isSetting := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			if u[section] != nil {
				t.Fatalf("%s:%d: section %s is there already", name, i+1, section)
			}
			u[section] = map[string][]string{}
		case !isSetting || section == "" || key != strings.TrimSpace(key):
			t.Fatalf("%s:%d: %q is no setting of a section", name, i+1, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

func TestTimers(t *testing.T) {
	known := jobs(configs(t)["systemd"])
	files, err := filepath.Glob("systemd/*.timer")
	if err != nil || len(files) != len(known) {
		t.Fatalf("%d timers of %d jobs, %v", len(files), len(known), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		u := unit(t, name)
		job := strings.TrimSuffix(strings.TrimPrefix(name, "idtrail-"), ".timer")
		if got := u["Timer"]["Unit"]; known[job] == "" || !slices.Equal(got, []string{"idtrail@" + job + ".service"}) {
			t.Errorf("%s starts %v", name, got)
		}
		if len(u["Timer"]["OnCalendar"]) != 1 || !slices.Equal(u["Install"]["WantedBy"], []string{"timers.target"}) {
			t.Errorf("%s: %v", name, u)
		}
	}
}

// The service of all jobs is shut in as the service of one.
func TestServices(t *testing.T) {
	job, all := unit(t, "idtrail@.service")["Service"], unit(t, "idtrail.service")["Service"]
	for _, key := range []string{"Type", "ExecStart", "SuccessExitStatus", "Restart", "RestartSec"} {
		delete(job, key)
		delete(all, key)
	}
	if diff := cmp.Diff(job, all); diff != "" {
		t.Errorf("settings (-idtrail@ +idtrail)\n%s", diff)
	}
	for key, want := range map[string]string{
		"ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "PrivateTmp": "yes",
		"StateDirectory": "idtrail", "StateDirectoryMode": "0700", "User": "idtrail", "UMask": "0077", "TimeoutStopSec": "30",
	} {
		if !slices.Equal(job[key], []string{want}) {
			t.Errorf("%s is %q, not %q", key, job[key], want)
		}
	}
	if !slices.Contains(job["Environment"], "IDTRAIL_CONFIG=%d/idtrail.yaml") {
		t.Errorf("environment %q does not name the config among the credentials", job["Environment"])
	}
	if !strings.Contains(read(t, "systemd/idtrail.sysusers"), "\nu idtrail - ") {
		t.Error("the user is not made")
	}
}

func TestCron(t *testing.T) {
	known := jobs(configs(t)["systemd"]) // of the same names
	form := regexp.MustCompile(`^((?:\S+\s+){5})idtrail (idtrail (\S+) .*)$`)
	ran := 0
	for line := range strings.SplitSeq(read(t, "cron/idtrail"), "\n") {
		if line == "" || line[0] == '#' || regexp.MustCompile(`^[A-Z_]+=\S+$`).MatchString(line) {
			continue
		}
		m := form.FindStringSubmatch(line)
		if m == nil || strings.Contains(line, "%") {
			t.Errorf("%q is no line of a file in cron.d", line)
			continue
		}
		if _, err := serve.ParseSchedule(strings.TrimSpace(m[1]), time.UTC); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if m[3] != "run" {
			continue
		}
		ran++
		if job := strings.Fields(m[2])[2]; known[job] != strings.Join(strings.Fields(m[1]), " ") {
			t.Errorf("%q: the config has %q for %s", line, known[job], job)
		}
	}
	if ran != len(known) {
		t.Errorf("%d of %d jobs run", ran, len(known))
	}
}

// --- The image --------------------------------------------------------------

// stages are the instructions of a Dockerfile by stage, in order, "" before the
// first; and the stages' names.
func stages(t *testing.T) (names []string, of map[string][]string) {
	t.Helper()
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, "Dockerfile"), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	of = map[string][]string{}
	stage := ""
	for line := range strings.SplitSeq(text, "\n") {
		word, _, _ := strings.Cut(line, " ")
		switch word {
		case "":
			continue
		case "FROM":
			f := strings.Fields(line)
			if len(f) != 4 || f[2] != "AS" {
				t.Fatalf("%q names no stage", line)
			}
			stage = f[3]
			names = append(names, stage)
		case "ARG", "WORKDIR", "ENV", "COPY", "RUN", "LABEL", "USER", "VOLUME", "ENTRYPOINT", "CMD", "HEALTHCHECK", "EXPOSE":
		default:
			t.Fatalf("%q is no instruction known here", line)
		}
		of[stage] = append(of[stage], regexp.MustCompile(`\s+`).ReplaceAllString(line, " "))
	}
	return names, of
}

func TestDockerfile(t *testing.T) {
	names, of := stages(t)
	if !slices.Equal(names, []string{"build", "base", "serve", "idtrail"}) {
		t.Fatalf("stages %v: the last is what docker build builds", names)
	}
	for _, want := range []string{
		"FROM scratch AS base", "USER 65532:65532", `VOLUME ["` + home + `"]`, "WORKDIR " + home,
		"COPY --from=build --chown=65532:65532 /home-of-idtrail " + home,
		"ENV HOME=" + home + " XDG_CACHE_HOME=" + home + "/cache TMPDIR=" + home,
	} {
		if !slices.Contains(of["base"], want) {
			t.Errorf("the image lacks %q; it has %q", want, of["base"])
		}
	}
	for _, name := range names {
		checked := strings.Contains(strings.Join(of[name], "\n"), "HEALTHCHECK")
		if checked != (name == "serve") {
			t.Errorf("health of stage %s: checked %v", name, checked)
		}
	}
	build := strings.Join(of["build"], "\n")
	for _, want := range []string{"-trimpath", "netgo", "osusergo", "timetzdata", "sqlite_omit_load_extension", `-extldflags "-static"`, "ca-certificates.crt"} {
		if !strings.Contains(build, want) {
			t.Errorf("the build lacks %s", want)
		}
	}
}

// The compiler is named to the patch, and is not older than what go.mod wants:
// the image lets it fetch no other.
func TestCompiler(t *testing.T) {
	_, of := stages(t)
	image := regexp.MustCompile(`^ARG GO_IMAGE=golang:(\d+)\.(\d+)\.(\d+)-[a-z]+$`).FindStringSubmatch(of[""][0])
	mod := regexp.MustCompile(`(?m)^go (\d+)\.(\d+)\.(\d+)$`).FindStringSubmatch(read(t, "../go.mod"))
	if image == nil || mod == nil {
		t.Fatalf("%q, %q", of[""][0], mod)
	}
	version := func(m []string) string { return m[1] + "." + pad(m[2]) + "." + pad(m[3]) }
	if version(image) < version(mod) {
		t.Errorf("Go %v is older than go.mod's %v", image[1:], mod[1:])
	}
}

func pad(n string) string { return strings.Repeat("0", 4-len(n)) + n }

// --- What all of them name --------------------------------------------------

func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"Dockerfile", "README.md", "cron", "systemd", "kubernetes", "terraform"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == ".terraform" {
				return filepath.SkipDir
			}
			if !d.IsDir() {
				all[path] = read(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestVariablesOfTheProgram(t *testing.T) {
	found := 0
	for path, text := range files(t) {
		for _, name := range regexp.MustCompile(`\bIDTRAIL_[A-Z_]+`).FindAllString(text, -1) {
			found++
			// Names that a config refers to are the user's own.
			own := strings.Contains(text, "${env:"+name+"}") || strings.Contains(text, "\n    "+name+" = ")
			if name != config.EnvFile && name != config.EnvText && !own {
				t.Errorf("%s: the program reads no %s", path, name)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d are named, which is too few", found)
	}
}
