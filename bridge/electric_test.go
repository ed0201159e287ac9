package bridge

import (
	"math"
	"testing"

	"tesla2mqtt/tesla"
)

// onAC is what a car tells while it charges on AC: current per phase, voltage of a phase, Tesla's phases and whole kW.
func onAC(amps, volts, phases, kW int) tesla.ChargeState {
	return tesla.ChargeState{
		ChargerActualCurrent: &amps, ChargerVoltage: &volts, ChargerPhases: &phases, ChargerPower: &kW,
	}
}

func TestPhases(t *testing.T) {
	without := func(c tesla.ChargeState, edit func(*tesla.ChargeState)) tesla.ChargeState {
		edit(&c)
		return c
	}
	rows := map[string]struct {
		told tesla.ChargeState
		want int // 0: null
	}{
		"one phase":                              {onAC(10, 230, 1, 2), 1},
		"two means three while power is low":     {onAC(3, 230, 2, 2), 3},
		"three phases, told as two, 16 A":        {onAC(16, 231, 2, 11), 3},
		"three phases, told as two, 6 A":         {onAC(6, 232, 2, 4), 3},
		"three phases, told as three":            {onAC(16, 231, 3, 11), 3},
		"really two phases":                      {onAC(16, 230, 2, 7), 2},
		"one phase at 32 A, told as two":         {onAC(32, 240, 2, 7), 1},
		"one phase at 48 A":                      {onAC(48, 240, 1, 11), 1},
		"from exactly 3 kW the power decides":    {onAC(13, 231, 2, 3), 1},
		"just below 3 kW it does not":            {onAC(12, 231, 2, 2), 3},
		"three is accepted":                      {onAC(1, 230, 3, 0), 3},
		"nonsense: 0":                            {onAC(0, 2, 0, 0), 0},
		"nonsense: 4":                            {onAC(0, 2, 4, 0), 0},
		"nonsense: negative":                     {onAC(0, 2, -1, 0), 0},
		"power without current":                  {onAC(0, 230, 2, 5), 3},
		"power without voltage":                  {without(onAC(16, 230, 2, 11), func(c *tesla.ChargeState) { c.ChargerVoltage = nil }), 3},
		"power, nothing told about phases":       {without(onAC(16, 230, 2, 11), func(c *tesla.ChargeState) { c.ChargerPhases = nil }), 3},
		"nothing told":                           {tesla.ChargeState{}, 0},
		"DC has no phases":                       {without(onAC(16, 230, 2, 11), func(c *tesla.ChargeState) { c.FastChargerPresent = new(true) }), 0},
		"a fast charger that is not there":       {without(onAC(16, 230, 2, 11), func(c *tesla.ChargeState) { c.FastChargerPresent = new(false) }), 3},
		"power of a phase that is not told of 0": {onAC(16, 0, 2, 11), 3},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			wantPointer(t, phases(row.told), row.want)
		})
	}
}

// Every balanced three-phase load that a European wallbox gives must be seen as such, however Tesla cuts the power.
func TestPhasesOfEveryThreePhaseLoad(t *testing.T) {
	for volts := 207; volts <= 253; volts++ {
		for amps := 5; amps <= 16; amps++ {
			got := phases(onAC(amps, volts, 2, volts*amps*3/1000))
			if got == nil || *got != 3 {
				t.Errorf("%d A at %d V on three phases: got %v", amps, volts, orNull(got))
			}
		}
	}
}

func TestPower(t *testing.T) {
	dc := func(kW *int) tesla.ChargeState {
		return tesla.ChargeState{FastChargerPresent: new(true), ChargerPower: kW, ChargerVoltage: new(390), ChargerActualCurrent: new(0)}
	}
	rows := map[string]struct {
		told tesla.ChargeState
		want float64
		null bool
	}{
		"three phases":                   {told: onAC(16, 231, 2, 11), want: 11.09},
		"one phase, where Tesla says 7":  {told: onAC(32, 240, 1, 7), want: 7.68},
		"two decimals":                   {told: onAC(7, 233, 1, 1), want: 1.63},
		"idle, phases not told":          {told: tesla.ChargeState{ChargerActualCurrent: new(0), ChargerVoltage: new(2)}, want: 0},
		"idle, phases told":              {told: onAC(0, 2, 2, 0), want: 0},
		"phases not told counts as one":  {told: tesla.ChargeState{ChargerActualCurrent: new(10), ChargerVoltage: new(230)}, want: 2.3},
		"voltage not told":               {told: tesla.ChargeState{ChargerActualCurrent: new(10), ChargerPower: new(2)}, null: true},
		"current not told":               {told: tesla.ChargeState{ChargerVoltage: new(230), ChargerPower: new(2)}, null: true},
		"nothing told":                   {null: true},
		"DC takes Tesla's own":           {told: dc(new(117)), want: 117},
		"DC, not told":                   {told: dc(nil), null: true},
		"Tesla's word is not used on AC": {told: onAC(0, 230, 1, 9), want: 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := power(row.told)
			switch {
			case row.null && got != nil:
				t.Errorf("got %v, want null", *got)
			case !row.null && (got == nil || *got != row.want):
				t.Errorf("got %v, want %v", orNull(got), row.want)
			}
		})
	}
}

