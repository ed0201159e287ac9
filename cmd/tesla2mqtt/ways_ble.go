package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/signed"
)

// air is the cars that are reached by Bluetooth.
type air struct {
	radio   *ble.Radio
	keyFile string
	memory  signed.Memory // nil but for the one process that keeps the sessions
	log     *slog.Logger
	cars    map[string]*nearCar // by VIN

	suspended func() time.Duration // of this machine, in all
}

func newAir(c *Config, log *slog.Logger) air {
	return air{radio: ble.NewRadio(c.BLE.Adapter), keyFile: c.bleKeyFile(), log: log, cars: map[string]*nearCar{}, suspended: suspended}
}

// car replaces reader and commander by those over Bluetooth, as far as the settings want it.
func (a *air) car(vin string, v vehicle, reader bridge.Reader, commander bridge.Commander) (bridge.Reader, bridge.Commander) {
	car := a.cars[vin]
	if car == nil {
		car = a.open(vin)
		a.cars[vin] = car
	}
	if v.toldByRadio() {
		commander = car
	}
	if _, mute := reader.(deaf); mute || v.Read == "ble" {
		return car, commander
	}
	checked := besideRadio{reader, a.radio}
	if pushed, ok := reader.(bridge.Watcher); ok {
		return pushedBesideRadio{checked, pushed}, commander
	}
	return checked, commander
}

func (a *air) open(vin string) *nearCar {
	key, err := signed.LoadKey(a.keyFile)
	n := &nearCar{link: a.radio.Link(vin), suspended: a.suspended}
	if err != nil {
		n.noKey = &tesla.Error{Class: tesla.ErrNoKey, Text: a.keyFile + ": " + err.Error(), Todo: noKeyAdvice}
	}
	config := signed.Config{
		VIN: vin, Key: key,
		Dial:    func(context.Context) (connector.Connector, error) { return lasting{n.link}, nil },
		Trouble: func(err error) { a.log.Warn("Bluetooth", "vin", vin, "err", err) }, Suspended: a.suspended,
	}
	if a.memory != nil {
		config.Memory = ofBluetooth{a.memory}
	}
	n.car = signed.New(config)
	return n
}

// ofBluetooth keeps the sessions of this key apart from those of another that the same car knows.
type ofBluetooth struct{ signed.Memory }

// Load reads what Save has written.
func (m ofBluetooth) Load(name string) ([]byte, error) { return m.Memory.Load("ble-" + name) }

// Save keeps a session under a name of its own.
func (m ofBluetooth) Save(name string, data []byte) error { return m.Memory.Save("ble-"+name, data) }

// close hangs up. It waits for what is under way, which ends when its connection does.
func (a *air) close() {
	for _, n := range a.cars {
		n.link.Close()
		n.car.Close()
	}
}

const (
	noKeyAdvice  = "make the key with: tesla2mqtt ble keygen; enroll it with: tesla2mqtt ble enroll CAR; then restart the bridge"
	enrollAdvice = "enroll the key with: tesla2mqtt ble enroll CAR"
)

// lasting is a link that outlives who uses it: package signed may begin anew with it.
type lasting struct{ *ble.Link }

// Close leaves the link alone.
func (lasting) Close() {}

// nearCar reads and commands a car over Bluetooth. It connects first: a command's time, and Tesla's library's patience, begin
// when the connection stands.
type nearCar struct {
	link  *ble.Link
	car   *signed.Car
	noKey error // why there is none

	suspended func() time.Duration
}

// State asks the part of the car that is always awake. Out of range is no failure, and nobody knows how the car is then.
func (n *nearCar) State(ctx context.Context) (state tesla.VehicleState, err error) {
	err = n.over(ctx, func(ctx context.Context) error {
		state, err = n.car.State(ctx)
		return err
	})
	if errors.Is(err, tesla.ErrOutOfRange) {
		return tesla.StateUnknown, nil
	}
	return state, err
}

