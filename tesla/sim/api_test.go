package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample reads a recorded answer that may lie beside the repository, and skips the test if it does not.
func sample(t *testing.T, name string) (status int, body any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "samples", "tesla", name))
	if os.IsNotExist(err) {
		t.Skip("no recorded answers here")
	}
	var envelope struct {
		Status int
		Body   any
	}
	if err == nil {
		err = json.Unmarshal(raw, &envelope)
	}
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Status, envelope.Body
}

// sameShape reports what is in want and is missing or of another JSON type in got. Null fits any type.
func sameShape(path string, got, want any) []string {
	if got == nil || want == nil {
		return nil
	}
	if reflect.TypeOf(got) != reflect.TypeOf(want) {
		return []string{fmt.Sprintf("%s is a %T, recorded a %T", path, got, want)}
	}
	var faults []string
	w, _ := want.(map[string]any)
	for key, value := range w {
		mine, there := got.(map[string]any)[key]
		if !there {
			faults = append(faults, path+"."+key+" is missing")
		}
		faults = append(faults, sameShape(path+"."+key, mine, value)...)
	}
	return faults
}

func TestShapesAsRecorded(t *testing.T) {
	tests := []struct {
		file string
		path string
		car  Car
	}{
		{"vehicle_state_asleep.json", "GET /api/1/vehicles/VIN", Car{Asleep: true}},
		{"wake_up_online.json", "POST /api/1/vehicles/VIN/wake_up", Car{}},
		{"wake_up_asleep.json", "POST /api/1/vehicles/VIN/wake_up", Car{Asleep: true}},
		{"vehicle_data_charging_3ph.json", "GET /api/1/vehicles/VIN/vehicle_data", Car{PluggedIn: true}},
		{"vehicle_data_stopped.json", "GET /api/1/vehicles/VIN/vehicle_data", Car{PluggedIn: true, Stopped: true}},
	}
	// Fields that no charging program looks at are left out of the simulator.
	uninteresting := []string{"off_peak", "preconditioning", "supercharger_session", "max_range", "lifetime", "module_temp",
		"charging_schedule_override"}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(test.car)
			_, want := sample(t, test.file)
			method, path, _ := strings.Cut(strings.ReplaceAll(test.path, "VIN", h.VIN()), " ")
			_, got := b.do(method, path, "")
			for _, fault := range sameShape("body", map[string]any(got), want) {
				boring := false
				for _, word := range uninteresting {
					boring = boring || strings.Contains(fault, word)
				}
				if !boring {
					t.Error(fault)
				}
			}
		})
	}
}

func TestProducts(t *testing.T) {
	b := newBench(t, new(Tesla))
	signed := b.tesla.Add(Car{SignedCommands: true, Name: "New"})
	old := b.tesla.Add(Car{Name: "Old", Asleep: true})
	gone := b.tesla.Add(Car{})
	gone.Remove(true)
	status, d := b.do("GET", "/api/1/products", "")
	equal(t, "status", status, 200)
	list, _ := d["response"].([]any)
	equal(t, "count", d.num("count"), float64(len(list)))
	if len(list) != 3 {
		t.Fatalf("%d products, want two cars and an energy site", len(list))
	}
	for i, want := range []struct {
		h             *CarHandle
		name, signing string
		state         string
	}{{signed, "New", "required", "online"}, {old, "Old", "off", "asleep"}} {
		car := doc(list[i].(map[string]any))
		equal(t, "vin", car["vin"], any(want.h.VIN()))
		equal(t, "id_s", car["id_s"], any(fmt.Sprint(want.h.ID())))
		equal(t, "display_name", car["display_name"], any(want.name))
		equal(t, "command_signing", car["command_signing"], any(want.signing))
		equal(t, "state", car["state"], any(want.state))
	}
	if site := doc(list[2].(map[string]any)); site["vin"] != nil || site["vehicle_id"] != nil {
		t.Error("the energy site looks like a car")
	}
}

func TestCarsAreKnownByIDAndVIN(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	vehicleID := int64(b.get("/api/1/vehicles/" + h.VIN()).num("vehicle_id"))
	for _, test := range []struct {
		name, key string
		want      int
	}{
		{"id", fmt.Sprint(h.ID()), 200},
		{"VIN", h.VIN(), 200},
		{"vehicle_id", fmt.Sprint(vehicleID), 404},
		{"id through a float", fmt.Sprintf("%.0f", float64(h.ID())), 404},
		{"nothing", "", 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _ := b.do("GET", "/api/1/vehicles/"+test.key+"/vehicle_data", "")
			equal(t, "status", status, test.want)
		})
	}
}

