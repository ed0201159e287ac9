package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
)

// mqttOptions is how to reach the broker; what is to be said there is the caller's to add.
func (c *Config) mqttOptions() mqtt.Options {
	m := c.MQTT
	return mqtt.Options{
		URL: m.URL, ClientID: m.ClientID, Username: m.Username, Password: c.password.Reveal(),
		CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile,
	}
}

// tokenFile is where package auth keeps the login.
func (c *Config) tokenFile() string { return filepath.Join(c.StateDir, "token.json") }

// renewed tells when the login was last made or renewed, by whatever process; the zero time if there is none.
func (c *Config) renewed() time.Time {
	info, err := os.Stat(c.tokenFile())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// bridgeConfig is the same in the bridge's terms. Without any vehicles every car of the account is served.
func (c *Config) bridgeConfig(version, commit string) bridge.Config {
	out := bridge.Config{
		BaseTopic: c.MQTT.BaseTopic, ClientID: c.MQTT.ClientID, Scalars: c.MQTT.Scalars,
		Discovery: c.HomeAssistant.Discovery, DiscoveryPrefix: c.HomeAssistant.Prefix,
		API: c.api(), Budget: c.Tesla.API == bridge.BilledAPI && c.Tesla.MonthlyBudget > 0, Version: version, Commit: commit,
		Cars: map[string]bridge.CarConfig{}, AllCars: len(c.Vehicles) == 0, Default: c.car(c.newVehicle()),
	}
	for _, v := range c.Vehicles {
		out.Cars[v.VIN] = c.car(v)
	}
	return out
}

func (c *Config) car(v vehicle) bridge.CarConfig {
	return bridge.CarConfig{
		Name: v.Name, Poll: v.Poll, ReadOnly: v.Write == "none", Source: c.source(v), Billed: c.Tesla.API == bridge.BilledAPI && !v.toldByRadio(),
		Commands: bridge.Commands{
			Enabled: c.Commands.Enabled, Wake: v.Commands.Wake == "auto", TTL: c.Commands.TTL,
			ChargePort: c.Commands.ChargePort, FastCharging: c.Commands.FastCharging, Amps: v.Commands.Amps,
		},
	}
}

// source names who tells how a car is.
func (c *Config) source(v vehicle) string {
	if v.Read == "api" {
		return c.Tesla.API
	}
	return v.Read
}

// settings finds what the file says of a car, by VIN or alias; all others have the settings of all cars.
func (c *Config) settings(name string) (v vehicle, named bool) {
	for _, v := range c.Vehicles {
		if strings.EqualFold(name, v.VIN) || name != "" && strings.EqualFold(name, v.Name) {
			return v, true
		}
	}
	return c.newVehicle(), false
}
