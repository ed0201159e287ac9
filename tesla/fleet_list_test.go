package tesla_test

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// TestFleetLists: an account with more cars than a page of the list has is listed whole, and is not asked about all at once.
func TestFleetLists(t *testing.T) {
	for _, row := range []struct{ cars, pages, asked int }{{1, 1, 1}, {100, 1, 1}, {101, 2, 2}, {250, 3, 3}} {
		s, _, c, notices := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{})
		for i := 2; i <= row.cars; i++ {
			s.Add(sim.Car{VIN: fmt.Sprintf("5YJ3E1EA7KF%06d", i), SignedCommands: i == row.cars})
		}
		cars, err := c.Vehicles(t.Context())
		if err != nil || len(cars) != row.cars || len(*notices) != 0 {
			t.Fatalf("%d cars of %d, %v; told %q", len(cars), row.cars, err, *notices)
		}
		if last := cars[row.cars-1]; last.Key != tesla.KeyPaired || last.SignedCommands != (row.cars > 1) {
			t.Errorf("the last of %d: %+v", row.cars, last)
		}
		if pages, asked := s.Count("vehicles", ""), s.Count("fleet_status", ""); pages != row.pages || asked != row.asked {
			t.Errorf("%d cars: %d pages, want %d; asked about them in %d, want %d", row.cars, pages, row.pages, asked, row.asked)
		}
	}
}

// listPage is a page of a list of cars, and what stands beside it.
func listPage(from, entries int, rest string) string {
	var list []string
	for i := range entries {
		list = append(list, fmt.Sprintf(`{"id":%d,"vin":"5YJ3E1EA7KF%06d"}`, from+i, from+i))
	}
	return `{"response":[` + strings.Join(list, ",") + `]` + rest + `}`
}

// TestFleetListFails: half a list is none, whichever half is missing: a car that is not in it would count as sold, and one of
// which nobody said how it is commanded as one that takes anything.
func TestFleetListFails(t *testing.T) {
	for _, fails := range []string{"vehicles", "fleet_status"} {
		asked := map[string]int{}
		c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			name := path.Base(r.URL.Path)
			if asked[name]++; name == fails && asked[name] == 2 {
				return says(504, "upstream request timeout"), nil
			}
			if name == "fleet_status" {
				return says(200, `{"response":{"key_paired_vins":[]}}`), nil
			}
			return says(200, listPage(asked[name]*100, 100, fmt.Sprintf(`,"pagination":{"current":%d,"pages":2}`, asked[name]))), nil
		})}, func() string { return hosts.FleetAPI("eu") })
		if cars, err := c.Vehicles(t.Context()); len(cars) != 0 || !errors.Is(err, tesla.ErrTemporary) || asked[fails] != 2 {
			t.Errorf("%s: %d cars, %v, asked %v", fails, len(cars), err, asked)
		}
	}
}

// TestFleetListEnds: a list without an end, or one that is always the same page, is not asked for for ever.
func TestFleetListEnds(t *testing.T) {
	for _, row := range []struct {
		name        string
		page        func(n int) string
		asked, cars int
		told        bool
	}{
		{"no end", func(n int) string { return listPage(n*100, 100, `,"pagination":{"next":2}`) }, 20, 2000, true},
		{"always the same", func(int) string { return listPage(0, 3, `,"pagination":{"next":2}`) }, 2, 3, true},
		{"no word of pages", func(int) string { return listPage(0, 3, ``) }, 1, 3, false},
		{"no word of pages, and a full one", func(n int) string { return listPage(n*100, 100/n, ``) }, 2, 150, false},
		{"words of another type", func(int) string { return listPage(0, 3, `,"pagination":[1]`) }, 1, 3, false},
		{"the number of pages alone", func(n int) string { return listPage(n, 1, fmt.Sprintf(`,"pagination":{"current":%d,"pages":3}`, n)) }, 3, 3, false},
		{"the last one", func(int) string { return listPage(0, 100, `,"pagination":{"next":null,"current":1,"pages":1}`) }, 1, 100, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked, told := 0, 0
			c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/fleet_status") {
					return says(200, `{"response":{"key_paired_vins":[]}}`), nil
				}
				asked++
				if want := fmt.Sprintf("page=%d", asked); asked > 1 && r.URL.RawQuery != want || asked == 1 && r.URL.RawQuery != "" {
					t.Errorf("request %d asks %q", asked, r.URL.RawQuery)
				}
				return says(200, row.page(asked)), nil
			})}, func() string { return "https://proxy.example" })
			c.Notice = func(string) { told++ }
			cars, err := c.Vehicles(t.Context())
			if err != nil || len(cars) != row.cars || asked != row.asked || (told > 0) != row.told {
				t.Errorf("%d cars, %v, after %d requests, told %d times", len(cars), err, asked, told)
			}
		})
	}
}
