package signed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/teslamotors/vehicle-command/pkg/protocol"
)

// maxKey bounds a key file; a real one has some 230 bytes.
const maxKey = 16 << 10

// Key is a private key for commands. No print shows it.
type Key struct{ private protocol.ECDHPrivateKey }

// LoadKey reads a private key of P-256 in PEM form, as this program, openssl and tesla-keygen write it. The file must be readable by its
// owner only: whoever has the key can command the car.
func LoadKey(path string) (*Key, error) {
	data, err := readKey(path)
	if err != nil {
		return nil, err
	}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("the file holds no private key in PEM form; make one with tesla2mqtt fleet keygen, or for Bluetooth with tesla2mqtt ble keygen")
		}
		data = rest
		switch block.Type {
		case "EC PARAMETERS": // openssl writes them first, unless told -noout
		case "EC PRIVATE KEY", "PRIVATE KEY":
			return parseKey(block)
		case "PUBLIC KEY":
			return nil, errors.New("the file holds the public key; the private one is needed")
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is protected by a password, which this program cannot ask for; write it without: openssl pkey -in FILE -out NEW")
		default:
			return nil, errors.New("the file holds something else than a private key of the curve P-256")
		}
	}
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("the file cannot be read: %w", fault.Err)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("others on this machine may read or change the file (%#o), and could command the car; run chmod 600 on it", info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	if err != nil {
		return nil, errors.New("the file cannot be read: it is no regular file")
	}
	if len(data) > maxKey {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxKey)
	}
	return data, nil
}

// parseKey takes the key out of its envelope. No error quotes what is inside.
func parseKey(block *pem.Block) (*Key, error) {
	var private *ecdsa.PrivateKey
	if block.Type == "EC PRIVATE KEY" {
		private, _ = x509.ParseECPrivateKey(block.Bytes)
	} else if any, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		private, _ = any.(*ecdsa.PrivateKey)
	}
	if private == nil {
		return nil, errors.New("the private key is damaged, or not of an elliptic curve; cars take the curve P-256 (prime256v1) only")
	}
	if private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("the key is of the curve %s; cars take P-256 (prime256v1) only", private.Curve.Params().Name)
	}
	scalar, err := private.Bytes()
	if err != nil {
		return nil, errors.New("the private key is damaged")
	}
	return &Key{protocol.UnmarshalECDHPrivateKey(scalar)}, nil
}

// Public is the public half, as the car knows it: an uncompressed point of the curve.
func (k *Key) Public() []byte { return k.private.PublicBytes() }

// fingerprint names the key in files.
func (k *Key) fingerprint() string {
	sum := sha256.Sum256(k.Public())
	return hex.EncodeToString(sum[:8])
}

// String and GoString keep the key out of every print.
func (k *Key) String() string   { return "[command key]" }
func (k *Key) GoString() string { return k.String() }
