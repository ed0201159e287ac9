package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
)

func (c *Client) encrypted() bool { return c.broker.Scheme == "mqtts" || c.broker.Scheme == "wss" }

// tlsConfig reads the files and returns what a connection to u needs: nil where the scheme is not encrypted.
func (o Options) tlsConfig(u *url.URL) (*tls.Config, error) {
	if u.Scheme != "mqtts" && u.Scheme != "wss" {
		return nil, o.refuseFiles()
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	return conf, errors.Join(o.trust(conf), o.identify(conf))
}

// refuseFiles turns down certificates that an unencrypted connection would quietly ignore.
func (o Options) refuseFiles() error {
	var faults []error
	for _, f := range [][2]string{{"mqtt.ca_file", o.CAFile}, {"mqtt.cert_file", o.CertFile}, {"mqtt.key_file", o.KeyFile}} {
		if f[1] != "" {
			faults = append(faults, fmt.Errorf("%s: needs an encrypted connection; set mqtt.url to mqtts:// or wss://", f[0]))
		}
	}
	return errors.Join(faults...)
}

// trust makes ca_file the only authority. Beside the system's hundreds, an own one would add nothing to be sure of.
func (o Options) trust(conf *tls.Config) error {
	if o.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return fmt.Errorf("mqtt.ca_file: %w", err)
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("mqtt.ca_file: no PEM certificate in %s", o.CAFile)
	}
	return nil
}

func (o Options) identify(conf *tls.Config) error {
	switch {
	case o.CertFile == "" && o.KeyFile == "":
		return nil
	case o.KeyFile == "":
		return errors.New("mqtt.key_file: missing; mqtt.cert_file needs its private key")
	case o.CertFile == "":
		return errors.New("mqtt.cert_file: missing; mqtt.key_file needs its certificate")
	}
	cert, err := os.ReadFile(o.CertFile)
	if err != nil {
		return fmt.Errorf("mqtt.cert_file: %w", err)
	}
	if block, _ := pem.Decode(cert); block == nil {
		return fmt.Errorf("mqtt.cert_file: no PEM certificate in %s", o.CertFile)
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return fmt.Errorf("mqtt.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("mqtt.key_file: does not fit mqtt.cert_file (%w); both must be in PEM form, the key without a passphrase", err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return nil
}
