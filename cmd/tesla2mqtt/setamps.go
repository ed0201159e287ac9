package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
)

const (
	// lowAmps is where the car's own slider ends. A first command below it lands there (TeslaPy#42).
	lowAmps = 5
	// secondTry is how long to wait before sending it again (TeslaSolarCharger).
	secondTry = 5 * time.Second
)

// readBack is when the car is asked what became of a command, readBackOnce the same where each look costs money; how long it takes
// to show is nowhere documented.
var (
	readBack     = []time.Duration{time.Second, 4 * time.Second, 10 * time.Second}
	readBackOnce = []time.Duration{4 * time.Second}
)

func (a *app) setAmps(ctx context.Context, cmd *cli.Command) (err error) {
	name, amps, err := carAndAmps(cmd.Args().Slice())
	if err := cmp.Or(err, takes(cmd, 2, 2)); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	settings, _ := c.settings(name)
	if err := allowed(settings, amps); err != nil {
		return err // before anything is sent
	}
	w, err := openWays(c, log)
	if err != nil {
		return err
	}
	defer w.close(&err)
	car, err := w.find(ctx, name)
	if err != nil {
		return err
	}
	settings, _ = c.settings(car.VIN) // which may be others if the car was called by the name it shows
	if err := allowed(settings, amps); err != nil {
		return err
	}
	reader, commander := w.Car(car)
	looks := readBack
	if c.readsCost(settings) {
		looks = readBackOnce
	}
	shown, err := applyAmps(ctx, operated{reader, commander, looks}, amps, a.err)
	if err != nil {
		return fmt.Errorf("%s: %w", title(car), err)
	}
	fmt.Fprintf(a.out, "%s: charge_amps %d A\n", title(car), shown)
	return nil
}

var leadingDigits = regexp.MustCompile(`^[0-9]{1,3}`)

// carAndAmps reads the arguments. It is pure.
func carAndAmps(args []string) (car string, amps int, err error) {
	number := func(i int) bool { return args[i] != "" && leadingDigits.FindString(args[i]) == args[i] }
	if len(args) == 1 && number(0) {
		return "", 0, &usageError{"which car?", "such as: tesla2mqtt set-amps model3 " + args[0]}
	}
	if len(args) != 2 {
		return "", 0, nil // whoever counts them says so
	}
	if amps, err = strconv.Atoi(args[1]); err == nil {
		return args[0], amps, nil
	}
	if number(0) {
		return "", 0, &usageError{"CAR and AMPS are swapped", "the car comes first: tesla2mqtt set-amps " + shellWord(plain(args[1])) + " " + args[0]}
	}
	return "", 0, &usageError{"AMPS must be a whole number, without a unit",
		"such as: tesla2mqtt set-amps " + shellWord(plain(args[0])) + " " + cmp.Or(leadingDigits.FindString(args[1]), "10")}
}

// allowed applies what the configuration says of a car. amps are amperes of each phase.
func allowed(v vehicle, amps int) error {
	switch high := v.Commands.Amps.Max; {
	case v.Write == "none" && v.Read == "telemetry":
		return &usageError{"the configuration forbids commands to this car (write: none)",
			"telemetry only reads; to command it too, set write to auto (by Tesla's cloud, which needs tesla2mqtt login) or to ble (by Bluetooth)"}
	case v.Write == "none":
		return &usageError{"the configuration forbids commands to this car (write: none)", "remove that, or set it to auto"}
	case amps < 1:
		return &usageError{fmt.Sprintf("AMPS must be 1 to %d", high), "to stop charging, send OFF to charging by MQTT, or use Tesla's app"}
	case amps > high:
		return &usageError{fmt.Sprintf("AMPS must be 1 to %d", high), "the configuration sets that limit, by commands.amps.max"}
	}
	return nil
}

// operated is a car that can be read and commanded, by whatever way.
type operated struct {
	bridge.Reader
	bridge.Commander
	looks []time.Duration // between a command and the reads that follow it
}

