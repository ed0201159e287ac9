package tesla

// Command is one order to a car.
type Command struct {
	Thing Thing
	// Value is amps for ChargeAmps, percent for ChargeLimit, On or Off for Charging and ChargePort (open, closed).
	Value int
}

// Thing names what a command is about; MQTT topics carry the same words.
type Thing string

// The things a car can be told.
const (
	ChargeAmps  Thing = "charge_amps"
	ChargeLimit Thing = "charge_limit"
	Charging    Thing = "charging"
	ChargePort  Thing = "charge_port"
	Wake        Thing = "wake"
)

// Values of Charging and ChargePort.
const (
	Off = 0
	On  = 1
)
