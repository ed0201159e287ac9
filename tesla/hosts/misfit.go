package hosts

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// forgotten is for how long nobody leaves a certificate in use that has expired.
const forgotten = 30 * 24 * time.Hour

// Misfit says why the certificate of a server was not accepted, and what to do about it; "" if err is about something else.
// Nothing was sent to that server: the certificate comes first. The names that it holds are a stranger's words and are not repeated.
func Misfit(err error, now time.Time) (what, todo string) {
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); !is {
		return "", ""
	}
	const clock = "set the clock of this machine, best by NTP"
	says := "this machine's clock says " + day(now)
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is && invalid.Reason == x509.Expired && invalid.Cert != nil {
		from, to := invalid.Cert.NotBefore, invalid.Cert.NotAfter
		switch {
		case now.Before(from):
			return fmt.Sprintf("its certificate is not valid before %s, and %s", day(from), says), clock
		case now.After(to.Add(forgotten)):
			return fmt.Sprintf("its certificate was valid until %s, and %s", day(to), says), clock
		}
		return fmt.Sprintf("its certificate has expired on %s, and %s", day(to), says),
			"if that is the right date, wait until the server has a new one; else " + clock
	}
	if name, is := errors.AsType[x509.HostnameError](err); is {
		return "the certificate that came is not that of " + name.Host,
			"see who answers in its place: the network's name server, a proxy, or a login page of the network"
	}
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return "its certificate is signed by nobody whom this machine trusts",
			"install the system's CA certificates; with a proxy of your own set tesla.ca_file; else something in the network opens what is encrypted"
	}
	return "its certificate cannot be verified", "see the system's CA certificates, tesla.ca_file, and who answers in the server's place"
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