// applyAmps sets the current of a car that is awake, and returns the set point that it shows afterwards, in A. talk is told
// of everything that is not as it was asked for.
func applyAmps(ctx context.Context, car operated, amps int, talk io.Writer) (int, error) {
	if err := car.Can(tesla.ChargeAmps); err != nil {
		return 0, err
	}
	before, err := awake(ctx, car)
	if errors.Is(err, tesla.ErrOwnBudget) {
		fmt.Fprintln(talk, "the budget leaves no money to read the car first; what it is set to now is not known")
		err = nil
	}
	if err != nil {
		return 0, err
	}
	if on := before.FastChargerPresent; on != nil && *on {
		return 0, errors.New("it is at a fast (DC) charger, where the set point has no effect; nothing was sent")
	}
	if high := before.ChargeCurrentRequestMax; high != nil && *high > 0 && amps > *high {
		fmt.Fprintf(talk, "cable and socket allow %d A, so that is what is sent instead of %d A\n", *high, amps)
		amps = *high
	}
	command := tesla.Command{Thing: tesla.ChargeAmps, Value: amps}
	if set := before.ChargeAmps; set != nil && amps < *set || set == nil && amps <= lowAmps {
		ctx = tesla.WithExpense(ctx, tesla.ExpenseLower)
	}
	sent := order(ctx, car, command)
	if sent == nil && amps < lowAmps && before.ChargeAmps != nil && *before.ChargeAmps >= lowAmps {
		if err := wait(ctx, secondTry); err != nil {
			return 0, err
		}
		if sent = order(ctx, car, command); sent != nil && !tesla.MayHaveSucceeded(sent) {
			return 0, fmt.Errorf("%w; the first of the two sends that low currents need was taken, so the car is at %d A", sent, lowAmps)
		}
	}
	if sent != nil && !tesla.MayHaveSucceeded(sent) {
		return 0, sent
	}
	return confirm(ctx, car, amps, sent, talk)
}

// awake reads a car, but not one that would have to be woken for it.
func awake(ctx context.Context, car operated) (tesla.ChargeState, error) {
	state, err := car.State(ctx)
	if err != nil {
		return tesla.ChargeState{}, err
	}
	if state == tesla.StateAsleep || state == tesla.StateOffline {
		return tesla.ChargeState{}, &adviceError{unreachable(state), "wake it in Tesla's app, or send wake by MQTT"}
	}
	return car.ChargeState(ctx)
}

// order gives a command once. That the car is so already is what was wanted.
func order(ctx context.Context, car operated, command tesla.Command) error {
	err := car.Do(ctx, command)
	if no, ok := errors.AsType[*tesla.Refusal](err); ok && no.Reason == "already_set" {
		return nil
	}
	return err
}

// confirm reads until the car shows amps. sent is nil if the car has acknowledged them, else why that is not known; then
// only a read can tell, and nothing is sent again.
func confirm(ctx context.Context, car operated, amps int, sent error, talk io.Writer) (int, error) {
	shown := 0
	var failed error
	for _, d := range car.looks {
		if failed = wait(ctx, d); failed != nil {
			break
		}
		var state tesla.ChargeState
		if state, failed = car.ChargeState(ctx); failed != nil || state.ChargeAmps == nil {
			continue
		}
		if shown = *state.ChargeAmps; shown == amps {
			return shown, nil
		}
	}
	switch {
	case sent != nil:
		return 0, &adviceError{fmt.Errorf("it is not known whether the command was carried out: %w", errors.Join(sent, failed)),
			"look with tesla2mqtt status before you send it again"}
	case shown == 0:
		fmt.Fprintln(talk, "the car has acknowledged it, but could not be read afterwards")
		return amps, nil
	}
	why := "it may show it later: tesla2mqtt status"
	if amps < lowAmps {
		why = "low values are rounded by some cars"
	}
	fmt.Fprintf(talk, "the car has acknowledged %d A and shows %d A; %s\n", amps, shown, why)
	return shown, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopped while waiting for the car: %w", context.Cause(ctx))
	}
}
