package tesla_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
)

// answered is a client of the Fleet API that gets one answer to one request, which must be this one.
func answered(t *testing.T, request string, status int, body string) *tesla.Client {
	return tesla.NewFleetClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		sent := ""
		if r.Body != nil {
			data, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			sent = " " + string(data)
		}
		if got := r.Method + " " + r.URL.Path + sent; got != request {
			t.Errorf("sent %s", got)
		}
		return says(status, body), nil
	})}, func() string { return hosts.FleetAPI("eu") })
}

func TestConfigureTelemetry(t *testing.T) {
	const request = `POST /api/1/vehicles/fleet_telemetry_config_jws {"token":"a.b.c","vins":["V"]}`
	for _, row := range []struct {
		status    int
		body      string
		skipped   string
		class     error
		uncertain bool
	}{
		{200, `{"response":{"updated_vehicles":1}}`, "", nil, false},
		{200, `{"response":{"updated_vehicles":1,"skipped_vehicles":{"missing_key":[],"max_configs":null}}}`, "", nil, false},
		{200, `{"response":{"updated_vehicles":0,"skipped_vehicles":{"missing_key":[],"unsupported_firmware":["V"]}}}`, "unsupported_firmware", nil, false},
		{200, `{"response":{"updated_vehicles":0,"skipped_vehicles":{"missing_key":["W"]}}}`, "", tesla.ErrRefused, false},
		{200, `{"response":{"updated_vehicles":1,"skipped_vehicles":["V"]}}`, "", tesla.ErrTemporary, true},
		{400, `{"response":null,"error":"Unknown field Volts"}`, "", tesla.ErrRefused, false},
		{403, `{"response":null,"error":"Unauthorized missing scopes"}`, "", tesla.ErrMissingScopes, false},
		{503, `upstream`, "", tesla.ErrTemporary, true},
		{500, `{"response":null,"error":"upstream internal error"}`, "", tesla.ErrTemporary, true},
	} {
		skipped, err := answered(t, request, row.status, row.body).ConfigureTelemetry(t.Context(), "V", "a.b.c")
		if skipped != row.skipped || !errors.Is(err, row.class) || tesla.MayHaveSucceeded(err) != row.uncertain {
			t.Errorf("%d %s: %q, %v", row.status, row.body, skipped, err)
		}
	}
}

func TestTelemetryStanding(t *testing.T) {
	const request = "GET /api/1/vehicles/V/fleet_telemetry_config"
	ask := func(body string) (tesla.TelemetryStanding, error) {
		return answered(t, request, 200, body).Telemetry(t.Context(), "V")
	}
	s, err := ask(`{"response":{"synced":true,"config":null}}`)
	if err != nil || !s.Synced || s.Config != nil || s.LimitReached != nil || s.KeyPaired != nil {
		t.Errorf("the silent failure: %+v, %v", s, err)
	}
	for _, body := range []string{`{"response":[1]}`, `{"response":{"config":{"port":"443"}}}`} {
		if s, err := ask(body); !errors.Is(err, tesla.ErrTemporary) || s.Config != nil {
			t.Errorf("%s: %+v, %v", body, s, err)
		}
	}
	const long = "fleet-telemetry.and-a-rather-long-name.of-some-house.example"
	if s, err := ask(`{"response":{"config":{"hostname":"` + long + `"}}}`); err != nil || s.Config.Hostname != long {
		t.Errorf("%+v, %v", s, err)
	}
	there, err := answered(t, "DELETE /api/1/vehicles/V/fleet_telemetry_config", 200, `{"response":{"updated_vehicles":1}}`).RemoveTelemetry(t.Context(), "V")
	if err != nil || !there {
		t.Errorf("removed %t, %v", there, err)
	}
	_, err = answered(t, "DELETE /api/1/vehicles/V/fleet_telemetry_config", 200, `{"response":{}}`).RemoveTelemetry(t.Context(), "V")
	if !errors.Is(err, tesla.ErrTemporary) {
		t.Errorf("no number: %v", err)
	}
}

// TestRecordedTelemetryConfig decodes the recorded answer, where it is.
func TestRecordedTelemetryConfig(t *testing.T) {
	text, err := os.ReadFile("../../shared/samples/tesla/telemetry_config_get.json")
	if err != nil {
		t.Skip("the recorded answers are not here")
	}
	var sample struct{ Body json.RawMessage }
	if err := json.Unmarshal(text, &sample); err != nil {
		t.Fatal(err)
	}
	request := "GET /api/1/vehicles/V/fleet_telemetry_config"
	s, err := answered(t, request, 200, string(sample.Body)).Telemetry(t.Context(), "V")
	if err != nil || !s.Synced || s.Config.Fields["ACChargingPower"] != (tesla.TelemetryField{Interval: 30, Delta: 0.1}) || s.Config.Port != 443 ||
		s.Config.Expires != 1800000000 || !strings.HasPrefix(s.Config.CA, "-----BEGIN") || *s.LimitReached || !*s.KeyPaired {
		t.Errorf("%+v, %v", s, err)
	}
}
