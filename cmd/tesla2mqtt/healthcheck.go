package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
)

const (
	// healthDeadline is for everything together; Docker kills what takes longer than its own --timeout.
	healthDeadline = 8 * time.Second
	// healthStale is when a bridge that reports each minute has missed two reports.
	healthStale = 150 * time.Second
	// secondLook is how long after an "offline" it is looked at again: the will of a connection that broke may come after
	// the "online" of the next, and the bridge then says so within a second.
	secondLook = 1500 * time.Millisecond
)

// healthcheck asks the broker, so that it tells the same from inside a container and from outside.
func (a *app) healthcheck(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, _, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, healthDeadline, fmt.Errorf("the broker did not answer within %s", healthDeadline))
	defer cancel()
	payload, err := lastWord(ctx, c, bridge.HealthTopic(c.MQTT.BaseTopic))
	if err != nil {
		return err
	}
	state, err := bridgeState(ctx, c)
	if err != nil {
		return err
	}
	line, err := judgeHealth(payload, state, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, line)
	return err
}

// lastWord reads what is retained on a topic of the bridge.
func lastWord(ctx context.Context, c *Config, topic string) ([]byte, error) {
	payload, err := mqtt.Fetch(ctx, c.mqttOptions(), topic)
	if errors.Is(err, mqtt.ErrNoMessage) {
		return nil, &adviceError{fmt.Errorf("unhealthy: the broker has nothing on %s", topic),
			"the bridge has not run since the broker was emptied, has another mqtt.base_topic, or the broker's access rules do not let this user read that topic"}
	}
	if err != nil {
		return nil, fmt.Errorf("unhealthy: %w", err)
	}
	return payload, nil
}

// bridgeState is "" where the broker does not show it: health alone decides then. After a kill the broker says offline at
// once, by the will, while health still looks young; so offline is believed.
func bridgeState(ctx context.Context, c *Config) (string, error) {
	state, err := mqtt.Fetch(ctx, c.mqttOptions(), bridge.StateTopic(c.MQTT.BaseTopic))
	if err == nil && string(state) != "online" {
		select {
		case <-time.After(secondLook):
			state, err = mqtt.Fetch(ctx, c.mqttOptions(), bridge.StateTopic(c.MQTT.BaseTopic))
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil && !errors.Is(err, mqtt.ErrNoMessage) {
		return "", fmt.Errorf("unhealthy: %w", err)
	}
	return string(state), nil
}

// healthReport is what of bridge/health counts here.
type healthReport struct {
	Time time.Time `json:"time"`
	Auth condition `json:"auth"`
	API  condition `json:"api"`
}

type condition struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func (c condition) String() string {
	text := printable(c.Status)
	if text == "" {
		return "unknown"
	}
	if c.Message != "" && c.Status != "ok" {
		text += " (" + printable(c.Message) + ")"
	}
	return text
}

// judgeHealth returns one line about a bridge that is well, or why it is not. Login and Tesla are told and do not count:
// restarting the bridge would mend neither.
func judgeHealth(payload []byte, state string, now time.Time) (string, error) {
	var r healthReport
	if err := json.Unmarshal(payload, &r); err != nil || r.Time.IsZero() {
		return "", errors.New("unhealthy: what the broker has as bridge/health was not written by a bridge")
	}
	age := now.Sub(r.Time).Round(time.Second)
	switch {
	case state != "" && state != "online":
		return "", fmt.Errorf("unhealthy: bridge/state is %s, the bridge has lost the broker or has ended", plain(state))
	case age > healthStale:
		return "", &adviceError{fmt.Errorf("unhealthy: the bridge last spoke %s ago", age), "it says so each minute while it works; see its log"}
	case age < -healthStale:
		return "", &adviceError{fmt.Errorf("unhealthy: the bridge last spoke %s in the future", -age), "set the clock of this machine, or that of the bridge's"}
	}
	return fmt.Sprintf("healthy: the bridge spoke %s ago; login: %s; Tesla: %s", max(age, 0), r.Auth, r.API), nil
}

// maxTold bounds a text of the broker's that is shown.
const maxTold = 200

// printable makes a text from outside fit for a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > maxTold {
		return string(runes[:maxTold]) + "…"
	}
	return text
}
