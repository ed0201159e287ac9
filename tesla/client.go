// Package tesla speaks Tesla's Owner API and Fleet API: it lists the cars of an account, reads their state and charging, and
// gives unsigned commands.
//
// It holds no credential. The http.Client it is given adds the token, and follows no redirect; this package decides
// neither when to read nor what to command, logs nothing, and repeats nothing by itself. What Tesla answers is bounded,
// and anything in it that is missing or of an unexpected type is "not told".
package tesla

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tesla2mqtt/tesla/hosts"
)

const (
	// callTimeout bounds one call, token refresh included.
	callTimeout = 30 * time.Second
	// maxBody bounds one answer; vehicle_data is about 5 kB. maxList bounds the list of cars, with about 1 kB for each.
	maxBody = 1 << 20
	maxList = 16 << 20
)

// Client calls one of the two APIs. It is safe for concurrent use.
type Client struct {
	// Renewed tells when the login last became another: a refusal of the old one (ErrForbidden) then no longer keeps us
	// away. Nil, or the zero time, for never. It is asked only while such a refusal is in force.
	Renewed func() time.Time
	// Meter counts what the calls cost. Nil where they cost nothing.
	Meter Meter
	// Notice is told what somebody should read in the log, one sentence; nil for nobody.
	Notice func(text string)

	http  *http.Client
	base  func() string
	fleet *fleet // nil for the Owner API
	hold  hold
	usage usage
}

// NewClient returns a client of the Owner API that sends through h, which must add the token and must not follow redirects.
// base returns the API's address without a trailing slash; it may change when a new login belongs to another region.
func NewClient(h *http.Client, base func() string) *Client {
	return &Client{http: h, base: base}
}

// Vehicles lists the cars of the account; other products (solar, batteries) are left out. The cars are not touched.
func (c *Client) Vehicles(ctx context.Context) ([]Vehicle, error) {
	if c.fleet != nil {
		return c.pages(ctx)
	}
	cars, _, err := c.list(ctx, "/api/1/products")
	return cars, err
}

// list asks for a list of cars; more tells that there is another page of it.
func (c *Client) list(ctx context.Context, path string) (cars []Vehicle, more bool, err error) {
	answer, err := c.ask(ctx, classList, http.MethodGet, path, nil)
	if err != nil {
		return nil, false, fmt.Errorf("list the cars: %w", err)
	}
	var entries []json.RawMessage
	if json.Unmarshal(answer.Response, &entries) != nil {
		return nil, false, fmt.Errorf("list the cars: %w", &Error{Class: ErrTemporary, Text: "the answer is not a list"})
	}
	for _, entry := range entries {
		if v, _, ok := decodeVehicle(entry); ok && v.VIN != "" {
			cars = append(cars, v)
		}
	}
	return cars, answer.more(len(entries)), nil
}

// State says whether the car is online. It is answered by the cloud and never touches the car. The key is the car's ID, or in
// the Fleet API its VIN.
func (c *Client) State(ctx context.Context, key string) (VehicleState, error) {
	response, err := c.call(ctx, classState, http.MethodGet, "/api/1/vehicles/"+url.PathEscape(key), nil)
	if err != nil {
		return StateUnknown, fmt.Errorf("read the car's state: %w", err)
	}
	_, state, ok := decodeVehicle(response)
	if !ok {
		return StateUnknown, fmt.Errorf("read the car's state: %w", &Error{Class: ErrTemporary, Text: "the answer names no car"})
	}
	return state, nil
}

// ChargeState reads the charging from the car. It does not wake a sleeping one (ErrAsleep) but keeps an idle one awake.
func (c *Client) ChargeState(ctx context.Context, key string) (ChargeState, error) {
	path := "/api/1/vehicles/" + url.PathEscape(key) + "/vehicle_data?endpoints=charge_state"
	response, err := c.call(ctx, classData, http.MethodGet, path, nil)
	if err != nil {
		return ChargeState{}, fmt.Errorf("read the charging: %w", err)
	}
	state, err := decodeChargeState(response)
	if err != nil {
		return ChargeState{}, fmt.Errorf("read the charging: %w", &Error{Class: ErrTemporary, Text: err.Error()})
	}
	return state, nil
}

// Until gives what is sent with ctx an end: a command that had to wait for the login, and would reach Tesla later, is not
// sent, and its error is ErrTooLate.
func Until(ctx context.Context, end time.Time) context.Context { return hosts.Until(ctx, end) }