func TestPathsThatAreNoMore(t *testing.T) {
	b := newBench(t, new(Tesla))
	car := "/api/1/vehicles/" + b.tesla.Add(Car{}).VIN()
	tests := []struct {
		method, path string
		want         int
	}{
		{"GET", "/api/1/vehicles", 412},
		{"GET", car + "/data_request/charge_state", 404},
		{"GET", car + "/wake_up", 404},
		{"GET", car + "/command/charge_start", 404},
		{"POST", car + "/vehicle_data", 404},
		{"DELETE", car, 404},
		{"GET", "/", 404},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			status, d := b.do(test.method, test.path, "")
			equal(t, "status", status, test.want)
			if text, _ := d["error"].(string); text == "" {
				t.Errorf("no error in %v", d)
			}
		})
	}
}

func TestEndpointsAreChosen(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{Name: "Snow"})
	tests := []struct {
		query string
		want  []string
	}{
		{"", []string{"charge_state", "drive_state", "vehicle_state"}},
		{"?endpoints=charge_state", []string{"charge_state"}},
		{"?endpoints=charge_state%3Bvehicle_state", []string{"charge_state", "vehicle_state"}},
		{"?endpoints=climate_state", nil},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			d := b.get("/api/1/vehicles/" + h.VIN() + "/vehicle_data" + test.query)
			var got []string
			for _, name := range []string{"charge_state", "drive_state", "vehicle_state"} {
				if d[name] != nil {
					got = append(got, name)
				}
			}
			equal(t, "parts", fmt.Sprint(got), fmt.Sprint(test.want))
			equal(t, "display_name", d["display_name"], any(nil))
		})
	}
	name := b.get("/api/1/vehicles/" + h.VIN() + "/vehicle_data").sub("vehicle_state")["vehicle_name"]
	equal(t, "vehicle_name", name, any("Snow"))
}

func TestCounting(t *testing.T) {
	b := newBench(t, new(Tesla))
	one, two := b.tesla.Add(Car{}), b.tesla.Add(Car{Asleep: true})
	b.do("GET", "/api/1/products", "")
	b.charge(one)
	b.do("GET", fmt.Sprintf("/api/1/vehicles/%d/vehicle_data", one.ID()), "")
	b.do("GET", "/api/1/vehicles/"+two.VIN()+"/vehicle_data", "") // 408 counts
	b.amps(one, "8")
	b.command(one, "charge_start", "")
	b.wakeUp(two)
	b.access = "bad"
	b.do("GET", "/api/1/vehicles/"+two.VIN(), "") // 401 counts
	b.refresh("bad")
	tests := []struct {
		endpoint, vin string
		want          int
	}{
		{"products", "", 1},
		{"vehicle_data", "", 3},
		{"vehicle_data", one.VIN(), 2},
		{"vehicle_data", two.VIN(), 1},
		{"vehicle", two.VIN(), 1},
		{"command/set_charging_amps", one.VIN(), 1},
		{"command", "", 2},
		{"wake_up", two.VIN(), 1},
		{"token", "", 1},
		{"api", "", 8},
		{"car", one.VIN(), 4},
		{"all", "", 9},
		{"command/charge_stop", "", 0},
	}
	for _, test := range tests {
		equal(t, test.endpoint+" "+test.vin, b.tesla.Count(test.endpoint, test.vin), test.want)
	}
	equal(t, "vehicle_data in all", b.tesla.Calls()["vehicle_data"], 3)
	log := b.tesla.Log()
	equal(t, "length of the log", len(log), 9)
	equal(t, "third entry", log[2].Endpoint+" "+log[2].VIN, "vehicle_data "+one.VIN())
	if since := time.Since(log[2].At); since < 0 || since > time.Minute {
		t.Errorf("the third entry is %v old", since)
	}
	equal(t, "hosts", fmt.Sprint(b.tesla.Hosts()), "[auth.tesla.com owner-api.teslamotors.com]")
}

func TestLogIsBounded(t *testing.T) {
	tesla := new(Tesla)
	tesla.ready()
	q := &request{Request: &http.Request{URL: mustURL(t, apiURL), Header: http.Header{}}}
	for range maxLog + 1 {
		tesla.count(q)
	}
	equal(t, "length of the log", len(tesla.Log()), maxLog/2+1)
	equal(t, "counted", tesla.Count("all", ""), maxLog+1)
}

