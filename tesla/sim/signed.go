package sim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tesla2mqtt/tesla/sim/vcp"
)

// Protocol is the car's side of signed commands, to enroll keys in, to restart, or to reach as by Bluetooth.
func (h *CarHandle) Protocol() *vcp.Car { return h.c.protocol }

// signedCommand hands a message on to the car and its answer back. The lock is not held: the car takes it by itself.
func (t *Tesla) signedCommand(q *request) answer {
	c, no := t.reach(q)
	if no != nil {
		return *no
	}
	var body struct {
		Message string `json:"routable_message"`
	}
	message, err := []byte(nil), json.Unmarshal(q.body, &body)
	if err == nil {
		message, err = base64.StdEncoding.DecodeString(body.Message)
	}
	if err != nil || len(message) == 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.violate("signed_command: no message in base64")
		return apiError(http.StatusBadRequest, "invalid_command")
	}
	reply, err := c.protocol.Relay(message)
	switch {
	case errors.Is(err, vcp.ErrEncrypted):
		return apiError(http.StatusForbidden, "encrypted commands are not forwarded") // a guess
	case reply == nil:
		return apiError(http.StatusGatewayTimeout, "upstream request timeout")
	}
	return response(base64.StdEncoding.EncodeToString(reply))
}

// reach finds the car of a signed command, if it is there, awake, and speaks the protocol. Only the Fleet API has this.
func (t *Tesla) reach(q *request) (*car, *answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if no := t.bearer(q.Request); no != nil {
		return nil, no
	}
	if t.Fleet != nil {
		if no := t.fleetAPI(q); no != nil {
			return nil, no
		}
	}
	c := t.find(q.key)
	if c == nil || t.Fleet == nil {
		return nil, new(apiError(http.StatusNotFound, "not_found"))
	}
	c.advance(time.Now())
	if !c.cfg.SignedCommands {
		return nil, new(apiError(http.StatusUnprocessableEntity, "vehicle does not support protocol"))
	}
	return c, c.unreachable()
}

// double is a network that doubles messages.
func (t *Tesla) double(w http.ResponseWriter, q *request, _ *fault) {
	t.answer(q)
	t.answer(q).write(w)
}

// reboot is a car that forgets all sessions.
func (t *Tesla) reboot(w http.ResponseWriter, q *request, _ *fault) {
	t.mu.Lock()
	c := t.find(q.key)
	t.mu.Unlock()
	if c != nil {
		c.protocol.Restart()
	}
	t.answer(q).write(w)
}

// body is the rest of a car for its side of the protocol.
type body struct{ h *CarHandle }

// Asleep tells whether infotainment sleeps.
func (b body) Asleep() bool { return b.h.Asleep() }

// Wake takes the car its time, as wake_up does.
func (b body) Wake() {
	b.h.with(func(c *car) { c.power.ring(c.clock) })
}

// Do carries out an order as if it had come unsigned to a car that takes such.
func (b body) Do(order vcp.Order, value int) (refusal string) {
	b.h.with(func(c *car) {
		names := map[vcp.Order]string{
			vcp.Start: "charge_start", vcp.Stop: "charge_stop",
			vcp.OpenPort: "charge_port_door_open", vcp.ClosePort: "charge_port_door_close",
			vcp.SetAmps: "set_charging_amps", vcp.SetLimit: "set_charge_limit",
		}
		refusal = c.obey(names[order], value).reason()
	})
	return refusal
}

// Charge is what vehicle_data tells, in the words of the protocol, where it has them.
func (b body) Charge() (s *carserver.ChargeState) {
	b.h.with(func(c *car) {
		c.power.touch(c.clock)
		s = c.charger.protobuf(c.cfg.Cable)
		s.Timestamp = timestamppb.New(c.clock)
	})
	return s
}
