package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// options are those of config.yaml in the add-on's folder. What is left out has tesla2mqtt's default, and tesla2mqtt judges
// the values: there is one place for these rules.
type options struct {
	API          string `json:"api"`
	Cars         []car  `json:"cars"`
	AmpsMax      int    `json:"amps_max"`
	Wake         string `json:"wake"`
	PollState    string `json:"poll_state"`
	PollOnline   string `json:"poll_online"`
	PollCharging string `json:"poll_charging"`
	LogLevel     string `json:"log_level"`
}

type car struct {
	VIN  string `json:"vin"`
	Name string `json:"name,omitempty"`
}

// section is a part of tesla2mqtt's configuration. Every JSON is YAML too, so nothing has to be quoted by hand.
type section map[string]any

// configuration is what tesla2mqtt is started with.
type configuration struct {
	file string
	env  []string // all of it: the bridge needs nothing else, and must not have the Supervisor's token
}

// maxFile bounds what is read here; options have some hundred bytes, a configuration of one's own 3 kB.
const maxFile = 1 << 20

// stateDir is where the login is.
func (a *addon) stateDir() string { return filepath.Join(a.data, "state") }

// configure takes the person's own configuration, or makes one of the options and the Supervisor's broker.
func (a *addon) configure(ctx context.Context) (configuration, error) {
	own, err := readFile(a.own)
	if err == nil {
		a.say("using %s; the options of this page do not count", a.own)
		for _, key := range a.exposed(own) {
			a.say("WARNING: %s names a file that other apps, whoever reaches this folder by Samba, and backups get to see; the app's documentation says what that gives them", key)
		}
		return configuration{a.own, []string{}}, a.checkOwn(own)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return configuration{}, fmt.Errorf("%s cannot be read: %w", a.own, err)
	}
	text, err := readFile(a.options)
	if err != nil {
		return configuration{}, fmt.Errorf("the options cannot be read: %w", err)
	}
	o, err := parseOptions(text)
	if err != nil {
		return configuration{}, err
	}
	b, err := a.awaitBroker(ctx)
	if err != nil {
		return configuration{}, err
	}
	file := filepath.Join(a.data, "config.yaml")
	made, err := o.config(b, a.stateDir())
	if err == nil {
		err = os.WriteFile(file, made, 0o600)
	}
	if err != nil {
		return configuration{}, fmt.Errorf("the configuration cannot be written: %w", err)
	}
	a.say("the broker is %s, as the Supervisor says", b.url())
	env := []string{}
	if b.Username != "" {
		env = append(env, "MQTT_PASSWORD="+b.Password.Reveal())
	}
	return configuration{file, env}, nil
}

// stateLine is the key that a configuration of one's own must have.
var stateLine = regexp.MustCompile(`(?m)^state_dir:[ \t]*["']?([^"'\s#]+)`)

// checkOwn sees to it that the login stays in the add-on's own folder: the one of the configuration is shared with other
// add-ons and with the network.
func (a *addon) checkOwn(text []byte) error {
	m := stateLine.FindSubmatch(text)
	if m == nil || string(m[1]) != a.stateDir() {
		return fmt.Errorf("%s must have the line state_dir: %s (beside the file the login would be open to other add-ons)", a.own, a.stateDir())
	}
	return nil
}

// secretLine finds the keys that name the file of a secret, in blocks and in braces.
var secretLine = regexp.MustCompile(`(?:^|[\s{,])["']?(password_file|client_secret_file|key_file)["']?:[ \t]*["']?([^"'\s,}]+)`)

// exposed returns the keys of a configuration of one's own whose secrets lie beside it. What they name is not returned: it may be
// the secret itself.
func (a *addon) exposed(text []byte) (keys []string) {
	shared := filepath.Dir(a.own)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, m := range secretLine.FindAllStringSubmatch(line, -1) {
			path := m[2]
			if !filepath.IsAbs(path) {
				path = filepath.Join(shared, path)
			}
			if inside, err := filepath.Rel(shared, path); err == nil && filepath.IsLocal(inside) {
				keys = append(keys, m[1])
			}
		}
	}
	return keys
}

func parseOptions(text []byte) (options, error) {
	var o options
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, fmt.Errorf("the options are not those of this version: %w (open the page Configuration of the add-on and save it)", err)
	}
	return o, nil
}

// config is tesla2mqtt's configuration. The password is not in it.
func (o options) config(b broker, stateDir string) ([]byte, error) {
	set := func(keys ...any) section {
		s := section{}
		for i := 0; i < len(keys); i += 2 {
			if v := keys[i+1]; v != "" && v != 0 {
				s[keys[i].(string)] = v
			}
		}
		return s
	}
	commands := set("wake", o.Wake)
	commands["amps"] = set("max", o.AmpsMax)
	return json.MarshalIndent(section{
		"mqtt":      set("url", b.url(), "username", b.Username),
		"state_dir": stateDir,
		"tesla":     set("api", o.API),
		"poll":      set("state", o.PollState, "online", o.PollOnline, "charging", o.PollCharging),
		"commands":  commands,
		"log":       set("level", o.LogLevel),
		"vehicles":  o.Cars,
	}, "", "  ")
}

// readFile reads a small file whole. A larger one is an error, not a part of it.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}