func TestBadManners(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(r *http.Request)
	}{
		{"plays a browser", func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)") }},
		{"raw semicolon", func(r *http.Request) { r.URL.RawQuery = "endpoints=charge_state;drive_state" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			req := b.request("GET", "/api/1/products", "")
			test.spoil(req)
			resp, err := b.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			equal(t, "violations", len(b.tesla.Violations()), 1)
		})
	}
}

func TestRoute(t *testing.T) {
	tests := []struct {
		method, path string
		name, key    string
	}{
		{"GET", "/oauth2/v3/authorize", "authorize", ""},
		{"POST", "/oauth2/v3/token", "token", ""},
		{"GET", "/oauth2/v3/token", "other", ""},
		{"GET", "/api/1/products", "products", ""},
		{"GET", "/api/1/vehicles", "vehicles", ""},
		{"GET", "/api/1/vehicles/7", "vehicle", "7"},
		{"GET", "/api/1/vehicles/7/", "vehicle", "7"},
		{"GET", "/api/1/vehicles/7/vehicle_data", "vehicle_data", "7"},
		{"POST", "/api/1/vehicles/7/wake_up", "wake_up", "7"},
		{"POST", "/api/1/vehicles/7/command/charge_stop", "command/charge_stop", "7"},
		{"POST", "/api/1/vehicles/7/command/door_unlock", "other", "7"},
		{"POST", "/api/1/vehicles/7/command/", "other", "7"},
		{"GET", "/api/1/vehicles/7/vehicle_data/x", "other", "7"},
		{"GET", "/api/2/products", "other", ""},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			got := route(test.method, test.path)
			equal(t, "name", got.name, test.name)
			equal(t, "key", got.key, test.key)
			if !isScope(got.name) {
				t.Errorf("no fault can be set on %s", got.name)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	tests := []struct {
		endpoint string
		in       string // the groups that hold it
	}{
		{"authorize", "all"},
		{"token", "all"},
		{"products", "all api"},
		{"vehicle", "all api"},
		{"vehicle_data", "all api car"},
		{"wake_up", "all api car"},
		{"command/charge_start", "all api car command"},
		{"other", "all api"},
	}
	for _, test := range tests {
		var got []string
		for _, group := range []string{"all", "api", "car", "command"} {
			if (endpoint{name: test.endpoint}).in(group) {
				got = append(got, group)
			}
		}
		equal(t, test.endpoint, strings.Join(got, " "), test.in)
	}
}

func TestWakeUpOutOfCoverage(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{Asleep: true})
	h.Offline(true)
	status, _ := b.do("POST", "/api/1/vehicles/"+h.VIN()+"/wake_up", "")
	equal(t, "status", status, http.StatusRequestTimeout)
	if !h.Asleep() {
		t.Error("a car out of coverage was woken")
	}
}

func TestCarDefaults(t *testing.T) {
	b := newBench(t, new(Tesla))
	one, two := b.tesla.Add(Car{}), b.tesla.Add(Car{})
	if one.VIN() == two.VIN() || one.ID() == two.ID() {
		t.Error("two cars share a number")
	}
	for _, h := range []*CarHandle{one, two} {
		equal(t, "length of the VIN", len(h.VIN()), 17)
		if h.ID() <= 1<<53 {
			t.Errorf("id %d fits into a float", h.ID())
		}
		near(t, "level", h.Level(), 50, 1e-9)
		equal(t, "limit", h.Limit(), 80)
		equal(t, "set point", h.Amps(), 16)
		equal(t, "state", h.State(), "online")
		equal(t, "charging_state", h.ChargingState(), "Disconnected")
	}
	three := b.tesla.Add(Car{VIN: "5YJSA1E20FF000001", ID: 7, Name: "Old", Level: 20.5, Limit: 60, Phases: 1, Cable: "SAE",
		PluggedIn: true, Asleep: true})
	equal(t, "VIN", three.VIN(), "5YJSA1E20FF000001")
	equal(t, "set point on one phase", three.Amps(), 32)
	equal(t, "state of one that charges", three.State(), "online")
	got := b.charge(three)
	equal(t, "battery_level", got.num("battery_level"), 20)
	equal(t, "conn_charge_cable", got["conn_charge_cable"], any("SAE"))
	equal(t, "fast_charger_type", got["fast_charger_type"], any("MCSingleWireCAN"))
}