// The counter feeds Home Assistant's energy statistics: it must neither fall nor count anything twice.
func TestEnergyTotal(t *testing.T) {
	null := math.NaN()
	rows := map[string]struct {
		reads []float64
		want  []float64
		added float64 // charge_energy_added at the end
	}{
		"never told":                       {reads: []float64{null, null}, want: []float64{null, null}, added: null},
		"the first read counts whole":      {reads: []float64{7.42}, want: []float64{7.42}, added: 7.42},
		"zero is a value":                  {reads: []float64{0}, want: []float64{0}, added: 0},
		"each gain counts":                 {reads: []float64{1, 1.5, 1.5, 4}, want: []float64{1, 1.5, 1.5, 4}, added: 4},
		"a new session":                    {reads: []float64{10, 0, 2}, want: []float64{10, 10, 12}, added: 2},
		"a new session seen late":          {reads: []float64{10, 3}, want: []float64{10, 13}, added: 3},
		"a small step back":                {reads: []float64{10, 9.8, 10, 10.2}, want: []float64{10, 10, 10, 10.2}, added: 10.2},
		"half a kWh back is still small":   {reads: []float64{10, 9.5, 10.5}, want: []float64{10, 10, 10.5}, added: 10.5},
		"slightly more is a new session":   {reads: []float64{1, 0.49}, want: []float64{1, 1.49}, added: 0.49},
		"not told between two reads":       {reads: []float64{5, null, 6}, want: []float64{5, 5, 6}, added: 6},
		"a new session hidden by silence":  {reads: []float64{5, null, 1}, want: []float64{5, 5, 6}, added: 1},
		"no decimals of the float":         {reads: []float64{0.1, 0.3}, want: []float64{0.1, 0.3}, added: 0.3},
		"single precision is cut":          {reads: []float64{float64(float32(7.42))}, want: []float64{7.42}, added: 7.42},
		"below zero is no measurement":     {reads: []float64{5, -3, 6}, want: []float64{5, 5, 6}, added: 6},
		"infinity is none":                 {reads: []float64{5, math.Inf(1), 6}, want: []float64{5, 5, 6}, added: 6},
		"nor is a number beyond all sense": {reads: []float64{5, 1e14, 6}, want: []float64{5, 5, 6}, added: 6},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var d Document
			for i, read := range row.reads {
				c := tesla.ChargeState{ChargeEnergyAdded: &read}
				if math.IsNaN(read) && i%2 == 0 {
					c.ChargeEnergyAdded = nil // and every other one stays NaN, which must mean the same
				}
				d = d.update(c, "ble", docNoon)
				wantFloat(t, "total", d.ChargeEnergyTotal, row.want[i])
			}
			wantFloat(t, "added", d.ChargeEnergyAdded, row.added)
		})
	}
}

func TestEnergyTotalNeverFalls(t *testing.T) {
	var d Document
	last := 0.0
	// A saw tooth of sessions with noise on it.
	for i := range 2000 {
		told := float64(i%97)*0.31 + math.Sin(float64(i*i))*0.4
		d = d.update(tesla.ChargeState{ChargeEnergyAdded: &told}, "owner", docNoon)
		if d.ChargeEnergyTotal == nil {
			continue
		}
		if *d.ChargeEnergyTotal < last {
			t.Fatalf("read %d: the counter fell from %v to %v", i, last, *d.ChargeEnergyTotal)
		}
		last = *d.ChargeEnergyTotal
	}
	if last < 500 {
		t.Errorf("20 sessions of 30 kWh gave %v kWh", last)
	}
}

func wantFloat(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if math.IsNaN(want) {
		if got != nil {
			t.Errorf("%s: got %v, want null", what, *got)
		}
		return
	}
	if got == nil || *got != want {
		t.Errorf("%s: got %v, want %v", what, orNull(got), want)
	}
}

func wantPointer(t *testing.T, got *int, want int) {
	t.Helper()
	if want == 0 && got != nil || want != 0 && (got == nil || *got != want) {
		t.Errorf("got %v, want %v (0: null)", orNull(got), want)
	}
}

func orNull[T any](v *T) any {
	if v == nil {
		return "null"
	}
	return *v
}
