package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/internal/atomicfile"
)

// serve works until ctx ends. Without login, broker or Tesla it stays up and says so; only what no waiting can mend is an
// error.
func serve(ctx context.Context, c *Config, log *slog.Logger) (err error) {
	var parting string
	defer func() { // after all else has ended
		if parting != "" {
			log.Info("tesla2mqtt has stopped", "because", context.Cause(ctx), "topics", parting)
		}
	}()
	w, err := openWays(c, log)
	if err != nil {
		return err
	}
	defer w.close(&err)
	memory, err := atomicfile.OpenFolder(c.StateDir)
	if err != nil {
		return stateFault(c.StateDir, err)
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	only := flock.New(filepath.Join(c.StateDir, runLock))
	mine, err := only.TryLock()
	if err != nil {
		return stateFault(c.StateDir, err)
	}
	if !mine {
		return &configError{fmt.Errorf("state_dir: another tesla2mqtt run uses %s; give each its own state_dir and mqtt.client_id", c.StateDir)}
	}
	defer func() { err = errors.Join(err, only.Close()) }()
	w.remember(memory)
	defer w.air.close() // before its memory
	parting, err = connect(ctx, c, parts{w, memory, c.mqttOptions(), log})
	return err
}

// parts is what a running bridge is made of.
type parts struct {
	ways   *ways
	memory bridge.Memory
	broker mqtt.Options // how to reach it
	log    *slog.Logger
}

// connect joins the parts and runs them. It returns what the topics say of the bridge afterwards.
func connect(ctx context.Context, c *Config, p parts) (parting string, err error) {
	cfg := c.bridgeConfig(version, buildCommit())
	var b *bridge.Bridge
	options := p.broker
	options.StateTopic, options.InfoTopic = bridge.StateTopic(cfg.BaseTopic), bridge.InfoTopic(cfg.BaseTopic)
	options.Subscribe = append([]string{bridge.SetFilter(cfg.BaseTopic)}, p.ways.listen()...)
	if cfg.Discovery {
		options.BirthTopic = bridge.BirthTopic(cfg.DiscoveryPrefix)
	}
	options.Handler = func(m mqtt.Message) {
		if !p.ways.hear(m.Topic, m.Payload, m.Retained) {
			b.Deliver(m.Topic, m.Payload, m.Retained)
		}
	}
	options.Foreign = func(payload []byte) bool { return b.Foreign(payload) }
	options.Log = p.log
	broker, err := mqtt.New(options)
	if err != nil {
		return "", err
	}
	b = bridge.New(cfg, bridge.Deps{
		Account: p.ways, Publisher: broker, Memory: p.memory, Log: p.log,
		Changes:   broker.Changes(),
		Suspended: suspended,
		Online:    func() bool { return broker.Stats().State == mqtt.StateConnected },
		Auth:      func() (string, any) { s := p.ways.status(); return s.State, s },
		MQTT:      func() any { return broker.Stats() },
		Usage:     func() any { return p.ways.usage() },
		Pace:      p.ways.pace(),
	})
	p.log.Info("tesla2mqtt runs", "version", version, "commit", cfg.Commit, "api", cfg.API, "broker", brokerHost(c.MQTT.URL),
		"topics", cfg.BaseTopic+"/#")
	var tally sync.WaitGroup
	defer tally.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	tally.Go(func() { p.ways.tally(ctx) })
	err = together(ctx, b, broker)
	return broker.Stats().Message, err
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

// brokerHost is what of the broker's address may be logged: the path of a websocket may hold a key.
func brokerHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Scheme + "://" + u.Host
}
