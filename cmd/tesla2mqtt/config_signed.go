package main

// checkSigned is for commands that this program signs. Whether the key can be used is no fault of the configuration: it is told
// when the car is to be commanded, and by check.
func (d *decoder) checkSigned(at string, c *Config, v vehicle) {
	switch {
	case v.Write != "api":
	case c.Tesla.API != "fleet":
		d.wrong(at+".write", "api needs tesla.api: fleet (use auto: the Owner API takes no signed commands, and unsigned ones only to some cars)")
	case c.Tesla.KeyFile == "":
		d.wrong(at+".write", "api needs tesla.key_file, the key that signs (use auto for a car that takes unsigned commands)")
	}
}
