package config_test

import (
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/config"
)

func TestServe(t *testing.T) {
	c := mustParse(t, base)
	if want := (config.Serve{Listen: "127.0.0.1:8080"}); c.Timezone != "UTC" || c.Serve != want {
		t.Errorf("defaults: got %q and %+v, want UTC and %+v", c.Timezone, c.Serve, want)
	}
	c = mustParse(t, base+"timezone: Europe/Berlin\nserve: {listen: \":0\"}\n")
	if c.Timezone != "Europe/Berlin" || c.Serve.Listen != ":0" {
		t.Errorf("got %q and %q, want Europe/Berlin and :0", c.Timezone, c.Serve.Listen)
	}
}

func TestServeProblems(t *testing.T) {
	schedule := func(text string) string { return `jobs: {a: {sources: [acme], schedule: "` + text + `"}}` }
	for _, tt := range []struct{ name, add, want string }{
		{"no zone", "timezone: Berlin", `timezone: "Berlin" is no time zone`},
		{"the machine's zone", "timezone: Local", `timezone: "Local" is no time zone`},
		{"no port", "serve: {listen: localhost}", `serve.listen: "localhost" is no address`},
		{"no number", "serve: {listen: 'localhost:http'}", `serve.listen: "localhost:http" is no address`},
		{"large number", "serve: {listen: ':65536'}", `serve.listen: ":65536" is no address`},
		{"a URL", "serve: {listen: 'http://x:80'}", `serve.listen: "http://x:80" is no address`},
		{"minute 60", schedule("60 * * * *"), `jobs.a.schedule: "60 * * * *" is no schedule: end of range (60) above maximum (59)`},
		{"Sunday as 7", schedule("0 3 * * 7"), `end of range (7) above maximum (6)`},
		{"never", schedule("0 0 30 2 *"), `jobs.a.schedule: "0 0 30 2 *" never comes`},
		{"nothing", schedule("0 0 , * *"), `never comes`},
		{"always", schedule("@every 1ms"), `jobs.a.schedule: @every needs a second or more`},
		{"another zone", schedule("CRON_TZ=Berlin 0 3 * * *"), `jobs.a.schedule: "Berlin" is no time zone`},
		{"an empty zone", schedule("TZ= 0 3 * * *"), `jobs.a.schedule: "" is no time zone`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(base+tt.add+"\n"), "t.yaml", options(nil))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want: %s", err, tt.want)
			}
		})
	}
}
