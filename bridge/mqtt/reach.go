package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Step is a part of the way to a broker, each of which needs the one before.
type Step string

// The steps, in their order.
const (
	StepName    Step = "name"
	StepConnect Step = "connect"
	StepTLS     Step = "tls"
	StepLogin   Step = "login"
)

// Way is how far a try to reach the broker came.
type Way struct {
	Address   string               // host and port
	Resolved  []string             // the addresses of the host
	Connected string               // the one that answered
	TLS       *tls.ConnectionState // nil before the handshake, and where the connection is not encrypted
	Failed    Step                 // "" if the broker accepted the login
	// Err says what happened at Failed and, after a semicolon, what to do about it.
	Err error
}

// Reach tries the way to the broker step by step, as a tool beside a running bridge.
func Reach(ctx context.Context, o Options) Way {
	c, err := New(o.aside())
	if err != nil {
		return Way{Failed: StepName, Err: err}
	}
	w := Way{Address: c.broker.Host}
	for _, step := range []struct {
		name Step
		do   func(context.Context, *Client) error
	}{{StepName, w.resolve}, {StepConnect, w.connect}, {StepTLS, w.encrypt}, {StepLogin, w.login}} {
		if err := step.do(ctx, c); err != nil {
			w.Failed, w.Err = step.name, err
			return w
		}
	}
	return w
}

func (w *Way) resolve(ctx context.Context, c *Client) (err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host := c.broker.Hostname()
	if w.Resolved, err = net.DefaultResolver.LookupHost(ctx, host); err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*net.DNSError](err); ok && fault.IsNotFound {
		return fmt.Errorf("there is no machine called %s; correct mqtt.url, or write the broker's address there as a number", host)
	}
	return fmt.Errorf("the name %s could not be looked up (%w); see the network and the DNS server of this machine", host, err)
}

func (w *Way) connect(ctx context.Context, c *Client) error {
	conn, err := w.dial(ctx, c)
	if err != nil {
		return fmt.Errorf("%w; start the broker, correct mqtt.url, or see what a firewall lets through", err)
	}
	w.Connected = conn.RemoteAddr().String()
	return conn.Close()
}

func (w *Way) dial(ctx context.Context, c *Client) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", c.broker.Host)
}

// encrypt shakes hands once, to see the certificate. A websocket's own handshake comes with the login.
func (w *Way) encrypt(ctx context.Context, c *Client) error {
	conf, err := c.o.tlsConfig(c.broker)
	if err != nil || conf == nil {
		return err
	}
	conn, err := w.dial(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return explainTLS(err, c.o.CAFile != "", time.Now())
	}
	state := secure.ConnectionState()
	w.TLS = &state
	return nil
}

func (w *Way) login(ctx context.Context, c *Client) error {
	s := newSession(c, false)
	defer s.hangUp(true)
	err := s.connect(ctx)
	if err != nil && strings.Contains(err.Error(), "remote error: tls:") { // with TLS 1.3 the broker judges our certificate late
		return explainTLS(err, c.o.CAFile != "", time.Now())
	}
	return err
}

// explainTLS says in words for people what a handshake failed for. ownCA tells that mqtt.ca_file is set.
func explainTLS(err error, ownCA bool, now time.Time) error {
	if fault, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("the broker's certificate is for %s, not for %s; use such a name in mqtt.url, or give the broker a certificate for this one",
			names(fault.Certificate), fault.Host)
	}
	if fault, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		todo := "set mqtt.ca_file to the certificate (PEM) of that authority"
		if ownCA {
			todo = "mqtt.ca_file is another authority's; use the one that signed the broker's certificate"
		}
		return fmt.Errorf("the broker's certificate is from %s, which is not trusted; %s", issuer(fault.Cert), todo)
	}
	if fault, ok := errors.AsType[x509.CertificateInvalidError](err); ok && fault.Reason == x509.Expired {
		if now.Before(fault.Cert.NotBefore) {
			return fmt.Errorf("the broker's certificate is valid from %s on only; set the clock of this machine, or wait", day(fault.Cert.NotBefore))
		}
		return fmt.Errorf("the broker's certificate has expired on %s; give the broker a new one (is the clock of this machine right?)", day(fault.Cert.NotAfter))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return errors.New("the broker does not seem to speak TLS at this port; use its TLS port (8883, or 443 for wss), or mqtt:// or ws:// without TLS")
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "protocol version"):
		return errors.New("the broker speaks only TLS older than 1.2; update it, or allow TLS 1.2 or 1.3 there")
	case strings.Contains(text, "certificate required"):
		return errors.New("the broker wants a certificate from us; set mqtt.cert_file and mqtt.key_file")
	case strings.Contains(text, "remote error: tls:"):
		return errors.New("the broker does not accept our certificate; see mqtt.cert_file, and the broker's list of authorities")
	}
	return fmt.Errorf("TLS failed: %w; see the broker's log", err)
}

// names are those that a certificate is for.
func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name at all"
	}
	if len(all) > 5 {
		all = append(all[:5], "…")
	}
	return fmt.Sprintf("%q", all)
}

func issuer(c *x509.Certificate) string {
	if c == nil || c.Issuer.String() == "" {
		return "an authority without a name"
	}
	return fmt.Sprintf("%q", c.Issuer.String())
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
