package hosts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a server with a certificate of its own making, and returns its address and the certificate as a file.
func serve(t *testing.T, from, to time.Time, address string, requests *atomic.Int64) (at, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.ParseIP(address)},
		DNSNames: []string{"a-strangers-words.example"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, file
}

// TestMisfit: real handshakes, each with another thing wrong. Nothing arrives, and no word of the certificate is repeated.
func TestMisfit(t *testing.T) {
	now, day := time.Now(), 24*time.Hour
	for name, row := range map[string]struct {
		from, to   time.Time
		address    string
		unknown    bool
		what, todo string
	}{
		"fits":              {now.Add(-day), now.Add(day), "127.0.0.1", false, "", ""},
		"not yet valid":     {now.Add(day), now.Add(2 * day), "127.0.0.1", false, "is not valid before", "set the clock"},
		"just expired":      {now.Add(-2 * day), now.Add(-day), "127.0.0.1", false, "has expired", "wait until the server has a new one"},
		"expired long ago":  {now.Add(-400 * day), now.Add(-300 * day), "127.0.0.1", false, "was valid until", "set the clock"},
		"another host":      {now.Add(-day), now.Add(day), "127.0.0.2", false, "is not that of 127.0.0.1", "answers in its place"},
		"unknown authority": {now.Add(-day), now.Add(day), "127.0.0.1", true, "signed by nobody", "tesla.ca_file"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			at, ca := serve(t, row.from, row.to, row.address, &requests)
			if row.unknown {
				ca = ""
			}
			list, err := New(at)
			if err != nil {
				t.Fatal(err)
			}
			tr, err := NewTransport(list, TLS{CAFile: ca})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.CloseIdleConnections()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader("secret"))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := Client(Guard{List: list, Via: tr}.Send).Do(r)
			if row.what == "" {
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				return
			}
			what, todo := Misfit(err, now)
			if !strings.Contains(what, row.what) || !strings.Contains(todo, row.todo) || Cause(err) != what+": "+todo {
				t.Errorf("got %q, %q, %q of %v", what, todo, Cause(err), err)
			}
			if strings.Contains(what+todo, "stranger") || requests.Load() > 0 {
				t.Errorf("%d requests arrived; %s", requests.Load(), what)
			}
		})
	}
	if what, todo := Misfit(&url.Error{Err: errors.New("x509: no such thing")}, now); what != "" || todo != "" {
		t.Errorf("another fault is %s, %s", what, todo)
	}
}
