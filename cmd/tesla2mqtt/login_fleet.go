package main

import (
	"fmt"
	"strings"

	"tesla2mqtt/tesla/auth"
)

// fleetText explains the login with an application of one's own. The arguments: its client ID, what it asks for, the file, what
// is known of the secret, the address to open, the address that comes back, which is told twice.
const fleetText = `This program needs to log in to your Tesla account, once, as your application %s. You sign in on Tesla's own
page, in your own browser; your password is never seen here.

What the login allows: to read the car's data except where it is (vehicle_device_data, which also wakes it), and to command its
charging (vehicle_charging_cmds). It cannot unlock, locate or drive. What is asked for is %s, and nothing more; leave it all
ticked on Tesla's page, or reading or commanding will be refused.
Where it is kept: %s
which only you can read (mode 0600). Whoever gets that file can do as much. To end it, revoke your application's access in the
security settings of your Tesla account, or change your Tesla password.
%s

1. Open this address in your browser, and sign in:

   %s

2. The browser is then sent to an address that begins with
   %s?code=
   Whether there is a page does not matter: an error like "not found" or "cannot connect" is fine. What counts is the address in
   the browser's bar.
3. Copy that address whole, paste it here within two minutes, and press Enter. Show it to nobody. Nothing else belongs here, above all
   not your password.

Instead you may paste a refresh token that was made with the same application: refresh_token=EU_... (or NA_, CN_).

`

const (
	secretThere   = "The client secret is sent to Tesla with the code that you paste, once. After the login it is not needed any more: you may\nremove its file and tesla.client_secret_file, until the next login."
	secretNowhere = "No client secret is configured, which is right only if your application has none: it would come from the file that\ntesla.client_secret_file names, or from TESLA_CLIENT_SECRET."
)

// fleetLoginText is fleetText filled in.
func (c *Config) fleetLoginText(file, address string) string {
	known := secretThere
	if c.clientSecret.Reveal() == "" {
		known = secretNowhere
	}
	return fmt.Sprintf(fleetText, c.Tesla.ClientID, strings.Join(auth.Scopes(), " "), file, known, address, c.redirectShown())
}
