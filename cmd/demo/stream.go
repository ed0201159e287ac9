package main

import (
	"context"
	"log/slog"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

// telemetryTopic is the topic_base of the fleet-telemetry server that is played here.
const telemetryTopic = "telemetry"

// stream publishes what the cars stream, as the server's MQTT dispatcher does, until ctx ends.
func stream(ctx context.Context, broker *mqtttest.Broker, log *slog.Logger, cars ...*sim.CarHandle) {
	var streams []*sim.Stream
	for _, car := range cars {
		streams = append(streams, car.Stream())
	}
	bucket := time.NewTicker(500 * time.Millisecond)
	defer bucket.Stop()
	for {
		for _, s := range streams {
			for _, m := range s.Next() {
				if err := broker.Publish(telemetryTopic+"/"+m.Topic, m.Payload, true); err != nil {
					log.Warn("telemetry could not be published", "err", err)
				}
			}
		}
		select {
		case <-bucket.C:
		case <-ctx.Done():
			return
		}
	}
}
