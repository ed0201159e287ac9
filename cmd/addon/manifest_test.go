package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const folder = "../../examples/home-assistant/addon"

// manifest is config.yaml as far as this add-on uses what the Supervisor knows (its supervisor/apps/validate.py of 2026).
type manifest struct {
	Name, Version, Slug, Description, Startup, Boot string

	Arch, Services []string
	HomeAssistant  string
	Stdin, Init    bool
	Timeout        int
	Map            []struct {
		Type     string
		ReadOnly bool `yaml:"read_only"`
	}
	BackupExclude []string `yaml:"backup_exclude"`
	Options       map[string]any
	Schema        map[string]any
}

func readYAML(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestManifest: config.yaml is what the Supervisor takes, and asks for no right that is not needed (a key that is not in
// manifest is an error).
func TestManifest(t *testing.T) {
	var m manifest
	readYAML(t, "config.yaml", &m)
	for name, ok := range map[string]bool{
		"name, description": m.Name != "" && m.Description != "",
		"version":           regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(m.Version),
		"slug":              regexp.MustCompile(`^[-_.A-Za-z0-9]+$`).MatchString(m.Slug),
		"startup, boot":     m.Startup == "application" && m.Boot == "auto",
		"arch":              slices.Equal(m.Arch, []string{"aarch64", "amd64"}), // what the Supervisor has left
		"services":          slices.Equal(m.Services, []string{"mqtt:need"}),
		"homeassistant":     m.HomeAssistant == "2024.11.0",
		"stdin, init":       m.Stdin && !m.Init,
		"timeout":           float64(m.Timeout) > grace.Seconds() && m.Timeout <= 300,
		"map":               len(m.Map) == 1 && m.Map[0].Type == "addon_config" && m.Map[0].ReadOnly,
		"backup_exclude":    slices.Equal(m.BackupExclude, []string{"**/token.json*", "**/usage.json*"}),
	} {
		if !ok {
			t.Errorf("%s is not as it should be: %+v", name, m)
		}
	}
	out, err := os.ReadFile("../tesla2mqtt/version.go")
	if err != nil || !strings.Contains(string(out), `const version = "`+m.Version+`"`) {
		t.Errorf("tesla2mqtt has another version than %s (%v)", m.Version, err)
	}
}

// TestManifestOptions: options, their defaults, their types and both translations are those that the program reads.
func TestManifestOptions(t *testing.T) {
	var m manifest
	readYAML(t, "config.yaml", &m)
	defaults, err := json.Marshal(m.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseOptions(defaults); err != nil {
		t.Error(err)
	}
	want := tags(reflect.TypeFor[options]())
	if got := keys(m.Schema); !slices.Equal(got, want) {
		t.Errorf("the schema has %q, the program %q", got, want)
	}
	if got := keys(m.Options); !slices.Equal(got, want) {
		t.Errorf("there are defaults for %q, the program has %q", got, want)
	}
	for name, form := range m.Schema {
		if name == "cars" {
			item := form.([]any)[0].(map[string]any)
			if got, want := keys(item), tags(reflect.TypeFor[car]()); !slices.Equal(got, want) {
				t.Errorf("a car has %q, in the program %q", got, want)
			}
			fits(t, "vin", item["vin"].(string), "5YJ3E1EA7KF317000")
			fits(t, "name", item["name"].(string), "model_3-a")
			continue
		}
		fits(t, name, form.(string), m.Options[name])
	}
}

// element is a type in the schema, by the Supervisor's rules as far as they are used here.
var element = regexp.MustCompile(`^(?:int\((\d+),(\d+)\)|match\((.*)\)|list\((.+)\))\??$`)

func fits(t *testing.T, name, form string, value any) {
	t.Helper()
	m := element.FindStringSubmatch(form)
	if m == nil {
		t.Errorf("%s: %s is no type", name, form)
		return
	}
	text, isText := value.(string)
	number, _ := value.(int)
	least, _ := strconv.Atoi(m[1])
	most, _ := strconv.Atoi(m[2])
	switch {
	case m[1] != "" && (number < least || number > most),
		m[3] != "" && (!isText || !regexp.MustCompile(m[3]).MatchString(text)),
		m[4] != "" && !slices.Contains(strings.Split(m[4], "|"), text):
		t.Errorf("%s: %v is not %s", name, value, form)
	}
}

func TestTranslations(t *testing.T) {
	type entry struct {
		Name, Description string
		Fields            map[string]struct{ Name, Description string }
	}
	for _, language := range []string{"en", "de"} {
		var text struct{ Configuration map[string]entry }
		readYAML(t, "translations/"+language+".yaml", &text)
		if got, want := keys(text.Configuration), tags(reflect.TypeFor[options]()); !slices.Equal(got, want) {
			t.Errorf("%s explains %q, the program has %q", language, got, want)
		}
		if got, want := keys(text.Configuration["cars"].Fields), tags(reflect.TypeFor[car]()); !slices.Equal(got, want) {
			t.Errorf("%s explains %q of a car, the program has %q", language, got, want)
		}
		for name, e := range text.Configuration {
			if e.Name == "" || e.Description == "" {
				t.Errorf("%s says nothing of %s", language, name)
			}
		}
	}
}

// TestPictures: the store wants PNG, the icon square.
func TestPictures(t *testing.T) {
	for name, want := range map[string][2]int{"icon.png": {128, 128}, "logo.png": {250, 100}} {
		f, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if c, err := png.DecodeConfig(f); err != nil || c.Width != want[0] || c.Height != want[1] {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func keys[V any](m map[string]V) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func tags(t reflect.Type) (all []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