// ChargeState reads a car that is awake.
func (n *nearCar) ChargeState(ctx context.Context) (charge tesla.ChargeState, err error) {
	if n.noKey != nil {
		return charge, n.noKey
	}
	err = n.over(ctx, func(ctx context.Context) error {
		charge, err = n.car.ChargeState(ctx)
		charge.Source = "ble"
		return err
	})
	return charge, err
}

// Can tells whether there is a key.
func (n *nearCar) Can(tesla.Thing) error { return n.noKey }

// Do gives one command, once.
func (n *nearCar) Do(ctx context.Context, c tesla.Command) error {
	if n.noKey != nil {
		return n.noKey
	}
	return n.over(ctx, func(ctx context.Context) error { return n.car.Do(ctx, c) })
}

// over does something while there is a connection. A command also grows old if the machine is suspended while it connects.
func (n *nearCar) over(ctx context.Context, do func(context.Context) error) error {
	connecting, end := ctx, func() {}
	until, bounded := hosts.End(ctx)
	if bounded {
		connecting, end = context.WithDeadline(ctx, until)
	}
	defer end()
	slept := n.suspended()
	using, done, err := n.link.Use(connecting)
	if errors.Is(connecting.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		done()
		return &tesla.Error{Class: tesla.ErrTooLate}
	}
	if err != nil {
		return radioError(err, false)
	}
	defer done()
	if bounded {
		using = hosts.Until(using, until.Add(slept-n.suspended()))
	}
	return n.worded(using, do(using))
}

// worded says in Bluetooth's terms what package signed says in Tesla's.
func (n *nearCar) worded(using context.Context, err error) error {
	e, ok := errors.AsType[*tesla.Error](err)
	if !ok {
		return err
	}
	broke, dropped := errors.AsType[*ble.Error](context.Cause(using))
	switch {
	case errors.Is(err, tesla.ErrTemporary) && dropped:
		return radioError(broke, e.Uncertain)
	case errors.Is(err, tesla.ErrTemporary):
		return &tesla.Error{Class: tesla.ErrNoLink, Text: e.Text, Uncertain: e.Uncertain}
	case errors.Is(err, tesla.ErrNotPaired):
		return &tesla.Error{Class: tesla.ErrNotPaired, Text: e.Text, Todo: enrollAdvice}
	}
	return err
}

// radioError is what went wrong on the way to the car. uncertain tells that a command may have been carried out.
func radioError(err error, uncertain bool) error {
	e := &tesla.Error{Class: tesla.ErrNoLink, Text: err.Error(), Todo: ble.Advice(err), Uncertain: uncertain}
	switch {
	case ble.Local(err):
		e.Class = tesla.ErrNoRadio
	case errors.Is(err, ble.ErrOutOfRange):
		e.Class, e.Text = tesla.ErrOutOfRange, ""
	}
	return e
}

// besideRadio reads a car that is commanded over Bluetooth by another way. Without the radio the way that was chosen for it does
// not exist, and the car says so, instead of refusing commands at the worst moment.
type besideRadio struct {
	bridge.Reader
	radio *ble.Radio
}

// State is the reader's, if there is a radio.
func (b besideRadio) State(ctx context.Context) (tesla.VehicleState, error) {
	if err := b.radio.Check(ctx); err != nil {
		return tesla.StateUnknown, radioError(err, false)
	}
	return b.Reader.State(ctx)
}

// ChargeState is the reader's, if there is a radio.
func (b besideRadio) ChargeState(ctx context.Context) (tesla.ChargeState, error) {
	if err := b.radio.Check(ctx); err != nil {
		return tesla.ChargeState{}, radioError(err, false)
	}
	return b.Reader.ChargeState(ctx)
}

// pushedBesideRadio is besideRadio for a reader that is pushed to.
type pushedBesideRadio struct {
	besideRadio
	bridge.Watcher
}

// Pushed is the reader's, if there is a radio: what a car streams does not bring back the way to command it.
func (p pushedBesideRadio) Pushed(ctx context.Context) (tesla.VehicleState, tesla.ChargeState, error) {
	if err := p.radio.Check(ctx); err != nil {
		return tesla.StateUnknown, tesla.ChargeState{}, radioError(err, false)
	}
	return p.Watcher.Pushed(ctx)
}
