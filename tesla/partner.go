package tesla

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// What Tesla has against a registration, where it is more than any other refusal.
var (
	ErrKeyNotHosted = errors.New("the public key could not be fetched from the domain")
	ErrKeyTaken     = errors.New("the key is registered for another application or domain")
	ErrDomainTaken  = errors.New("the domain is registered for another application")
	ErrDomain       = errors.New("the domain is not one of the application's")
)

// partnerWords tell those apart: the statuses do not, and have changed.
var partnerWords = []struct {
	words string
	class error
}{
	{"public key download failed", ErrKeyNotHosted},
	{"public key hash has already been taken", ErrKeyTaken},
	{"domain has already been taken", ErrDomainTaken},
	{"allowed origin", ErrDomain},
	{"does not have access to", ErrDomain},
	{"invalid domain", ErrDomain},
}

// Partner manages the registration of an application with one region of the Fleet API. It is no user's, and reaches no car.
type Partner struct{ client *Client }

// NewPartner returns a Partner that sends through h, which must add the application's own token.
func NewPartner(h *http.Client, base string) *Partner {
	return &Partner{NewFleetClient(h, func() string { return base })}
}

// Register makes Tesla fetch the public key from the domain, and register it with this region. Again is harmless.
func (p *Partner) Register(ctx context.Context, domain string) error {
	if _, err := p.ask(ctx, http.MethodPost, "/api/1/partner_accounts", map[string]string{"domain": domain}); err != nil {
		return fmt.Errorf("register %s: %w", domain, err)
	}
	return nil
}

// PublicKey returns the key that this region has registered for a domain, as an uncompressed point of P-256; nil if there is none.
func (p *Partner) PublicKey(ctx context.Context, domain string) ([]byte, error) {
	response, err := p.ask(ctx, http.MethodGet, "/api/1/partner_accounts/public_key?domain="+url.QueryEscape(domain), nil)
	if err != nil && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotRegistered)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask which key is registered for %s: %w", domain, err)
	}
	var answer struct {
		PublicKey string `json:"public_key"`
	}
	if json.Unmarshal(response, &answer) == nil {
		if point := point(answer.PublicKey); point != nil {
			return point, nil
		}
	}
	return nil, fmt.Errorf("ask which key is registered for %s: %w", domain, &Error{Class: ErrTemporary, Text: "the answer holds no key"})
}

// ask is one request, never sent to another region: a registration is with the one that was named.
func (p *Partner) ask(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := p.client.try(ctx, classPartner, method, p.client.Base(), path, body)
	if err == nil {
		return answer.Response, nil
	}
	for _, w := range partnerWords {
		if err.Status/100 == 4 && strings.Contains(strings.ToLower(err.Text), w.words) {
			err.Class = w.class
		}
	}
	return nil, err
}

// point reads a public key in either form that has been seen; nil if it is none.
func point(text string) []byte {
	raw, err := hex.DecodeString(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		key, fault := x509.ParsePKIXPublicKey(block.Bytes)
		ec, ok := key.(*ecdsa.PublicKey)
		if fault != nil || !ok {
			return nil
		}
		raw, err = ec.Bytes()
	}
	if err != nil {
		return nil
	}
	if _, err := ecdh.P256().NewPublicKey(raw); err != nil {
		return nil
	}
	return raw
}
