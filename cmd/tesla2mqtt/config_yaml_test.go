package main

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// needle stands for a password that somebody has put into the configuration. It has the form of a name, as YAML wants it for
// what it quotes itself.
const needle = "hunter2"

// TestInvariant4ConfigFaultsQuoteNoValue: a password in the file, in whatever form, is in no message.
func TestInvariant4ConfigFaultsQuoteNoValue(t *testing.T) {
	for _, value := range []string{"*hunter2", "&hunter2", "!hunter2", "!!hunter2", "!<hunter2>", "!hunter2!x", "%hunter2", "@hunter2", "`hunter2`",
		"|hunter2", ">hunter2", "{hunter2", "[hunter2", "'hunter2", `"hunter2`, `"\hunter2"`, "hunter2: x", ": hunter2", "? hunter2", "- hunter2",
		"&a [*a, hunter2]", "*hunter2 x", "&hunter2 *hunter2", "&hunter2 {x: *hunter2}", "!!binary hunter2", "!!int hunter2", "!!map hunter2", "hunter2\thunter2: x",
		"{hunter2: 1}", "[hunter2]", "{<<: hunter2}", "{<<: *hunter2}", "hunter2\x00", "hunter2\xff", "hunter2\n  hunter2", "hunter2\n hunter2: x"} {
		for _, form := range []string{"mqtt:\n  password: %s\n", "mqtt:\n  password_file: %s\n", "mqtt: {password: %s}\n", "mqtt: {username: me, password_file: %s}\n",
			"mqtt:\n  password=%s: \n", "mqtt: {password:%s}\n", "mqtt: {password=%s}\n", "mqtt:\n  password %s\n", "mqtt: %s\n", "%s\n", "state_dir: %s\n",
			"mqtt:\n  scalars: %s\n", "poll: {state: %s}\n", "commands: {amps: {max: %s}}\n", "vehicles: %s\n", "vehicles: [%s]\n",
			"mqtt:\n  url: mqtt://me:%s@host\n", "mqtt: {mqtt://me:%s@host}\n", "tesla:\n  <<: %s\n", "x: &hunter2 1\ny: %s\n", "mqtt: {}\n--- %s\n"} {
			text := fmt.Sprintf(form, value)
			_, err := loadConfig(writeConfig(t, text), noEnv)
			if err != nil && strings.Contains(err.Error(), needle) && !isKey(text) {
				t.Errorf("%q is reported as\n%v", text, err)
			}
		}
	}
}

// isKey tells whether the needle stands where a key does, which may be quoted: the person has to find it.
func isKey(text string) bool {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	var walk func(n *yaml.Node) bool
	walk = func(n *yaml.Node) bool {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && strings.Contains(keyForm.FindString(child.Value), needle) || walk(child) {
				return true
			}
		}
		return false
	}
	return walk(&doc)
}

// TestMisreadValueIsReported: YAML would take the value away without a word.
func TestMisreadValueIsReported(t *testing.T) {
	for value, want := range map[string]string{
		"*hunter2": ": not readable as YAML: a value begins with *, which takes over another value (" + quoteIt + ")",
		"&hunter2": ":2: mqtt.username: begins with &, which YAML takes for the name of a value that follows (" + quoteIt + ")",
		"!hunter2": ":2: mqtt.username: begins with !, which YAML takes for the name of a type (" + quoteIt + ")",
	} {
		path := writeConfig(t, "mqtt:\n  username: "+value+"\n")
		if _, err := loadConfig(path, noEnv); fmt.Sprint(err) != path+want {
			t.Errorf("%s: got %v, want %s", value, err, path+want)
		}
	}
	if c := mustLoad(t, "log: {level: &l warn}\nmqtt: {username: '*hunter2', base_topic: *l}\n"); c.MQTT.Username != "*hunter2" || c.MQTT.BaseTopic != "warn" {
		t.Errorf("got %q, %q", c.MQTT.Username, c.MQTT.BaseTopic)
	}
}

// FuzzConfigQuotesNoValue looks for a text around a password that brings it into a message.
func FuzzConfigQuotesNoValue(f *testing.F) {
	for _, around := range [][2]string{{"mqtt:\n  password: *", "\n"}, {"mqtt: {password:", "}"}, {"a: &", " 1"}, {"x: !", ""}, {"- ", ": x"}, {"mqtt: '", "\n---"}} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + needle + after
		c := defaults()
		d := &decoder{file: "config.yaml", lines: map[string]int{}, newVehicle: c.newVehicle}
		d.decodeFile([]byte(text), c)
		c.MQTT.CAFile, c.MQTT.CertFile, c.MQTT.KeyFile, c.Tesla.CAFile = "", "", "", "" // as in FuzzConfig
		d.checkAll(c)
		if err := d.err(); err != nil && strings.Contains(err.Error(), needle) && !isKey(text) {
			t.Errorf("%q is reported as\n%v", text, err)
		}
	})
}
