package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closed tells whether a body was closed, as a RoundTripper must do.
type closed struct {
	io.Reader
	done bool
}

func (c *closed) Close() error { c.done = true; return nil }

func TestRoundTripperContract(t *testing.T) {
	b := newBench(t, new(Tesla))
	for _, fault := range []string{"", "cut-before"} {
		b.tesla.ClearFaults()
		if fault != "" {
			_ = b.tesla.Fault(fault)
		}
		req := b.request("GET", "/api/1/products", "")
		body := &closed{Reader: strings.NewReader("{}")}
		req.Body = body
		before := req.Header.Clone()
		resp, err := b.tesla.RoundTripper().RoundTrip(req)
		if (err != nil) != (fault != "") {
			t.Fatalf("%q: %v", fault, err)
		}
		if err == nil {
			equal(t, "status line", resp.Status, "200 OK")
			if resp.Request != req {
				t.Error("the answer does not know its request")
			}
			resp.Body.Close()
		}
		equal(t, "body closed", body.done, true)
		equal(t, "headers of the request", len(req.Header), len(before))
		equal(t, "RequestURI", req.RequestURI, "")
	}
}

func TestCancelledRequestDoesNotArrive(t *testing.T) {
	b := newBench(t, new(Tesla))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.client.Do(b.request("GET", "/api/1/products", "").WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	equal(t, "calls", b.tesla.Count("all", ""), 0)
}

func TestPanicsAreNotHidden(t *testing.T) {
	defer func() {
		if p := recover(); p != "a mistake" {
			t.Errorf("recovered %v", p)
		}
	}()
	rec := &recorder{header: http.Header{}}
	rec.run(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a mistake") }), &http.Request{})
}

// The whole account is used from many goroutines: what the race detector is for.
func TestManyAtOnce(t *testing.T) {
	tesla := new(Tesla)
	b := newBench(t, tesla)
	h := tesla.Add(Car{PluggedIn: true})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				switch i % 4 {
				case 0:
					b.charge(h)
				case 1:
					b.amps(h, "9")
				case 2:
					h.Unplug()
					h.PlugIn(16, 3)
				default:
					_ = tesla.Fault("500", Times(1), On("products"))
					b.do("GET", "/api/1/products", "")
				}
				tesla.Calls()
				tesla.Violations()
			}
		})
	}
	wg.Wait()
	equal(t, "calls", tesla.Count("all", ""), 8/4*3*20)
}

// A week in a bubble: polled each minute, plugged in each evening, never woken by a read, and asleep most of the time.
func TestAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &Tesla{ExpiresIn: 8 * 24 * time.Hour})
		h := b.tesla.Add(Car{SelfChecks: true})
		for range 7 {
			h.DriveAway()
			time.Sleep(time.Hour)
			h.Arrive("home", 12)
			h.PlugIn(16, 3)
			for range 23 * 60 {
				if b.get("/api/1/vehicles/" + h.VIN())["state"] == "online" && h.Charging() {
					b.charge(h)
				}
				time.Sleep(minute)
			}
			equal(t, "charging_state in the morning", h.ChargingState(), "Complete")
		}
		for _, by := range h.WokenBy() {
			if by == "wake_up" || by == "app" {
				t.Errorf("woken by %s", by)
			}
		}
		if slept := h.AsleepFor(); slept < 6*18*time.Hour {
			t.Errorf("slept %v in a week", slept)
		}
	})
}
