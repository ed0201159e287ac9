package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/hosts"
)

// hasty is what Tesla's limits may not like for long; TeslaMate's 15 to 30 s have been fine for years.
const hasty = 15 * time.Second

var (
	topicForm  = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
	clientForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	vinForm    = regexp.MustCompile(`^[A-HJ-NPR-Z0-9]{17}$`)
	nameForm   = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
)

// checkAll applies every rule that no type can express, so that a user sees all faults in one go.
func (d *decoder) checkAll(c *Config) {
	d.checkMQTT(c)
	d.checkTesla(c)
	d.checkBudget(c)
	d.checkPoll(c, "poll", c.Poll)
	d.checkCommands(c)
	d.topic("homeassistant.prefix", c.HomeAssistant.Prefix)
	d.oneOf("log.level", c.Log.Level)
	d.oneOf("log.format", c.Log.Format)
	if c.StateDir == "" {
		d.wrong("state_dir", "must not be empty (the login is kept there; ./state is the default)")
	}
	d.checkTelemetry(c)
	d.checkBLE(c)
	d.checkVehicles(c)
}

func (d *decoder) checkMQTT(c *Config) {
	d.topic("mqtt.base_topic", c.MQTT.BaseTopic)
	if id := c.MQTT.ClientID; id != "" && !clientForm.MatchString(id) {
		d.wrong("mqtt.client_id", "must be 1 to 64 letters, digits, _ or - (Home Assistant's ids are made of it)")
	}
	// The package that connects knows its own rules; its faults name our keys.
	o := c.mqttOptions()
	o.ClientID, o.Password = "checked-above", ""
	_, err := mqtt.New(o)
	for _, fault := range flatten(err) {
		path, text, found := strings.Cut(fault.Error(), ": ")
		if !found {
			path, text = "mqtt", fault.Error()
		}
		d.wrong(path, "%s", text)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if err == nil || !ok {
		return slices.DeleteFunc([]error{err}, func(e error) bool { return e == nil })
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

func (d *decoder) checkTesla(c *Config) {
	t := c.Tesla
	d.oneOf("tesla.api", t.API)
	d.checkFleet(c)
	d.oneOf("tesla.tls_min", t.TLSMin)
	d.oneOf("tesla.tls_max", t.TLSMax)
	if t.TLSMin == "1.3" && t.TLSMax == "1.2" {
		d.wrong("tesla.tls_max", "is below tesla.tls_min (set tls_min to 1.2 as well)")
	}
	for _, u := range []struct{ path, text string }{{"tesla.auth_url", t.AuthURL}, {"tesla.api_url", t.APIURL}} {
		if _, err := hosts.New(u.text); err != nil {
			d.wrong(u.path, "must be https://host[:port], without user and query (http only for this machine, to a simulator)")
		}
	}
	if _, err := hosts.NewTransport(hosts.List{}, hosts.TLS{CAFile: t.CAFile}); err != nil {
		d.wrong("tesla.ca_file", "no certificate in PEM form can be read from %s (leave it empty for the system's own)", t.CAFile)
	}
}

// checkPoll is for the poll of all cars and for that of one.
func (d *decoder) checkPoll(c *Config, path string, p bridge.Poll) {
	for _, v := range []struct {
		key   string
		value time.Duration
		least time.Duration // below it, a warning
	}{
		{"state", p.State, hasty}, {"online", p.Online, hasty}, {"charging", p.Charging, hasty},
		{"idle_after", p.IdleAfter, 0}, {"suspend", p.Suspend, 0},
	} {
		at := join(path, v.key)
		d.between(at, v.value)
		if _, given := d.lines[at]; given && v.value < v.least {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s is very often, Tesla may refuse calls for hours; use %s or more", at, v.value, v.least))
		}
	}
}

func (d *decoder) checkCommands(c *Config) {
	d.oneOf("commands.wake", c.Commands.Wake)
	d.between("commands.ttl", c.Commands.TTL)
	d.checkAmps("commands.amps", c.Commands.Amps)
}

func (d *decoder) checkAmps(path string, a bridge.Amps) {
	for _, v := range []struct {
		key   string
		value int
	}{{"min", a.Min}, {"max", a.Max}} {
		if v.value < 1 || v.value > maxAmps {
			d.wrong(join(path, v.key), "must be 1 to %d (amperes, of each phase)", maxAmps)
			return
		}
	}
	if a.Min > a.Max {
		d.wrong(d.given(join(path, "min"), join(path, "max")), "min is %d and max is %d (min must not be above max)", a.Min, a.Max)
	}
	d.between(join(path, "settle"), a.Settle)
	d.between(join(path, "raise_gap"), a.RaiseGap)
	d.between(join(path, "lower_gap"), a.LowerGap)
}

func (d *decoder) checkVehicles(c *Config) {
	vins, names := map[string]int{}, map[string]int{}
	for i, v := range c.Vehicles {
		at := fmt.Sprintf("vehicles[%d]", i)
		if d.faulty(at) {
			continue // it is no entry at all
		}
		d.checkVIN(at+".vin", v.VIN)
		d.unique(at+".vin", v.VIN, i, vins)
		d.checkName(at+".name", v.Name)
		d.unique(at+".name", v.Name, i, names)
		if slices.ContainsFunc(c.Vehicles, func(other vehicle) bool { return v.Name != "" && strings.EqualFold(other.VIN, v.Name) }) {
			d.wrong(at+".name", "must not be the VIN of a car (leave it out to use the VIN)")
		}
		d.checkWay(at, v)
		d.checkRest(at, c, v)
		d.checkSigned(at, c, v)
		d.checkPoll(c, at+".poll", v.Poll)
		d.oneOf(at+".commands.wake", v.Commands.Wake)
		d.checkAmps(at+".commands.amps", v.Commands.Amps)
	}
}

func (d *decoder) checkVIN(path, vin string) {
	switch {
	case vin == "":
		d.wrong(path, "missing (list your cars with: tesla2mqtt vehicles)")
	case !vinForm.MatchString(vin):
		d.wrong(path, "must be a VIN: 17 capital letters and digits, without I, O and Q%s", vinSlip(vin))
	}
}

// vinSlip names the usual ones.
func vinSlip(vin string) string {
	switch {
	case len(vin) != 17:
		return fmt.Sprintf(" (this has %d characters)", len(vin))
	case strings.ContainsAny(strings.ToUpper(vin), "IOQ"):
		return " (is it a 1, or a 0?)"
	case vinForm.MatchString(strings.ToUpper(vin)):
		return " (write its letters as capitals)"
	}
	return ""
}

func (d *decoder) checkName(path, name string) {
	switch {
	case name == "bridge":
		d.wrong(path, "must not be bridge (those topics are the bridge's own)")
	case name != "" && !nameForm.MatchString(name):
		d.wrong(path, "must be 1 to 64 of a-z, 0-9, _ and - (it is part of the topics%s)", nameLike(name))
	}
}

var unnameable = regexp.MustCompile(`[^a-z0-9-]+`)

// nameLike proposes a name for topics that is like what was written.
func nameLike(name string) string {
	like := strings.Trim(unnameable.ReplaceAllString(strings.ToLower(name), "_"), "_")
	if like == "bridge" || !nameForm.MatchString(like) {
		return ""
	}
	return "; such as " + like
}

func (d *decoder) checkWay(at string, v vehicle) {
	d.oneOf(at+".read", v.Read)
	d.oneOf(at+".write", v.Write)
}

func (d *decoder) unique(path, value string, i int, seen map[string]int) {
	if value == "" {
		return
	}
	if first, dup := seen[value]; dup {
		d.wrong(path, "is the same as that of vehicles[%d] (each car needs its own)", first)
		return
	}
	seen[value] = i
}

func (d *decoder) topic(path, value string) {
	if !topicForm.MatchString(value) || len(value) > maxTopic {
		d.wrong(path, "must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)")
	}
}

func (d *decoder) oneOf(path, value string) {
	if allowed := choices[rule(path)]; !slices.Contains(allowed, value) {
		meant := ""
		if near := nearest(value, allowed); near != "" && !strings.ContainsAny(value, "0123456789") {
			meant = "; did you mean " + near + "?"
		}
		d.wrong(path, "is not a possible value (%s%s)", strings.Join(quoteEmpty(allowed), ", "), meant)
	}
}

func quoteEmpty(words []string) []string {
	words = slices.Clone(words)
	for i, w := range words {
		if w == "" {
			words[i] = `""`
		}
	}
	return words
}

func (d *decoder) between(path string, value time.Duration) {
	if s := spans[rule(path)]; value < s[0] || value > s[1] {
		d.wrong(path, "must be %s to %s", span(s[0]), span(s[1]))
	}
}

// span writes a duration without the zeros of its String.
func span(t time.Duration) string {
	text := strings.TrimSuffix(t.String(), "0s")
	if text == "" {
		return "0s"
	}
	if text != t.String() && strings.HasSuffix(text, "h0m") {
		return strings.TrimSuffix(text, "0m")
	}
	if strings.HasSuffix(text, "m") || strings.HasSuffix(text, "h") {
		return text
	}
	return t.String()
}

// given returns the first of the paths that the file has, else the first: that is the line somebody wrote.
func (d *decoder) given(paths ...string) string {
	for _, p := range paths {
		if d.lines[p] != 0 {
			return p
		}
	}
	return paths[0]
}
