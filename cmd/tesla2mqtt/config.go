package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/meter"
)

// Config is the configuration file with every default in place. The fields are decoded in this order: a car starts from
// the poll and commands of all cars, so Vehicles comes last.
type Config struct {
	MQTT          mqttConfig      `yaml:"mqtt"`
	Tesla         teslaConfig     `yaml:"tesla"`
	BLE           bleConfig       `yaml:"ble"`
	StateDir      string          `yaml:"state_dir"`
	Poll          bridge.Poll     `yaml:"poll"`
	Commands      commandsConfig  `yaml:"commands"`
	HomeAssistant haConfig        `yaml:"homeassistant"`
	Log           logConfig       `yaml:"log"`
	Telemetry     telemetryConfig `yaml:"telemetry"`
	Vehicles      []vehicle       `yaml:"vehicles"`

	// Warnings are settings that work but are rarely meant, one line each.
	Warnings []string `yaml:"-"`

	account bool // whether the file has a section tesla; then there may be a login, even if no car needs one

	password     secret.Text // from mqtt.password_file or MQTT_PASSWORD
	clientSecret secret.Text // from tesla.client_secret_file or TESLA_CLIENT_SECRET
}

// mqttConfig names the broker and what of it is ours.
type mqttConfig struct {
	URL          string `yaml:"url"`
	ClientID     string `yaml:"client_id"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"`
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	BaseTopic    string `yaml:"base_topic"`
	Scalars      bool   `yaml:"scalars"`
}

// teslaConfig says which of Tesla's APIs is used and how we look to it.
type teslaConfig struct {
	API string `yaml:"api"`
	// These are for the Fleet API alone.
	Region           string `yaml:"region"`
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	RedirectURL      string `yaml:"redirect_url"`
	KeyFile          string `yaml:"key_file"`

	TLSMin  string `yaml:"tls_min"`
	TLSMax  string `yaml:"tls_max"`
	HTTP2   bool   `yaml:"http2"`
	AuthURL string `yaml:"auth_url"`
	APIURL  string `yaml:"api_url"`
	CAFile  string `yaml:"ca_file"`

	MonthlyBudget meter.USD `yaml:"monthly_budget_usd"`
}

// commandsConfig is bridge.Commands as people write it.
type commandsConfig struct {
	Enabled      bool          `yaml:"enabled"`
	Wake         string        `yaml:"wake"` // auto, never
	TTL          time.Duration `yaml:"ttl"`
	ChargePort   bool          `yaml:"charge_port"`
	FastCharging bool          `yaml:"fast_charging"`
	Amps         bridge.Amps   `yaml:"amps"`
}

// vehicle is one car that is served, with what of the settings is its own.
type vehicle struct {
	VIN      string      `yaml:"vin"`
	Name     string      `yaml:"name"`
	Read     string      `yaml:"read"`
	Write    string      `yaml:"write"` // auto, api, rest, ble, none
	Poll     bridge.Poll `yaml:"poll"`
	Commands struct {
		Wake string      `yaml:"wake"`
		Amps bridge.Amps `yaml:"amps"`
	} `yaml:"commands"`
}

type haConfig struct {
	Discovery bool   `yaml:"discovery"`
	Prefix    string `yaml:"prefix"`
}

type logConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// maxConfig bounds the file; a real one is about 3 kB.
const maxConfig = 1 << 20

// defaultPaths are where the file is looked for if -config does not say.
var defaultPaths = []string{"config.yaml", "/etc/tesla2mqtt/config.yaml"}

// defaults is the configuration of an empty file.
func defaults() *Config {
	return &Config{
		MQTT:     mqttConfig{URL: "mqtt://localhost:1883", BaseTopic: "tesla2mqtt", Scalars: true},
		Tesla:    teslaConfig{API: "owner", TLSMin: "1.3", HTTP2: true, MonthlyBudget: 10 * meter.Dollar},
		BLE:      bleConfig{Adapter: "hci0"},
		StateDir: "./state",
		Poll: bridge.Poll{State: time.Minute, Online: time.Minute, Charging: time.Minute,
			IdleAfter: 15 * time.Minute, Suspend: 21 * time.Minute},
		Commands: commandsConfig{Enabled: true, Wake: "auto", TTL: time.Minute,
			Amps: bridge.Amps{Min: 1, Max: 48, Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second}},
		HomeAssistant: haConfig{Discovery: true, Prefix: "homeassistant"},
		Log:           logConfig{Level: "info", Format: "text"},
		Telemetry:     telemetryConfig{BaseTopic: "telemetry", SilentAfter: 10 * time.Minute},
	}
}

// newVehicle is an entry of vehicles before its own keys are read.
func (c *Config) newVehicle() vehicle {
	v := vehicle{Read: "api", Write: "auto", Poll: c.Poll}
	v.Commands.Wake, v.Commands.Amps = c.Commands.Wake, c.Commands.Amps
	return v
}

// findConfig returns the file to load: path, or the first default that exists.
func findConfig(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	for _, p := range defaultPaths {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil // one that may not be read is better named than passed over
		}
	}
	return "", &usageError{"there is no configuration: neither ./" + strings.Join(defaultPaths, " nor "),
		"copy config.example.yaml to ./config.yaml, or name a file with -config FILE"}
}

// loadConfig reads a file and everything it names. The error holds all faults, one line each; it quotes no secret.
// getenv is os.Getenv but for tests.
func loadConfig(path string, getenv func(string) string) (*Config, error) {
	data, err := readBounded(path, maxConfig)
	if err != nil {
		return nil, unreadable(path, err)
	}
	c := defaults()
	d := &decoder{file: path, lines: map[string]int{}, newVehicle: c.newVehicle}
	d.decodeFile(data, c)
	if c.Tesla.API == "fleet" {
		free := c.Vehicles
		c = fleetDefaults() // only the file could tell that it is these
		d = &decoder{file: path, lines: map[string]int{}, newVehicle: c.newVehicle}
		d.decodeFile(data, c)
		c.keepFree(free)
	}
	c.resolve(path)
	_, c.account = d.lines["tesla"]
	d.checkAll(c)
	c.readPassword(d, getenv)
	c.readClientSecret(d, getenv)
	c.rights(path)
	// Empty means the base topic, whose slashes Home Assistant's ids cannot hold.
	c.MQTT.ClientID = cmp.Or(c.MQTT.ClientID, strings.ReplaceAll(c.MQTT.BaseTopic, "/", "-"))
	if err := d.err(); err != nil {
		return nil, &configError{err}
	}
	return c, nil
}

// unreadable says why a configuration cannot be read, and what to do.
func unreadable(path string, err error) error {
	info, missing := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &configError{fmt.Errorf("%s: there is no such file (copy config.example.yaml to it, or name another one with -config FILE)", path)}
	case missing == nil && info.IsDir():
		return &configError{fmt.Errorf("%s: this is a folder (name the file in it, with -config %s)", path, filepath.Join(path, defaultPaths[0]))}
	case errors.Is(err, fs.ErrPermission):
		return &configError{fmt.Errorf("%s: this user may not read it (run this as the user to whom it belongs, or let this one read it)", path)}
	}
	return &configError{fmt.Errorf("read the configuration: %w", err)}
}

// configError is a configuration that cannot be used: exit code 2.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// readBounded reads a small file whole. A larger one is an error, not a part of it.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, err
}
