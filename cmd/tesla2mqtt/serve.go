package main

import (
	"context"
	"fmt"
	"log/slog"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/tesla"
)

// serve joins the parts and works until ctx ends. Without login, broker or Tesla it stays up and says so; only what no
// waiting can mend is an error.
func serve(ctx context.Context, c *Config, log *slog.Logger) error {
	source, client, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := source.Close(); err != nil {
			log.Error("the login's folder could not be closed", "err", err)
		}
	}()
	memory, err := atomicfile.OpenFolder(c.StateDir)
	if err != nil {
		return fmt.Errorf("open state_dir: %w", err)
	}
	defer memory.Close()

	commit := buildCommit()
	cfg := c.bridgeConfig(version, commit)
	var b *bridge.Bridge
	options := c.mqttOptions()
	options.StateTopic, options.InfoTopic = bridge.StateTopic(cfg.BaseTopic), bridge.InfoTopic(cfg.BaseTopic)
	options.Subscribe = []string{bridge.SetFilter(cfg.BaseTopic)}
	if cfg.Discovery {
		options.BirthTopic = bridge.BirthTopic(cfg.DiscoveryPrefix)
	}
	options.Handler = func(m mqtt.Message) { b.Deliver(m.Topic, m.Payload, m.Retained) }
	options.Foreign = func(payload []byte) bool { return b.Foreign(payload) }
	options.Log = log
	broker, err := mqtt.New(options)
	if err != nil {
		return err
	}
	b = bridge.New(cfg, bridge.Deps{
		Account: account{client}, Publisher: broker, Memory: memory, Log: log,
		Auth:  func() (string, any) { s := source.Status(); return s.State, s },
		MQTT:  func() any { return broker.Stats() },
		Usage: func() any { return client.Usage() },
	})
	log.Info("tesla2mqtt runs", "version", version, "commit", commit, "api", c.Tesla.API, "broker", c.MQTT.URL, "topics", cfg.BaseTopic+"/#")
	return together(ctx, b, broker)
}

// together runs bridge and MQTT client. The client outlives the bridge, whose last words it has to deliver.
func together(ctx context.Context, b *bridge.Bridge, broker *mqtt.Client) error {
	online, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	done := make(chan error, 1)
	go func() { done <- broker.Run(online) }()
	b.Run(ctx)
	hangUp()
	return <-done
}

// account gives the bridge the cars of a login.
type account struct{ client *tesla.Client }

func (a account) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) {
	return a.client.Vehicles(ctx)
}

func (a account) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	car := a.client.Car(v)
	return car, car
}
