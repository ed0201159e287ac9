package hosts

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		ok        bool
	}{
		{"nothing", "", true},
		{"https by name", "https://proxy.example", true},
		{"https with port and path", "https://proxy.example:8443/tesla", true},
		{"http on 127.0.0.1", "http://127.0.0.1:4711", true},
		{"http on 127.8.8.8", "http://127.8.8.8", true},
		{"http on ::1", "http://[::1]:4711/x", true},
		{"http on localhost", "http://localhost:4711", true},
		{"http elsewhere", "http://proxy.example", false},
		{"http in the home network", "http://192.168.1.2:4711", false},
		{"http on a name like loopback", "http://127.0.0.1.example", false},
		{"http on localhost.example", "http://localhost.example", false},
		{"http on 0.0.0.0", "http://0.0.0.0:80", false},
		{"user", "https://user@proxy.example", false},
		{"password", "https://user:geheim@proxy.example", false},
		{"query", "https://proxy.example/?to=x", false},
		{"fragment", "https://proxy.example/#x", false},
		{"no scheme", "proxy.example", false},
		{"other scheme", "ftp://proxy.example", false},
		{"no host", "https://", false},
		{"only a port", "https://:443", false},
		{"not a URL", "https://user:geheim@[", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.url)
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("a password is shown: %v", err)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	l, err := New("", "https://proxy.example:8443/tesla", "http://127.0.0.1:4711")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"https://auth.tesla.com/oauth2/v3/token":           true,
		"https://auth.tesla.com:443/":                      true,
		"https://AUTH.tesla.com/":                          true,
		"https://fleet-auth.prd.vn.cloud.tesla.com/":       true,
		"https://fleet-api.prd.cn.vn.cloud.tesla.cn/":      true,
		"https://proxy.example:8443/other":                 true,
		"http://127.0.0.1:4711/":                           true,
		"http://auth.tesla.com/":                           false,
		"http://auth.tesla.com:443/":                       false,
		"https://auth.tesla.com:8443/":                     false,
		"https://auth.tesla.com./":                         false,
		"https://xauth.tesla.com/":                         false,
		"https://auth.tesla.com.evil.example/":             false,
		"https://tesla.com/":                               false,
		"https://auth.tesla.com@evil.example/":             false,
		"https://user@auth.tesla.com/":                     false,
		"https://proxy.example/":                           false,
		"http://proxy.example:8443/":                       false,
		"https://127.0.0.1:4711/":                          false,
		"http://127.0.0.1:4712/":                           false,
		"//auth.tesla.com/":                                false,
		"tesla://auth/callback":                            false,
		"":                                                 false,
		"https://auth.tesla.cn\u2024/":                     false,
		"https://fleet-api.prd.eu.vn.cloud.tesla.com:443/": true,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Allows(u); got != want {
			t.Errorf("%s: got %v", text, got)
		}
		if (List{}).Allows(u) {
			t.Errorf("%s: allowed by the zero list", text)
		}
	}
	if got := fmt.Sprint(l.Loopback()); got != "[http://127.0.0.1:4711]" {
		t.Errorf("Loopback: %s", got)
	}
}

