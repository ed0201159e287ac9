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
	allowed, err := hosts.New(c.Tesla.AuthURL, c.Tesla.APIURL)
	if err != nil {
		return nil, nil, &configError{err}
	}
	for _, url := range allowed.Loopback() {
		log.Warn("NOT ENCRYPTED: the login is sent to this address in plain text, as the configuration says", "url", url)
	}
	t := c.Tesla
	transport, err := hosts.NewTransport(allowed, hosts.TLS{Min: t.TLSMin, Max: t.TLSMax, HTTP2: t.HTTP2, CAFile: t.CAFile})
	if err != nil {
		return nil, nil, &configError{err}
	}
	source, err := auth.Open(c.StateDir, auth.Config{
		AuthURL: t.AuthURL, APIURL: t.APIURL, Hosts: allowed, Transport: &traced{transport, log},
		UserAgent: "tesla2mqtt/" + version, Log: log,
	})
	if err != nil {
		return nil, nil, &configError{fmt.Errorf("state_dir: %w", err)}
	}
	client := tesla.NewClient(source.Client(), source.APIURL)
	client.Renewed = c.renewed
	return source, client, nil
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
