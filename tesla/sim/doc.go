// Package sim is a Tesla for tests and for the demo: the login page, the token endpoint, the Owner API, and cars with a
// battery, a charger and a will to sleep. It writes its own JSON and imports nothing of this module but its own part
// for signed commands ([tesla2mqtt/tesla/sim/vcp]), so that the client and the simulator cannot share a mistake.
//
// # What it models
//
//   - Login with PKCE. Only tesla://auth/callback is registered (tesla_auth#98). A code works once, for five minutes.
//   - Rotating refresh tokens. Tesla keeps the most recently used one valid for 24 hours; anything older is refused with
//     login_required, and reported. [Tesla.Strict] takes the grace away. [Tesla.KeepRefreshToken] answers without a new
//     one, as seen in evcc#11854.
//   - The Owner API of 2026: products (with an energy site among the cars), vehicles/{id}, vehicle_data, wake_up and the
//     charging commands. vehicles is 412 (evcc#11854), data_request is 404, and cars newer than 2021 refuse unsigned
//     commands with 403 (alandtse/tesla#858).
//   - The Fleet API instead, see [Fleet]: an application with its secret and redirect URL, scopes, regions and their 421, the
//     list of vehicles, fleet_status, the application's own token and its registration with a key that is fetched from a
//     domain, and its approval by a car's owner. Commands to cars newer than 2021 are refused unless signed, as above.
//   - Sleep. Reading vehicle_data restarts the idle timer of a car that is awake, and is 408 on one that sleeps; only
//     wake_up, the app, a plug or a schedule wakes (TeslaMate's rules). A car may show as offline while it sleeps
//     (firmware 2024.20), and may look in on itself each hour.
//   - Charging. Starting for ten seconds, a ramp of 2 A/s, a taper near the top, 92 % efficiency; three phases are told as
//     charger_phases 2, and charger_power as whole kW (TeslaSolarCharger, TeslaBleHttpProxy#149).
//   - The set point. Remembered for each place; a request under 5 A lands at 5 first and must be sent twice (TeslaPy#42);
//     0 and 1 become 2, 2 and 3 become 3; some cars start at 5 A whatever was set before (evcc#24456).
//   - Signed commands, by signed_command or from beside the car: see [CarHandle.Protocol]. Cars that take unsigned ones do not
//     know them, and answer 422.
//   - The bill: what the Fleet API would charge for the requests that arrived, see [Bill].
//   - Telemetry, as fleet-telemetry's MQTT dispatcher publishes it, see [Stream]: on change, in single precision, the set point
//     as ChargeCurrentRequest and the measured current as ChargeAmps (fleet-telemetry#127), ranges in miles (#335).
//   - The telemetry's configuration: signed with the registered key, fetched by the car when it is next online, refused with Tesla's
//     reasons, or dropped in silence by a car that has too many (fleet-telemetry#294).
//   - Faults by name, see [Faults]: every answer that was recorded in the wild, and what networks do.
//
// # What it does not model
//
// The making of an application, Bluetooth, what a car buffers of its telemetry while it has no
// network, TLS fingerprints, several accounts, loss of charge while parked, temperatures, captchas, and the 90 days after which an unused refresh token may
// die. The reason "no_power" and the status 400 for a malformed command are guesses: no answer was recorded.
//
// # Time
//
// There is no goroutine and no ticker in a [Tesla]. Each access works out what happened since the last one, from
// time.Now alone, so it runs in a testing/synctest bubble as well as behind a socket.
package sim
