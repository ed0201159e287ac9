package mqtt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// authority signs certificates for this test alone.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes name.pem and name.key.
func (a *authority) sign(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.Subject = pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", keyDER)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) server(name string) {
	a.sign(name, &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(name string) {
	a.sign(name, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(a.file(name), data, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// tlsFront puts TLS before an embedded broker and returns its port.
func tlsFront(t *testing.T, conf *tls.Config) string {
	t.Helper()
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Publish("greeting", "hello", true); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); broker.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			inside, err := broker.Dial(context.Background(), nil)
			if err != nil {
				return
			}
			go func() { io.Copy(inside, conn); inside.Close() }()
			go func() { io.Copy(conn, inside); conn.Close() }()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestTLS(t *testing.T) {
	ours, others := newAuthority(t, "ca"), newAuthority(t, "ca")
	ours.server("server")
	ours.client("client")
	others.client("client")
	cert, err := tls.LoadX509KeyPair(ours.file("server.pem"), ours.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	open := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	mutual := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	old := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})

	rows := []struct {
		name, url string
		ca        *authority
		client    *authority
		fault     string
	}{
		{"own CA", "mqtts://localhost:" + open, ours, nil, ""},
		{"system's CAs only", "mqtts://localhost:" + open, nil, nil, "certificate"},
		{"another CA", "mqtts://localhost:" + open, others, nil, "certificate"},
		{"another name", "mqtts://127.0.0.1:" + open, ours, nil, "certificate"},
		{"client certificate", "mqtts://localhost:" + mutual, ours, ours, ""},
		{"no client certificate", "mqtts://localhost:" + mutual, ours, nil, "certificate"},
		{"another's client certificate", "mqtts://localhost:" + mutual, ours, others, "certificate"},
		{"TLS 1.1", "mqtts://localhost:" + old, ours, nil, "protocol version"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			o := Options{URL: r.url, ClientID: "x"}
			if r.ca != nil {
				o.CAFile = r.ca.file("ca.pem")
			}
			if r.client != nil {
				o.CertFile, o.KeyFile = r.client.file("client.pem"), r.client.file("client.key")
			}
			got, err := Fetch(t.Context(), o, "greeting")
			if r.fault == "" && (err != nil || string(got) != "hello") {
				t.Errorf("got %q, %v", got, err)
			}
			if r.fault != "" && (err == nil || !strings.Contains(err.Error(), r.fault)) {
				t.Errorf("error is %v, want one with %q", err, r.fault)
			}
		})
	}
}

func TestWebsocket(t *testing.T) {
	server := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(&auth.AllowHook{}, nil); err != nil {
		t.Fatal(err)
	}
	ours := newAuthority(t, "ca")
	ours.server("server")
	cert, err := tls.LoadX509KeyPair(ours.file("server.pem"), ours.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	for _, c := range []listeners.Config{
		{ID: "ws", Address: plain},
		{ID: "wss", Address: secure, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}},
	} {
		if err := server.AddListener(listeners.NewWebsocket(c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, stop := run(t, Options{URL: "ws://" + plain, ClientID: "bridge", StateTopic: stateTopic})
	c.Publish("greeting", []byte("hello"), true)
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	stop()
	o := Options{URL: "wss://localhost:" + strings.TrimPrefix(secure, "127.0.0.1:"), ClientID: "x", CAFile: ours.file("ca.pem")}
	if got, err := Fetch(t.Context(), o, "greeting"); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	o.CAFile = ""
	if _, err := Fetch(t.Context(), o, "greeting"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without our CA: %v", err)
	}
}

// A renewed CA file is read for the next connection.
func TestTLSFilesAreReadAgain(t *testing.T) {
	ours, others := newAuthority(t, "ca"), newAuthority(t, "ca")
	ours.server("server")
	cert, err := tls.LoadX509KeyPair(ours.file("server.pem"), ours.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	port := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	c, err := New(Options{URL: "mqtts://localhost:" + port, ClientID: "x", CAFile: others.file("ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	waitFor(t, c, func(s Stats) bool { return strings.Contains(s.Message, "certificate") })
	pem, err := os.ReadFile(ours.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(others.file("ca.pem"), pem, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waitFor waits for a client on a real network to say something.
func waitFor(t *testing.T, c *Client, ok func(Stats) bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !ok(c.Stats()) {
		select {
		case <-c.Changes():
		case <-time.After(20 * time.Millisecond): // counters are not signalled
		case <-limit:
			t.Fatalf("waited too long; stats are %+v", c.Stats())
		}
	}
}

// Nothing that is logged or said, at any level, shows the password or a payload.
func TestInvariant4NoSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, func(o *Options) {
		o.Username, o.Password = "user", "hunter2"
		o.URL = "ws://broker/?token=hunter2"
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}, func(t *testing.T, b *bench) {
		b.broker.Authenticate(func(_, _, _ string) bool { return false })
		b.start()
		b.after(time.Minute)
		b.broker.Authenticate(nil)
		b.after(time.Minute)
		b.client.Publish("t/car/result", []byte("hunter2"), false)
		b.broker.Cut()
		b.after(time.Minute)
		if m := b.client.Stats().Message; strings.Contains(m, "hunter2") {
			t.Errorf("message: %s", m)
		}
		b.stop()
		if s := log.String(); s == "" || strings.Contains(s, "hunter2") {
			t.Errorf("log:\n%s", s)
		}
	})
}
