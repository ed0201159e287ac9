//go:build linux

package whereittalks

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

const vin = "5YJ3E1EA7KF000001"

// TestInvariant5WhereItTalks: through all of a day the binary asks for, dials and sends to Tesla and the broker alone.
func TestInvariant5WhereItTalks(t *testing.T) {
	if !inside(t) {
		return
	}
	w := newWorld(t)
	car := w.tesla.Add(sim.Car{VIN: vin, Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16, BatteryKWh: 5000, WakeTakes: time.Second})
	p := newProgram(w)
	began := time.Now()
	for _, part := range []struct {
		name string
		live func(p *program, car *sim.CarHandle)
	}{
		{"nothing is sent without need", withoutNeed}, {"logins", logins}, {"every fault, met by a subcommand", subcommandFaults},
		{"the bridge", bridge}, {"the bridge, started into faults", bridgeFaults}, {"the broker by websocket", websocket},
	} {
		part.live(p, car)
		for _, s := range w.strangers() {
			t.Errorf("%s: %s", part.name, s)
		}
		if t.Logf("%s: %s", part.name, time.Since(began).Round(time.Second)); t.Failed() {
			t.Fatalf("so the day ends here\n%s", w.table())
		}
	}
	p.checkSeen()
	for _, s := range p.w.secretsIn(p.everythingSaid()) {
		t.Errorf("the secret %s got out", s)
	}
	for _, v := range w.tesla.Violations() {
		t.Error("the simulator complains:", v)
	}
	calls := w.tesla.Calls()
	text := fmt.Sprintf("%s of a day: %d token requests, %d others\n\n%s", time.Since(began).Round(time.Second), calls["token"], w.tesla.Count("api", ""), w.table())
	if err := os.WriteFile(os.Getenv(reportKey), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// everythingSaid is all output of all processes, and all that was published.
func (p *program) everythingSaid() string {
	said := p.log.String()
	for _, m := range p.w.broker.Published() {
		said += m.Topic + " " + m.Payload + "\n"
	}
	return said
}

// checkSeen keeps a day in which nothing happened from passing.
func (p *program) checkSeen() {
	p.t.Helper()
	packets := p.w.home.packets(p.t)
	for name, addrs := range known {
		p.w.mu.Lock()
		asked, hellos := p.w.questions[name], p.w.hellos[name]
		p.w.mu.Unlock()
		sent := 0
		for d, n := range packets {
			if slices.Contains(addrs, d.addr.String()) {
				sent += n
			}
		}
		if asked == 0 || sent == 0 || hellos == 0 && name != broker {
			p.t.Errorf("%s: %d questions, %d packets, %d handshakes: the day is not whole", name, asked, sent, hellos)
		}
	}
	if n := p.w.tesla.Calls()["token"]; n < 20 {
		p.t.Errorf("%d token requests: too few for a day of logins and renewals", n)
	}
}

// withoutNeed: help, refusals and a missing login send not one packet.
func withoutNeed(p *program, _ *sim.CarHandle) {
	p.done("version")
	p.done("help")
	p.exits([]int{2}, "-config", "none.yaml", "run")
	p.exits([]int{2}, "login", "-issuer", "https://auth.tesla.com.evil.example")
	p.exits([]int{3}, "status")
	p.login(1, "auth.tesla.com", issued("https://auth.tesla.com.evil.example/oauth2/v3"))
	p.login(1, "auth.tesla.com", issued("https://evil.example/oauth2/v3"))
	p.login(1, "auth.tesla.com", issued("http://auth.tesla.com/oauth2/v3"))
	p.login(1, "auth.tesla.com", issued("https://203.0.113.66/oauth2/v3"))
	p.w.mu.Lock()
	asked := len(p.w.questions)
	p.w.mu.Unlock()
	if sent := p.w.home.packets(p.t); asked+len(sent) > 0 {
		p.t.Errorf("%d names were asked for and packets went to %v before there was a login", asked, sorted(sent))
	}
}

// issued makes a callback address say that another issuer made it.
func issued(by string) func(string) string {
	return func(callback string) string {
		before, query, _ := strings.Cut(callback, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			return ""
		}
		q.Set("issuer", by)
		return before + "?" + q.Encode()
	}
}

// logins: one whose callback leads to China, then the usual one.
func logins(p *program, _ *sim.CarHandle) {
	p.login(0, "auth.tesla.cn", strings.Clone)
	p.done("vehicles")
	p.done("refresh-token")
	p.logIn()
	p.done("vehicles")
	p.done("status")
	p.done("set-amps", vin, "10")
	p.done("refresh-token")
	p.done("version")
}

// subcommandFaults: everything that the simulator can do wrong, once each on the API, a command or the token.
func subcommandFaults(p *program, _ *sim.CarHandle) {
	type wrong struct{ fault, scope string }
	var all []wrong
	for _, f := range sim.Faults() {
		if f.Scope != "signed_command" { // which the Owner API does not have
			all = append(all, wrong{f.Name, f.Scope})
		}
	}
	for _, fault := range []string{"redirect", "421", "429", "500", "html", "cut-before", "truncated"} {
		all = append(all, wrong{fault, "token"})
	}
	for _, fault := range []string{"redirect", "421", "cut-after"} {
		all = append(all, wrong{fault, "command"})
	}
	for i, f := range all {
		words := map[string][]string{"token": {"refresh-token"}, "command": {"set-amps", vin, fmt.Sprint(6 + i%10)}}[f.scope]
		if words == nil {
			words = []string{"status"}
		}
		before := p.w.tesla.Count(f.scope, "")
		if err := p.w.tesla.Fault(f.fault, sim.On(f.scope)); err != nil {
			p.t.Fatal(err)
		}
		limit := patience
		if f.fault == "hang" {
			limit = 8 * time.Second
		}
		p.exitsWithin(limit, []int{0, 1, 3, 4}, words...)
		p.w.tesla.ClearFaults()
		if p.w.tesla.Count(f.scope, "") == before {
			p.t.Errorf("%v never met the fault %s on %s", words, f.fault, f.scope)
		}
	}
	p.logIn()
}

// up waits for a bridge that has read the car.
func (p *program) up() {
	p.t.Helper()
	eventually(p.t, "the bridge is up", func() bool { return p.says("bridge/state") == "online" && p.says(vin+"/charge_amps") != "" })
}

// bridge: commands, faults, a broker that goes away, a login that dies, and subcommands beside it.
func bridge(p *program, car *sim.CarHandle) {
	stop := p.run("config.yaml")
	p.up()
	p.tell("charge_amps", "8", false)
	p.tell("charge_amps", "a lot", false)
	p.tell("charge_amps", "9", true)
	p.tell("charge_limit", `{"value":70,"id":"x","source":"https://evil.example/"}`, false)
	p.tell("charging", "OFF", false)
	p.tell("charging", "ON", false)
	p.w.tesla.RevokeLogin()
	eventually(p.t, "the dead login is noticed", func() bool { auth, _ := p.health(); return auth == "login_required" })
	p.logIn()
	p.w.broker.Stop()
	p.done("status")
	if err := p.w.broker.Restart(false); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the bridge is back with the new login", func() bool {
		auth, api := p.health()
		return auth == "ok" && api == "ok" && p.says("bridge/state") == "online"
	})
	p.done("status", vin)
	p.done("vehicles")
	p.done("set-amps", vin, "7")
	p.done("refresh-token")
	p.done("version")
	renewals := p.w.tesla.Count("token", "")
	eventually(p.t, "more renewals", func() bool { return p.w.tesla.Count("token", "") >= renewals+2 })

	for i, fault := range []string{"redirect", "401", "401-expired", "408", "421", "html"} {
		p.meet(fault, "command", func() { p.tell("charge_amps", fmt.Sprint(10+i%6), false) })
	}
	p.tell("charging", "OFF", false)
	eventually(p.t, "the car sleeps", car.Sleep)
	p.tell("wake", "now", false)
	p.meet("redirect", "token", func() {})
	p.meet("500", "token", func() {})
	stop()
	if p.says("bridge/state") != "offline" {
		p.t.Error("after SIGTERM the bridge is not offline")
	}
}

