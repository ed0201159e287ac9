package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/sim"
)

// TestInvariant8Killed: the program and its subcommands are killed (kill -9) at any instant, while commands and reads that cost
// money stream. Whatever Tesla bills was counted.
func TestInvariant8Killed(t *testing.T) {
	kills, random := draw.Count(t, "METER_TEST_KILLS", 5), draw.Random(draw.Seed(t, "METER_TEST_SEED"), 0)
	p := newProcess(t)
	p.tesla.Fleet = &sim.Fleet{ClientID: "abc-123", RedirectURL: "https://my.example/tesla"}
	yaml, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(yaml), "tesla: {", "tesla: {api: fleet, region: eu, client_id: abc-123, redirect_url: 'https://my.example/tesla', monthly_budget_usd: 0, ", 1) +
		"commands: {amps: {settle: 0s, raise_gap: 0s, lower_gap: 0s}}\n"
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.logIn()
	for round := range kills {
		p.start()
		end := time.Now().Add(time.Duration(100+random.IntN(500)) * time.Millisecond) // the instant is the point
		once := p.command(t.Context(), "set-amps", "5YJ3E1EA7KF000001", fmt.Sprint(6+round%8))
		if err := once.Start(); err != nil {
			t.Fatal(err)
		}
		for n := 0; time.Now().Before(end); n++ {
			if err := p.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", fmt.Sprint(6+n%10), false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
		}
		for _, victim := range []*os.Process{once.Process, p.cmd.Process} {
			_ = victim.Kill() // the first may have ended by itself
		}
		_ = p.cmd.Wait()
		_ = once.Wait()
	}
	eventually(t, "Tesla has dealt with the last request", func() bool {
		before := p.tesla.Bill("")
		time.Sleep(100 * time.Millisecond)
		return p.tesla.Bill("") == before
	})
	m, err := meter.Open(filepath.Join(filepath.Dir(p.config), "state"), meter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bill, counted := p.tesla.Bill(""), m.Report()
	t.Logf("summary: %d kills; billed %+v; counted %d, %d, %d", kills, bill, counted.Reads.Count, counted.Commands.Count, counted.Wakes.Count)
	if counted.Problem != "" || counted.Reads.Count < int64(bill.Reads) || counted.Commands.Count < int64(bill.Commands) || bill.Commands < kills {
		t.Errorf("billed %+v, counted %+v", bill, counted)
	}
}

// TestBudgetOfADay: the whole program with the budget of the defaults: how often it reads, and what it says about it.
func TestBudgetOfADay(t *testing.T) {
	inFleet(t, "eu", "eu", func(w *whole) {
		w.logIn()
		w.start()
		w.pass(24 * time.Hour)
		if n := w.tesla.Count("vehicle_data", ""); n < 190 || n > 195 {
			t.Errorf("%d full reads in a day, want one each 7 and a half minutes", n)
		}
		var said struct {
			Usage struct {
				Bill struct {
					Month     string
					Spent     float64 `json:"spent_usd"`
					Left      float64 `json:"left_usd"`
					Throttled []string
				}
			}
		}
		health := w.broker.Retained()["tesla2mqtt/bridge/health"]
		if err := json.Unmarshal([]byte(health), &said); err != nil {
			t.Fatal(err)
		}
		bill, want := said.Usage.Bill, float64(w.tesla.Bill("").MicroUSD())/1e6
		if bill.Month != "2000-01" || math.Abs(bill.Spent-want) > 1e-9 || math.Abs(bill.Left-10+want) > 1e-9 || len(bill.Throttled) != 1 ||
			!strings.HasPrefix(bill.Throttled[0], "a car is read each 7m") {
			t.Errorf("billed %f USD, and health says %+v", want, bill)
		}
		if shown := w.broker.Retained()["homeassistant/device/tesla2mqtt_bridge_tesla2mqtt/config"]; !strings.Contains(shown, `"api_cost_month"`) || !strings.Contains(shown, `"api_budget_left"`) {
			t.Error("Home Assistant is not told what it costs")
		}
	})
}

// TestWhatIsBilled: by the settings of a car, whether its reads and its commands wait for the budget.
func TestWhatIsBilled(t *testing.T) {
	for _, row := range []struct {
		api, read, write string
		source           string
		billed           bool
	}{
		{"fleet", "api", "auto", "fleet", true}, {"fleet", "api", "rest", "fleet", true}, {"fleet", "telemetry", "auto", "telemetry", true},
		{"fleet", "ble", "api", "ble", true}, {"fleet", "api", "ble", "fleet", false}, {"fleet", "ble", "ble", "ble", false},
		{"fleet", "ble", "auto", "ble", false}, // which is by Bluetooth too
		{"owner", "api", "auto", "owner", false},
	} {
		c := defaults()
		c.Tesla.API = row.api
		v := c.newVehicle()
		v.Read, v.Write = row.read, row.write
		if got := c.car(v); got.Source != row.source || got.Billed != row.billed {
			t.Errorf("%+v: read by %s, billed %t", row, got.Source, got.Billed)
		}
	}
}

