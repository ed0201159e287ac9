package mqtt

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// connectError is a connection that did not come about, in words that name what to do.
type connectError struct {
	text string
	err  error
}

func (e *connectError) Error() string { return "cannot connect to the broker: " + e.text }
func (e *connectError) Unwrap() error { return e.err }

// explain says why there is no connection, always in the same words: what differs from one try to the next, such as a port
// of ours, would make each try look like news.
func (o Options) explain(err error, encrypted bool) error {
	return &connectError{o.reason(err, encrypted), err}
}

// reason is what happened and, after a semicolon, what to do about it, as far as that is known.
func (o Options) reason(err error, encrypted bool) string {
	return cmp.Or(o.certificateFault(err), o.networkFault(err, encrypted),
		strings.TrimPrefix(err.Error(), "network Error : ")) // paho's own preface
}

// fault is the reason alone, for who knows already that the way to the broker is at fault.
func (c *Client) fault(err error) error {
	if told, ok := errors.AsType[*connectError](err); ok {
		return errors.New(told.text)
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused
	}
	return errors.New(c.o.reason(err, c.encrypted()))
}

// certificateFault explains what is wrong with the broker's certificate or with ours, "" if that is not it.
func (o Options) certificateFault(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if o.CAFile == "" {
			return "no authority that this system knows has signed the broker's certificate; name the certificate of its own authority in mqtt.ca_file"
		}
		return "the broker's certificate was not signed by the authority in mqtt.ca_file; put the one that signed it there"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the broker's certificate is for %s, not for %s; name the broker so in mqtt.url, or have the certificate renewed for this name",
			certified(e.Certificate), e.Host)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return fmt.Sprintf("the broker's certificate has expired or is not yet valid (%s to %s); renew it on the broker, or set the clock of this machine if that is wrong",
			e.Cert.NotBefore.UTC().Format(time.DateTime), e.Cert.NotAfter.UTC().Format(time.DateTime))
	}
	e, ok := errors.AsType[*net.OpError](err)
	if !ok || e.Op != "remote error" { // a TLS alert, whose type is not exported
		return ""
	}
	alert := strings.TrimPrefix(e.Err.Error(), "tls: ")
	if strings.Contains(alert, "certificate") && o.CertFile == "" {
		return "the broker wants a certificate from us (" + alert + "); set mqtt.cert_file and mqtt.key_file"
	}
	if strings.Contains(alert, "certificate") {
		return "the broker does not accept our certificate (" + alert + "); set mqtt.cert_file and mqtt.key_file to one that it trusts"
	}
	return "the broker ended the encrypted connection (" + alert + "); it must allow TLS 1.2 or newer, and it may want mqtt.cert_file and mqtt.key_file"
}

// certified are the names and addresses of a certificate.
func certified(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name at all"
	}
	return strings.Join(names, ", ")
}

// networkFault explains why there was no conversation, "" if nothing is known of that.
func (o Options) networkFault(err error, encrypted bool) string {
	host, dns := errors.AsType[*net.DNSError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	wait, network := errors.AsType[net.Error](err)
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	switch {
	case dns:
		return fmt.Sprintf("the name %q was not found; check mqtt.url, and the name service of this machine", host.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; is the broker running, and are host and port in mqtt.url right?"
	case plain, hungUp && encrypted:
		return "the broker did not answer in TLS; either the port in mqtt.url is an unencrypted one (mqtt://), or the broker wants mqtt.cert_file and mqtt.key_file"
	case hungUp:
		return "the broker hung up without an answer; if the port in mqtt.url is an encrypted one, it needs mqtts://"
	case network && wait.Timeout():
		return "no answer in time; check host and port in mqtt.url, and the firewalls on the way"
	}
	return ""
}
