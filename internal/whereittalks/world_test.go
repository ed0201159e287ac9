//go:build linux

package whereittalks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

// world is all that the program can reach, and what it noticed of it.
type world struct {
	t      *testing.T
	home   home
	tesla  *sim.Tesla
	broker *mqtttest.Broker
	ca     string // file with the authority that made the certificates

	mu        sync.Mutex // guards what follows
	questions map[string]int
	requests  map[request]int
	hellos    map[string]int // TLS handshakes by the name asked for
	brokerIn  int            // connections to the broker's port
}

// request is how a request arrived at the server.
type request struct {
	host, tls string // as the request has it, and as the handshake had it
	at        netip.Addr
	path      string
	bearer    bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		cannot(t, err)
	}
	replaceFile(t, "/etc/resolv.conf", "nameserver "+resolver+"\nsearch .\n")
	replaceFile(t, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
	w := &world{t: t, home: newHome(t), tesla: &sim.Tesla{ExpiresIn: 8 * time.Second},
		questions: map[string]int{}, requests: map[request]int{}, hellos: map[string]int{}}
	w.home.wire(t)
	feed(t, w.home.command("nft", "-f", "-"), watch)

	names, err := net.ListenPacket("udp", net.JoinHostPort(resolver, "53"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	go resolve(names, func(name string) { w.note(func() { w.questions[name]++ }) })
	w.serveHTTPS()
	w.serveMQTT()
	return w
}

// note changes what is remembered.
func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// listen takes connections to a port, at every address there is.
func (w *world) listen(port string) net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	return l
}

// serveHTTPS is the simulated Tesla, under whatever name it is asked.
func (w *world) serveHTTPS() {
	w.t.Helper()
	authority := newAuthority(w.t)
	w.ca = authority.file
	server := &http.Server{Handler: w, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			w.note(func() { w.hellos[hello.ServerName]++ })
			return authority.certify(hello.ServerName)
		}}}
	l := w.listen("443")
	w.t.Cleanup(func() { server.Close() })
	go func() { _ = server.ServeTLS(l, "", "") }() // ends with Close
}

// ServeHTTP notes a request and leaves the answer to the simulator.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	at, _ := netip.ParseAddrPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	arrived := request{host: r.Host, tls: r.TLS.ServerName, at: at.Addr().Unmap(), path: r.URL.Path, bearer: r.Header.Get("Authorization") != ""}
	w.note(func() { w.requests[arrived]++ })
	w.tesla.ServeHTTP(out, r)
}

// serveMQTT leads connections on to the embedded broker, which listens on loopback only.
func (w *world) serveMQTT() {
	w.t.Helper()
	b, err := mqtttest.NewBroker()
	if err != nil {
		w.t.Fatal(err)
	}
	w.broker = b
	l := w.listen("1883")
	w.t.Cleanup(func() { b.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.note(func() { w.brokerIn++ })
			inner, err := b.Dial(w.t.Context(), nil)
			if err != nil { // the broker is down
				conn.Close()
				continue
			}
			go carry(conn, inner)
			go carry(inner, conn)
		}
	}()
}

func carry(from, to net.Conn) {
	_, _ = io.Copy(to, from) // either end may break off
	from.Close()
	to.Close()
}

// authority signs for any name.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Where it talks"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// certify makes a certificate for one name.
func (a *authority) certify(name string) (*tls.Certificate, error) {
	form := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if name == "" { // dialled by address
		form.DNSNames = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, a.key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
}
