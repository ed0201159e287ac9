package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"tesla2mqtt/internal/secret"
)

// broker is what the Supervisor says of its MQTT service.
type broker struct {
	Host     string      `json:"host"`
	Port     int         `json:"port"`
	SSL      bool        `json:"ssl"`
	Username string      `json:"username"`
	Password secret.Text `json:"password"`
}

func (b broker) url() string {
	scheme := "mqtt"
	if b.SSL {
		scheme = "mqtts"
	}
	return scheme + "://" + net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
}

// maxAnswer bounds the Supervisor's answer; a real one has 200 bytes.
const maxAnswer = 64 << 10

// errDenied is an answer that no waiting mends.
var errDenied = errors.New("the Supervisor does not let this add-on ask for the broker; config.yaml of the add-on must say services: [mqtt:need], and only the Supervisor can start it")

// awaitBroker asks until there is a broker: at the start of the machine, ours may be up before it. Each new reason to wait
// is told once.
func (a *addon) awaitBroker(ctx context.Context) (broker, error) {
	said := ""
	for {
		b, err := a.askBroker(ctx)
		if err == nil || errors.Is(err, errDenied) {
			return b, err
		}
		if err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			a.say("%v. Asked again every %s.", err, a.pause)
		}
		select {
		case <-ctx.Done():
			return broker{}, ctx.Err()
		case <-time.After(a.pause):
		}
	}
}

// askBroker asks once. No error repeats the answer, which may hold the password.
func (a *addon) askBroker(ctx context.Context) (broker, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.supervisor+"/services/mqtt", nil)
	if err != nil {
		return broker{}, err
	}
	r.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	client := &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return broker{}, fmt.Errorf("the Supervisor does not answer: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return broker{}, fmt.Errorf("the Supervisor's answer broke off: %w", err)
	}
	return parseBroker(resp.StatusCode, text)
}

func parseBroker(status int, text []byte) (broker, error) {
	var answer struct {
		Data broker `json:"data"`
	}
	switch err := json.Unmarshal(text, &answer); {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return broker{}, errDenied
	case status == http.StatusBadRequest:
		return broker{}, errors.New("there is no MQTT broker yet: in Home Assistant, install the app Mosquitto broker and start it (for another broker, write a config.yaml, see the documentation)")
	case status != http.StatusOK:
		return broker{}, fmt.Errorf("the Supervisor answered %d to the question for the broker", status)
	case err != nil, answer.Data.Host == "", answer.Data.Port < 1, answer.Data.Port > 65535:
		return broker{}, errors.New("the Supervisor's answer names no broker with host and port")
	}
	return answer.Data, nil
}
