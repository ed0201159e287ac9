package mqtt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewChecksTheURL(t *testing.T) {
	rows := []struct{ name, url, host, fault string }{
		{"plain", "mqtt://broker", "broker:1883", ""},
		{"port", "mqtt://broker:1884/", "broker:1884", ""},
		{"encrypted", "mqtts://broker", "broker:8883", ""},
		{"websocket", "ws://broker/mqtt?x=1", "broker:80", ""},
		{"encrypted websocket", "wss://broker", "broker:443", ""},
		{"IPv6", "mqtt://[::1]", "[::1]:1883", ""},
		{"empty", "", "", "mqtt.url: must start with mqtt://"},
		{"no scheme", "broker:1883", "", "mqtt.url: must start with mqtt://"},
		{"http", "http://broker", "", "mqtt.url: must start with mqtt://"},
		{"no host", "mqtt://:1883", "", "mqtt.url: has no host"},
		{"unreadable", "mqtt://broker:port", "", "mqtt.url: cannot be read"},
		{"a topic", "mqtt://broker/tesla", "", "mqtt.base_topic"},
		{"user", "mqtt://user@broker", "", "mqtt.username and mqtt.password_file"},
		{"password", "mqtt://user:hunter2@broker", "", "mqtt.username and mqtt.password_file"},
		{"password with a slash", "mqtt://user:hunter2/x@broker", "", "mqtt.username and mqtt.password_file"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c, err := New(Options{URL: r.url, ClientID: "x"})
			switch {
			case r.fault == "" && err != nil:
				t.Fatalf("unexpected error: %v", err)
			case r.fault == "":
				if c.broker.Host != r.host {
					t.Errorf("host is %q, want %q", c.broker.Host, r.host)
				}
			case err == nil || !strings.Contains(err.Error(), r.fault):
				t.Errorf("error is %v, want one with %q", err, r.fault)
			case strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestNewNamesAllFaultsAtOnce(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.pem")
	rows := []struct {
		name string
		o    Options
		want []string
	}{
		{"nothing set", Options{}, []string{"mqtt.url:", "mqtt.client_id:"}},
		{"password alone", Options{URL: "mqtt://b", ClientID: "x", Password: "hunter2"}, []string{"mqtt.username:"}},
		{"files without TLS", Options{URL: "ws://b", ClientID: "x", CAFile: junk, CertFile: junk, KeyFile: junk},
			[]string{"mqtt.ca_file: needs an encrypted", "mqtt.cert_file: needs", "mqtt.key_file: needs", "mqtts://"}},
		{"CA missing", Options{URL: "mqtts://b", ClientID: "x", CAFile: missing}, []string{"mqtt.ca_file:", missing}},
		{"CA junk", Options{URL: "mqtts://b", ClientID: "x", CAFile: junk}, []string{"mqtt.ca_file: no PEM certificate"}},
		{"key missing", Options{URL: "mqtts://b", ClientID: "x", CertFile: junk}, []string{"mqtt.key_file: missing"}},
		{"certificate missing", Options{URL: "mqtts://b", ClientID: "x", KeyFile: junk}, []string{"mqtt.cert_file: missing"}},
		{"both junk, and the CA", Options{URL: "wss://b", ClientID: "x", CAFile: missing, CertFile: junk, KeyFile: junk},
			[]string{"mqtt.ca_file:", "mqtt.cert_file: no PEM certificate"}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := New(r.o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range r.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func FuzzBrokerURL(f *testing.F) {
	for _, s := range []string{"mqtt://broker:1883", "mqtts://a:hunter2@b", "wss://[::1]/x", "mqtt://hunter2%zz@b", "://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := brokerURL(text)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error for %q shows the password: %v", text, err)
			}
			return
		}
		if u.User != nil || u.Port() == "" && !strings.HasSuffix(u.Host, ":") || u.Hostname() == "" {
			t.Errorf("%q was accepted as %v", text, u)
		}
	})
}
