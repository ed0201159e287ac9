package meter_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/sim"
)

// disk is a state folder that outlives the processes.
type disk map[string][]byte

func (d disk) Load(name string) ([]byte, error)    { return d[name], nil }
func (d disk) Save(name string, data []byte) error { d[name] = data; return nil }

// life is an account over some months: a bridge that crashes now and then, people at the command line, a Tesla that
// fails, and a clock that somebody sets.
type life struct {
	t      *testing.T
	draw   *rand.Rand
	budget meter.USD
	disk   disk
	tesla  *sim.Tesla
	skew   time.Duration // of the machine's clock
	login  string
	bridge *tesla.Client
	meter  *meter.Meter
	spent  map[string]meter.USD // by month
}

const lifeVIN = "5YJ3E1EA7KF000001"

// process starts a bridge or a subcommand.
func (l *life) process() (*tesla.Client, *meter.Meter) {
	unlocked := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
	m := meter.New(l.disk, unlocked, meter.Options{Budget: l.budget, Now: func() time.Time { return time.Now().Add(l.skew) }})
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := tesla.NewFleetClient(&http.Client{Transport: l, CheckRedirect: stay}, func() string { return hosts.FleetAPI("eu") })
	c.Meter = m
	return c, m
}

// RoundTrip adds the token.
func (l *life) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+l.login)
	r.Header.Set("User-Agent", "tesla2mqtt/test")
	return l.tesla.RoundTripper().RoundTrip(r)
}

// call makes a request that costs money.
func (l *life) call(c *tesla.Client) {
	ctx := context.Background()
	switch l.draw.IntN(6) {
	case 0, 1:
		_, _ = c.ChargeState(ctx, lifeVIN)
	case 2:
		_ = c.Do(ctx, lifeVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 5 + l.draw.IntN(12)})
	case 3:
		_ = c.Do(tesla.WithExpense(ctx, tesla.ExpenseLower), lifeVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 5})
	case 4:
		_ = c.Do(ctx, lifeVIN, tesla.Command{Thing: tesla.Charging, Value: l.draw.IntN(2)})
	case 5:
		if l.draw.IntN(10) == 0 {
			_ = c.Do(ctx, lifeVIN, tesla.Command{Thing: tesla.Wake, Value: 1})
		}
	}
}

// step lets something happen.
func (l *life) step(jumps bool) {
	faults := sim.Faults()
	switch n := l.draw.IntN(1000); {
	case n < 20:
		l.bridge, l.meter = l.process() // after a crash: nothing was closed
	case n < 30:
		if err := l.meter.Close(); err != nil {
			l.t.Error(err)
		}
		l.bridge, l.meter = l.process()
	case n < 80:
		c, m := l.process()
		l.call(c)
		if l.draw.IntN(2) == 0 { // else it was killed
			if err := m.Close(); err != nil {
				l.t.Error(err)
			}
		}
	case n < 120:
		f := faults[l.draw.IntN(len(faults))]
		if f.Scope == "api" || f.Scope == "car" || f.Scope == "command" {
			if err := l.tesla.Fault(f.Name, sim.On("car"), sim.Times(1+l.draw.IntN(3))); err != nil {
				l.t.Fatal(err)
			}
		}
	case n < 125 && jumps:
		l.skew = []time.Duration{0, 24 * time.Hour, -24 * time.Hour, 31 * 24 * time.Hour, -31 * 24 * time.Hour}[l.draw.IntN(5)]
	default:
		l.call(l.bridge)
	}
	r := l.meter.Report()
	l.spent[r.Month] = r.Spent
	if l.budget > 0 && r.Spent > l.budget {
		l.t.Errorf("%s: %s of %s USD", r.Month, r.Spent, l.budget)
	}
	time.Sleep(time.Duration(l.draw.IntN(600)) * time.Second)
}

// TestInvariant8RandomLives: whatever happens, a month's count stays within the budget, and all that Tesla bills is counted. With
// a clock that is right, each of Tesla's bills stays within the budget too.
func TestInvariant8RandomLives(t *testing.T) {
	var sum struct{ counted, billed meter.USD }
	lives, seed := draw.Count(t, "METER_TEST_LIVES", 6), draw.Seed(t, "METER_TEST_SEED")
	for n := range lives {
		synctest.Test(t, func(t *testing.T) {
			l := &life{
				t: t, draw: draw.Random(seed, n), disk: disk{}, spent: map[string]meter.USD{},
				tesla: &sim.Tesla{Fleet: &sim.Fleet{}, ExpiresIn: 365 * 24 * time.Hour},
			}
			l.budget = []meter.USD{meter.Dollar, 3 * meter.Dollar, 10 * meter.Dollar}[n%3]
			jumps := n%2 == 1
			l.tesla.Add(sim.Car{VIN: lifeVIN, PluggedIn: true, Level: 10, BatteryKWh: 5000})
			l.login, _ = l.tesla.Login()
			l.bridge, l.meter = l.process()
			for range 15_000 {
				l.step(jumps)
			}
			var counted, billed int64
			months := []string{}
			for month, spent := range l.spent {
				counted += int64(spent)
				months = append(months, month)
			}
			for at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(time.Now()); at = at.AddDate(0, 1, 0) {
				bill := l.tesla.Bill(at.Format("2006-01"))
				billed += bill.MicroUSD()
				if !jumps && meter.USD(bill.MicroUSD()) > l.budget {
					t.Errorf("life %d: %s has a bill of %s, the budget is %s", n, at.Format("2006-01"), meter.USD(bill.MicroUSD()), l.budget)
				}
			}
			t.Logf("life %d: budget %s, clock set: %v, %d months, %s counted, %s billed", n, l.budget, jumps, len(months), meter.USD(counted), meter.USD(billed))
			sum.counted, sum.billed = sum.counted+meter.USD(counted), sum.billed+meter.USD(billed)
			if counted < billed || billed == 0 {
				t.Errorf("life %d: %s counted, %s billed", n, meter.USD(counted), meter.USD(billed))
			}
		})
	}
	t.Logf("summary: %d lives, %s USD counted, %s billed", lives, sum.counted, sum.billed)
}
