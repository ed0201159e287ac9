package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// TestReach: each way to fail has a word of its own, and says what to do.
func TestReach(t *testing.T) {
	ours, others := newAuthority(t, "ca"), newAuthority(t, "ca")
	load := func(name string) tls.Certificate {
		t.Helper()
		cert, err := tls.LoadX509KeyPair(ours.file(name+".pem"), ours.file(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	ours.server("server")
	ours.sign("elsewhere", &x509.Certificate{DNSNames: []string{"broker.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ours.client("client")
	others.client("client")
	pool := ours.pool()
	good := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{load("server")}})
	elsewhere := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{load("elsewhere")}})
	mutual := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{load("server")}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	mutual12 := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{load("server")}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: tls.VersionTLS12})
	old := tlsFront(t, &tls.Config{Certificates: []tls.Certificate{load("server")}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	plain := plainFront(t)
	for _, row := range []struct {
		name, url  string
		ca, client *authority
		failed     Step
		said       string
	}{
		{"all is well", "mqtts://localhost:" + good, ours, nil, "", ""},
		{"not encrypted", "mqtt://127.0.0.1:" + plain, nil, nil, "", ""},
		{"our certificate", "mqtts://localhost:" + mutual, ours, ours, "", ""},
		{"unknown name", "mqtt://broker.invalid", nil, nil, StepName, "broker.invalid"},
		{"nobody listens", "mqtt://127.0.0.1:" + freePort(t), nil, nil, StepConnect, "nothing listens there; is the broker running"},
		{"authority not set", "mqtts://localhost:" + good, nil, nil, StepTLS, "no authority that this system knows has signed the broker's certificate; name"},
		{"authority of another", "mqtts://localhost:" + good, others, nil, StepTLS, "not signed by the authority in mqtt.ca_file; put"},
		{"name of another", "mqtts://localhost:" + elsewhere, ours, nil, StepTLS, "is for broker.example, not for localhost; name the broker so in mqtt.url"},
		{"address instead of a name", "mqtts://127.0.0.1:" + good, ours, nil, StepTLS, "is for localhost, not for 127.0.0.1"},
		{"too old", "mqtts://localhost:" + old, ours, nil, StepTLS, "(protocol version not supported); it must allow TLS 1.2 or newer"},
		{"no TLS there", "mqtts://127.0.0.1:" + plain, ours, nil, StepTLS, "did not answer in TLS; either the port"},
		{"certificate wanted", "mqtts://localhost:" + mutual, ours, nil, StepLogin, "wants a certificate from us (certificate required); set mqtt.cert_file"},
		{"certificate wanted, 1.2", "mqtts://localhost:" + mutual12, ours, nil, StepTLS, "(handshake failure); it must allow TLS 1.2 or newer, and it may want mqtt.cert_file"},
		{"certificate of a stranger", "mqtts://localhost:" + mutual, ours, others, StepLogin, "does not accept our certificate (unknown certificate authority); set mqtt.cert_file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Options{URL: row.url, ClientID: "x"}
			if row.ca != nil {
				o.CAFile = row.ca.file("ca.pem")
			}
			if c := row.client; c != nil {
				o.CertFile, o.KeyFile = c.file("client.pem"), c.file("client.key")
			}
			w := Reach(t.Context(), o)
			if w.Failed != row.failed || (w.Err == nil) != (row.failed == "") || w.Err != nil && !strings.Contains(w.Err.Error(), row.said) {
				t.Errorf("failed at %q: %v", w.Failed, w.Err)
			}
			if row.failed == "" && (w.TLS != nil) != strings.HasPrefix(row.url, "mqtts") {
				t.Errorf("TLS: %v", w.TLS)
			}
		})
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// plainFront is a broker without TLS on a port of loopback.
func plainFront(t *testing.T) string {
	t.Helper()
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(url, "mqtt://127.0.0.1:")
}
