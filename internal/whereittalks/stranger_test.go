//go:build linux

package whereittalks

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// stranger is a program that talks to everybody, each in another way.
func stranger() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, _ = net.DefaultResolver.LookupHost(ctx, "only-asked.example") // none of this needs to succeed to be seen
	get(ctx, "https://telemetry.example/hello")
	get(ctx, "https://203.0.113.99/by-address")
	for _, at := range []struct{ network, address string }{
		{"tcp", "203.0.113.77:8883"}, {"tcp", "[2001:db8:77::1]:80"}, {"udp", "203.0.113.78:123"}, {"udp", "[2001:db8:78::1]:53"},
		{"tcp", "127.0.0.1:6379"}, {"tcp", "198.51.100.1:80"}, {"udp", "198.51.100.3:443"}, {"ip4:1", "203.0.113.79"},
	} {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, at.network, at.address)
		if err != nil {
			continue
		}
		_, _ = conn.Write([]byte("hello, stranger"))
		conn.Close()
	}
	impostor(ctx)
	fmt.Println("said")
}

// get asks by https, and then once more by the proxy of the environment.
func get(ctx context.Context, url string) {
	for _, proxied := range []bool{false, true} {
		transport := &http.Transport{}
		if proxied {
			transport.Proxy = http.ProxyFromEnvironment
		}
		send(ctx, &http.Client{Transport: transport}, url, "")
	}
}

// impostor hides behind a listed address: another name there, and a token for the login's host.
func impostor(ctx context.Context) {
	toTesla := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, "198.51.100.3:443")
	}}
	send(ctx, &http.Client{Transport: toTesla}, "https://hidden.example/", "")
	send(ctx, &http.Client{Transport: &http.Transport{}}, "https://auth.tesla.com/", "token")
}

func send(ctx context.Context, c *http.Client, url, token string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if answer, err := c.Do(r); err == nil {
		answer.Body.Close()
	}
}

// TestAStrangerIsSeen: in the same home, each way to talk to somebody else is seen, so that a day without a stranger means
// something.
func TestAStrangerIsSeen(t *testing.T) {
	if !inside(t) {
		return
	}
	w := newWorld(t)
	if found := w.strangers(); len(found) > 0 {
		t.Errorf("before anybody spoke: %s", found)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.home.command(self)
	cmd.Env = append(proxies(), stageKey+"=stranger", "SSL_CERT_FILE="+w.ca)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "said") {
		t.Fatalf("the stranger: %v: %s", err, out)
	}
	found := w.strangers()
	for _, want := range []string{
		`asked for the name "only-asked.example"`, `asked for the name "telemetry.example"`, `asked for the name "proxy.trap.example"`,
		`began TLS with "telemetry.example"`, `requested telemetry.example/hello from `, `sent to 2001:db8:bad::1 tcp/443`,
		`sent to 203.0.113.99 tcp/443`, `sent to 203.0.113.77 tcp/8883`, `sent to 2001:db8:77::1 tcp/80`, `sent to 203.0.113.78 udp/123`,
		`sent to 2001:db8:78::1 udp/53`, `sent to 127.0.0.1 tcp/6379`, `sent to 198.51.100.1 tcp/80`, `sent to 198.51.100.3 udp/443`,
		`sent to 203.0.113.79 icmp`, `tcp/3128`, `requested hidden.example/ from 198.51.100.3`, `requested auth.tesla.com/, access token with it: true`,
	} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("not seen: %s", want)
		}
	}
	text := "a stranger, seen:\n" + strings.Join(found, "\n") + "\n\n" + w.table()
	if err := os.WriteFile(os.Getenv(reportKey), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
