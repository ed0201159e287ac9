package sim

import (
	"net/http"
	"slices"
	"strings"
)

// endpoint is what a request is for. Its name is the class that calls are counted by and faults are set on.
type endpoint struct {
	name string // authorize, token, products, vehicles, fleet_status, users/region, partner_accounts, partner_accounts/public_key, vehicle, vehicle_data, wake_up, command/<name>, signed_command, fleet_telemetry_config_jws, fleet_telemetry_config, other
	key  string // id or VIN as it stands in the path
	vin  string // of the car that the key names, "" if there is none
}

// route names the endpoint of a path; a known path with the wrong method is "other", as any unknown one.
func route(method, path string) endpoint {
	switch method + " " + path {
	case "GET /oauth2/v3/authorize":
		return endpoint{name: "authorize"}
	case "POST /oauth2/v3/token":
		return endpoint{name: "token"}
	case "GET /api/1/products":
		return endpoint{name: "products"}
	case "GET /api/1/vehicles":
		return endpoint{name: "vehicles"}
	case "POST /api/1/vehicles/fleet_status":
		return endpoint{name: "fleet_status"}
	case "POST /api/1/vehicles/fleet_telemetry_config_jws":
		return endpoint{name: "fleet_telemetry_config_jws"}
	case "GET /api/1/users/region":
		return endpoint{name: "users/region"}
	case "POST /api/1/partner_accounts":
		return endpoint{name: "partner_accounts"}
	case "GET /api/1/partner_accounts/public_key":
		return endpoint{name: "partner_accounts/public_key"}
	}
	rest, isCar := strings.CutPrefix(path, "/api/1/vehicles/")
	if !isCar {
		return endpoint{name: "other"}
	}
	key, what, _ := strings.Cut(rest, "/")
	return endpoint{name: carEndpoint(method, what), key: key}
}

// carEndpoint names what follows the car in a path; data_request, long dead, is other.
func carEndpoint(method, what string) string {
	command, isCommand := strings.CutPrefix(what, "command/")
	switch {
	case method == http.MethodGet && what == "":
		return "vehicle"
	case method == http.MethodGet && what == "vehicle_data":
		return "vehicle_data"
	case method == http.MethodPost && what == "wake_up":
		return "wake_up"
	case method == http.MethodPost && what == "signed_command":
		return "signed_command"
	case (method == http.MethodGet || method == http.MethodDelete) && what == "fleet_telemetry_config":
		return what
	case method == http.MethodPost && isCommand && slices.Contains(commands(), command):
		return "command/" + command
	}
	return "other"
}

// commands are the ones that this Tesla knows.
func commands() []string {
	return []string{
		"set_charging_amps", "set_charge_limit", "charge_start", "charge_stop",
		"charge_port_door_open", "charge_port_door_close",
	}
}

// in tells whether the endpoint belongs to a scope: a class, one of the groups below, or "all".
func (e endpoint) in(scope string) bool {
	isCommand := strings.HasPrefix(e.name, "command/") || e.name == "signed_command"
	switch scope {
	case "all":
		return true
	case "api": // all that wants a bearer token
		return e.name != "token" && e.name != "authorize"
	case "car": // all that has to reach the car
		return isCommand || e.name == "vehicle_data" || e.name == "wake_up"
	case "command":
		return isCommand
	}
	return e.name == scope
}

// isScope tells whether a scope can match anything at all, so that a typing mistake in a fault is an error.
func isScope(scope string) bool {
	if command, ok := strings.CutPrefix(scope, "command/"); ok {
		return slices.Contains(commands(), command)
	}
	known := []string{
		"all", "api", "car", "command", "authorize", "token", "products", "vehicles", "vehicle", "vehicle_data",
		"wake_up", "fleet_status", "users/region", "partner_accounts", "partner_accounts/public_key", "signed_command",
		"fleet_telemetry_config_jws", "fleet_telemetry_config", "other",
	}
	return slices.Contains(known, scope)
}
