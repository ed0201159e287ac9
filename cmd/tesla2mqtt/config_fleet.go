package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
)

// fleetPoll is how often a car is read by default where each full read is billed.
const fleetPoll = 5 * time.Minute

var (
	applicationForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	redirectForm    = regexp.MustCompile(`^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$`)
)

// fleetDefaults is the configuration of a file that says no more than tesla.api: fleet.
func fleetDefaults() *Config {
	c := defaults()
	c.Poll.Online, c.Poll.Charging = fleetPoll, fleetPoll
	return c
}

// keepFree gives the cars whose reads Tesla does not bill the intervals that they have in free, the same cars by the defaults of a file
// without the Fleet API.
func (c *Config) keepFree(free []vehicle) {
	for i, v := range c.Vehicles {
		if v.Read == "ble" {
			c.Vehicles[i].Poll = free[i].Poll
		}
	}
}

// checkFleet tells what the Fleet API needs and lacks, or what the Owner API is given and has no use for.
func (d *decoder) checkFleet(c *Config) {
	t := c.Tesla
	for _, k := range []struct{ key, value, missing, form string }{
		{"region", t.Region, "where the account lives: eu for Europe, the Middle East and Africa, na for North America and Asia-Pacific, cn for China", ""},
		{"client_id", t.ClientID, "the Fleet API knows an application of yours only, made at developer.tesla.com; see docs/setup-fleet.md",
			wants(applicationForm, t.ClientID, "must be the client ID of your application, as developer.tesla.com shows it")},
		{"redirect_url", t.RedirectURL, "one that your application is registered with; no page has to be there",
			wants(redirectForm, t.RedirectURL, "must be https://host[/path], byte for byte as your application is registered with it")},
		{"client_secret_file", t.ClientSecretFile, "", ""},
		{"key_file", t.KeyFile, "", ""},
	} {
		at := "tesla." + k.key
		switch {
		case k.key == "region" && hosts.FleetAPI(k.value) == "" && k.value != "":
			d.oneOf(at, k.value)
		case t.API == "fleet" && k.value == "" && k.missing != "":
			d.wrong(at, "missing (%s)", k.missing)
		case t.API == "owner" && k.value != "":
			d.wrong(at, "is for the Fleet API alone (set tesla.api: fleet, or remove it)")
		case k.form != "":
			d.wrong(at, "%s", k.form)
		}
	}
}

// wants returns fault for a value that is given and has not that form, else "".
func wants(form *regexp.Regexp, value, fault string) string {
	if value == "" || form.MatchString(value) {
		return ""
	}
	return fault
}

// checkRest is for commands that somebody else signs.
func (d *decoder) checkRest(at string, c *Config, v vehicle) {
	switch {
	case v.Write != "rest":
	case c.Tesla.API != "fleet":
		d.wrong(at+".write", "rest needs tesla.api: fleet (use auto: the Owner API sends the same where the car takes it)")
	case c.Tesla.APIURL == "":
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s.write: rest sends unsigned commands, which cars newer than 2021 refuse; let tesla.api_url name your tesla-http-proxy, which signs them", at))
	}
}

// readClientSecret takes the secret of the Fleet application from the one place that names it. Only a login needs it, so it
// may be missing. No error quotes the path: it may be the secret itself, written after the wrong key.
func (c *Config) readClientSecret(d *decoder, getenv func(string) string) {
	const at = "tesla.client_secret_file"
	env, file := getenv("TESLA_CLIENT_SECRET"), c.Tesla.ClientSecretFile
	switch {
	case c.Tesla.API != "fleet":
	case env != "" && file != "":
		d.wrong(at, "the environment has TESLA_CLIENT_SECRET too (keep one of them)")
	case env != "":
		c.clientSecret = secret.Hide(strings.TrimSpace(env))
	case file != "":
		text, err := c.secretFile(at, "client secret", file)
		if err != nil {
			d.wrong(at, "%v", err)
		}
		c.clientSecret = secret.Hide(strings.TrimSpace(text))
	}
}

// fleetLogin is what package auth has to know of the application; nil for the Owner API.
func (c *Config) fleetLogin() *auth.Fleet {
	if c.Tesla.API != "fleet" {
		return nil
	}
	return &auth.Fleet{ClientID: c.Tesla.ClientID, Secret: c.clientSecret, RedirectURL: c.Tesla.RedirectURL, API: hosts.FleetAPI(c.Tesla.Region)}
}

// redirectShown is the redirect URL as a person sees it in the browser's bar after a login.
func (c *Config) redirectShown() string {
	if u, err := url.Parse(c.Tesla.RedirectURL); err == nil && u.Path == "" {
		return c.Tesla.RedirectURL + "/"
	}
	return c.Tesla.RedirectURL
}