// TestSharedMoneyIsSaid: check and fleet status say of several cars what the bridge says, whose reads are further apart than one's. Fake
// time begins on the first of January.
func TestSharedMoneyIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fleetDefaults()
		c.Tesla.API, c.StateDir = "fleet", t.TempDir()
		near := c.newVehicle()
		near.VIN, near.Read = "C", "ble"
		for _, row := range []struct {
			named []vehicle
			vins  []string
			every string
		}{{nil, []string{"A"}, "7m26s"}, {nil, []string{"A", "B"}, "14m53s"}, {[]vehicle{{VIN: "A", Read: "api"}, near}, []string{"A", "B", "C"}, "7m26s"}} {
			c.Vehicles = row.named
			k := &checkup{config: c}
			k.budget(true, row.vins)
			want := "to save money, a car is read each " + row.every + " instead of 5m0s"
			if len(k.found) != 2 || k.found[1].Message != want {
				t.Errorf("%v: got %+v, want %s", row.vins, k.found, want)
			}
		}
		if r, err := c.bill(2); err != nil || fmt.Sprint(r.Throttled) != "[a car is read each 14m53s instead of 5m0s]" {
			t.Errorf("fleet status says %q, %v", r.Throttled, err)
		}
	})
}

func TestJudgeBudget(t *testing.T) {
	left := 2 * meter.Dollar
	r := meter.Report{Month: "2026-11", Spent: 8 * meter.Dollar, Budget: 10 * meter.Dollar, Left: &left, Reads: meter.Cost{Count: 4000}, Commands: meter.Cost{Count: 1}}
	got := judgeBudget(r)
	if len(got) != 1 || got[0].Status != statusOK || got[0].Message != "8.00 USD in 2026-11: 4000 reads, 1 command, 0 wakes; 2.00 of 10.00 USD are left" {
		t.Errorf("got %+v", got)
	}
	r.Throttled, r.Problem = []string{"full reads are refused", "wakes are refused"}, "the disk is full"
	if got = judgeBudget(r); len(got) != 3 || got[1].Status != statusWarn || got[1].Message != "to save money, full reads are refused; wakes are refused" || got[2].Status != statusWarn {
		t.Errorf("got %+v", got)
	}
	if got = judgeBudget(meter.Report{Month: "2026-11"}); len(got) != 1 || !strings.HasSuffix(got[0].Message, "tesla.monthly_budget_usd sets no limit") {
		t.Errorf("got %+v", got)
	}
}

// TestSignalsAreTold: what a car streams is on Tesla's bill too, and so on ours, after a crash as well.
func TestSignalsAreTold(t *testing.T) {
	inFleet(t, "eu", "eu", func(w *whole) {
		w.yaml += "\n" + fmt.Sprintf(streamedCar, "auto")
		w.logIn()
		w.start()
		stream := w.car.Stream()
		w.flow(stream, 11*time.Minute, true)
		var said struct {
			Usage struct{ Bill meterBill }
		}
		if err := json.Unmarshal([]byte(w.broker.Retained()["tesla2mqtt/bridge/health"]), &said); err != nil {
			t.Fatal(err)
		}
		told := said.Usage.Bill
		if n := told.Signals.Count; n < 50 || told.Signals.USD != math.Round(float64(n)/150_000*1e6-0.5)/1e6 || told.Spent > 0.01 {
			t.Errorf("got %+v", told)
		}
		m, err := meter.Open(w.config().StateDir, meter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r := m.Report(); r.Signals.Count != told.Signals.Count {
			t.Errorf("another process knows of %d, not %d", r.Signals.Count, told.Signals.Count)
		}
		if f := judgeBudget(m.Report())[1]; f.Name != "streamed" || !strings.HasPrefix(f.Message, fmt.Sprint(told.Signals.Count, " signals came here in ")) {
			t.Errorf("check says %+v", f)
		}
	})
}

// meterBill is what bridge/health says of the month.
type meterBill struct {
	Spent   float64 `json:"spent_usd"`
	Signals struct {
		Count int64
		USD   float64
	}
}

// TestInvariant8Signed: signed commands, with the messages that make a session, are counted as Tesla bills them. What is too dear is
// refused as such, and lowering and OFF are not.
func TestInvariant8Signed(t *testing.T) {
	withKey(t, keys.Role_ROLE_OWNER, func(w *signedWhole) {
		w.yaml = strings.Replace(w.yaml, "api: fleet", "api: fleet, monthly_budget_usd: 1", 1)
		w.start()
		send := func(thing, value string) {
			if err := w.broker.Publish("tesla2mqtt/"+signedVIN+"/"+thing+"/set", value, false); err != nil {
				t.Fatal(err)
			}
			w.pass(20 * time.Second)
		}
		for i := range 30 {
			send("charge_amps", fmt.Sprint(8+i%2*4))
		}
		send("charge_amps", "5")
		send("charging", "OFF")
		statuses := map[string]int{}
		for _, m := range w.results {
			var r struct{ Status, Reason string }
			if err := json.Unmarshal([]byte(m.Payload), &r); err != nil {
				t.Fatal(err)
			}
			statuses[r.Status+"/"+r.Reason]++
		}
		if statuses["rejected/budget"] < 5 || statuses["ok/"] < 20 || w.signer.Amps() != 5 || w.signer.Charging() {
			t.Errorf("results %v; the car is at %d A and charges: %v", statuses, w.signer.Amps(), w.signer.Charging())
		}
		m, err := meter.Open(w.config().StateDir, meter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		bill, counted := w.tesla.Bill(""), m.Report()
		if bill.Commands < 22 || counted.Commands.Count != int64(bill.Commands) || counted.Reads.Count != int64(bill.Reads) {
			t.Errorf("billed %+v, counted %+v", bill, counted)
		}
	})
}
