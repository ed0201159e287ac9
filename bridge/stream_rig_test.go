package bridge

import (
	"fmt"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
	"tesla2mqtt/tesla/telemetry"
)

// streamed is a rig whose car is read by what it streams.
type streamed struct {
	*rig
	feed   *telemetry.Feed
	stream *sim.Stream
}

const silent = 10 * time.Minute

// inStream runs f with such a rig. The bridge is not started yet; without an API nothing but commands goes to Tesla's cloud.
func inStream(t *testing.T, car sim.Car, api bool, f func(s *streamed)) {
	t.Helper()
	inBubble(t, car, func(r *rig) {
		cfg := r.cfg.Cars[vin]
		cfg.Source = "telemetry"
		r.cfg.Cars[vin] = cfg
		s := &streamed{r, telemetry.NewFeed("telemetry", []string{vin}, silent), r.car.Stream()}
		r.reader = func(vin string, c *tesla.Car) Reader {
			if !api {
				return s.feed.Car(vin, nil, "")
			}
			return s.feed.Car(vin, c, "owner")
		}
		f(s)
	})
}

// flow lets time go by while the car streams.
func (s *streamed) flow(d time.Duration) {
	for ; d > 0; d -= time.Second {
		s.deliver(false)
		s.pass(time.Second)
	}
}

// deliver hands over what the car has to say, as fresh or as stored by the broker.
func (s *streamed) deliver(retained bool) []sim.Telemetry {
	all := s.stream.Next()
	for _, m := range all {
		s.feed.Deliver("telemetry/"+m.Topic, []byte(m.Payload), retained)
	}
	return all
}

// tell hands over one field.
func (s *streamed) tell(field, payload string, retained bool) {
	s.feed.Deliver("telemetry/"+vin+"/v/"+field, []byte(payload), retained)
	s.pass(5 * time.Second)
}

func (s *streamed) want(key, want string) {
	s.t.Helper()
	if got := s.retained("model3/" + key); got != want {
		s.t.Errorf("%s is %s, want %s", key, got, want)
	}
}

// asked counts the requests for the state and for full reads.
func (s *streamed) asked() (state, reads int) {
	return s.tesla.Count("vehicle", ""), s.tesla.Count("vehicle_data", "")
}

// link hands over that the car's nth connection began or ended.
func (s *streamed) link(n int, status string) {
	s.feed.Deliver("telemetry/"+vin+"/connectivity", fmt.Appendf(nil, `{"ConnectionId":"%d","Status":"%s"}`, n, status), false)
}
