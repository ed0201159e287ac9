// Package hosts decides whom this program may talk to in the name of the Tesla login. It never sees a token: it answers
// whether an address is on the list, and makes the transport that dials nothing else.
package hosts

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tesla is the whole list of foreign hosts, each on port 443.
var tesla = []string{
	"auth.tesla.com", "auth.tesla.cn", "fleet-auth.prd.vn.cloud.tesla.com",
	"owner-api.teslamotors.com", "owner-api.vn.cloud.tesla.cn",
	"fleet-api.prd.na.vn.cloud.tesla.com", "fleet-api.prd.eu.vn.cloud.tesla.com", "fleet-api.prd.cn.vn.cloud.tesla.cn",
}

// List is the places that may be dialled and may receive a credential. The zero List allows none.
type List struct {
	scheme map[string]string // by host:port
}

// New lists Tesla's hosts and those of the URLs that the configuration names; "" is skipped. https may be anywhere,
// http only on this machine. A URL with a user, a query or a fragment is an error.
func New(extra ...string) (List, error) {
	l := List{map[string]string{}}
	for _, host := range tesla {
		l.scheme[host+":443"] = "https"
	}
	for _, text := range extra {
		u, err := url.Parse(text)
		switch {
		case text == "":
			continue
		case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			// not repeated here: it may hold a password
			return List{}, Refusal("a URL in the configuration is not usable: write https://host[:port][/path], no user, no query")
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
			return List{}, Refusal("the URL of " + u.Host + " in the configuration: use https; http is only for 127.0.0.1, ::1 and localhost")
		}
		l.scheme[address(u)] = u.Scheme
	}
	return l, nil
}

// Allows tells whether a request to u may be sent, with a credential.
func (l List) Allows(u *url.URL) bool {
	return u.User == nil && u.Scheme != "" && l.scheme[address(u)] == u.Scheme
}

// Loopback lists the places that are spoken to in plain http, as URLs, for a loud announcement.
func (l List) Loopback() (plain []string) {
	for at, scheme := range l.scheme {
		if scheme == "http" {
			plain = append(plain, "http://"+at)
		}
	}
	slices.Sort(plain)
	return plain
}

// Refusal is the error for what is not on the list, or must not be put on it. Nothing was sent.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func address(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func loopback(host string) bool {
	ip, _ := netip.ParseAddr(host) // a name is the zero Addr, which is no loopback
	return host == "localhost" || ip.IsLoopback()
}

// TLS is how the client looks to Tesla's shield; what that accepts has changed more than once.
type TLS struct {
	Min, Max string // "1.2", "1.3" or "" for Go's own
	HTTP2    bool
	CAFile   string // PEM, trusted besides the system's; "" for none
}

// NewTransport dials only l, through no proxy. An unknown version or an unusable CA file is an error.
func NewTransport(l List, t TLS) (*http.Transport, error) {
	versions := map[string]uint16{"": 0, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	low, ok := versions[t.Min]
	high, ok2 := versions[t.Max]
	if !ok || !ok2 || (high != 0 && low > high) {
		return nil, fmt.Errorf("TLS from %q to %q: each must be 1.2, 1.3 or empty, the lower one first", t.Min, t.Max)
	}
	conf := &tls.Config{MinVersion: max(low, tls.VersionTLS12), MaxVersion: high}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		pool, sysErr := x509.SystemCertPool()
		if err = cmp.Or(err, sysErr); err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s: no certificate in PEM form", t.CAFile)
		}
		conf.RootCAs = pool
	}
	tr := &http.Transport{DialContext: l.dial, TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 90 * time.Second,
		// Go turns HTTP/2 off by itself once TLSClientConfig or DialContext is set, so it is always said.
		ForceAttemptHTTP2: t.HTTP2, HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second}}
	if !t.HTTP2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return tr, nil
}

// dial is the second guard: whoever uses the transport, for whatever URL, nothing else is dialled.
func (l List) dial(ctx context.Context, network, at string) (net.Conn, error) {
	if l.scheme[strings.ToLower(at)] == "" {
		return nil, Refusal(at + " is not on the list of hosts, it was not dialled: see auth_url and api_url")
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	if l.scheme[strings.ToLower(at)] == "http" {
		d.Control = onlyLoopback
	}
	return d.DialContext(ctx, network, at)
}

// onlyLoopback keeps a name that resolves to another machine from taking a credential there in the clear.
func onlyLoopback(_, resolved string, _ syscall.RawConn) error {
	if at, err := netip.ParseAddrPort(resolved); err != nil || !at.Addr().IsLoopback() {
		return Refusal(resolved + " is not this machine: plain http is for 127.0.0.1, ::1 and localhost")
	}
	return nil
}