func TestInvariant5OnlyListedHostsAreDialled(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	listed, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	unlisted, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTP_PROXY", server.URL) // must not matter
	for _, l := range []List{listed, unlisted} {
		tr, err := NewTransport(l, TLS{})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := tr.RoundTrip(req)
		if len(l.Loopback()) == 1 {
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err = errors.Join(err, answer.Body.Close()); err != nil || string(body) != "hello" {
				t.Errorf("got %q, %v", body, err)
			}
		} else if _, ok := errors.AsType[Refusal](err); !ok {
			t.Errorf("dialled: %v", err)
		}
		if tr.Proxy != nil || tr.TLSHandshakeTimeout == 0 || tr.ResponseHeaderTimeout == 0 || tr.MaxResponseHeaderBytes == 0 {
			t.Errorf("the transport lacks a bound, or has a proxy: %+v", tr)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	for at, ok := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "192.168.1.2:80": false, "[2001:db8::1]:80": false, "x": false} {
		if err := onlyLoopback("tcp", at, nil); (err == nil) != ok {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// secureServer is a TLS server at proxy.example, whose CA is in the returned file.
func secureServer(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, tls.VersionName(r.TLS.Version))
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server, file
}

func TestTransportSpeaksAsConfigured(t *testing.T) {
	server, ca := secureServer(t)
	l, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		tls  TLS
		want string
	}{
		{TLS{CAFile: ca, HTTP2: true}, "HTTP/2.0 TLS 1.3"},
		{TLS{CAFile: ca}, "HTTP/1.1 TLS 1.3"},
		{TLS{CAFile: ca, Min: "1.2", Max: "1.2", HTTP2: true}, "HTTP/2.0 TLS 1.2"},
		{TLS{CAFile: ca, Min: "1.3"}, "HTTP/1.1 TLS 1.3"},
		{TLS{HTTP2: true}, "certificate"},
	} {
		tr, err := NewTransport(l, tt.tls)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if answer, err := tr.RoundTrip(req); err != nil {
			got = Cause(err)
		} else {
			body, err := io.ReadAll(answer.Body)
			if got = string(body); errors.Join(err, answer.Body.Close()) != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%+v: got %q, want %q", tt.tls, got, tt.want)
		}
	}
}

func TestTransportRefusesNonsense(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []TLS{{Min: "1.1"}, {Max: "TLS1.3"}, {Min: "1.3", Max: "1.2"}, {CAFile: noPEM}, {CAFile: noPEM + "x"}} {
		if _, err := NewTransport(List{}, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// What a broken server sends may echo a token; net/http quotes it.
func TestInvariant4CauseQuotesNoServer(t *testing.T) {
	for _, sent := range []string{"EU_secret EU_secret\r\n\r\n", "HTTP/1.1 200 OK\r\nEU_secret\r\n\r\n", "HTTP/1.1 EU_secret\r\n\r\n", ""} {
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				buf := make([]byte, 4096)
				_, _ = server.Read(buf)
				_, _ = io.WriteString(server, sent)
				_ = server.Close()
			}()
			return client, nil
		}}
		_, err := (&http.Client{Transport: tr}).Get("http://127.0.0.1/")
		if err == nil || strings.Contains(Cause(err), "EU_secret") {
			t.Errorf("%q: %v", sent, Cause(err))
		}
	}
	down := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	if got := Cause(&url.Error{Op: "Post", URL: "x", Err: down}); got != "dial tcp: connection refused" {
		t.Errorf("got %q", got)
	}
}

func TestGuard(t *testing.T) {
	var got *http.Request
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	g := Guard{List: l, Via: trip(func(r *http.Request) (*http.Response, error) { got = r; return nil, errors.New("sent") })}
	for text, want := range map[string]bool{"https://auth.tesla.com/": true, "https://evil.example/": false} {
		got = nil
		req, err := http.NewRequest(http.MethodPost, text, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Send(req)
		if (got != nil) != want {
			t.Errorf("%s: %v", text, err)
		}
		if got != nil && got.UserAgent() != "tesla2mqtt" {
			t.Errorf("User-Agent %q", got.UserAgent())
		}
	}
}

// TestGuardSendsTheBodyAgain: a request that comes again, with a new token, has its whole body again.
func TestGuardSendsTheBodyAgain(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	g := Guard{List: l, Via: trip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		return nil, err
	})}
	req, err := http.NewRequest(http.MethodPost, "https://auth.tesla.com/", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := g.Send(req.Clone(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(bodies, ",") != "x,x" {
		t.Errorf("sent %q", bodies)
	}
}

// TestGuardIsTooLate: what nobody waits for any more is not handed to the transport, whose error would not tell whether it was sent.
func TestGuardIsTooLate(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	g := Guard{List: l, Via: trip(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return nil, nil
	})}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for want, ctx := range map[Refusal]context.Context{GivenUp: gone, TooLate: Until(t.Context(), time.Now())} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://auth.tesla.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Send(req); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
