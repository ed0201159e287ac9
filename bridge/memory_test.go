package bridge

import (
	"encoding/json"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestWakeLimitOutlivesAClockThatIsSet: the machine's clock was set back by a day while the program was stopped. What it
// remembers lies ahead then; that neither gives a new allowance nor locks the door for that day.
func TestWakeLimitOutlivesAClockThatIsSet(t *testing.T) {
	inBubble(t, sim.Car{Asleep: true}, func(r *rig) {
		r.start()
		r.pass(10 * time.Second)
		r.send(string(tesla.Wake), "1")
		r.pass(time.Minute)
		r.wantResult(r.only("wake"), statusOK, "")
		r.stop()
		r.setRemembered(func(c *carRecord) {
			for i := range c.Wakes {
				c.Wakes[i] = c.Wakes[i].Add(24 * time.Hour)
			}
		})
		r.car.Sleep()
		r.start()
		r.pass(10 * time.Second)
		r.send(string(tesla.Wake), "1")
		r.pass(time.Minute)
		r.wantResult(r.only("wake"), statusRejected, "asleep")
		r.pass(wakeGap)
		r.car.Sleep()
		r.pass(2 * time.Minute)
		r.send(string(tesla.Wake), "1")
		r.pass(time.Minute)
		r.wantResult(r.only("wake"), statusOK, "")
	})
}

// setRemembered changes what the bridge remembers of the car while it is stopped.
func (r *rig) setRemembered(change func(*carRecord)) {
	r.t.Helper()
	var c carRecord
	data, err := r.memory.Load(carFile(vin))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	change(&c)
	if data, err = json.Marshal(c); err != nil {
		r.t.Fatal(err)
	}
	if err := r.memory.Save(carFile(vin), data); err != nil {
		r.t.Fatal(err)
	}
}
