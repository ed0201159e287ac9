package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla/enroll"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
	"tesla2mqtt/tesla/telemetry"
)

// TestADayOfEachWay lets a car charge for a day by each of the ways to it. It prints the rows of docs/numbers.md:
// go test ./bridge -run TestADayOfEachWay -v
func TestADayOfEachWay(t *testing.T) {
	if testing.Short() {
		t.Skip("four days take some seconds")
	}
	car := sim.Car{PluggedIn: true, Stopped: true, Level: 20, Limit: 90, BatteryKWh: 6000}
	budget := 10 * meter.Dollar
	aDay := float64(budget) / float64(meter.Dollar) / 31
	for _, way := range []struct {
		name     string
		run      func(f func(d *day))
		requests int           // at most, but for looks at the state
		dollars  float64       // at most
		old      time.Duration // 95 % of what is shown is younger
	}{
		{"`api: owner`", func(f func(d *day)) { inBubble(t, car, func(r *rig) { f(&day{rig: r}) }) }, 2*8*360 + 100, 0, 40 * time.Second},
		{"`api: fleet`", func(f func(d *day)) { onBudget(t, car, budget, func(r *rig) { f(&day{rig: r}) }) }, 300, aDay, 10 * time.Minute},
		{"`read: ble`, `write: ble`", func(f func(d *day)) { inReach(t, car, func(r *rig) { f(&day{rig: r}) }) }, 0, 0, 40 * time.Second},
		{"`read: telemetry`, commands by `api: fleet`", func(f func(d *day)) {
			inStream(t, car, true, func(s *streamed) {
				s.bill()
				s.limit(budget)
				s.stream.Only = wantedRhythms()
				f(&day{rig: s.rig, streamed: s})
			})
		}, 300, aDay, 30 * time.Second},
	} {
		way.run(func(d *day) {
			d.live()
			t.Logf("| %s | %s |", way.name, d.row())
			if n := d.tesla.Count("all", "") - d.tesla.Count("vehicle", ""); n > way.requests {
				t.Errorf("%s: %d requests beside looks", way.name, n)
			}
			if d.dollars() > way.dollars || d.age(95) > way.old {
				t.Errorf("%s: %.2f USD, %s old", way.name, d.dollars(), d.age(95))
			}
		})
	}
}

// wantedRhythms is what `fleet telemetry` asks the car for.
func wantedRhythms() map[string]sim.Rhythm {
	all := map[string]sim.Rhythm{}
	for name, f := range telemetry.Wanted() {
		all[name] = sim.Rhythm{Interval: time.Duration(f.Interval) * time.Second, Resend: time.Duration(f.Resend) * time.Second, Delta: f.Delta}
	}
	return all
}

// day is one of a car that charges from 8 to 16 h, while an automation sends amps each 10 s as the clouds go.
type day struct {
	*rig
	streamed *streamed // nil for a car that does not stream

	signals int             // that were streamed
	ages    []time.Duration // of last_update, each second of the charge
	wrong   int             // seconds of it in which another current was shown than the one that flowed
}

func (d *day) live() {
	d.start()
	d.seconds(8*3600, func(int) {})
	d.send("charging", "ON")
	d.seconds(120, func(int) {})
	draw, sun := rand.New(rand.NewPCG(8, 8)), 10
	d.seconds(8*3600, func(i int) {
		if i%10 == 0 {
			sun = min(max(sun+draw.IntN(5)-2, 1), 16)
			d.send("charge_amps", strconv.Itoa(sun))
		}
		d.sample()
	})
	d.send("charging", "OFF")
	d.seconds(8*3600-120, func(int) {})
	if d.car.Charging() || d.car.Added() < 10 {
		d.t.Errorf("after the day it charges: %v, %.1f kWh were charged", d.car.Charging(), d.car.Added())
	}
}

// seconds lets n of them go by, and does something in each.
func (d *day) seconds(n int, each func(i int)) {
	for i := range n {
		if d.streamed != nil {
			for _, m := range d.streamed.deliver(false) {
				if strings.Contains(m.Topic, "/v/") {
					d.signals++
				}
			}
		}
		each(i)
		d.pass(time.Second)
	}
}

func (d *day) sample() {
	at, err := time.Parse(time.RFC3339, d.retained("model3/last_update"))
	shown, unread := strconv.Atoi(d.retained("model3/charger_actual_current"))
	if err := errors.Join(err, unread); err != nil {
		d.t.Fatal(err)
	}
	d.ages = append(d.ages, time.Since(at))
	if math.Abs(float64(shown)-d.car.Current()) > 0.5 {
		d.wrong++
	}
}

// dollars is what Tesla bills for the day: the requests, and $1 for 150,000 signals.
func (d *day) dollars() float64 {
	if d.cfg.API != "fleet" {
		return 0
	}
	return float64(d.tesla.Bill("").MicroUSD())/1e6 + float64(d.signals)/150_000
}

// age is that of what was shown, than which so many percent were younger.
func (d *day) age(percent int) time.Duration {
	return slices.Sorted(slices.Values(d.ages))[len(d.ages)*percent/100].Round(time.Second)
}

// row is what came of the day: requests by kind, signals, dollars, the amps that the car carried out, and how old what was shown was.
func (d *day) row() string {
	amps := 0
	for _, e := range d.car.Executed() {
		if e.Name == "set_charging_amps" {
			amps++
		}
	}
	count := func(name string) int { return d.tesla.Count(name, "") }
	return fmt.Sprintf("%d | %d | %d | %d | %d | %.2f | %d | %.0f s | %.0f s | %.0f %%", count("vehicle"), count("vehicle_data"), count("command"), count("wake_up"),
		d.signals, d.dollars(), amps, d.age(50).Seconds(), d.age(95).Seconds(), 100*float64(d.wrong)/float64(len(d.ages)))
}

// inReach is inBubble with a car that is read and commanded by signed messages, with nothing between: no radio, and no cloud.
func inReach(t *testing.T, car sim.Car, f func(r *rig)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := enroll.Generate(file); err != nil {
		t.Fatal(err)
	}
	key, err := signed.LoadKey(file)
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, car, func(r *rig) {
		cfg := r.cfg.Cars[vin]
		cfg.Source = nearby
		r.cfg.API, r.cfg.Cars[vin] = NoAPI, cfg
		r.car.Protocol().Enroll(key.Public(), keys.Role_ROLE_CHARGING_MANAGER)
		r.near = signed.New(signed.Config{
			VIN: vin, Key: key, Dial: func(context.Context) (connector.Connector, error) { return r.car.Beside(), nil },
			Trouble: func(err error) { t.Error(err) },
		})
		defer r.near.Close()
		f(r)
		r.stop()
	})
}
