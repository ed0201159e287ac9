package enroll

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim/vcp"
)

const vin = "5YJ3E1EA7KF317000"

// sleeper is the rest of a car that is asleep, and is to stay so.
type sleeper struct{ t *testing.T }

func (s sleeper) Asleep() bool                   { return true }
func (s sleeper) Wake()                          { s.t.Error("the car was woken") }
func (s sleeper) Do(vcp.Order, int) string       { s.t.Error("the car was commanded"); return "" }
func (s sleeper) Charge() *carserver.ChargeState { s.t.Error("the car was read"); return nil }

// wire leads to a car, or to nobody.
type wire struct {
	car *vcp.Car
	in  chan []byte
}

func (w *wire) Receive() <-chan []byte                    { return w.in }
func (w *wire) VIN() string                               { return vin }
func (w *wire) Close()                                    {}
func (w *wire) PreferredAuthMethod() connector.AuthMethod { return connector.AuthMethodGCM }
func (w *wire) RetryInterval() time.Duration              { return time.Second }
func (w *wire) AllowedLatency() time.Duration             { return 4 * time.Second }
func (w *wire) Send(_ context.Context, message []byte) error {
	if w.car != nil {
		for _, answer := range w.car.Receive(message) {
			w.in <- answer
		}
	}
	return nil
}

func newKey(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new", "key.pem")
	if err := Generate(path); err != nil {
		t.Fatal(err)
	}
	key, err := signed.LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

func TestGenerate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key.pem")
	if err := Generate(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := Generate(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the first key is gone")
	}
}

// A car takes the key when a card is tapped, and for charging only; it is neither woken nor read for that.
func TestAsk(t *testing.T) {
	public := newKey(t)
	w := &wire{vcp.New(vin, sleeper{t}), make(chan []byte, 10)}
	look := func(want bool) {
		t.Helper()
		if known, err := Known(t.Context(), w, public); known != want || err != nil {
			t.Errorf("known: %v, %v", known, err)
		}
	}
	look(false)
	if err := Ask(t.Context(), w, public); err != nil {
		t.Fatal(err)
	}
	look(false)
	w.car.Tap()
	look(true)
	if role := w.car.Role(public); role != keys.Role_ROLE_CHARGING_MANAGER {
		t.Errorf("the role is %v", role)
	}
}

func TestNoAnswer(t *testing.T) {
	public := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := Known(t.Context(), &wire{nil, make(chan []byte)}, public)
		if !errors.Is(err, ErrNoAnswer) || time.Since(began) != answerTime {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Known(ctx, &wire{nil, make(chan []byte)}, public); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
	})
}
