// Package vcp is the car's side of Tesla's signed-command protocol: it takes the messages of a client, checks them as a car
// does, and answers. It was written from Tesla's description of the protocol (pkg/protocol/protocol.md of
// github.com/teslamotors/vehicle-command), not from the client, which is its test.
//
// # What it models
//
//   - The two computers that matter here: vehicle security (VCSEC) and infotainment. Each has its own key, epoch and clock,
//     and its own counters for each client.
//   - Session info, its tag, and that a car sends it along with every refusal that it may mend.
//   - Both kinds of authentication: HMAC-SHA256, as by Fleet API, and AES-GCM, as by Bluetooth; and encrypted answers, for
//     clients that ask for them.
//   - Refusals: another epoch ([Car.Restart]), a counter that was used, a command that has expired or would last too long, a
//     wrong signature, an unknown key, a role that may not.
//   - Roles. A charging manager may read, charge and wake. A key of a fleet manager, which is what cloud services get, is
//     worth nothing over Bluetooth.
//   - Two ways in: [Car.Receive] is the Bluetooth link, [Car.Relay] is Fleet API, which lets no encrypted command pass and
//     hands on the last answer only.
//   - Sleep. VCSEC answers always; infotainment does not until it was woken.
//   - The key card: a new key is taken once a card was tapped ([Car.Tap]), or else not.
//
// # What it does not model
//
// Doors, locks, driving and all else that has nothing to do with charging; confirming a new key on the screen; removing keys;
// keys that are handles; the 1024 bytes of a Bluetooth message; messages that get lost or change places. How long a command may
// be valid at most, which fault a sleeping infotainment makes, and how infotainment greets an unknown key are not in Tesla's
// description: they are guesses.
package vcp
