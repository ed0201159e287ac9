package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// streamConfig is the configuration that the application has given Tesla for a car.
type streamConfig struct {
	config  json.RawMessage // nil for none
	pending bool            // the car has not fetched it yet, or the removal of one
}

// TelemetryConfig is the configuration that the car streams by, as JSON; nil if it has none.
func (h *CarHandle) TelemetryConfig() (config []byte) {
	h.with(func(c *car) {
		if c.fetchConfig(); !c.stream.pending {
			config = bytes.Clone(c.stream.config)
		}
	})
	return config
}

// fetchConfig is what a car does whenever it is connected.
func (c *car) fetchConfig() {
	if !c.stream.pending || c.state() != "online" {
		return
	}
	c.stream.pending = false
	if c.cfg.Telemetry == "full" {
		c.stream.config = nil
	}
}

// telemetryConfig tells or removes the configuration. It does not reach the car.
func (c *car) telemetryConfig(method string) answer {
	c.advance(time.Now())
	c.fetchConfig()
	if method == http.MethodDelete {
		there := c.stream.config != nil
		c.stream = streamConfig{pending: there}
		return response(map[string]any{"updated_vehicles": map[bool]int{true: 1}[there]})
	}
	return response(map[string]any{
		"synced": !c.stream.pending, "config": c.stream.config, "limit_reached": c.cfg.Telemetry == "max_configs", "key_paired": !c.cfg.Unpaired,
	})
}

// configureTelemetry keeps a signed configuration for those of the cars that can have one. The words of a refusal are guesses but
// for that of an unknown field (fleet-telemetry#277).
func (t *Tesla) configureTelemetry(body []byte) answer {
	var ask struct {
		VINs  []string `json:"vins"`
		Token string   `json:"token"`
	}
	if json.Unmarshal(body, &ask) != nil || len(ask.VINs) == 0 {
		t.violate("fleet_telemetry_config_jws without vins")
		return apiError(http.StatusBadRequest, "vins is required")
	}
	config, err := openJWS(ask.Token, t.registeredKey())
	if err != nil {
		return apiError(http.StatusBadRequest, "invalid token: "+err.Error())
	}
	if fault := t.judgeConfig(config); fault != "" {
		return apiError(http.StatusBadRequest, fault)
	}
	updated := 0
	skipped := map[string][]string{"missing_key": {}, "unsupported_hardware": {}, "unsupported_firmware": {}, "max_configs": {}}
	for _, vin := range ask.VINs {
		c := t.find(vin)
		if c == nil {
			return apiError(http.StatusNotFound, "not_found")
		}
		c.advance(time.Now())
		switch reason := c.cfg.Telemetry; {
		case c.cfg.Unpaired:
			skipped["missing_key"] = append(skipped["missing_key"], vin)
		case reason != "" && reason != "full":
			skipped[reason] = append(skipped[reason], vin)
		default:
			c.stream = streamConfig{config: config, pending: true}
			updated++
		}
	}
	return response(map[string]any{"updated_vehicles": updated, "skipped_vehicles": skipped})
}

// judgeConfig is what is wrong with a configuration, "" for nothing. The fields that it knows are those that its cars can stream.
func (t *Tesla) judgeConfig(config []byte) string {
	var ask struct {
		Hostname string `json:"hostname"`
		Port     int    `json:"port"`
		Fields   map[string]struct {
			Interval int     `json:"interval_seconds"`
			Resend   int     `json:"resend_interval_seconds"`
			Delta    float64 `json:"minimum_delta"`
		} `json:"fields"`
	}
	if json.Unmarshal(config, &ask) != nil || ask.Hostname == "" || ask.Port < 1 || len(ask.Fields) == 0 {
		t.violate("a telemetry configuration without hostname, port or fields")
		return "hostname, port and fields are required"
	}
	if !strings.HasSuffix("."+ask.Hostname, "."+t.Fleet.origin()) {
		return "hostname must match the domain of the application"
	}
	known := (&car{cfg: Car{}.filled(0)}).telemetry()
	for name, field := range ask.Fields {
		if _, there := known[name]; !there {
			return "Unknown field " + name
		}
		if field.Interval < 1 || field.Resend < 0 || field.Delta < 0 {
			return "Invalid interval of field " + name
		}
	}
	return ""
}

// openJWS returns the claims of a JSON web signature of Tesla's own kind, without what it says of itself. key is who must have made it.
func openJWS(token string, key []byte) (json.RawMessage, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts", len(parts))
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, fmt.Errorf("part %d is not base64url", i)
		}
	}
	var header struct{ Alg, Typ string }
	var claims map[string]json.RawMessage
	var who struct{ Iss, Aud string }
	if json.Unmarshal(raw[0], &header) != nil || json.Unmarshal(raw[1], &claims) != nil || json.Unmarshal(raw[1], &who) != nil {
		return nil, fmt.Errorf("not JSON")
	}
	switch {
	case header.Alg != "Tesla.SS256" || header.Typ != "JWT":
		return nil, fmt.Errorf("the algorithm %s", header.Alg)
	case who.Aud != "com.tesla.fleet.TelemetryClient":
		return nil, fmt.Errorf("the audience %s", who.Aud)
	case who.Iss != base64.StdEncoding.EncodeToString(key):
		return nil, fmt.Errorf("the key is not registered")
	case !schnorr(key, []byte(parts[0]+"."+parts[1]), raw[2]):
		return nil, fmt.Errorf("the signature is wrong")
	}
	delete(claims, "iss")
	delete(claims, "aud")
	return json.Marshal(claims)
}
