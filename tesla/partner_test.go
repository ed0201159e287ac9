package tesla_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
)

// TestPartnerRefusals: Tesla's words tell what is to be done, whatever status they come with; where they are another's, the status does.
func TestPartnerRefusals(t *testing.T) {
	for _, row := range []struct {
		status int
		words  string
		class  error
	}{
		{424, "Public key download failed for https://my.example/.well-known/appspecific/com.tesla.3p.public-key.pem, error: too large", tesla.ErrKeyNotHosted},
		{422, "Validation failed: Public key hash has already been taken", tesla.ErrKeyTaken},
		{422, "Validation failed: Domain has already been taken", tesla.ErrDomainTaken},
		{412, "domain must match registered allowed origin", tesla.ErrDomain},
		{400, "Invalid domain: https://my.example", tesla.ErrDomain},
		{403, "account does not have access to my.example", tesla.ErrDomain},
		{412, "Account must be registered in the current region.", tesla.ErrNotRegistered},
		{403, "Unauthorized missing scopes", tesla.ErrMissingScopes},
		{500, "Public key download failed", tesla.ErrTemporary},
		{503, "vehicle is offline or asleep", tesla.ErrTemporary},
		{422, "something new", tesla.ErrRefused},
	} {
		t.Run(row.words, func(t *testing.T) {
			p := tesla.NewPartner(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
				return says(row.status, fmt.Sprintf(`{"response":null,"error":%q,"error_description":"","txid":"92e8f39a5fc4c89c2794f3aa8fc42152"}`, row.words)), nil
			})}, hosts.FleetAPI("eu"))
			err := p.Register(t.Context(), "my.example")
			if !errors.Is(err, row.class) || row.class != tesla.ErrRefused && tesla.Advice(err) == "" {
				t.Errorf("got %v, advice %q", err, tesla.Advice(err))
			}
		})
	}
}

func TestPartnerPublicKey(t *testing.T) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := private.PublicKey().Bytes()
	der, err := x509.MarshalPKIXPublicKey(private.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	key := func(text string) string { return fmt.Sprintf(`{"response":{"public_key":%q}}`, text) }
	notRegistered := `{"response":null,"error":"Account must be registered in the current region."}`
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   []byte
		class  error
	}{
		{"hexadecimal", 200, key(hex.EncodeToString(point)), point, nil},
		{"PEM", 200, key(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), point, nil},
		{"none for this domain", 404, `{"response":null,"error":"not_found"}`, nil, nil},
		{"not registered", 412, notRegistered, nil, nil},
		{"not on the curve", 200, key("04" + hex.EncodeToString(make([]byte, 64))), nil, tesla.ErrTemporary},
		{"no key", 200, key("hello"), nil, tesla.ErrTemporary},
		{"damaged PEM", 200, key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), nil, tesla.ErrTemporary},
		{"another form", 200, `{"response":[1]}`, nil, tesla.ErrTemporary},
		{"scopes", 403, `{"response":null,"error":"Unauthorized missing scopes"}`, nil, tesla.ErrMissingScopes},
		{"another region", 421, `{"response":null,"error":"user out of region, use base URL: https://fleet-api.prd.na.vn.cloud.tesla.com, see https://..."}`, nil, tesla.ErrWrongRegion},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked := 0
			p := tesla.NewPartner(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				if asked++; r.URL.String() != hosts.FleetAPI("eu")+"/api/1/partner_accounts/public_key?domain=my.example" {
					t.Errorf("asked %s", r.URL)
				}
				return says(row.status, row.body), nil
			})}, hosts.FleetAPI("eu"))
			got, err := p.PublicKey(t.Context(), "my.example")
			if !bytes.Equal(got, row.want) || !errors.Is(err, row.class) || asked != 1 {
				t.Errorf("got %x, %v after %d requests", got, err, asked)
			}
		})
	}
}
