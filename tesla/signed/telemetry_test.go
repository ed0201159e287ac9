package signed

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
)

// TestSignTelemetry: the claims are the configuration, for the cars of this key; and nothing of the private half is in it. The
// simulator verifies the signature (the script fleet-telemetry).
func TestSignTelemetry(t *testing.T) {
	key := newKey(t)
	config := tesla.TelemetryConfig{Hostname: "t.example", Port: 443, Fields: map[string]tesla.TelemetryField{"Soc": {Interval: 60, Delta: 0.5}}}
	text, err := key.SignTelemetry(config)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for part := range strings.SplitSeq(text, ".") {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(raw))
	}
	if len(parts) != 3 || len(parts[2]) != 96 || parts[0] != `{"alg":"Tesla.SS256","typ":"JWT"}` {
		t.Fatalf("got %q", parts)
	}
	var got struct {
		Iss, Aud string
		tesla.TelemetryConfig
	}
	if err := json.Unmarshal([]byte(parts[1]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Iss != base64.StdEncoding.EncodeToString(key.Public()) || got.Aud != "com.tesla.fleet.TelemetryClient" || !got.Same(config) ||
		got.Fields["Soc"] != config.Fields["Soc"] {
		t.Errorf("got %s", parts[1])
	}
}
