package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/sim"
)

// newSignedProcess is a process with the Fleet API, a key, and a car that wants signed commands.
func newSignedProcess(t *testing.T) (*process, *sim.CarHandle) {
	t.Helper()
	p := newProcess(t)
	p.tesla.Fleet = &sim.Fleet{ClientID: "abc-123", RedirectURL: "https://my.example/tesla"}
	car := p.tesla.Add(sim.Car{VIN: signedVIN, Level: 40, PluggedIn: true, Amps: 5, MaxAmps: 32, Phases: 1, SignedCommands: true})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	car.Protocol().Enroll(public, keys.Role_ROLE_FM)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(p.config)
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(yaml), "tesla: {", "tesla: {api: fleet, region: eu, client_id: abc-123, redirect_url: 'https://my.example/tesla', key_file: key.pem, ", 1)
	text += "commands: {amps: {settle: 0s, raise_gap: 0s, lower_gap: 0s}}\n"
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, car
}

// TestSignedKilled: kill -9 at any instant of a signed command, handshake included: no order is carried out twice, no counter is
// used twice, no storm of handshakes follows, and a stop works after it.
func TestSignedKilled(t *testing.T) {
	p, car := newSignedProcess(t)
	random := draw.Random(draw.Seed(t, "SIGNED_TEST_SEED"), 0)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log.text())
		}
	})
	p.logIn()
	set := "tesla2mqtt/" + signedVIN + "/charge_amps/set"
	for round := range 10 {
		p.start()
		eventually(t, "the car is known", func() bool { return p.says(signedVIN+"/charge_amps") != "" })
		if err := p.broker.Publish(set, strconv.Itoa(10+round), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // the instant of the kill, which is what is drawn
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		eventually(t, "the will says offline", func() bool { return p.says("bridge/state") == "offline" })
	}
	p.start()
	eventually(t, "the car is known", func() bool { return p.says(signedVIN+"/charge_amps") != "" })
	if !car.Charging() {
		t.Fatal("there is no charge to end")
	}
	// A stop, which passes even if a handshake was killed in so many rounds that no other command may ask for one now.
	if err := p.broker.Publish("tesla2mqtt/"+signedVIN+"/charging/set", "OFF", false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last command is carried out", func() bool { return !car.Charging() })
	times := map[string]int{}
	for _, e := range car.Executed() {
		if times[fmt.Sprint(e.Name, e.Asked)]++; times[fmt.Sprint(e.Name, e.Asked)] > 1 {
			t.Errorf("%s %d was carried out twice", e.Name, e.Asked)
		}
	}
	if n := car.Protocol().Refused(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER); n != 0 {
		t.Errorf("%d counters came twice", n)
	}
	if n := car.Protocol().Handshakes(); n > 4+1 {
		t.Errorf("%d handshakes", n)
	}
	t.Logf("%d of 10 killed commands were carried out, %d handshakes", len(car.Executed())-1, car.Protocol().Handshakes())
}
