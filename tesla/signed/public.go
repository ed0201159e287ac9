package signed

import (
	"crypto/ecdh"
	"crypto/x509"
	"encoding/pem"
)

// PublicPEM is the public half in the form in which Tesla fetches it from an application's domain.
func (k *Key) PublicPEM() (string, error) {
	public, err := ecdh.P256().NewPublicKey(k.Public())
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
