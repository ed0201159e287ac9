package ble

import "errors"

// What can be wrong, one for each thing that a person has to do differently. Advice says what.
var (
	ErrUnsupported = errors.New("this program has no Bluetooth")
	ErrNoBus       = errors.New("the system's D-Bus cannot be reached")
	ErrNoBlueZ     = errors.New("BlueZ, the system's Bluetooth service, does not run")
	ErrDenied      = errors.New("this user may not use Bluetooth")
	ErrNoAdapter   = errors.New("there is no such Bluetooth adapter")
	ErrOff         = errors.New("the Bluetooth adapter is turned off")
	ErrBusy        = errors.New("the Bluetooth adapter is busy")
	ErrOutOfRange  = errors.New("the car is out of Bluetooth range")
	ErrRefused     = errors.New("the car did not take the Bluetooth connection")
	ErrDropped     = errors.New("the Bluetooth connection broke")
	ErrProtocol    = errors.New("not the Bluetooth that a Tesla speaks")
)

var advice = []struct {
	kind  error
	words string
}{
	{ErrUnsupported, "Bluetooth needs Linux, and a program that was built without the tag nobluetooth"},
	{ErrNoBus, "install dbus, and in a container hand in /run/dbus/system_bus_socket; see docs/setup-bluetooth.md"},
	{ErrNoBlueZ, "install bluez, then: sudo systemctl enable --now bluetooth"},
	{ErrDenied, "add the user to the group bluetooth (sudo usermod -aG bluetooth USER) and start the program anew; see docs/setup-bluetooth.md"},
	{ErrNoAdapter, "plug it in, or set ble.adapter to one that is there (list them: bluetoothctl list)"},
	{ErrOff, "sudo rfkill unblock bluetooth; then: bluetoothctl power on"},
	{ErrBusy, "wait, or end what else uses the adapter"},
	{ErrOutOfRange, "bring the adapter within some 5 m of the car, away from metal, or try again when the car is there"},
	{ErrRefused, "it serves three devices at most, phones and key fobs included: turn the Bluetooth of one off; or move the adapter closer"},
	{ErrDropped, "try again; if it stays, move the adapter closer"},
	{ErrProtocol, "update the car and this program; report it if it stays"},
}

// Advice returns what a person can do about err, or "".
func Advice(err error) string {
	for _, a := range advice {
		if errors.Is(err, a.kind) {
			return a.words
		}
	}
	return ""
}

// Local tells that the fault is on this machine, so that no car can be reached.
func Local(err error) bool {
	for _, kind := range []error{ErrUnsupported, ErrNoBus, ErrNoBlueZ, ErrDenied, ErrNoAdapter, ErrOff} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// Error is a failure on the way to a car.
type Error struct {
	Kind error  // one of the above
	Text string // more about it, "" for nothing
	// Sent is true if a whole message may have reached the car.
	Sent bool
}

// Error says the kind, and more.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Kind.Error()
	}
	return e.Kind.Error() + ": " + e.Text
}

// Unwrap leads to the kind.
func (e *Error) Unwrap() error { return e.Kind }

// MayHaveSucceeded is for Tesla's library: see Sent.
func (e *Error) MayHaveSucceeded() bool { return e.Sent }

// Temporary is for Tesla's library too, which may send again what certainly did not arrive. The context of a Use has ended
// by then, so it does not.
func (e *Error) Temporary() bool { return !e.Sent }
