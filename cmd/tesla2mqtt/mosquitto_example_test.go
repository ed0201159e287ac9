package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/sim"
)

// guarded is a Mosquitto with the files of examples/mosquitto, and the passwords of its users. Beside those of the example
// there is root, who may do everything and sees what the others achieve.
type guarded struct {
	*mosquitto
	password map[string]string
}

// startGuarded makes the users' file as docs/install.md does, and changes of mosquitto.conf nothing but what is a place.
func startGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{password: map[string]string{"tesla2mqtt": "bridge-pw", "homeassistant": "ha-pw", "root": "root-pw"}}
	var plain strings.Builder
	for user, password := range g.password {
		fmt.Fprintf(&plain, "%s:%s\n", user, password)
	}
	name := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(name, []byte(plain.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mosquitto_passwd", "-U", name).CombinedOutput(); err != nil && os.Getenv("MOSQUITTO_REQUIRED") != "" {
		t.Fatalf("mosquitto_passwd: %v %s", err, out)
	} else if err != nil {
		t.Skip("mosquitto_passwd does not run:", err)
	}
	users, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	conf := exampleFile(t, "mosquitto/mosquitto.conf")
	for was, is := range map[string]string{
		"\nlistener 1883\n":            "\n", // mosquittoWith has one on loopback
		"/run/secrets/mosquitto-users": "%DIR%/users", "/mosquitto/config/acl": "%DIR%/acl", "/mosquitto/data/": "%DIR%/",
	} {
		if strings.Count(conf, was) != 1 {
			t.Fatalf("mosquitto.conf has %q %d times", was, strings.Count(conf, was))
		}
		conf = strings.Replace(conf, was, is, 1)
	}
	g.mosquitto = mosquittoWith(t, conf+"log_type debug\n", map[string][]byte{
		"users": users, "acl": []byte(exampleFile(t, "mosquitto/acl") + "\nuser root\ntopic readwrite #\n"),
	})
	return g
}

func exampleFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (g *guarded) options(user string) mqtt.Options {
	return mqtt.Options{URL: "mqtt://" + g.addr, ClientID: "test-" + user, Username: user, Password: g.password[user]}
}

// seen counts the messages of each topic that a client was sent.
type seen struct {
	mu    sync.Mutex
	count map[string]int
}

func (s *seen) take(m mqtt.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[m.Topic]++
}

func (s *seen) of(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[topic]
}

// join connects a user of the broker until the test ends.
func (g *guarded) join(user, filter string) (*mqtt.Client, *seen) {
	g.t.Helper()
	s := &seen{count: map[string]int{}}
	o := g.options(user)
	o.Subscribe, o.Handler = []string{filter}, s.take
	client, err := mqtt.New(o)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	g.t.Cleanup(func() { cancel(); <-done })
	eventually(g.t, user+" is connected", func() bool { return client.Stats().State == mqtt.StateConnected })
	return client, s
}

