package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// TestCampaignLate: what the bridge needs comes after it. It stays up and says what is missing, and serves soon after that
// is there, without a restart.
func TestCampaignLate(t *testing.T) {
	t.Parallel()
	rounds, long, random := drawn(t, 1)
	for _, row := range []struct {
		name                 string
		broker, tesla, login bool // come late
	}{
		{"broker", true, false, false}, {"all", true, true, true},
		{"Tesla", false, true, false}, {"broker and Tesla", true, true, false}, {"login", false, false, true},
	} {
		if !long && row.tesla != row.login {
			continue // half a minute each, until Tesla is asked again
		}
		waits := []time.Duration{2 * time.Second}
		for len(waits) < rounds || long && len(waits) < 2 {
			waits = append(waits, time.Duration(2+random.IntN(60))*time.Second)
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, wait := range waits {
				runLate(t, row.broker, row.tesla, row.login, wait)
			}
		})
	}
}

func runLate(t *testing.T, broker, tesla, login bool, wait time.Duration) {
	t.Helper()
	l := newLateHousehold(t)
	r := l.resident(fmt.Sprintf("url: %q", l.brokerURL))
	if !login {
		l.teslaUp()
		r.logIn()
		l.teslaDown()
	}
	if !tesla {
		l.teslaUp()
	}
	if !broker {
		l.brokerUp()
	}
	r.start()
	for _, missing := range []struct {
		is   bool
		says string
	}{{broker, "nothing listens there"}, {tesla && !login, "connection refused"}, {login, "run the login command"}} {
		if missing.is {
			within(t, 20*time.Second, "the log says "+missing.says, func() bool { return r.says(missing.says) })
		}
	}
	time.Sleep(wait) // so long it is missing
	if r.cmd.Process.Signal(syscall.Signal(0)) != nil {
		t.Fatal("it did not stay up")
	}
	if tesla {
		l.teslaUp()
	}
	if broker {
		l.brokerUp()
	}
	if login {
		r.logIn()
	}
	took := within(t, 150*time.Second, "the bridge is well", func() bool { return l.well() && l.says("car/availability") == "online" })
	l.serves("at last")
	t.Logf("away for %s; well %s after it came", wait, took)
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.checkNeighbours(r)
}

// lateHousehold has its broker and its Tesla at known addresses where nobody listens at first.
type lateHousehold struct {
	*household
	t         *testing.T
	broker    *mqtttest.Broker
	brokerURL string
	server    *httptest.Server
	address   string
}

func newLateHousehold(t *testing.T) *lateHousehold {
	t.Helper()
	l := &lateHousehold{household: newHousehold(t, ""), t: t}
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	l.broker = broker
	if l.brokerURL, err = broker.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	t.Cleanup(func() { broker.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.address = listener.Addr().String()
	l.url = "http://" + l.address
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.teslaDown)
	return l
}

func (l *lateHousehold) brokerUp() {
	l.t.Helper()
	if err := l.broker.Restart(false); err != nil {
		l.t.Fatal(err)
	}
	l.ear = listen(l.t, mqtt.Options{URL: l.brokerURL, ClientID: "ear"})
}

func (l *lateHousehold) teslaUp() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: l.tesla}}
	l.server.Start()
}

func (l *lateHousehold) teslaDown() {
	if l.server != nil {
		l.server.Close()
		l.server = nil
	}
}
