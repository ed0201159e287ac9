package sim

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// signer makes signatures as an application does.
type signer struct {
	t   *testing.T
	key *ecdh.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, key}
}

func (s signer) public() []byte { return s.key.PublicKey().Bytes() }

func (s signer) pem() []byte {
	der, err := x509.MarshalPKIXPublicKey(s.key.PublicKey())
	if err != nil {
		s.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// schnorr signs with a nonce that it draws, and uses the library's points, not those of the verifier.
func (s signer) schnorr(message []byte) []byte {
	nonce, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	one := make([]byte, 32)
	one[31] = 1
	base, err := ecdh.P256().NewPrivateKey(one)
	if err != nil {
		s.t.Fatal(err)
	}
	h := sha256.New()
	for _, part := range [][]byte{base.PublicKey().Bytes(), nonce.PublicKey().Bytes(), s.public(), message} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	// r = nonce - challenge * key
	order := elliptic.P256().Params().N
	r := new(big.Int).SetBytes(h.Sum(nil))
	r.Mul(r, new(big.Int).SetBytes(s.key.Bytes())).Sub(new(big.Int).SetBytes(nonce.Bytes()), r).Mod(r, order)
	return append(nonce.PublicKey().Bytes()[1:], r.FillBytes(make([]byte, 32))...)
}

// jws signs claims, of which %s is the issuer.
func (s signer) jws(header, claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(header)) + "." + part(fmt.Appendf(nil, claims, base64.StdEncoding.EncodeToString(s.public())))
	return text + "." + part(s.schnorr([]byte(text)))
}

// TestSchnorr: what was signed is verified, and nothing that differs in one bit of key, message or signature.
func TestSchnorr(t *testing.T) {
	s := newSigner(t)
	message := []byte("a configuration")
	key, signature := s.public(), s.schnorr(message)
	if !schnorr(key, message, signature) {
		t.Fatal("a good signature is refused")
	}
	for name, part := range map[string][]byte{"key": key, "message": message, "signature": signature} {
		for i := range part {
			part[i] ^= 1
			if schnorr(key, message, signature) {
				t.Errorf("byte %d of the %s may be any", i, name)
			}
			part[i] ^= 1
		}
	}
	if schnorr(key, message, signature[:95]) || schnorr(nil, message, signature) || schnorr(make([]byte, 65), message, signature) {
		t.Error("what is no signature or no key is one")
	}
}

const (
	goodHeader = `{"alg":"Tesla.SS256","typ":"JWT"}`
	goodClaims = `{"iss":%q,"aud":"com.tesla.fleet.TelemetryClient","hostname":"t.my.example","port":443,"fields":{"Soc":{"interval_seconds":60}}}`
)

// TestTelemetryConfig: a configuration is taken if the application has signed it, and then by each car that can, when it is there.
func TestTelemetryConfig(t *testing.T) {
	key, stranger := newSigner(t), newSigner(t)
	s := &Tesla{Fleet: &Fleet{ClientID: "a", Secret: "s3cret", RedirectURL: "https://my.example/x", Unregistered: true}}
	s.Host("my.example", key.pem())
	if status, body := asked(t, s, "POST", "/api/1/partner_accounts", ownToken(t, s), `{"domain":"my.example"}`); status != 200 {
		t.Fatal(status, body)
	}
	awake, asleep, full := s.Add(Car{}), s.Add(Car{Asleep: true}), s.Add(Car{Telemetry: "full"})
	old, unpaired := s.Add(Car{Telemetry: "unsupported_firmware"}), s.Add(Car{Unpaired: true})
	user, _ := s.Login()
	post := func(token string) (int, string) {
		vins := fmt.Sprintf("%q,%q,%q,%q,%q", awake.VIN(), asleep.VIN(), full.VIN(), old.VIN(), unpaired.VIN())
		return asked(t, s, "POST", "/api/1/vehicles/fleet_telemetry_config_jws", user, fmt.Sprintf(`{"vins":[%s],"token":%q}`, vins, token))
	}
	for _, row := range []struct{ token, says string }{
		{"a.b", "2 parts"},
		{"YQ.YQ.=", "part 2 is not base64url"},
		{key.jws(`{"alg":"none","typ":"JWT"}`, goodClaims), "the algorithm none"},
		{key.jws(goodHeader, strings.Replace(goodClaims, "fleet", "vehicle", 1)), "the audience"},
		{stranger.jws(goodHeader, goodClaims), "the key is not registered"},
		{key.jws(goodHeader, goodClaims) + "AAAA", "the signature is wrong"},
		{key.jws(goodHeader, strings.Replace(goodClaims, "Soc", "SoC", 1)), "Unknown field SoC"},
		{key.jws(goodHeader, strings.Replace(goodClaims, ":60", ":0", 1)), "Invalid interval"},
		{key.jws(goodHeader, strings.Replace(goodClaims, "my.", "other.", 1)), "hostname must match"},
	} {
		if status, body := post(row.token); status != 400 || !strings.Contains(body, row.says) {
			t.Errorf("%s: %d %s", row.says, status, body)
		}
	}
	status, body := post(key.jws(goodHeader, goodClaims))
	if status != 200 || !strings.Contains(body, `"updated_vehicles":3`) || !strings.Contains(body, `"unsupported_firmware":["`+old.VIN()) ||
		!strings.Contains(body, `"missing_key":["`+unpaired.VIN()) {
		t.Errorf("%d %s", status, body)
	}
	standing := func(h *CarHandle, method, want string) {
		t.Helper()
		if status, body := asked(t, s, method, "/api/1/vehicles/"+h.VIN()+"/fleet_telemetry_config", user, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d %s, want %s", status, body, want)
		}
	}
	const config = `"config":{"fields":{"Soc":{"interval_seconds":60}},"hostname":"t.my.example","port":443},"key_paired":true,"limit_reached":false,"synced":`
	standing(awake, "GET", config+"true")
	standing(asleep, "GET", config+"false")
	standing(full, "GET", `"config":null,"key_paired":true,"limit_reached":false,"synced":true`)
	standing(old, "GET", `"config":null`)
	if asleep.Wake(); asleep.TelemetryConfig() == nil || full.TelemetryConfig() != nil {
		t.Error("the car that woke has none, or the full one has one")
	}
	standing(asleep, "GET", config+"true")
	standing(awake, "DELETE", `"updated_vehicles":1`)
	standing(awake, "DELETE", `"updated_vehicles":0`)
	standing(awake, "GET", `"config":null`)
	if v := s.Violations(); len(v) != 0 {
		t.Errorf("violations: %q", v)
	}
}
