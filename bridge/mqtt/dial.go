package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	connectTimeout = 10 * time.Second // for the network and the broker's answer together
	writeTimeout   = 10 * time.Second
	keepAlive      = 30 * time.Second
	pingTimeout    = 10 * time.Second
)

// pahoOptions are those of one connection. paho's own reconnecting is off: it resends old publishes over newer ones.
func (s *session) pahoOptions(ctx context.Context) (*paho.ClientOptions, error) {
	o := s.client.o
	conf, err := o.tlsConfig(s.client.broker)
	if err != nil {
		return nil, err
	}
	p := paho.NewClientOptions().
		AddBroker(s.client.broker.String()).
		SetClientID(o.ClientID).SetUsername(o.Username).SetPassword(o.Password).
		SetProtocolVersion(4). // 3.1.1, without paho's second try with 3.1
		SetCleanSession(true). // an order given while we were away must not reach the car later
		SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetStore(paho.NewMemoryStore()).
		SetKeepAlive(keepAlive).SetPingTimeout(pingTimeout).
		SetConnectTimeout(connectTimeout).SetWriteTimeout(writeTimeout).
		SetDefaultPublishHandler(s.receive).
		SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	p.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		conn, err := s.client.dial(ctx, u, conf)
		if err != nil {
			return nil, err
		}
		return s.line.hold(bounded(conn)), nil
	})
	if o.StateTopic != "" {
		p.SetBinaryWill(o.StateTopic, []byte(offline), 1, true)
	}
	return p, nil
}

// dial opens the connection itself, where paho's own way could be neither interrupted nor bounded.
func (c *Client) dial(ctx context.Context, u *url.URL, conf *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, fmt.Errorf("no connection within %v", connectTimeout))
	defer cancel()
	switch {
	case c.o.Dial != nil:
		return c.o.Dial(ctx, u)
	case u.Scheme == "mqtts":
		return (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", u.Host)
	case u.Scheme == "mqtt":
		return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	}
	return paho.NewWebsocket(u.String(), conf, connectTimeout, nil, websocket())
}

// websocket says that there is no proxy, or paho would ask the environment for one, which would see the password where there is
// no TLS.
func websocket() *paho.WebsocketOptions {
	return &paho.WebsocketOptions{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
}

// line keeps hold of a connection, so that it can be cut without MQTT's goodbye: the broker then publishes the will.
type line struct {
	mu   sync.Mutex
	conn net.Conn
	cut  bool
}

func (l *line) hold(c net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
	if l.cut {
		c.Close()
	}
	return c
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	if l.conn != nil {
		l.conn.Close()
	}
}
