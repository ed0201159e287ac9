package bridge

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/sim"
)

// TestUnsentWakeIsNone: a wake that the budget did not let out keeps nobody from waking the car when there is money again.
func TestUnsentWakeIsNone(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Stopped: true, Level: 20, Asleep: true}, meter.Dollar, func(r *rig) {
		for err := error(nil); err == nil; {
			_, err = r.meter.Book(context.Background(), tesla.ExpenseWake)
		}
		r.start()
		r.pass(time.Minute)
		r.send("charging", "ON")
		r.pass(time.Second)
		r.wantResult(r.only("charging"), statusRejected, "budget")
		r.stop()
		r.limit(10 * meter.Dollar)
		r.start()
		r.pass(time.Minute)
		r.send("charging", "ON")
		r.pass(3 * time.Minute)
		r.wantResult(r.only("charging"), statusOK, "")
		if n := r.tesla.Count("wake_up", ""); n != 1 || !r.car.Charging() {
			t.Errorf("woken %d times, charging %t", n, r.car.Charging())
		}
	})
}

// TestUnsentIsNotSent: what the budget did not let out leaves standing what the car has acknowledged before, and the last read, by
// which a start or stop is judged.
func TestUnsentIsNotSent(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16}, 10*meter.Dollar, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		last, refused := "", false
		for i := 0; i < 40 && !refused; i++ {
			want := fmt.Sprint(80 + i%2)
			r.send("charge_limit", want)
			r.pass(time.Second)
			got := r.only("charge_limit")
			if refused = got.Status == statusRejected; !refused {
				last = want
			}
		}
		if !refused {
			t.Fatal("the budget refuses nothing")
		}
		sent := r.tesla.Count("all", "")
		r.send("charge_limit", last)
		r.pass(time.Second)
		got := r.only("charge_limit")
		r.wantResult(got, statusNoop, "")
		if n := r.tesla.Count("all", "") - sent; n != 0 || !strings.Contains(text(got.Message), "acknowledged") {
			t.Errorf("%d requests; %s", n, text(got.Message))
		}
	})
}
