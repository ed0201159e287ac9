package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
)

// openAccount joins the login in the state folder and the API it is for. No login yet is no error; the calls will say so.
// The caller closes the source.
func openAccount(c *Config, log *slog.Logger) (*auth.Source, *tesla.Client, error) {
	allowed, transport, err := teslaTransport(c, log)
	if err != nil {
		return nil, nil, err
	}
	for _, url := range allowed.Loopback() {
		log.Warn("NOT ENCRYPTED: the login is sent to this address in plain text, as the configuration says", "url", url)
	}
	if err := guardState(c.StateDir, log); err != nil {
		return nil, nil, err
	}
	source, err := auth.Open(c.StateDir, auth.Config{
		AuthURL: c.Tesla.AuthURL, APIURL: c.Tesla.APIURL, Fleet: c.fleetLogin(), Hosts: allowed, Transport: transport, UserAgent: userAgent, Log: log,
	})
	if err != nil {
		return nil, nil, stateFault(c.StateDir, err)
	}
	return source, newClient(c, source, log), nil
}

// needless refuses a login where there is nothing to log in to. One that no car needs may be wanted all the same: for fleet pair -wait,
// or to set up telemetry.
func (a *app) needless(c *Config) error {
	const text = "no login is needed: no car of the configuration is reached by Tesla's cloud"
	switch {
	case c.cloud():
		return nil
	case !c.account:
		return &usageError{text, "if you want one all the same, to pair a key or to set up telemetry, name the API that it is for in a section tesla"}
	}
	fmt.Fprintln(a.err, "For the bridge "+text+". It is for pairing a key and the like.")
	return nil
}

// newClient makes the client of the API that the configuration names.
func newClient(c *Config, source *auth.Source, log *slog.Logger) *tesla.Client {
	client := tesla.NewClient(source.Client(), source.APIURL)
	if c.Tesla.API == "fleet" {
		client = tesla.NewFleetClient(source.Client(), source.APIURL)
	}
	client.Renewed, client.Notice = c.renewed, func(text string) { log.Warn(text) }
	return client
}

// userAgent is what this program calls itself when it talks to Tesla.
const userAgent = "tesla2mqtt/" + version

// teslaTransport returns the hosts that may be talked to, and the way to them, as the configuration wants it.
func teslaTransport(c *Config, log *slog.Logger) (hosts.List, http.RoundTripper, error) {
	t := c.Tesla
	allowed, err := hosts.New(t.AuthURL, t.APIURL)
	if err != nil {
		return allowed, nil, &configError{err}
	}
	transport, err := hosts.NewTransport(allowed, hosts.TLS{Min: t.TLSMin, Max: t.TLSMax, HTTP2: t.HTTP2, CAFile: t.CAFile})
	if err != nil {
		return allowed, nil, &configError{err}
	}
	return allowed, &traced{transport, log}, nil
}

// closeAccount is for defer: a token that could not be saved must not be lost in silence.
func closeAccount(s *auth.Source, err *error) { *err = errors.Join(*err, s.Close()) }

// traced logs requests at level debug: where to and what came back, never a header or a body. Even an error is told by the
// caller alone, since net/http quotes in it what a broken server sent.
type traced struct {
	next http.RoundTripper
	log  *slog.Logger
}

func (t *traced) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.next.RoundTrip(r)
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	t.log.Debug("request", "method", r.Method, "host", r.URL.Host, "path", r.URL.Path, "status", status,
		"took", time.Since(start).Round(time.Millisecond))
	return resp, err
}
