//go:build linux

package whereittalks

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// compareText orders by what is printed.
func compareText(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) }

// expected maps the places that may be dialled to their names.
func expected() map[destination]string {
	places := map[destination]string{{netip.MustParseAddr(resolver), "udp", 53}: "the resolver"}
	for name, addrs := range known {
		port := 443
		if name == broker {
			port = 1883
		}
		for _, a := range addrs {
			places[destination{netip.MustParseAddr(a), "tcp", port}] = name
		}
	}
	return places
}

// strangers lists all that went, or was about to go, anywhere else than to Tesla, the broker and the resolver.
func (w *world) strangers() (found []string) {
	places := expected()
	packets := w.home.packets(w.t)
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.questions {
		if known[name] == nil {
			found = append(found, fmt.Sprintf("asked for the name %q", name))
		}
	}
	for d, n := range packets {
		if places[d] == "" {
			found = append(found, fmt.Sprintf("sent to %s, %d packets", d, n))
		}
	}
	for name := range w.hellos {
		if name == broker || known[name] == nil {
			found = append(found, fmt.Sprintf("began TLS with %q", name))
		}
	}
	for r := range w.requests {
		addrs := known[r.host]
		switch {
		case r.host == broker, r.tls != r.host, !slices.Contains(addrs, r.at.String()):
			found = append(found, fmt.Sprintf("requested %s%s from %s, by TLS with %q", r.host, r.path, r.at, r.tls))
		case r.bearer != strings.HasPrefix(r.host, "owner-api."):
			found = append(found, fmt.Sprintf("requested %s%s, access token with it: %v", r.host, r.path, r.bearer))
		}
	}
	slices.Sort(found)
	return found
}

// secretsIn lists the secrets that are in a text, or in a name that was asked for.
func (w *world) secretsIn(text string) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.questions {
		text += "\n" + name
	}
	for _, secret := range w.tesla.Secrets() {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			found = append(found, secret[:min(12, len(secret))]+"…")
		}
	}
	return found
}

// table shows what was seen, in Markdown.
func (w *world) table() string {
	places, packets := expected(), w.home.packets(w.t)
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	b.WriteString("| destination | name | packets |\n|---|---|---|\n")
	for _, d := range sorted(packets) {
		fmt.Fprintf(&b, "| %s | %s | %d |\n", d, cmp.Or(places[d], "STRANGER"), packets[d])
	}
	hosts, tokens := map[string]int{}, map[string]int{}
	for r, n := range w.requests {
		hosts[r.host] += n
		if r.bearer {
			tokens[r.host] += n
		}
	}
	b.WriteString("\n| name | DNS questions | TLS handshakes | requests | with the access token |\n|---|---|---|---|---|\n")
	names := maps.Clone(w.questions)
	maps.Copy(names, hosts)
	for _, name := range sorted(names) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", name, w.questions[name], w.hellos[name], hosts[name], tokens[name])
	}
	return b.String()
}
