package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/signed"
)

// bluetooth looks at the radio, the key, and the cars that are reached by them. It asks a car only whether it knows the key,
// which the car's always-awake part answers.
func (k *checkup) bluetooth(ctx context.Context) {
	if !slices.ContainsFunc(k.config.Vehicles, vehicle.nearby) {
		return
	}
	k.begin("bluetooth")
	radio := ble.NewRadio(k.config.BLE.Adapter)
	usable := radio.Check(ctx)
	if usable != nil {
		k.fail("adapter", usable.Error(), ble.Advice(usable))
	} else {
		k.ok("adapter", k.config.BLE.Adapter+" is there and turned on; this user may use it")
	}
	file := k.config.bleKeyFile()
	key, err := signed.LoadKey(file)
	if err != nil {
		k.fail("key", file+": "+err.Error(), "if there is none yet: tesla2mqtt ble keygen")
	} else {
		k.ok("key", file+" is a key that nobody else can read")
	}
	for _, v := range k.config.Vehicles {
		switch {
		case !v.nearby():
		case usable != nil:
			k.untried(v.VIN, "the adapter cannot be used")
		default:
			k.inRange(ctx, radio, v, key)
		}
	}
}

// inRange tells whether a car is there, and whether it knows the key.
func (k *checkup) inRange(ctx context.Context, radio *ble.Radio, v vehicle, key *signed.Key) {
	link := radio.Link(v.VIN)
	defer link.Close()
	e := enrolment{link: link}
	if key == nil {
		err := e.over(ctx, func(context.Context) error { return nil })
		k.note(judgeNear(v.VIN, false, false, err))
		return
	}
	e.public = key.Public()
	known, err := e.known(ctx)
	k.note(judgeNear(v.VIN, true, known, err))
}

// judgeNear is pure.
func judgeNear(vin string, key, known bool, err error) finding {
	f := finding{Name: vin, Status: statusOK, Message: "in range; it knows the key"}
	switch {
	case errors.Is(err, tesla.ErrOutOfRange):
		f.Status, f.Message, f.Fix = statusWarn, "not in Bluetooth range now", tesla.Advice(err)
	case err != nil:
		f.Status, f.Message, f.Fix = statusFail, err.Error(), tesla.Advice(err)
	case !key:
		f.Status, f.Message = statusWarn, "in range; whether it knows the key cannot be asked without one"
	case !known:
		f.Status, f.Message, f.Fix = statusFail, "in range; it does not know the key", fmt.Sprintf("tesla2mqtt ble enroll %s", vin)
	}
	return f
}
