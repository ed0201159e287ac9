package tesla

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Signed hands a message of the signed-command protocol on to the car and returns the car's answer. It sees neither what is
// ordered nor whether the car obeys: package tesla/signed does. A car that does not
// know the protocol is ErrNoProtocol.
func (c *Client) Signed(ctx context.Context, vin string, message []byte) ([]byte, error) {
	body := map[string][]byte{"routable_message": message} // base64 in JSON
	response, err := c.call(ctx, classCommand, http.MethodPost, "/api/1/vehicles/"+url.PathEscape(vin)+"/signed_command", body)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnprocessableEntity {
		e.Class = ErrNoProtocol
	}
	if err != nil {
		return nil, fmt.Errorf("signed command: %w", err)
	}
	var answer []byte
	if json.Unmarshal(response, &answer) != nil || len(answer) == 0 {
		return nil, fmt.Errorf("signed command: %w",
			&Error{Class: ErrTemporary, Text: "the answer is not a message", Uncertain: true})
	}
	return answer, nil
}

// Refused makes a Refusal of what the car itself gave as its reason, by whatever way it was told.
func Refused(reason string) *Refusal {
	return &Refusal{Reason: clean(strings.TrimPrefix(reason, "car could not execute command: "))}
}
