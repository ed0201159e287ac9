// Package ble carries messages to a Tesla and back over Bluetooth, by way of BlueZ, the Bluetooth service of Linux, whose
// interface is on the system's D-Bus. An ordinary user may use it: no capability is needed, and the adapter stays free for
// others.
//
// It carries and does not look inside: what is signed, and with which key, is package signed's. It knows no token and no
// account, and it pairs nothing: Tesla's messages protect themselves, so the radio link need not.
//
// A Radio is an adapter. A Link is the way to one car: a connector.Connector that connects when it is used and hangs up a
// little later, since a car serves three devices at most, phones and key fobs included. Each connection has a connection to
// D-Bus of its own; when that ends, even by a kill -9, BlueZ ends the search and the notifications that were asked for over
// it. Whoever searches or connects has the adapter alone, because adapters do not do both well at once; connections that
// stand do not disturb each other.
//
// Every wait has an end. An Error says what to do, and whether a message may have arrived all the same.
package ble

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// LocalName is what the car with this VIN calls itself on the air.
func LocalName(vin string) string {
	sum := sha1.Sum([]byte(vin))
	return "S" + hex.EncodeToString(sum[:8]) + "C"
}

// isCar tells whether a name on the air is that of some Tesla.
func isCar(name string) bool {
	if len(name) != 18 || name[0] != 'S' || !strings.ContainsRune("CDPR", rune(name[17])) {
		return false
	}
	_, err := hex.DecodeString(name[1:17])
	return err == nil
}

// Sighting is a car that was heard.
type Sighting struct {
	Name    string // on the air, see LocalName
	Address string
	RSSI    int // dBm: about -50 beside the car, -90 at the edge
}
