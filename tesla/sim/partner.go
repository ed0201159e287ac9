package sim

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
)

// hostedAt is where Tesla looks for an application's public key.
const hostedAt = "/.well-known/appspecific/com.tesla.3p.public-key.pem"

// Host puts a file, which should hold a public key in PEM form, on a domain, where Tesla will look for it.
func (t *Tesla) Host(domain string, file []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	t.hosted[domain] = string(file)
}

// RegisteredKey is the public key that the application is registered with, as an uncompressed point; nil if it is not registered.
func (t *Tesla) RegisteredKey() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	return t.registeredKey()
}

// registeredKey is RegisteredKey under the lock. Who was registered from the beginning was so with a key that nobody here has.
func (t *Tesla) registeredKey() []byte {
	f := t.Fleet
	if f == nil {
		return nil
	}
	if f.registered == nil && !f.Unregistered {
		private, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			panic(fmt.Sprintf("sim: make a key: %v", err)) // the system has no randomness
		}
		f.registered = private.PublicKey().Bytes()
	}
	return f.registered
}

// Approve is the owner who opens the pairing link on the phone: the car takes the application's registered key. It tells
// whether there was one to take.
func (h *CarHandle) Approve() bool {
	key := h.t.RegisteredKey()
	if key == nil {
		return false
	}
	h.with(func(c *car) { c.cfg.Unpaired = false })
	h.c.protocol.Enroll(key, keys.Role_ROLE_FM)
	return true
}

// partnerToken is the token of the application itself.
func (t *Tesla) partnerToken(form url.Values) answer {
	f := t.Fleet
	switch {
	case f == nil || f.Secret == "":
		return tokenError(http.StatusBadRequest, "unauthorized_client", "The client may not use this grant type.")
	case t.foreignScope(form.Get("scope")) != "" || strings.Contains(form.Get("scope"), "offline_access"):
		t.violate("a token of the application with the scope %q", form.Get("scope"))
		return tokenError(http.StatusBadRequest, "invalid_scope", "The scope is invalid.")
	}
	l := &login{issuer: t.issuer(nil), scopes: strings.Fields(form.Get("scope")), partner: true}
	return answer{status: http.StatusOK, body: map[string]any{
		"access_token": t.newAccess(l, time.Now().Add(t.life())), "expires_in": int(t.life() / time.Second), "token_type": "Bearer",
	}}
}

// partner answers what is the application's own, and keeps its token and that of a user apart; nil for all else.
func (t *Tesla) partner(q *request) *answer {
	its := strings.HasPrefix(q.name, "partner_accounts")
	if its != t.bearerLogin(q.Request).partner {
		t.violate("%s with the token of somebody else", q.name)
		return new(apiError(http.StatusForbidden, "Unauthorized missing scopes")) // a guess
	}
	switch q.name {
	case "partner_accounts":
		if kind, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type")); kind != "application/json" {
			return new(apiError(http.StatusNotAcceptable, "the content type must be application/json"))
		}
		return new(t.register(q.body))
	case "partner_accounts/public_key":
		return new(t.publicKey(q.URL.Query().Get("domain")))
	}
	return nil
}

// register fetches the key from the domain, as Tesla does, and keeps it. The words were all seen; the statuses 412 and 424 too,
// those of the others at times.
func (t *Tesla) register(body []byte) answer {
	var ask struct {
		Domain string `json:"domain"`
	}
	if json.Unmarshal(body, &ask) != nil || ask.Domain == "" {
		t.violate("partner_accounts without a domain")
		return apiError(http.StatusBadRequest, "domain is required")
	}
	file, there := t.hosted[ask.Domain]
	fetched := "Public key download failed for https://" + ask.Domain + hostedAt + ", error: "
	key := pointOf(file)
	switch {
	case ask.Domain != strings.ToLower(ask.Domain) || strings.Contains(ask.Domain, "/"):
		return apiError(http.StatusBadRequest, "Invalid domain: "+ask.Domain+". Ensure that domain is lowercase and starts without https://")
	case ask.Domain != t.Fleet.origin():
		return apiError(http.StatusPreconditionFailed, "domain must match registered allowed origin")
	case !there:
		return apiError(http.StatusFailedDependency, fetched+"not found")
	case len(file) > 1<<10:
		return apiError(http.StatusFailedDependency, fetched+"too large")
	case key == nil:
		return apiError(http.StatusFailedDependency, fetched+"not a public key")
	case t.Fleet.KeyTaken:
		return apiError(http.StatusUnprocessableEntity, "Validation failed: Public key hash has already been taken")
	case t.Fleet.DomainTaken:
		return apiError(http.StatusUnprocessableEntity, "Validation failed: Domain has already been taken")
	}
	t.Fleet.registered = key
	return response(map[string]any{
		"account_id": "00000000-0000-4000-8000-000000000001", "client_id": t.Fleet.ClientID, "domain": ask.Domain, "name": "My charger",
		"description": "", "enterprise_tier": "pay_as_you_go", "public_key": hex.EncodeToString(key), "ca": nil, "csr": nil, "issuer": nil,
	})
}

func (t *Tesla) publicKey(domain string) answer {
	key := t.registeredKey()
	switch {
	case key == nil:
		return apiError(http.StatusPreconditionFailed, "Account must be registered in the current region.")
	case domain != t.Fleet.origin():
		return apiError(http.StatusNotFound, "not_found")
	}
	return response(map[string]any{"public_key": hex.EncodeToString(key)})
}

// origin is the domain that the application may register.
func (f *Fleet) origin() string {
	u, err := url.Parse(f.RedirectURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// pointOf reads a public key of P-256 in PEM form; nil if it is none.
func pointOf(file string) []byte {
	block, _ := pem.Decode([]byte(file))
	if block == nil {
		return nil
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := any.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return nil
	}
	point, err := key.Bytes()
	if err != nil || len(point) != 65 {
		return nil
	}
	return point
}