// Do gives the car one command, once. A *Refusal is the car's own no. After an error for which MayHaveSucceeded holds,
// only a read can tell what became of it. Wake returns when Tesla has taken the request; the car needs 10 to 60 s more.
func (c *Client) Do(ctx context.Context, key string, cmd Command) error {
	name, body, err := encode(cmd)
	if err != nil {
		return err
	}
	car := "/api/1/vehicles/" + url.PathEscape(key)
	class, path := classCommand, car+"/command/"+name
	if cmd.Thing == Wake {
		class, path = classWake, car+"/wake_up"
	}
	response, err := c.call(For(ctx, cmd), class, http.MethodPost, path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if cmd.Thing == Wake {
		return nil
	}
	return verdict(name, response)
}

// encode returns the endpoint and the body of a command.
func encode(cmd Command) (name string, body any, err error) {
	switch cmd.Thing {
	case ChargeAmps:
		return "set_charging_amps", map[string]int{"charging_amps": cmd.Value}, nil
	case ChargeLimit:
		return "set_charge_limit", map[string]int{"percent": cmd.Value}, nil
	case Charging:
		name = map[int]string{On: "charge_start", Off: "charge_stop"}[cmd.Value]
	case ChargePort:
		name = map[int]string{On: "charge_port_door_open", Off: "charge_port_door_close"}[cmd.Value]
	case Wake:
		name = "wake_up"
	}
	if name == "" {
		return "", nil, fmt.Errorf("no such command: %s %d", cmd.Thing, cmd.Value)
	}
	return name, struct{}{}, nil
}

// verdict reads what the car made of a command.
func verdict(name string, response []byte) error {
	var answer struct {
		Result *bool  `json:"result"`
		Reason string `json:"reason"`
		String string `json:"string"` // what older releases of tesla-http-proxy call it
	}
	if json.Unmarshal(response, &answer) != nil || answer.Result == nil {
		return fmt.Errorf("%s: %w", name, &Error{Class: ErrTemporary, Text: "the answer has no result", Uncertain: true})
	}
	if *answer.Result {
		return nil
	}
	reason := clean(strings.TrimPrefix(cmp.Or(answer.Reason, answer.String), "car could not execute command: "))
	if strings.Contains(reason, "unsigned_cmds_hardlocked") {
		return fmt.Errorf("%s: %w", name, &Error{Class: ErrSigningRequired, Text: reason})
	}
	return fmt.Errorf("%s: %w", name, &Refusal{Reason: reason})
}

// call sends one request and returns the "response" member of its answer.
func (c *Client) call(ctx context.Context, class class, method, path string, body any) (json.RawMessage, error) {
	answer, err := c.ask(ctx, class, method, path, body)
	return answer.Response, err
}

// ask sends one request.
func (c *Client) ask(ctx context.Context, class class, method, path string, body any) (answer, error) {
	if err := c.hold.check(time.Now(), c.Renewed); err != nil && class.expense(ctx) != ExpenseStop { // whoever stops a charge must be heard
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	base := c.Base()
	got, err := c.try(ctx, class, method, base, path, body)
	if err != nil && c.fleet != nil {
		if better := c.move(base, err); better != "" { // nothing was done there, so a command is not given twice
			got, err = c.try(ctx, class, method, better, path, body)
		}
	}
	if err != nil {
		c.hold.note(err, time.Now())
		return answer{}, err
	}
	return got, nil
}

// try is one request, counted.
func (c *Client) try(ctx context.Context, class class, method, base, path string, body any) (answer, *Error) {
	ctx, bill, refused := c.book(ctx, class.expense(ctx))
	if refused != nil {
		return answer{}, refused
	}
	c.usage.count(class)
	limit := int64(maxBody)
	if class == classList {
		limit = maxList
	}
	got, err := c.send(ctx, class, method, base+path, body, limit)
	if err = bill.settle(err, hosts.FleetRegion(base) != ""); err != nil {
		if c.fleet != nil {
			err = err.inFleet()
		}
		c.usage.failed(err)
	}
	return got, err
}

// answer is what both APIs put around what they have to say.
type answer struct {
	Response   json.RawMessage `json:"response"`
	Pagination json.RawMessage `json:"pagination"` // of lists in the Fleet API
}

func (c *Client) send(ctx context.Context, class class, method, to string, body any, limit int64) (got answer, fault *Error) {
	post := method == http.MethodPost
	req, err := c.request(ctx, method, to, body)
	if err != nil {
		return got, &Error{Class: ErrTemporary, Text: err.Error(), cause: err, unsent: true}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return got, transportError(err, post)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if resp.StatusCode != http.StatusOK {
		// Half an error page still tells its status.
		return got, statusError(resp, data[:min(len(data), maxBody)], class, post)
	}
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("the answer is longer than %d MiB", limit>>20)
	}
	if err != nil {
		return got, transportError(err, post)
	}
	if json.Unmarshal(data, &got) != nil || len(got.Response) == 0 || string(got.Response) == "null" {
		text, _ := words(data)
		return answer{}, &Error{Class: ErrTemporary, Status: resp.StatusCode, Text: "unexpected answer: " + text, Uncertain: post}
	}
	return got, nil
}

func (c *Client) request(ctx context.Context, method, to string, body any) (*http.Request, error) {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
