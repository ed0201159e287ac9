package main

import "tesla2mqtt/tesla"

// key tells whether commands can be signed, if the configuration wants that.
func (k *checkup) key() {
	if k.config.Tesla.KeyFile == "" {
		return
	}
	if _, err := loadKey(k.config); err != nil {
		k.fail("command key", err.Error(), tesla.Advice(err))
		return
	}
	k.ok("command key", "commands are signed with the key in tesla.key_file")
}

// signs tells that commands to a car are signed, by this program.
func signs(c *Config, v vehicle, car tesla.Vehicle) bool {
	return v.Write == "api" || v.Write == "auto" && car.SignedCommands && c.Tesla.KeyFile != ""
}
