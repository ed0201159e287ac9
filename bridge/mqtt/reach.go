package mqtt

import (
	"context"
	"crypto/tls"
	"net"
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
			w.Failed, w.Err = step.name, c.fault(err)
			return w
		}
	}
	return w
}

func (w *Way) resolve(ctx context.Context, c *Client) (err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	w.Resolved, err = net.DefaultResolver.LookupHost(ctx, c.broker.Hostname())
	return err
}

func (w *Way) connect(ctx context.Context, c *Client) error {
	conn, err := w.dial(ctx, c)
	if err != nil {
		return err
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
		return err
	}
	state := secure.ConnectionState()
	w.TLS = &state
	return nil
}

// login also finds out what the broker thinks of our certificate: with TLS 1.3 it judges late.
func (w *Way) login(ctx context.Context, c *Client) error {
	s := newSession(c, false)
	defer s.hangUp(true)
	return s.connect(ctx)
}
