package main

// usage is the help of the whole program.
const usage = `tesla2mqtt publishes the charge state of your Tesla to MQTT and takes commands from there.

Usage:
  tesla2mqtt login                 log in to your Tesla account, once
  tesla2mqtt run                   run the bridge, until a signal
  tesla2mqtt vehicles              list the cars of the account
  tesla2mqtt status [CAR]          show the charge state, without waking the car
  tesla2mqtt set-amps CAR AMPS     set the charging current, without waking the car
  tesla2mqtt refresh-token         renew the login now; rarely needed, it renews itself
  tesla2mqtt ble COMMAND           Bluetooth: keygen, scan, enroll CAR
  tesla2mqtt fleet COMMAND         set up the Fleet API: keygen, register, pair [CAR], status, telemetry [CAR]
  tesla2mqtt check                 test configuration, login, Tesla and broker, and say what to do
  tesla2mqtt healthcheck           ask the broker whether the bridge is well, for Docker and scripts
  tesla2mqtt completion SHELL      print the completion for bash, zsh, fish or pwsh
  tesla2mqtt version               show version, commit and modules

CAR is a VIN, the name from the configuration, or the name that the car shows.

Flags, before or after the subcommand:
  -config FILE   the configuration; else ./config.yaml, then /etc/tesla2mqtt/config.yaml
  -log LEVEL     debug, info, warn or error, on standard error
  -json          for vehicles, status, fleet, ble scan, check and version: JSON on standard output
  -help          this text, or that of a subcommand

Exit codes:
  0 done   1 failed   2 wrong usage or configuration   3 login needed   4 car asleep or not reachable

First steps:
  cp config.example.yaml config.yaml     # and set mqtt.url in it
  tesla2mqtt login
  tesla2mqtt check
  tesla2mqtt run
`

// usageOf returns the help of one subcommand.
func usageOf(name string) string {
	return usages[name] + "\nFlags -config FILE and -log LEVEL: see tesla2mqtt -help\n"
}

