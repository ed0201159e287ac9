package signed

import (
	"encoding/json"
	"fmt"

	"github.com/teslamotors/vehicle-command/pkg/sign"

	"tesla2mqtt/tesla"
)

// SignTelemetry signs a telemetry configuration, in the form in which the Fleet API takes it. Whoever has the result can give that
// configuration to cars that know the key, with a login that may; it holds nothing secret.
func (k *Key) SignTelemetry(config tesla.TelemetryConfig) (string, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		return "", err
	}
	signed, err := sign.SignMessageForFleet(k.private, "TelemetryClient", claims)
	if err != nil {
		return "", fmt.Errorf("sign the telemetry configuration: %w", err)
	}
	return signed, nil
}
