package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"testing"
)

// echo is a broken proxy: after each answer it sends the request back, which nobody asked for. ended gets a word when the
// client has hung up, which is after it has complained.
func echo(t *testing.T, next http.Handler) (at string, ended chan struct{}) {
	ended = make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, false)
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		conn, _, hijack := http.NewResponseController(w).Hijack()
		if err != nil || hijack != nil {
			t.Error(err, hijack)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s%s", answer.Code, answer.Body.Len(), answer.Body, request)
		_, _ = io.Copy(io.Discard, conn)
		ended <- struct{}{}
	}))
	t.Cleanup(server.Close)
	return server.URL, ended
}

// TestInvariant4GoLogIsSilent: net/http writes what a peer sent to Go's own log, which is standard error unless told otherwise.
// Not parallel: that log is one for the whole process.
func TestInvariant4GoLogIsSilent(t *testing.T) {
	p := newProcess(t)
	p.logIn()

	at, ended := echo(t, http.NotFoundHandler())
	said := &lockedText{}
	log.SetOutput(said)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer a-token")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	<-ended
	if !strings.Contains(said.text(), "a-token") {
		t.Fatalf("Go no longer writes there what a peer sent, and this test shows nothing; it wrote %q", said.text())
	}

	at, ended = echo(t, p.tesla)
	p.pointAPI(at)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := p.command(ctx, "run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-ended
	}
	cancel()
	_ = cmd.Wait()
	for _, secret := range p.tesla.Secrets() {
		if strings.Contains(p.log.text(), secret) {
			t.Errorf("the output holds the secret %.12s…:\n%s", secret, p.log.text())
		}
	}
	if strings.Contains(p.log.text(), "Unsolicited") {
		t.Errorf("Go's own log is not silent:\n%s", p.log.text())
	}
}

// pointAPI has the program reach Tesla's API at another address.
func (p *process) pointAPI(at string) {
	p.t.Helper()
	data, err := os.ReadFile(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), "api_url: ")
	_, after, found2 := strings.Cut(rest, "}")
	if !found || !found2 {
		p.t.Fatalf("no api_url in\n%s", data)
	}
	if err := os.WriteFile(p.config, fmt.Appendf(nil, "%sapi_url: %q}%s", before, at, after), 0o600); err != nil {
		p.t.Fatal(err)
	}
}