var usages = map[string]string{
	"run": `Usage: tesla2mqtt run

Runs the bridge until Ctrl-C or SIGTERM; the last line of the log says what the topics tell then. Without login, broker or
Tesla it stays up, says so, and goes on by itself once they are there. Only a faulty configuration ends it (exit code 2).
`,
	"login": `Usage: tesla2mqtt login [-issuer URL]

Shows the address of Tesla's login page, and reads from standard input what you paste after signing in there: the address
that begins with tesla://auth/callback?code=, or the code in it, or a refresh token. The login is then kept in the state
folder and renewed by itself. With tesla.api: fleet it is the address that begins with tesla.redirect_url, or a refresh token
of the same application.

  -issuer URL    where your account lives, if not at https://auth.tesla.com: https://auth.tesla.cn (Owner API alone)

Examples:
  tesla2mqtt login
  tesla2mqtt login < refresh-token.txt
`,
	"refresh-token": `Usage: tesla2mqtt refresh-token

Renews the login now and shows how long the new access token lasts. The bridge does that by itself while it runs; this is
for a test. Exit code 3 if Tesla no longer accepts the login.
`,
	"vehicles": `Usage: tesla2mqtt vehicles [-json]

Lists the cars of the account. Commands says whether this program can command the car, or only read it. The cars are not
touched.
`,
	"status": `Usage: tesla2mqtt status [CAR] [-json]

Shows the charge state of one car, or of all that the configuration serves. The keys are those of the
state topic. It wakes no car: the state of one that is asleep or not reachable is shown alone, and the exit code is 4. With
-json a list, with null for what the car does not tell.

Examples:
  tesla2mqtt status
  tesla2mqtt status model3
  tesla2mqtt status 5YJ3E1EA7KF317000 -json
`,
	"set-amps": `Usage: tesla2mqtt set-amps CAR AMPS

Sets the charging current in amperes, of each phase: from 1 to commands.amps.max of the configuration. It wakes no car:
exit code 4 if it is asleep or not reachable. Afterwards it shows what the car says. Below 5 A the command is sent twice,
since the first only takes the car to 5 A.

Examples:
  tesla2mqtt set-amps model3 10
  tesla2mqtt set-amps "My Tesla" 6
`,
	"ble": `Usage: tesla2mqtt ble keygen | scan [-json] | enroll CAR

For cars that are reached by Bluetooth (read: ble, write: ble), without an account; docs/setup-bluetooth.md has all the steps.

keygen makes the private key that cars shall know, in ble.key_file of the configuration, and never replaces one.
scan lists the Teslas that are heard within 10 seconds, with the strength of their signal: -50 dBm is near, -90 dBm is the edge.
The cars do not notice.
enroll asks a car to take the key, as one that may read the car and command its charging and nothing else, and waits until
a key card was held to the reader in the car. CAR is a VIN or the name from the configuration.

Examples:
  tesla2mqtt ble keygen
  tesla2mqtt ble scan
  tesla2mqtt ble enroll model3
`,
	"fleet": `Usage: tesla2mqtt fleet keygen [-out FILE] | register [-json] | pair [CAR] [-wait] [-json] | status [-json]
       tesla2mqtt fleet telemetry [CAR] [-host NAME [-port PORT] [-ca FILE] [-apply [-wait TIME]] | -remove] [-json]

Sets the Fleet API up (tesla.api: fleet), in this order; docs/setup-fleet.md has all the steps. Each can be run again.

keygen makes the private key that signs commands, in tesla.key_file of the configuration, and never replaces one. It prints the
public half, or writes it to FILE, and says where on your domain it has to be.
register registers your application and that key with the API of tesla.region, and asks which key Tesla has then. It needs the
client secret.
pair shows the address, on a terminal as a QR code too, by which a car takes the key. CAR is as for status. With -wait it waits up to
10 minutes until the car has it.
status shows the key, the registration, and of each car whether it knows the key. It wakes and reads no car, and asks for nothing
that has a price.
telemetry is for cars with read: telemetry (docs/setup-telemetry.md). Alone it shows what the car is to stream, and to which server. With
-host it shows what it would be told, the fields that this program reads, and an estimate of what that costs. -apply signs that and sends
it, and waits up to TIME (2m) until the car has it: exit code 4 if it has not, and fetches it later. -remove ends it.

  -host NAME     your fleet-telemetry server, which has to be below your domain; -port if it is not 443
  -ca FILE       the server's certificates, as the car has to see them: fullchain.pem
  -domain NAME   your domain, if it is not the host of tesla.redirect_url

Examples:
  tesla2mqtt fleet keygen -out com.tesla.3p.public-key.pem
  tesla2mqtt fleet register
  tesla2mqtt fleet pair model3 -wait
  tesla2mqtt fleet telemetry model3 -host telemetry.example.com -ca fullchain.pem -apply
`,
	"check": `Usage: tesla2mqtt check [-json]

Tests the configuration, the state folder, the login, the clock, Tesla, Bluetooth, and the broker with its access rules, and
says of each thing whether it is ok, and else what to do. It changes nothing on the broker, sends no command, and wakes and reads no
car, so the bridge may go on running. It ends within 90 seconds. With -json a list of objects with area, name, status (ok,
warn, fail), message and fix. warn is also for what could not be found out or tried.

Exit codes: 0 nothing failed, 1 something failed, 2 wrong configuration, 3 nothing but the login failed.
`,
	"healthcheck": `Usage: tesla2mqtt healthcheck

Reads from the broker what the running bridge last said, and ends within 8 seconds. Exit code 0 and one line if the bridge is
connected and spoke within the last 150 seconds, even if the login or Tesla is in trouble: the line tells. Else exit code 1.

Example, in a Dockerfile:
  HEALTHCHECK --interval=60s --timeout=10s --start-period=30s CMD ["/tesla2mqtt", "healthcheck"]
`,
	"completion": `Usage: tesla2mqtt completion bash|zsh|fish|pwsh

Prints a script that lets the shell complete subcommands and flags. That of bash needs the package bash-completion.

Examples:
  source <(tesla2mqtt completion bash)                                          # in ~/.bashrc
  source <(tesla2mqtt completion zsh)                                           # in ~/.zshrc, after compinit
  tesla2mqtt completion fish > ~/.config/fish/completions/tesla2mqtt.fish
`,
	"version": `Usage: tesla2mqtt version [-json]

Shows version, commit, the Go version, and the modules that were built in.
`,
}
