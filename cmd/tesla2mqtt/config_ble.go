package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
)

// bleConfig names the radio, and the key that cars know.
type bleConfig struct {
	Adapter string `yaml:"adapter"`
	KeyFile string `yaml:"key_file"`
}

var adapterForm = regexp.MustCompile(`^hci[0-9]{1,3}$`)

func (d *decoder) checkBLE(c *Config) {
	if !adapterForm.MatchString(c.BLE.Adapter) {
		d.wrong("ble.adapter", "must be hci0, hci1 and so on (list them with: bluetoothctl list)")
	}
	if ble.Supported {
		return
	}
	for i, v := range c.Vehicles {
		for key, way := range map[string]string{"read": v.Read, "write": v.Write} {
			if way == "ble" {
				d.wrong(fmt.Sprintf("vehicles[%d].%s", i, key), "ble is not possible here: Bluetooth needs Linux, and a program that was built without the tag nobluetooth")
			}
		}
	}
}

// bleKeyFile is where the private key is.
func (c *Config) bleKeyFile() string {
	return cmp.Or(c.BLE.KeyFile, filepath.Join(c.StateDir, "ble-key.pem"))
}

// toldByRadio tells whether a car is commanded over Bluetooth; auto is that, where it is read so.
func (v vehicle) toldByRadio() bool { return v.Write == "ble" || v.Write == "auto" && v.Read == "ble" }

// nearby tells whether a car is reached by Bluetooth, for whatever.
func (v vehicle) nearby() bool { return v.Read == "ble" || v.toldByRadio() }

// clouded tells whether a car is reached by Tesla's cloud, for whatever.
func (v vehicle) clouded() bool { return v.Read == "api" || v.Write != "none" && !v.toldByRadio() }

// cloud tells whether any car needs Tesla's cloud, and so a login.
func (c *Config) cloud() bool {
	return len(c.Vehicles) == 0 || slices.ContainsFunc(c.Vehicles, vehicle.clouded)
}

// api names what of the cloud is used.
func (c *Config) api() string {
	if !c.cloud() {
		return bridge.NoAPI
	}
	return c.Tesla.API
}

// unlisted are the cars that are there without an account: what the configuration names.
func (c *Config) unlisted() []tesla.Vehicle {
	var cars []tesla.Vehicle
	for _, v := range c.Vehicles {
		if !v.clouded() {
			cars = append(cars, tesla.Vehicle{VIN: v.VIN, Name: v.Name})
		}
	}
	return cars
}
