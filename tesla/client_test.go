package tesla_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

const base = "https://owner-api.teslamotors.com"

// tripper answers requests; it stands for everything between the client and Tesla.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func client(f tripper) *tesla.Client {
	h := &http.Client{Transport: f, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return tesla.NewClient(h, func() string { return base })
}

// simulated returns a simulated Tesla with one car, and a client that is logged in there.
func simulated(car sim.Car) (*sim.Tesla, *sim.CarHandle, *tesla.Client) {
	s := &sim.Tesla{}
	handle := s.Add(car)
	token, _ := s.Login()
	return s, handle, client(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("User-Agent", "tesla2mqtt/test")
		return s.RoundTripper().RoundTrip(r)
	})
}

// key is what names a car in the paths of the Owner API.
func key(car *sim.CarHandle) string { return strconv.FormatInt(car.ID(), 10) }

func TestVehicles(t *testing.T) {
	s, car, c := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", Name: "Alpha"})
	s.Add(sim.Car{VIN: "5YJ3E1EA7KF000002", SignedCommands: true})
	got, err := c.Vehicles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != (tesla.Vehicle{ID: car.ID(), VIN: "5YJ3E1EA7KF000001", Name: "Alpha"}) || !got[1].SignedCommands {
		t.Errorf("got %+v", got)
	}
	if err := c.Car(got[1]).Can(tesla.ChargeAmps); !errors.Is(err, tesla.ErrSigningRequired) {
		t.Errorf("a car with signed commands can be told amps: %v", err)
	}
	if err := c.Car(got[1]).Can(tesla.Wake); err != nil {
		t.Errorf("waking needs no signature, but: %v", err)
	}
}

