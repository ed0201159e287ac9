package signed

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

const vin = "5YJ3E1EA7KF317000"

// disk is a Memory that remembers what was there after each write.
type disk struct {
	files  map[string][]byte
	states []map[string][]byte
	broken error
}

func (d *disk) Load(name string) ([]byte, error) { return d.files[name], nil }

func (d *disk) Save(name string, data []byte) error {
	if d.broken != nil {
		return d.broken
	}
	if d.files == nil {
		d.files = map[string][]byte{}
	}
	d.files[name] = data
	d.states = append(d.states, maps.Clone(d.files))
	return nil
}

// rig is a simulated car, Tesla's servers before it, and a Car that reaches it.
type rig struct {
	tesla  *sim.Tesla
	handle *sim.CarHandle
	client *tesla.Client
	key    *Key
	disk   *disk
	air    *air
	car    *Car
}

func newKey(t testing.TB) *Key {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Key{protocol.UnmarshalECDHPrivateKey(private.Bytes())}
}

// newRig makes one whose key has a role in the car. cloud: over Fleet API; else over the air.
func newRig(t testing.TB, cloud bool, role keys.Role, car sim.Car) *rig {
	t.Helper()
	r := &rig{tesla: &sim.Tesla{Fleet: &sim.Fleet{}}, key: newKey(t), disk: &disk{}}
	car.VIN = vin
	car.SignedCommands = true
	r.handle = r.tesla.Add(car)
	token, _ := r.tesla.Login()
	h := &http.Client{Transport: tripper(func(q *http.Request) (*http.Response, error) {
		q = q.Clone(q.Context())
		q.Header.Set("Authorization", "Bearer "+token)
		return r.tesla.RoundTripper().RoundTrip(q)
	})}
	r.client = tesla.NewFleetClient(h, func() string { return "https://fleet-api.prd.eu.vn.cloud.tesla.com" })
	if role != keys.Role_ROLE_NONE {
		r.handle.Protocol().Enroll(r.key.Public(), role)
	}
	r.air = &air{handle: r.handle}
	r.car = r.again(t, cloud)
	return r
}

// again is the car as another process, or the same after a restart, would have it.
func (r *rig) again(t testing.TB, cloud bool) *Car {
	cfg := Config{VIN: vin, Key: r.key, Memory: r.disk, Dial: r.air.dial, Trouble: func(err error) { t.Logf("trouble: %v", err) }}
	if cloud {
		rest := r.client.Car(tesla.Vehicle{VIN: vin})
		cfg.Dial = Fleet(vin, r.client, func(ctx context.Context) error {
			return rest.Do(ctx, tesla.Command{Thing: tesla.Wake, Value: tesla.On})
		})
	}
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// air stands for Bluetooth: messages go to the car itself. Tests may bend what comes back.
type air struct {
	handle *sim.CarHandle
	bend   func(answer []byte) [][]byte // nil: as it is
	before func()                       // before a message arrives
	refuse func(message []byte) error   // instead of taking a message; nil, or returning nil: it is taken
	gone   bool

	mu    sync.Mutex
	links []*radio
	sent  [][]byte
}

func (a *air) dial(context.Context) (connector.Connector, error) {
	if a.gone {
		return nil, &tesla.Error{Class: tesla.ErrAsleep, Text: "out of reach"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := &radio{air: a, in: make(chan []byte, 50)}
	a.links = append(a.links, l)
	return l, nil
}

// radio is one connection.
type radio struct {
	air  *air
	in   chan []byte
	once sync.Once
}

func (l *radio) Receive() <-chan []byte                    { return l.in }
func (l *radio) VIN() string                               { return vin }
func (l *radio) Close()                                    {}
func (l *radio) drop()                                     { l.once.Do(func() { close(l.in) }) }
func (l *radio) PreferredAuthMethod() connector.AuthMethod { return connector.AuthMethodGCM }
func (l *radio) RetryInterval() time.Duration              { return time.Second }
func (l *radio) AllowedLatency() time.Duration             { return 4 * time.Second }

func (l *radio) Send(_ context.Context, message []byte) error {
	if l.air.refuse != nil {
		if err := l.air.refuse(message); err != nil {
			return err
		}
	}
	l.air.mu.Lock()
	l.air.sent = append(l.air.sent, message)
	l.air.mu.Unlock()
	if l.air.before != nil {
		l.air.before()
	}
	for _, answer := range l.air.handle.Protocol().Receive(message) {
		bent := [][]byte{answer}
		if l.air.bend != nil {
			bent = l.air.bend(answer)
		}
		for _, b := range bent {
			l.in <- b
		}
	}
	return nil
}

func amps(value int) tesla.Command { return tesla.Command{Thing: tesla.ChargeAmps, Value: value} }

var (
	on  = tesla.Command{Thing: tesla.Charging, Value: tesla.On}
	off = tesla.Command{Thing: tesla.Charging, Value: tesla.Off}
)

// is tells whether err is of a class, or the refusal that want names.
func is(err error, class error, word string) bool {
	if word != "" {
		r, ok := errors.AsType[*tesla.Refusal](err)
		return ok && r.Reason == word
	}
	return errors.Is(err, class)
}
