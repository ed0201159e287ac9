package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Options say which broker to use and what is ours on it. The zero value of every field but URL and ClientID turns its
// feature off. Text in the errors of New names the configuration key a field is set by.
type Options struct {
	// URL is mqtt://, mqtts://, ws:// or wss:// and a host; the ports default to 1883, 8883, 80 and 443.
	URL string
	// ClientID is fixed for a bridge: the broker then ends a half-open session of ours before it accepts the next one.
	ClientID           string
	Username, Password string
	// CAFile, when given, is the only authority trusted: the system's are not. The files are read again for every
	// connection, so that a renewed certificate needs no restart.
	CAFile, CertFile, KeyFile string

	// StateTopic carries "online" and "offline", retained; "offline" is also the will. "" (command line tools): no
	// will, nothing announced.
	StateTopic string
	// InfoTopic is where instances introduce themselves; it is watched for one that replaces us. "": not watched.
	InfoTopic string
	// Foreign tells whether a payload of InfoTopic comes from another, newer instance. It is called on paho's
	// goroutine and must not block.
	Foreign func(payload []byte) bool
	// BirthTopic is Home Assistant's status topic: "online" there has everything published again after 1 to 5 s.
	BirthTopic string
	// Subscribe are the topic filters whose messages go to Handler, at QoS 1.
	Subscribe []string
	// Handler is called in the order of arrival, on paho's goroutine. It must neither block nor wait for a publish.
	Handler func(Message)

	// Log is told of connections, refusals and drops, never of a payload or a password. Nil: nothing is logged.
	Log *slog.Logger
	// Dial replaces the network, for tests. What it returns is used as it is, without TLS.
	Dial func(ctx context.Context, u *url.URL) (net.Conn, error)
}

// Message is what arrived on a subscribed topic. Retained says that the broker had stored it before we subscribed: a
// command delivered so is an old one.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// check returns the broker's address with its port, or every fault at once.
func (o Options) check() (*url.URL, error) {
	u, err := brokerURL(o.URL)
	faults := []error{err}
	if o.ClientID == "" {
		faults = append(faults, errors.New("mqtt.client_id: must not be empty"))
	}
	if o.Password != "" && o.Username == "" {
		faults = append(faults, errors.New("mqtt.username: missing; MQTT sends no password without a user name"))
	}
	if err == nil {
		_, err = o.tlsConfig(u)
		faults = append(faults, err)
	}
	return u, errors.Join(faults...)
}

// brokerURL never quotes the text in an error: a password may be in it, at any place.
func brokerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if strings.Contains(text, "@") && (err != nil || u.User != nil) {
		return nil, errors.New("mqtt.url: must not contain a user name or password; use mqtt.username and mqtt.password_file")
	}
	if !strings.Contains(text, "://") {
		return nil, errors.New("mqtt.url: must start with mqtt://, mqtts://, ws:// or wss://, as in mqtt://192.168.1.5:1883")
	}
	if err != nil {
		return nil, errors.New("mqtt.url: cannot be read as a URL; expected a form like mqtt://localhost:1883")
	}
	port := defaultPort(u.Scheme)
	if port == "" {
		return nil, errors.New("mqtt.url: must start with mqtt://, mqtts://, ws:// or wss://" + ourScheme(u.Scheme))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("mqtt.url: has no host; expected a form like %s://localhost:%s", u.Scheme, port)
	}
	plain := u.Scheme == "mqtt" || u.Scheme == "mqtts"
	if u.Fragment != "" || plain && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		return nil, errors.New("mqtt.url: has something after host and port; topics are set by mqtt.base_topic")
	}
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > 65535) {
		return nil, errors.New("mqtt.url: the port must be 1 to 65535")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// ourScheme translates what other programs call the same.
func ourScheme(theirs string) string {
	switch theirs {
	case "tcp":
		return "; for tcp:// write mqtt://"
	case "ssl", "tls":
		return "; for " + theirs + ":// write mqtts://"
	}
	return ""
}

func defaultPort(scheme string) string {
	switch scheme {
	case "mqtt":
		return "1883"
	case "mqtts":
		return "8883"
	case "ws":
		return "80"
	case "wss":
		return "443"
	}
	return ""
}
