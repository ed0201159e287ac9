package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// broker goes the way to the broker step by step, and then looks at what it lets us do there for these cars.
func (k *checkup) broker(ctx context.Context, vins []string) {
	k.begin("broker")
	way := mqtt.Reach(ctx, k.config.mqttOptions())
	k.way(way)
	if way.Failed != "" {
		k.untried("write", fmt.Sprintf("the step %s failed", way.Failed))
		k.untried("read", fmt.Sprintf("the step %s failed", way.Failed))
		return
	}
	cfg := k.config.bridgeConfig(version, "")
	health := bridge.HealthTopic(cfg.BaseTopic)
	reads := append(append(bridge.Read(cfg), health), k.config.telemetryFilters()...)
	rights, err := mqtt.FindRights(ctx, k.config.mqttOptions(), bridge.Written(cfg, vins), reads)
	if err != nil {
		k.fail("access", "what this user may do could not be found out: "+err.Error(), "see the broker's log")
		return
	}
	if rights.NoRetain {
		k.fail("retained", "the broker keeps no retained messages, so nobody who comes later would see anything", "allow them on the broker (in Mosquitto: retain_available true)")
	}
	k.mayWrite(rights, cfg)
	k.mayReadHealth(&rights, health)
	k.mayHear(&rights)
	k.mayRead(rights, cfg)
}

// mayReadHealth takes from r the topic that the bridge itself never reads. It is retained, so what may be read comes, once a
// bridge has run.
func (k *checkup) mayReadHealth(r *mqtt.Rights, health string) {
	is := func(topic string) bool { return topic == health }
	readable, refused, unsure := slices.ContainsFunc(r.Readable, is), slices.ContainsFunc(r.Unreadable, is), slices.ContainsFunc(r.Unsure, is)
	for _, list := range []*[]string{&r.Readable, &r.Unreadable, &r.Unsure} {
		*list = slices.DeleteFunc(*list, is)
	}
	fix := "let this user read " + health + ", in the broker's access rules"
	switch {
	case refused:
		k.warn("read health", "the broker refuses this user to read "+health+", so tesla2mqtt healthcheck will say unhealthy", fix)
	case unsure && r.Open:
		k.ok("read health", "this user may read topics of any name; no bridge has run here yet")
	case unsure:
		k.warn("read health", "nothing came from "+health+": no bridge has run here yet, or this user may not read it, and then tesla2mqtt healthcheck will say unhealthy", fix)
	case readable:
		k.ok("read health", "this user may read "+health+", as tesla2mqtt healthcheck does")
	}
}

func (k *checkup) way(w mqtt.Way) {
	for _, step := range []struct {
		name mqtt.Step
		told func(mqtt.Way) finding
	}{{mqtt.StepName, k.resolved}, {mqtt.StepConnect, k.connected}, {mqtt.StepTLS, k.encrypted}, {mqtt.StepLogin, k.loggedIn}} {
		if step.name == w.Failed {
			k.add(statusFail, string(step.name), w.Err)
			break
		}
		f := step.told(w)
		f.Name = string(step.name)
		k.note(f)
	}
}

func (k *checkup) resolved(w mqtt.Way) finding {
	host, _, _ := net.SplitHostPort(w.Address)
	if slices.Contains(w.Resolved, host) {
		return finding{Status: statusOK, Message: host + " is a number, there is nothing to look up"}
	}
	return finding{Status: statusOK, Message: host + " is " + strings.Join(w.Resolved, ", ")}
}

func (k *checkup) connected(w mqtt.Way) finding {
	return finding{Status: statusOK, Message: w.Connected + " accepts connections"}
}

func (k *checkup) encrypted(w mqtt.Way) finding {
	if w.TLS != nil {
		return judgeCertificate(w.TLS, time.Now())
	}
	host, _, _ := net.SplitHostPort(w.Connected)
	ip := net.ParseIP(host)
	if k.config.MQTT.Username != "" && ip != nil && !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
		return finding{Status: statusWarn, Message: "not encrypted: the password crosses the internet in plain text", Fix: "use mqtts:// or wss:// in mqtt.url"}
	}
	return finding{Status: statusOK, Message: "not encrypted, as mqtt.url says"}
}

