package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/telemetry"
)

// wake VIN-ENDING is the owner who opens the app.
func wakeCar(ts *testscript.TestScript, _ bool, args []string) { of(ts).cars[args[0]].Wake() }

// certificate FILE writes one of a server.
func certificate(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// streams VIN-ENDING [HOST PORT FIELDS] checks by what configuration a car streams, or that it has none.
func checkStream(ts *testscript.TestScript, _ bool, args []string) {
	var has struct {
		Hostname string
		Port     int
		CA       string
		Fields   map[string]any
	}
	config := of(ts).cars[args[0]].TelemetryConfig()
	if len(args) == 1 {
		if string(config) != "" && string(config) != "null" {
			ts.Fatalf("it streams by %s", config)
		}
		return
	}
	ts.Check(json.Unmarshal(config, &has))
	if got := fmt.Sprint(has.Hostname, " ", has.Port, " ", len(has.Fields)); got != strings.Join(args[1:], " ") || !strings.HasPrefix(has.CA, "-----BEGIN CERT") {
		ts.Fatalf("it streams by %s", config)
	}
}

// standings answers one after the other, the last for ever.
type standings struct {
	answers []any // a tesla.TelemetryStanding or an error
	asked   int
}

func (s *standings) Telemetry(context.Context, string) (tesla.TelemetryStanding, error) {
	answer := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	if err, failed := answer.(error); failed {
		return tesla.TelemetryStanding{}, err
	}
	return answer.(tesla.TelemetryStanding), nil
}

// TestAwaitTelemetry: it ends with what is known of the car, with what only a person can mend, or in time; one that was dropped is
// looked at twice, and what may pass is asked again.
func TestAwaitTelemetry(t *testing.T) {
	want := tesla.TelemetryConfig{Hostname: "t.example", Port: 443, Fields: telemetry.Wanted()}
	elsewhere, fewer := want, want
	elsewhere.Hostname, fewer.Fields = "other.example", map[string]tesla.TelemetryField{"Soc": {Interval: 60}}
	type standing = tesla.TelemetryStanding
	has, notYet, dropped := standing{Synced: true, Config: &want}, standing{Config: &want}, standing{Synced: true}
	passing, lasting := &tesla.Error{Class: tesla.ErrTemporary}, &tesla.Error{Class: tesla.ErrMissingScopes}
	for _, row := range []struct {
		name    string
		answers []any
		took    time.Duration
		asked   int
		became  adoption
		class   error
	}{
		{"at once", []any{has}, 0, 1, adopted, nil},
		{"later", []any{notYet, notYet, has}, 20 * time.Second, 3, adopted, nil},
		{"over a hiccup", []any{passing, has}, 10 * time.Second, 2, adopted, nil},
		{"first seen as none", []any{dropped, notYet, has}, 20 * time.Second, 3, adopted, nil},
		{"dropped in silence", []any{notYet, dropped, dropped}, 20 * time.Second, 3, adoptDropped, nil},
		{"now and then none", []any{dropped, notYet, dropped, notYet, has}, 40 * time.Second, 5, adopted, nil},
		{"the limit", []any{standing{Config: &want, LimitReached: new(true)}}, 10 * time.Second, 2, adoptDropped, nil},
		{"it fitted in as the last", []any{standing{Synced: true, Config: &want, LimitReached: new(true)}}, 0, 1, adopted, nil},
		{"no key", []any{standing{Config: &want, KeyPaired: new(false)}}, 0, 1, adoptNoKey, nil},
		{"the one before, to another server", []any{standing{Synced: true, Config: &elsewhere}, has}, 10 * time.Second, 2, adopted, nil},
		{"the one before, of other fields", []any{standing{Synced: true, Config: &fewer}, has}, 10 * time.Second, 2, adopted, nil},
		{"asleep", []any{notYet}, time.Minute, 7, adoptLater, nil},
		{"a lacking permission", []any{notYet, lasting}, 10 * time.Second, 2, adoptLater, tesla.ErrMissingScopes},
		{"no answer", []any{passing}, time.Minute, 7, "", tesla.ErrTemporary},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of, began := &standings{answers: row.answers}, time.Now()
				_, became, err := awaitTelemetry(t.Context(), of, telemetryOrder{"V", want, time.Minute, false})
				if took := time.Since(began); took != row.took || of.asked != row.asked || became != row.became || !errors.Is(err, row.class) {
					t.Errorf("%q, %v after %d looks in %s", became, err, of.asked, took)
				}
			})
		})
	}
}

// TestTelemetryAdvice: whatever keeps a car from its configuration, there is something to do about it.
func TestTelemetryAdvice(t *testing.T) {
	o := telemetryOrder{vin: "V", wait: time.Minute}
	if err := adoptionFault(o, adopted); err != nil {
		t.Error(err)
	}
	for _, row := range []struct {
		err  error
		code int
		says string
	}{
		{adoptionFault(o, adoptLater), exitAsleep, "has not fetched the configuration from Tesla within 1m0s"},
		{adoptionFault(o, adoptDropped), exitFailed, "as many as it takes"},
		{adoptionFault(o, adoptNoKey), exitFailed, "does not know the application's key"},
		{skipFault("V", "max_configs"), exitFailed, "as many configurations"},
		{skipFault("V", "something_new\x1b"), exitFailed, `something_new\x1b`},
	} {
		if exitCode(row.err) != row.code || !strings.Contains(row.err.Error(), row.says) || hintFor(row.err) == "" {
			t.Errorf("%v: exit code %d, hint %q", row.err, exitCode(row.err), hintFor(row.err))
		}
	}
}

// TestEstimate: the sum, done by hand for a field that is sent again and one that is not; and that of all is the one in the document.
func TestEstimate(t *testing.T) {
	got := estimate(map[string]tesla.TelemetryField{"ChargeLimitSoc": {Interval: 5, Resend: 30}, "Soc": {Interval: 60}})
	// An hour of charging has 120 + 60 signals, one of idling 120: 30 * (4*180 + 2*120).
	if got.Signals != 28_800 || got.USD.String() != "0.19" {
		t.Errorf("got %+v", got)
	}
	text, err := os.ReadFile(repository + "/docs/setup-telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	all := estimate(telemetry.Wanted())
	said := fmt.Sprintf("%d,%03d signals\nand $%s a month", all.Signals/1000, all.Signals%1000, all.USD)
	if !strings.Contains(string(text), said) {
		t.Errorf("the document does not say: %s", said)
	}
}
