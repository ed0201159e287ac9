package signed

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// inPEM is DER in its envelope.
func inPEM(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// keyFiles are contents of key files, by what they are; the good ones hold the key that is returned.
func keyFiles(t *testing.T) (*ecdsa.PrivateKey, map[string][]byte) {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(p256)
	sec1 := inPEM(t, "EC PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(p256)
	pkcs8 := inPEM(t, "PRIVATE KEY", der, err)
	der, err = x509.MarshalECPrivateKey(p384)
	wrong := inPEM(t, "EC PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(rsaKey)
	rsaPEM := inPEM(t, "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(&p256.PublicKey)
	public := inPEM(t, "PUBLIC KEY", der, err)
	parameters := inPEM(t, "EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}, nil)
	return p256, map[string][]byte{
		"SEC 1": sec1, "PKCS 8": pkcs8, "with parameters": append(bytes.Clone(parameters), sec1...),
		"another curve": wrong, "RSA": rsaPEM, "public": public,
		"damaged":         inPEM(t, "EC PRIVATE KEY", []byte("hunter2"), nil),
		"with a password": inPEM(t, "ENCRYPTED PRIVATE KEY", []byte{1}, nil),
		"a certificate":   inPEM(t, "CERTIFICATE", []byte{1}, nil),
		"empty":           nil, "huge": make([]byte, maxKey+1),
	}
}

func TestLoadKey(t *testing.T) {
	p256, files := keyFiles(t)
	scalar, err := p256.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		file string // "": of that name
		mode os.FileMode
		err  string
	}{
		{"SEC 1", "", 0o600, ""},
		{"PKCS 8", "", 0o400, ""},
		{"with parameters", "", 0o600, ""},
		{"for all", "SEC 1", 0o644, "others on this machine may read or change the file (0644), and could command the car; run chmod 600 on it"},
		{"for the group", "SEC 1", 0o640, "others on this machine may read or change the file (0640), and could command the car; run chmod 600 on it"},
		{"another curve", "", 0o600, "the key is of the curve P-384; cars take P-256 (prime256v1) only"},
		{"RSA", "", 0o600, "the private key is damaged, or not of an elliptic curve; cars take the curve P-256 (prime256v1) only"},
		{"public", "", 0o600, "the file holds the public key; the private one is needed"},
		{"damaged", "", 0o600, "the private key is damaged, or not of an elliptic curve; cars take the curve P-256 (prime256v1) only"},
		{"with a password", "", 0o600, "the key is protected by a password, which this program cannot ask for; write it without: openssl pkey -in FILE -out NEW"},
		{"a certificate", "", 0o600, "the file holds something else than a private key of the curve P-256"},
		{"empty", "", 0o600, "the file holds no private key in PEM form; make one with tesla2mqtt fleet keygen, or for Bluetooth with tesla2mqtt ble keygen"},
		{"huge", "", 0o600, fmt.Sprintf("the file is larger than %d bytes", maxKey)},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.mode&0o077 != 0 && runtime.GOOS == "windows" {
				t.Skip("no such rights here")
			}
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(path, files[cmp.Or(row.file, row.name)], row.mode); err != nil {
				t.Fatal(err)
			}
			key, err := LoadKey(path)
			if text := fmt.Sprint(err); row.err != "" && text != row.err || row.err == "" && err != nil {
				t.Fatalf("got %v, want %q", err, row.err)
			}
			if row.err != "" {
				return
			}
			want, err := p256.PublicKey.Bytes()
			if err != nil || !bytes.Equal(key.Public(), want) {
				t.Errorf("another key came out: %v", err)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
				text := fmt.Sprintf(verb, key)
				if strings.Contains(text, new(big.Int).SetBytes(scalar).String()) || strings.Contains(strings.ToLower(text), hex.EncodeToString(scalar)) {
					t.Errorf("%s shows the key", verb)
				}
			}
		})
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "the file cannot be read: no such file") {
		t.Errorf("no file: %v", err)
	}
	if _, err := LoadKey(t.TempDir()); err == nil {
		t.Error("a folder was loaded")
	}
}
