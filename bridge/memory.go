package bridge

import (
	"encoding/json"
	"time"

	"tesla2mqtt/tesla"
)

// Memory keeps what must outlive the process. Load returns nil for a name that was never saved; Save is durable and
// whole when it returns nil.
type Memory interface {
	Load(name string) ([]byte, error)
	Save(name string, data []byte) error
}

// carRecord is what is kept of a car, so that a restart beside a sleeping one loses nothing.
type carRecord struct {
	Vehicle  tesla.Vehicle `json:"vehicle"`
	Document Document      `json:"state"`
	Limits   socLimits     `json:"limits"`
	AmpsMax  int           `json:"amps_max"`
	CarTime  time.Time     `json:"car_time"`
	Wakes    []time.Time   `json:"wakes"`
	// Told are the components that Home Assistant was told of.
	Told platforms `json:"discovered"`
	// LastCommand is the payload of last_command, null if there was none.
	LastCommand json.RawMessage `json:"last_command"`
}

// bridgeRecord is what is kept of the bridge itself.
type bridgeRecord struct {
	// Instance is the last process of ours: its bridge/info on the broker is no stranger's.
	Instance string `json:"instance"`
	// Topics are the retained topics that may be on the broker because of us.
	Topics []string `json:"topics"`
	// Vehicles are the cars that the account had when it was last asked.
	Vehicles []tesla.Vehicle `json:"vehicles"`
}

const bridgeFile = "bridge.json"

func carFile(vin string) string { return "car-" + vin + ".json" }

// recall brings back what is remembered of the car. What cannot be read is said and left out: it is only memory.
func (c *car) recall() {
	var r carRecord
	data, err := c.memory.Load(carFile(c.vehicle.VIN))
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		c.log.Warn("what was remembered of the car cannot be read; going on without", "car", c.alias(), "err", err)
		return
	}
	if r.Vehicle.VIN != c.vehicle.VIN {
		return
	}
	c.doc, c.limits, c.ampsMax, c.carTime, c.components = r.Document, r.Limits, r.AmpsMax, r.CarTime, r.Told
	c.wakes = wakes(r.Wakes).onClock(time.Now())
	c.out.last = r.LastCommand
	if c.vehicle.Name == "" {
		c.vehicle.Name = r.Vehicle.Name
	}
}

// save writes what must be remembered of the car.
func (c *car) save(now time.Time) {
	r := carRecord{c.vehicle, c.doc, c.limits, c.ampsMax, c.carTime, c.wakes.onClock(now), c.components, c.out.last}
	data, err := json.Marshal(r)
	if err == nil {
		err = c.memory.Save(carFile(c.vehicle.VIN), data)
	}
	c.savedAt, c.unsaved = now, err != nil
	if err != nil {
		c.log.Warn("the car's state could not be saved; a restart would lose it", "car", c.alias(), "err", err)
	}
}
