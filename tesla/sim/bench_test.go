package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	apiURL  = "https://owner-api.teslamotors.com"
	authURL = "https://auth.tesla.com/oauth2/v3"
)

// bench is a client of the simulator that knows nothing but HTTP.
type bench struct {
	*testing.T
	tesla  *Tesla
	client *http.Client
	access string
}

func newBench(t *testing.T, tesla *Tesla) *bench {
	t.Helper()
	access, _ := tesla.Login()
	return &bench{T: t, tesla: tesla, client: tesla.Client(), access: access}
}

// doc is a decoded JSON object.
type doc map[string]any

func (d doc) sub(name string) doc {
	m, _ := d[name].(map[string]any)
	return m
}

func (d doc) num(name string) float64 {
	f, isNumber := d[name].(float64)
	if !isNumber {
		return -1
	}
	return f
}

func (b *bench) request(method, path, body string) *http.Request {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, apiURL+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.access)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// do makes an API call and returns status and body.
func (b *bench) do(method, path, body string) (int, doc) {
	b.Helper()
	resp, err := b.client.Do(b.request(method, path, body))
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, b.decode(resp)
}

func (b *bench) decode(resp *http.Response) doc {
	b.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	var d doc
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&d); err != nil {
		d = doc{"text": string(raw)}
	}
	return d
}

// get is a GET that must be 200, and returns what is in response.
func (b *bench) get(path string) doc {
	b.Helper()
	status, d := b.do(http.MethodGet, path, "")
	if status != http.StatusOK {
		b.Fatalf("GET %s: %d %v", path, status, d)
	}
	return d.sub("response")
}

// charge reads the charge_state of a car.
func (b *bench) charge(h *CarHandle) doc {
	b.Helper()
	return b.get("/api/1/vehicles/" + h.VIN() + "/vehicle_data?endpoints=charge_state").sub("charge_state")
}

// command sends a command and returns "" if it was done, else the reason, or the HTTP status if that was not 200.
func (b *bench) command(h *CarHandle, name, body string) string {
	b.Helper()
	status, d := b.do(http.MethodPost, "/api/1/vehicles/"+h.VIN()+"/command/"+name, body)
	if status != http.StatusOK {
		return http.StatusText(status)
	}
	r := d.sub("response")
	reason, _ := r["reason"].(string)
	if done, _ := r["result"].(bool); done != (reason == "") {
		b.Fatalf("%s: result %v with reason %q", name, r["result"], reason)
	}
	return reason
}

func (b *bench) amps(h *CarHandle, amps string) string {
	b.Helper()
	return b.command(h, "set_charging_amps", `{"charging_amps": `+amps+`}`)
}

func (b *bench) wakeUp(h *CarHandle) doc {
	b.Helper()
	status, d := b.do(http.MethodPost, "/api/1/vehicles/"+h.VIN()+"/wake_up", "")
	if status != http.StatusOK {
		b.Fatalf("wake_up: %d %v", status, d)
	}
	return d.sub("response")
}

// token posts a form to the token endpoint.
func (b *bench) token(form url.Values) (int, doc) {
	b.Helper()
	resp, err := b.client.PostForm(authURL+"/token", form)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, b.decode(resp)
}

func (b *bench) refresh(token string) (int, string) {
	b.Helper()
	status, d := b.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {"ownerapi"}, "refresh_token": {token}})
	next, _ := d["refresh_token"].(string)
	if status != http.StatusOK {
		next, _ = d["error"].(string)
	}
	return status, next
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if got < want-within || got > want+within {
		t.Errorf("%s = %v, want %v within %v", what, got, want, within)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

const minute = time.Minute