// meet sets a fault until a request has met it.
func (p *program) meet(fault, scope string, provoke func()) {
	p.t.Helper()
	before := p.w.tesla.Count(scope, "")
	if err := p.w.tesla.Fault(fault, sim.On(scope)); err != nil {
		p.t.Fatal(err)
	}
	provoke()
	eventually(p.t, fault+" on "+scope, func() bool { return p.w.tesla.Count(scope, "") > before })
	p.w.tesla.ClearFaults()
}

// bridgeFaults: a bridge that meets a fault from its first request on.
func bridgeFaults(p *program, _ *sim.CarHandle) {
	for _, f := range []struct{ fault, api string }{
		{"403-forbidden-client", "forbidden"}, {"421", "forbidden"}, {"429", "rate_limited"}, {"redirect", "unreachable"}, {"502", "unreachable"},
	} {
		if err := p.w.tesla.Fault(f.fault); err != nil {
			p.t.Fatal(err)
		}
		stop := p.run("config.yaml")
		eventually(p.t, f.fault+" shows in health", func() bool { _, api := p.health(); return api == f.api })
		stop()
		p.w.tesla.ClearFaults()
	}
}

// websocket: that MQTT goes another way by websocket, with and without TLS, is no reason to go to another place. The broker
// here does not understand it; what counts is who is dialled.
func websocket(p *program, _ *sim.CarHandle) {
	seen := func() (tries, stray int) {
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		for name, n := range p.w.questions {
			if known[name] == nil {
				stray += n
			}
		}
		return p.w.brokerIn, stray
	}
	for _, scheme := range []string{"ws", "wss"} {
		p.configure("websocket.yaml", scheme+"://"+broker+":1883/mqtt")
		triesBefore, strayBefore := seen()
		stop := p.run("websocket.yaml")
		eventually(p.t, "a try to connect by "+scheme, func() bool {
			tries, stray := seen()
			return tries > triesBefore || stray > strayBefore // which is a try as well, at the wrong place
		})
		stop()
	}
}
