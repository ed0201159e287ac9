package signed

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// direct hands messages to the simulated car without a server between.
type direct struct{ handle *sim.CarHandle }

func (d direct) Signed(_ context.Context, _ string, message []byte) ([]byte, error) {
	return d.handle.Protocol().Relay(message)
}

// each gives b.N commands that differ, one after the other.
func each(b *testing.B, car Commander) {
	b.Helper()
	for i := 0; b.Loop(); i++ {
		if err := car.Do(b.Context(), amps(6+i%8)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

// BenchmarkCommand is a signed command with all that both sides compute, and nothing between them.
func BenchmarkCommand(b *testing.B) {
	r := newRig(b, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
	car := New(Config{VIN: vin, Key: r.key, Dial: Fleet(vin, direct{r.handle}, nil)})
	defer car.Close()
	each(b, car)
}

// BenchmarkOverHTTP compares a signed command with an unsigned one over the same server on loopback: the difference is what
// signing costs.
func BenchmarkOverHTTP(b *testing.B) {
	s := &sim.Tesla{Fleet: &sim.Fleet{}}
	handle := s.Add(sim.Car{VIN: vin, PluggedIn: true, SignedCommands: true})
	s.Add(sim.Car{VIN: "5YJSA1E11GF100001", PluggedIn: true})
	server := httptest.NewServer(s)
	defer server.Close()
	token, _ := s.Login()
	client := tesla.NewFleetClient(&http.Client{Transport: tripper(func(q *http.Request) (*http.Response, error) {
		q.Header.Set("Authorization", "Bearer "+token)
		return http.DefaultTransport.RoundTrip(q)
	})}, func() string { return server.URL })
	b.Run("unsigned", func(b *testing.B) { each(b, client.Car(tesla.Vehicle{VIN: "5YJSA1E11GF100001"})) })
	b.Run("signed", func(b *testing.B) {
		key := newKey(b)
		handle.Protocol().Enroll(key.Public(), keys.Role_ROLE_FM)
		car := New(Config{VIN: vin, Key: key, Dial: Fleet(vin, client, nil)})
		defer car.Close()
		each(b, car)
	})
}
