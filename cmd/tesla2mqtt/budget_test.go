package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
