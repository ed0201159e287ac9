package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

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
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
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
		{"nobody listens", "mqtt://127.0.0.1:" + freePort(t), nil, nil, StepConnect, "connection refused; start the broker, correct mqtt.url"},
		{"authority not set", "mqtts://localhost:" + good, nil, nil, StepTLS, `from "CN=ca", which is not trusted; set mqtt.ca_file`},
		{"authority of another", "mqtts://localhost:" + good, others, nil, StepTLS, "not trusted; mqtt.ca_file is another authority's"},
		{"name of another", "mqtts://localhost:" + elsewhere, ours, nil, StepTLS, `is for ["broker.example"], not for localhost; use such a name in mqtt.url`},
		{"address instead of a name", "mqtts://127.0.0.1:" + good, ours, nil, StepTLS, `is for ["localhost"], not for 127.0.0.1`},
		{"too old", "mqtts://localhost:" + old, ours, nil, StepTLS, "only TLS older than 1.2; update it"},
		{"no TLS there", "mqtts://127.0.0.1:" + plain, ours, nil, StepTLS, "does not seem to speak TLS at this port; use"},
		{"certificate wanted", "mqtts://localhost:" + mutual, ours, nil, StepLogin, "wants a certificate from us; set mqtt.cert_file"},
		{"certificate wanted, 1.2", "mqtts://localhost:" + mutual12, ours, nil, StepTLS, "our certificate; see mqtt.cert_file"},
		{"certificate of a stranger", "mqtts://localhost:" + mutual, ours, others, StepLogin, "does not accept our certificate; see mqtt.cert_file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Options{URL: row.url, ClientID: "x"}
			if row.ca != nil {
				o.CAFile = row.ca.file("ca.pem")
			}
			if row.client != nil {
				o.CertFile, o.KeyFile = row.client.file("client.pem"), row.client.file("client.key")
			}
			w := Reach(t.Context(), o)
			if w.Failed != row.failed || (w.Err == nil) != (row.failed == "") || w.Err != nil && !strings.Contains(w.Err.Error(), row.said) {
				t.Errorf("failed at %q: %v", w.Failed, w.Err)
			}
			if encrypted := strings.HasPrefix(row.url, "mqtts"); row.failed == "" && (w.TLS != nil) != encrypted {
				t.Errorf("TLS: %v", w.TLS)
			}
		})
	}
}

func TestExplainTLSByTheClock(t *testing.T) {
	c := &x509.Certificate{NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	err := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Cert: c, Reason: x509.Expired}}
	for at, want := range map[time.Time]string{
		c.NotBefore.Add(-time.Hour): "valid from 2026-01-01 on only; set the clock",
		c.NotAfter.Add(time.Hour):   "has expired on 2026-03-01; give the broker a new one",
	} {
		if got := explainTLS(err, false, at); !strings.Contains(got.Error(), want) {
			t.Errorf("at %s: %v", at, got)
		}
	}
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
