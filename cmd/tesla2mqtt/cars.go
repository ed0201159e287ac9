package main

import (
	"fmt"
	"strings"

	"tesla2mqtt/tesla"
)

// findCar returns the car that a person means by a VIN, an alias of the configuration or the name that the car shows.
func findCar(c *Config, cars []tesla.Vehicle, name string) (tesla.Vehicle, error) {
	vin := name
	if v, named := c.settings(name); named {
		vin = v.VIN
	}
	var found []tesla.Vehicle
	for _, car := range cars {
		if strings.EqualFold(car.VIN, vin) {
			return car, nil
		}
		if strings.EqualFold(car.Name, name) {
			found = append(found, car)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return tesla.Vehicle{}, &usageError{"no car of this account is called " + plain(name), "it has " + listed(c, cars)}
	}
	return tesla.Vehicle{}, &usageError{fmt.Sprintf("%d cars are called %s", len(found), plain(name)), "name one by its VIN: " + listed(c, found)}
}

// served returns the cars of the account that the configuration serves.
func served(c *Config, cars []tesla.Vehicle) []tesla.Vehicle {
	if len(c.Vehicles) == 0 {
		return cars
	}
	var out []tesla.Vehicle
	for _, car := range cars {
		if _, named := c.settings(car.VIN); named {
			out = append(out, car)
		}
	}
	return out
}

func listed(c *Config, cars []tesla.Vehicle) string {
	if len(cars) == 0 {
		return "no cars at all"
	}
	var names []string
	for _, car := range cars {
		name := car.VIN
		if v, named := c.settings(car.VIN); named && v.Name != "" {
			name += " or " + v.Name
		}
		if car.Name != "" {
			name += fmt.Sprintf(" (%s)", car.Name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// title is what to call a car when talking to a person.
func title(car tesla.Vehicle) string {
	if car.Name == "" {
		return car.VIN
	}
	return car.Name
}