// judgeCertificate is pure.
func judgeCertificate(s *tls.ConnectionState, now time.Time) finding {
	ends := s.PeerCertificates[0].NotAfter
	f := finding{Status: statusOK, Message: fmt.Sprintf("%s, the broker's certificate lasts until %s", tls.VersionName(s.Version), ends.UTC().Format(time.DateOnly))}
	if ends.Sub(now) < soon {
		f.Status, f.Fix = statusWarn, "give the broker a new certificate before that day"
	}
	return f
}

// loggedIn warns of a broker that took us without asking who we are: it does so with everybody.
func (k *checkup) loggedIn(mqtt.Way) finding {
	m := k.config.MQTT
	switch {
	case m.Username != "":
		return finding{Status: statusOK, Message: "the broker accepts us, the user " + plain(m.Username)}
	case m.CertFile != "":
		return finding{Status: statusOK, Message: "the broker accepts us, with the certificate of mqtt.cert_file"}
	}
	return finding{
		Status:  statusWarn,
		Message: "the broker accepts us without a user name, and so anybody on the network who can reach it: he can read your cars, and command them unless its access rules forbid it",
		Fix:     "give it users and passwords (in Mosquitto: allow_anonymous false and password_file; docs/install.md has the lines), then set mqtt.username and mqtt.password_file",
	}
}

func (k *checkup) mayWrite(r mqtt.Rights, cfg bridge.Config) {
	all := len(r.Writable) + len(r.Unwritable) + len(r.Untried)
	fix := fmt.Sprintf("let this user write %s/+/+ and %[1]s/+/+/result", cfg.BaseTopic) // not #, which would let it give commands
	if cfg.Discovery {
		fix += fmt.Sprintf(" and %s/device/+/config", cfg.DiscoveryPrefix)
	}
	switch {
	case len(r.Unwritable) > 0:
		k.fail("write", fmt.Sprintf("this user may not write %s: %s", counted(len(r.Unwritable), "topic"), some(r.Unwritable)), fix+", in the broker's access rules")
	case r.Open && len(r.Untried) > 0:
		k.ok("write", "the broker lets this user write and read topics of any name")
	case len(r.Untried) > 0:
		k.warn("write", fmt.Sprintf("could not be found out for %d of %d topics: %s", len(r.Untried), all, r.Why), fix+"; the running bridge's topics show whether it does")
	default:
		k.ok("write", fmt.Sprintf("this user may write all %d topics", all))
	}
	if len(r.Unwritable) > 0 && len(r.Untried) > 0 {
		k.untried("write the rest", r.Why)
	}
}

// mayRead: without its own state and info the bridge works, only less watchful; without Home Assistant's birth that sees old
// values until they change. Without the commands' filter nobody can tell it anything.
func (k *checkup) mayRead(r mqtt.Rights, cfg bridge.Config) {
	set := bridge.SetFilter(cfg.BaseTopic)
	if len(r.Unreadable) > 0 {
		message, fix := "the broker refuses this user to read "+some(r.Unreadable), "let this user read them, in the broker's access rules"
		if slices.Contains(r.Unreadable, set) && k.config.Commands.Enabled {
			k.fail("read", message+", so no command arrives", fix)
		} else {
			k.warn("read", message, fix)
		}
	}
	switch {
	case r.Open:
		k.ok("read", "the broker lets this user read topics of any name")
	case len(r.Unsure) > 0:
		k.warn("read", "the broker took the subscription to "+some(r.Unsure)+", which need not mean that it delivers; that cannot be found out without sending something",
			fmt.Sprintf("to be sure, send anything to %s/<car>/refresh/set while the bridge runs, and look for the answer on …/refresh/result", cfg.BaseTopic))
	case len(r.Unreadable) == 0:
		k.ok("read", "this user may read "+some(r.Readable))
	}
}

// some names the first of a long list.
func some(topics []string) string {
	const most = 4
	if len(topics) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(topics[:most], ", "), len(topics)-most)
	}
	return strings.Join(topics, ", ")
}
