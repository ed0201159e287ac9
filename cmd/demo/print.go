package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// printer shows messages as they are published.
type printer struct {
	at string // of the broker, as the tools want it

	mu    sync.Mutex
	out   io.Writer
	quiet *time.Timer // runs from each message to the next, until the reminder was given; nil then
}

// lull is how long nothing is published when the first burst is over. The cars are looked at each 5 s.
const lull = time.Second

// newPrinter says what there is to do. Close it.
func newPrinter(out io.Writer, url string) *printer {
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "mqtt://"))
	p := &printer{at: fmt.Sprintf("-h %s -p %s", host, port), out: out}
	fmt.Fprintf(out, "The broker is at %s\n%s\nPublished from now on (R: retained):\n", url, p.todo())
	p.quiet = time.AfterFunc(time.Hour, p.remind)
	p.quiet.Stop()
	return p
}

func (p *printer) todo() string {
	return fmt.Sprintf(`
Watch:  mosquitto_sub %[1]s -v -t 'tesla2mqtt/#'
Steer:  mosquitto_pub %[1]s -t tesla2mqtt/charging_car/charge_amps/set -m 8
        mosquitto_pub %[1]s -t tesla2mqtt/charging_car/charging/set -m OFF
        mosquitto_pub %[1]s -t tesla2mqtt/sleeping_car/charging/set -m ON     (wakes it)
Stop:   Ctrl-C
`, p.at)
}

// remind says once more what there is to do: the first burst has pushed it out of sight.
func (p *printer) remind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet = nil
		fmt.Fprintf(p.out, "%s\n", p.todo())
	}
}

func (p *printer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet.Stop()
		p.quiet = nil
	}
}

// maxShown bounds a line; discovery is several kilobytes.
const maxShown = 200

func (p *printer) message(m mqtttest.Message) {
	flag := " "
	if m.Retain {
		flag = "R"
	}
	payload := m.Payload
	if len(payload) > maxShown {
		payload = strings.ToValidUTF8(payload[:maxShown], "") + fmt.Sprintf("… (%d bytes)", len(m.Payload))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet != nil {
		p.quiet.Reset(lull)
	}
	fmt.Fprintf(p.out, "%s %s %s %s\n", time.Now().Format("15:04:05.000"), flag, m.Topic, payload)
}
