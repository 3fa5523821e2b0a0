package config

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Serve is for the running service only.
type Serve struct {
	// Listen is where it answers how it gets on: host:port, of which the host may
	// be left out for every address, or "off".
	Listen string `yaml:"listen"`
}

// ListenOff answers nowhere.
const ListenOff = "off"

const (
	defaultListen   = "127.0.0.1:8080"
	defaultTimezone = "UTC"
)

func (d *decoder) serve(to *Serve) func(value) {
	return func(v value) {
		d.mapping(v, table{"listen": d.text(&to.Listen)})
	}
}

// checkServe checks what only a service looks at.
func (d *decoder) checkServe(c *Config) {
	if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "Local" {
		d.fail("timezone", "%q is no time zone; write UTC, or a name like Europe/Berlin", clip(c.Timezone))
	}
	if !isListen(c.Serve.Listen) {
		d.fail("serve.listen", "%q is no address to listen at; write host:port, as in %s, :8080 for every address, or %s",
			clip(c.Serve.Listen), defaultListen, ListenOff)
	}
	for _, j := range c.Jobs {
		if j.Schedule != "" && isSchedule(j.Schedule) {
			d.checkSchedule("jobs."+j.Name+".schedule", strings.Join(strings.Fields(j.Schedule), " "))
		}
	}
}

func isListen(text string) bool {
	if text == ListenOff {
		return true
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "/ ") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// checkSchedule checks the numbers of a schedule that has the form of one.
func (d *decoder) checkSchedule(path, text string) {
	if every, ok := strings.CutPrefix(text, "@every "); ok {
		if span, _ := ParseSpan(every); span < time.Second {
			d.fail(path, "@every needs a second or more; write @every 5m")
		}
		return
	}
	_, rest, ok := strings.Cut(text, "TZ=")
	if ok {
		zone, fields, _ := strings.Cut(rest, " ")
		if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
			d.fail(path, "%q is no time zone; write a name like Europe/Berlin", clip(zone))
			return
		}
		text = fields
	}
	schedule, err := cron.ParseStandard(text)
	switch {
	case err != nil:
		d.fail(path, "%q is no schedule: %s; write cron's five fields, as in \"*/5 * * * *\"; Sunday is 0", clip(text), clip(err.Error()))
	case schedule.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		d.fail(path, "%q never comes; no year has such a day", clip(text))
	}
}
