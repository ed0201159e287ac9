package bridge

import "time"

// Config is what the bridge needs to know; the program fills it from the YAML file, with every default in place.
type Config struct {
	BaseTopic string
	// ClientID is the MQTT client id; it names the bridge's own device in Home Assistant.
	ClientID string
	// Scalars publishes each key of a car's state on a topic of its own, beside the JSON document.
	Scalars bool
	// Discovery publishes Home Assistant's device discovery below DiscoveryPrefix.
	Discovery       bool
	DiscoveryPrefix string
	// API names the source of cloud reads in the state: owner or fleet, or NoAPI.
	API string
	// Budget tells that a monthly budget limits what that API may cost.
	Budget          bool
	Version, Commit string

	// Cars holds the cars that the config names, by VIN. AllCars serves every car of the account besides, with Default.
	Cars    map[string]CarConfig
	AllCars bool
	Default CarConfig
}

// NoAPI is the name of the API where no car needs Tesla's cloud.
const NoAPI = "none"

// CarConfig is how one car is read and commanded.
type CarConfig struct {
	// Name is the car's part of the topics, [a-z0-9_-]+; empty means its VIN.
	Name     string
	Poll     Poll
	Commands Commands
	// ReadOnly refuses every command that would touch the car (write: none).
	ReadOnly bool
	// Source names who tells how the car is: owner, fleet, ble, telemetry; "" for the API of all cars.
	Source string
	// Billed tells that each command to the car costs money.
	Billed bool
}

// Poll says how often a car is looked at. Reading never wakes it.
type Poll struct {
	// State is the interval of the look that never touches the car.
	State time.Duration `yaml:"state"`
	// Online is the interval of full reads while something changes, Charging that while it charges.
	Online   time.Duration `yaml:"online"`
	Charging time.Duration `yaml:"charging"`
	// IdleAfter without a change, full reads pause for Suspend at a time, so that the car can fall asleep.
	IdleAfter time.Duration `yaml:"idle_after"`
	Suspend   time.Duration `yaml:"suspend"`
}

// Commands says what may be told to a car and how patiently.
type Commands struct {
	Enabled bool
	// Wake allows ON and wake to wake a sleeping car.
	Wake bool
	// TTL is how long a command may wait for its first request when the message does not say.
	TTL          time.Duration
	ChargePort   bool
	FastCharging bool
	Amps         Amps
}

// Amps bounds the charging current and how often it is changed.
type Amps struct {
	// Min and Max are in amperes, per phase.
	Min int `yaml:"min"`
	Max int `yaml:"max"`
	// Settle waits for a burst of messages to end; the gaps keep successive commands apart.
	Settle   time.Duration `yaml:"settle"`
	RaiseGap time.Duration `yaml:"raise_gap"`
	LowerGap time.Duration `yaml:"lower_gap"`
}

// car returns how the car with this VIN is to be served, and whether it is served at all.
func (c Config) car(vin string) (CarConfig, bool) {
	cfg, named := c.Cars[vin]
	if !named {
		cfg = c.Default
	}
	if cfg.Name == "" {
		cfg.Name = vin
	}
	return cfg, named || c.AllCars
}
