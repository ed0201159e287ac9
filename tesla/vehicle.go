package tesla

import "time"

// Vehicle is one car of the account, as the list of products names it.
type Vehicle struct {
	// ID is the car's key in the paths of the Owner API; the Fleet API takes the VIN. It exceeds 2^53, so it is never a float.
	ID  int64
	VIN string
	// Name is what the owner calls the car, or "" where Tesla leaves it out.
	Name string
	// SignedCommands tells that this car refuses unsigned commands (command_signing "required" in the Owner API,
	// vehicle_command_protocol_required in the Fleet API).
	SignedCommands bool
	// Key tells whether the car knows the application's key, which signed commands need; "" where nobody said so.
	Key KeyState
}

// KeyState is what Tesla knows of an application's key in a car.
type KeyState string

// The states of a key in the Fleet API.
const (
	KeyPaired  KeyState = "paired"
	KeyMissing KeyState = "missing"
)

// VehicleState says whether the car can be asked. Cloud side knowledge: reading it never touches the car.
type VehicleState string

// The states that Tesla reports; anything else becomes StateUnknown. Since firmware 2024.20 a sleeping car often
// shows as offline.
const (
	StateOnline  VehicleState = "online"
	StateAsleep  VehicleState = "asleep"
	StateOffline VehicleState = "offline"
	StateUnknown VehicleState = "unknown"
)

// ChargeState is what the car says about its charging. A nil pointer or an empty string is "not told", which is never
// the same as 0, false or "".
type ChargeState struct {
	// Source is who told: owner, fleet, ble or telemetry; "" where that is plain from who was asked.
	Source string
	// Timestamp is the car's own clock for these values, zero if it did not say.
	Timestamp time.Time
	// Told is for a source that tells one thing at a time: when each thing was told, by our clock. A thing that is missing has
	// an unknown age, and so has all the rest if Timestamp is zero. Nil for a source that tells all at once.
	Told map[Thing]time.Time

	ChargingState string // Disconnected, NoPower, Starting, Charging, Complete, Stopped, Calibrating; may be new

	BatteryLevel       *int     // %
	UsableBatteryLevel *int     // %, lower than BatteryLevel in the cold
	BatteryRange       *float64 // rated, miles, whatever the display shows

	ChargeLimitSOC    *int // %
	ChargeLimitSOCMin *int // %, usually 50
	ChargeLimitSOCMax *int // %, usually 100

	ChargeAmps              *int // A, the set point that the screen shows
	ChargeCurrentRequestMax *int // A, ceiling of cable and socket; keeps its last value when unplugged
	ChargerActualCurrent    *int // A, measured
	ChargerVoltage          *int // V, of one phase; 0 to 2 when idle
	ChargerPhases           *int // 1, 2 or 3; European cars say 2 and mean 3
	ChargerPower            *int // kW, truncated by Tesla

	ChargeEnergyAdded   *float64 // kWh in this session, battery side
	MinutesToFullCharge *int     // min

	ConnChargeCable    string // IEC, SAE, GB_AC, GB_DC, <invalid>
	ChargePortDoorOpen *bool  // true while plugged in
	FastChargerPresent *bool  // on DC: the set point has no effect there

	ScheduledChargingStartTime *time.Time // nil if none is set
	AtHome                     *bool      // only where the source can tell
}

// ToldAt returns when a thing was told, zero if nobody knows.
func (c ChargeState) ToldAt(thing Thing) time.Time {
	if c.Told != nil {
		return c.Told[thing]
	}
	return c.Timestamp
}