// TestLongAnswers: the list of cars may be long, everything has a bound.
func TestLongAnswers(t *testing.T) {
	s, _, c := simulated(sim.Car{})
	for range 2999 {
		s.Add(sim.Car{})
	}
	if got, err := c.Vehicles(t.Context()); err != nil || len(got) != 3000 {
		t.Errorf("%d cars, %v; want 3000", len(got), err)
	}
	c = client(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"response":[`), strings.NewReader(strings.Repeat(" ", 17<<20)), strings.NewReader("]}"))
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
	})
	if _, err := c.Vehicles(t.Context()); !errors.Is(err, tesla.ErrTemporary) {
		t.Errorf("a list of 17 MiB: %v", err)
	}
	if _, err := c.State(t.Context(), "1"); !errors.Is(err, tesla.ErrTemporary) || !strings.Contains(err.Error(), "longer than 1 MiB") {
		t.Errorf("a state of 17 MiB: %v", err)
	}
}

func TestReadAndCommand(t *testing.T) {
	_, car, c := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", PluggedIn: true, Level: 50, Phases: 3, MaxAmps: 16, Amps: 16})
	if s, err := c.State(t.Context(), key(car)); s != tesla.StateOnline || err != nil {
		t.Errorf("state %s, %v", s, err)
	}
	for _, cmd := range []tesla.Command{{tesla.ChargeAmps, 9}, {tesla.ChargeLimit, 75}, {tesla.Charging, tesla.Off}, {tesla.ChargePort, tesla.On}} {
		if err := c.Do(t.Context(), key(car), cmd); err != nil && cmd.Thing != tesla.ChargePort {
			t.Errorf("%+v: %v", cmd, err)
		}
	}
	got, err := c.ChargeState(t.Context(), key(car))
	if err != nil || *got.ChargeAmps != 9 || *got.ChargeLimitSOC != 75 || got.ChargingState != "Stopped" || got.Timestamp.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	err = c.Do(t.Context(), key(car), tesla.Command{Thing: tesla.Charging, Value: tesla.Off})
	if r, ok := errors.AsType[*tesla.Refusal](err); !ok || r.Reason != "not_charging" {
		t.Errorf("stopping twice: %v", err)
	}
	if err := c.Do(t.Context(), key(car), tesla.Command{Thing: "horn"}); err == nil {
		t.Error("an unknown command was sent")
	}
	if u := c.Usage(); u.Commands != 5 || u.Data != 1 || u.State != 1 {
		t.Errorf("usage %+v", u)
	}
}

// TestErrorClasses: each fault has its class, and only what may have happened is uncertain.
func TestErrorClasses(t *testing.T) {
	for _, c := range []struct {
		fault     string
		class     error
		uncertain bool
	}{
		{"401", tesla.ErrUnauthorized, false},
		{"402", tesla.ErrPayment, false},
		{"403-forbidden-client", tesla.ErrForbidden, false},
		{"403-signing-required", tesla.ErrSigningRequired, false},
		{"403-exceeded-limit", tesla.ErrBudget, false},
		{"403-missing-scopes", tesla.ErrMissingScopes, false},
		{"404", tesla.ErrNotFound, false},
		{"405-in-service", tesla.ErrInService, false},
		{"408", tesla.ErrAsleep, false},
		{"412", tesla.ErrWrongEndpoint, false},
		{"421", tesla.ErrWrongRegion, false},
		{"429", tesla.ErrRateLimited, false},
		{"500", tesla.ErrTemporary, true},
		{"502", tesla.ErrTemporary, true},
		{"503", tesla.ErrAsleep, false},
		{"504", tesla.ErrTemporary, true},
		{"html", tesla.ErrTemporary, false},
		{"html-200", tesla.ErrTemporary, true},
		{"truncated", tesla.ErrTemporary, true},
		{"endless", tesla.ErrTemporary, true},
		{"hang", tesla.ErrTemporary, true},
		{"cut-before", tesla.ErrTemporary, true},
		{"cut-after", tesla.ErrTemporary, true},
		{"redirect", tesla.ErrTemporary, false},
		{"unsigned_cmds_hardlocked", tesla.ErrSigningRequired, false},
	} {
		t.Run(c.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, car, api := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", PluggedIn: true, Level: 50})
				if err := s.Fault(c.fault, sim.On("command")); err != nil {
					t.Fatal(err)
				}
				err := api.Do(t.Context(), key(car), tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
				if !errors.Is(err, c.class) {
					t.Fatalf("got %v", err)
				}
				if tesla.MayHaveSucceeded(err) != c.uncertain {
					t.Errorf("uncertain is %v: %v", !c.uncertain, err)
				}
				if len(err.Error()) > 500 || tesla.Advice(err) == "" {
					t.Errorf("%d characters, advice %q", len(err.Error()), tesla.Advice(err))
				}
				for _, v := range s.Violations() {
					t.Error(v)
				}
			})
		})
	}
}

func TestAsleepIsSaid(t *testing.T) {
	_, car, c := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", Asleep: true})
	if _, err := c.ChargeState(t.Context(), key(car)); !errors.Is(err, tesla.ErrAsleep) || !car.Asleep() {
		t.Errorf("got %v, asleep %v", err, car.Asleep())
	}
}

// answer makes a client that gets one answer for everything.
func answer(status int, header map[string]string, body string) *tesla.Client {
	return client(func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for k, v := range header {
			h.Set(k, v)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
}

func TestRetryAfter(t *testing.T) {
	const date = "Sat, 28 Nov 2026 00:00:00 GMT" // 1795824000
	for _, c := range []struct {
		name   string
		header map[string]string
		body   string
		want   time.Duration
	}{
		{"header", map[string]string{"Retry-After": "60"}, "", time.Minute},
		{"body", nil, "Retry in 60497 seconds", 60497 * time.Second},
		{"the two disagree", map[string]string{"Retry-After": "10", "RateLimit-Remaining": "0", "RateLimit-Reset": "90"}, "", 90 * time.Second},
		{"the two disagree the other way", map[string]string{"Retry-After": "120", "RateLimit-Remaining": "0", "RateLimit-Reset": "90"}, "Retry in 5 seconds", 2 * time.Minute},
		{"a time", map[string]string{"Date": date, "RateLimit-Remaining": "0", "RateLimit-Reset": "1795824090"}, "", 90 * time.Second},
		{"a time that is over", map[string]string{"Date": date, "RateLimit-Remaining": "0", "RateLimit-Reset": "1795823999"}, "", 0},
		{"a time in milliseconds", map[string]string{"Retry-After": "1795824090000"}, "", 0},
		{"a date", map[string]string{"Date": date, "Retry-After": "Sat, 28 Nov 2026 00:02:00 GMT"}, "", 2 * time.Minute},
		{"none", nil, "", 0},
		{"nonsense", map[string]string{"Retry-After": "soon"}, "", 0},
		{"negative", map[string]string{"Retry-After": "-5"}, "", 0},
		{"a year", map[string]string{"Retry-After": "31536000"}, "", 7 * 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := answer(429, c.header, c.body).State(t.Context(), "1")
			if got := tesla.RetryAfter(err); got != c.want || !errors.Is(err, tesla.ErrRateLimited) {
				t.Errorf("got %s from %v, want %s", got, err, c.want)
			}
		})
	}
}

// TestHold: after a 429 nothing is sent until the time is over, but a stop is.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, car, c := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", PluggedIn: true, Level: 50})
		if err := s.Fault("429", sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := c.State(t.Context(), key(car)); !errors.Is(err, tesla.ErrRateLimited) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(10 * time.Second)
		}
		if n := s.Count("api", ""); n != 1 {
			t.Errorf("%d calls within the minute", n)
		}
		if err := c.Do(t.Context(), key(car), tesla.Command{Thing: tesla.Charging, Value: tesla.Off}); err != nil {
			t.Errorf("a stop was held back: %v", err)
		}
		time.Sleep(31 * time.Second)
		if _, err := c.State(t.Context(), key(car)); err != nil {
			t.Errorf("after the minute: %v", err)
		}
	})
}

type noLogin struct{}

func (noLogin) Error() string       { return "no login yet" }
func (noLogin) LoginRequired() bool { return true }

func TestLoginErrorsAreKnownAndCertain(t *testing.T) {
	c := client(func(*http.Request) (*http.Response, error) { return nil, noLogin{} })
	err := c.Do(t.Context(), "1", tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
	if !errors.Is(err, tesla.ErrLoginRequired) || tesla.MayHaveSucceeded(err) {
		t.Errorf("got %v", err)
	}
}

func TestDecodeIsTolerant(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"numbers as text", `{"charge_state":{"charge_amps":"16","battery_level":"55.4"}}`, `16 55`},
		{"words for numbers", `{"charge_state":{"charge_amps":"bad value","battery_level":[1]}}`, `nil nil`},
		{"null", `{"charge_state":{"charge_amps":null,"battery_level":null,"x":1}}`, `nil nil`},
		{"huge", `{"charge_state":{"charge_amps":1e300,"battery_level":-1e18}}`, `nil nil`},
		{"the older name", `{"charge_state":{"charge_current_request":12,"battery_level":1}}`, `12 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answer(200, nil, `{"response":`+c.body+`}`).ChargeState(t.Context(), "1")
			if err != nil {
				t.Fatal(err)
			}
			if s := show(got.ChargeAmps) + " " + show(got.BatteryLevel); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"response":null}`, `{"response":{}}`, `{"response":{"charge_state":null}}`, `{"response":{"charge_state":7}}`, "<html>"} {
		if _, err := answer(200, nil, body).ChargeState(t.Context(), "1"); !errors.Is(err, tesla.ErrTemporary) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func show(n *int) string {
	if n == nil {
		return "nil"
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// recorded is an answer of Tesla as it was recorded.
type recorded struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Request struct{ Method, Path string }
}

// TestRecordedAnswers gives every recorded answer to every call: nothing may panic, and what is no success is an error
// with a class.
func TestRecordedAnswers(t *testing.T) {
	files, err := filepath.Glob("../../shared/samples/tesla/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no recorded answers beside this checkout")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r recorded
			if err := json.Unmarshal(data, &r); err != nil {
				t.Skip("not one answer:", err)
			}
			checkRecorded(t, r, strings.HasPrefix(filepath.Base(file), "vehicle_data_"))
		})
	}
}

func checkRecorded(t *testing.T, r recorded, data bool) {
	body := string(r.Body)
	var plain string
	if json.Unmarshal(r.Body, &plain) == nil {
		body = plain
	}
	classes := []error{tesla.ErrUnauthorized, tesla.ErrAsleep, tesla.ErrInService, tesla.ErrNotFound, tesla.ErrForbidden, tesla.ErrSigningRequired,
		tesla.ErrBudget, tesla.ErrMissingScopes, tesla.ErrPayment, tesla.ErrWrongEndpoint, tesla.ErrWrongRegion, tesla.ErrRateLimited, tesla.ErrTemporary, tesla.ErrRefused}
	classified := func(err error) bool {
		for _, c := range classes {
			if errors.Is(err, c) {
				return true
			}
		}
		_, refusal := errors.AsType[*tesla.Refusal](err)
		return refusal
	}
	state, err := answer(r.Status, r.Headers, body).ChargeState(t.Context(), "1")
	if data && (err != nil || state.ChargingState == "" || state.BatteryLevel == nil) {
		t.Errorf("read as %+v, %v", state, err)
	}
	errs := []error{err}
	_, err = answer(r.Status, r.Headers, body).Vehicles(t.Context())
	errs = append(errs, err)
	_, err = answer(r.Status, r.Headers, body).State(t.Context(), "1")
	errs = append(errs, err, answer(r.Status, r.Headers, body).Do(t.Context(), "1", tesla.Command{Thing: tesla.ChargeAmps, Value: 8}))
	for _, err := range errs {
		if err == nil && r.Status != 200 {
			t.Errorf("status %d is taken for a success", r.Status)
		}
		if err != nil && !classified(err) {
			t.Errorf("no class: %v", err)
		}
		if err != nil && (strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "EU_")) {
			t.Errorf("a secret in %v", err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"response":{"charge_state":{"charge_amps":16,"timestamp":1788552190085}}}`)
	f.Add(200, `{"response":[{"id":12345678901234567,"vin":"5YJ3E1EA7KF000001"}]}`)
	f.Add(200, `{"response":{"result":false,"reason":"complete"}}`)
	f.Add(429, `Retry in 60497 seconds`)
	f.Add(403, `<HTML>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		c := func() *tesla.Client { return answer(status, nil, body) }
		state, err := c().ChargeState(t.Context(), "1")
		if _, err := json.Marshal(state); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
		_, err2 := c().Vehicles(t.Context())
		_, err3 := c().State(t.Context(), "1")
		err4 := c().Do(t.Context(), "1", tesla.Command{Thing: tesla.Charging, Value: tesla.On})
		for _, err := range []error{err, err2, err3, err4} {
			if err == nil && status != 200 {
				t.Errorf("status %d is taken for a success", status)
			}
			if err != nil && len(err.Error()) > 1500 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
	})
}
