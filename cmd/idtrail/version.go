package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// versions of everything a lake depends on.
type versions struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	// Time of the revision; Modified says that it is not quite that one.
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	OCSF     string `json:"ocsf"`
	Mapping  int    `json:"mapping"`
	Scrub    int    `json:"scrub"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Long:  "Version says which idtrail this is, and the versions of the schema and the\nmapping it writes.",
		Example: `  idtrail version
  idtrail version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.version() },
	}
}

func (a *app) version() error {
	v := readVersions()
	if a.json {
		return a.printJSON(v)
	}
	revision := v.Revision
	if v.Modified {
		revision += ", modified"
	}
	return a.printTable([][]string{
		{"idtrail", v.Version},
		{"revision", cmp.Or(revision, "unknown")},
		{"go", v.Go + " " + v.Platform},
		{"OCSF", v.OCSF},
		{"mapping", itoa(v.Mapping)},
		{"scrub rules", itoa(v.Scrub)},
	})
}

func readVersions() versions {
	v := versions{
		Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		OCSF: schema.OCSFVersion, Mapping: transform.Version, Scrub: transform.ScrubVersion,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, v.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