// runExample runs the real program with the configuration of examples/docker, as far as its places allow.
func (g *guarded) runExample() *process {
	t := g.t
	t.Helper()
	p := &process{t: t, tesla: &sim.Tesla{}, log: &lockedText{}}
	p.car = p.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewServer(p.tesla)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte(g.password["tesla2mqtt"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := strings.NewReplacer("mqtt://mosquitto:1883", "mqtt://"+g.addr, "/run/secrets/tesla2mqtt-password", "pw",
		"state_dir: /state", "state_dir: state").Replace(exampleFile(t, "docker/config.yaml"))
	yaml += fmt.Sprintf("tesla: {auth_url: %q, api_url: %q}\nvehicles: [{vin: 5YJ3E1EA7KF000001, name: car}]\n", server.URL, server.URL)
	p.config = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(p.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p.logIn()
	p.launch()
	return p
}

// TestMosquittoExample: with the access rules that we recommend, all that the bridge says arrives, Home Assistant can
// command it, and neither can speak for the other.
func TestMosquittoExample(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	root, all := g.join("root", "#")
	ha, shown := g.join("homeassistant", "#")
	p := g.runExample()

	eventually(t, "the bridge knows its car", func() bool { return shown.of("tesla2mqtt/car/charge_amps") > 0 })
	ha.Publish("tesla2mqtt/car/charge_amps/set", []byte(`{"value":8,"id":"x"}`), false)
	eventually(t, "the car is set", func() bool { return p.car.Amps() == 8 })
	for _, topic := range everyTopic() {
		eventually(t, topic+" is published", func() bool { return all.of(topic) > 0 })
		eventually(t, topic+" reaches Home Assistant", func() bool { return shown.of(topic) > 0 })
	}

	discovery := "homeassistant/device/tesla2mqtt_5YJ3E1EA7KF000001/config"
	before := all.of(discovery)
	ha.Publish("homeassistant/status", []byte("online"), false)
	eventually(t, "the discovery comes again when Home Assistant starts", func() bool { return all.of(discovery) > before })
	for topic, wrong := range map[string]string{"tesla2mqtt/bridge/state": "offline", "tesla2mqtt/bridge/info": "{}"} {
		before := all.of(topic)
		root.Publish(topic, []byte(wrong), true)
		eventually(t, "the bridge reads "+topic+" and mends it", func() bool { return all.of(topic) >= before+2 && g.retained(topic) != wrong })
	}
	if err := p.command(t.Context(), "healthcheck").Run(); err != nil {
		t.Errorf("the health check, as the bridge's user: %v\n%s", err, p.log.text())
	}
	if strings.Contains(g.log.text(), "Denied") {
		t.Errorf("the rules were in the way of what was meant to work:\n%s", g.log.text())
	}
	if err := p.command(t.Context(), "check").Run(); err != nil {
		t.Errorf("check, as the bridge's user: %v\n%s", err, p.log.text())
	}
}

// everyTopic is all that a bridge with a car publishes, by docs and design: the state's keys come from its own type.
func everyTopic() []string {
	topics := []string{
		"tesla2mqtt/bridge/state", "tesla2mqtt/bridge/info", "tesla2mqtt/bridge/health",
		"tesla2mqtt/car/availability", "tesla2mqtt/car/state", "tesla2mqtt/car/last_command", "tesla2mqtt/car/charge_amps/result",
		"homeassistant/device/tesla2mqtt_bridge_tesla2mqtt/config", "homeassistant/device/tesla2mqtt_5YJ3E1EA7KF000001/config",
	}
	for f := range reflect.TypeFor[bridge.Document]().Fields() {
		topics = append(topics, "tesla2mqtt/car/"+f.Tag.Get("json"))
	}
	return topics
}

// retained is what Home Assistant finds on a topic.
func (g *guarded) retained(topic string) string {
	ctx, cancel := context.WithTimeout(g.t.Context(), 5*time.Second)
	defer cancel()
	payload, err := mqtt.Fetch(ctx, g.options("homeassistant"), topic)
	if err != nil {
		return ""
	}
	return string(payload)
}

// TestMosquittoExampleRefuses: each forbidden message is followed by an allowed one of the same client, which the broker
// takes later; so when that has arrived, the other never will.
func TestMosquittoExampleRefuses(t *testing.T) {
	g := startGuarded(t)
	_, all := g.join("root", "#")
	for _, row := range []struct {
		user, allowed string
		forbidden     []string
	}{
		{"homeassistant", "tesla2mqtt/car/wake/set", []string{
			"tesla2mqtt/bridge/state", "tesla2mqtt/car/state", "tesla2mqtt/car/charge_amps", "tesla2mqtt/car/charge_amps/result",
			"homeassistant/device/tesla2mqtt_5YJ3E1EA7KF000001/config", "anything/else",
		}},
		{"tesla2mqtt", "tesla2mqtt/car/availability", []string{
			"tesla2mqtt/car/charge_amps/set", "homeassistant/status", "homeassistant/switch/x/config", "anything/else",
		}},
	} {
		client, heard := g.join(row.user, "#")
		for _, topic := range row.forbidden {
			client.Publish(topic, []byte("x"), false)
		}
		client.Publish(row.allowed, []byte("x"), false)
		eventually(t, row.user+" is heard on "+row.allowed, func() bool { return all.of(row.allowed) > 0 })
		for _, topic := range row.forbidden {
			if all.of(topic) > 0 {
				t.Errorf("%s wrote %s", row.user, topic)
			}
		}
		if heard.of(row.allowed) > 0 {
			t.Errorf("%s reads back what only the other side has to read: %s", row.user, row.allowed)
		}
	}
	for _, o := range []mqtt.Options{
		{URL: "mqtt://" + g.addr, ClientID: "nobody"},
		{URL: "mqtt://" + g.addr, ClientID: "thief", Username: "tesla2mqtt", Password: "guessed"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := mqtt.Fetch(ctx, o, "tesla2mqtt/bridge/state")
		cancel()
		if err == nil || !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "authori") {
			t.Errorf("%s was let in, or not refused as it should: %v", o.ClientID, err)
		}
	}
}
