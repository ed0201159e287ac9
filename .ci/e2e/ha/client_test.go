package ha

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const (
	address  = "127.0.0.1:8123"
	clientID = "http://" + address + "/"
)

// client is a user of Home Assistant, by its REST and WebSocket APIs.
type client struct {
	token string
	conn  *websocket.Conn // nil while there is none
	last  int
}

// state is one entity's state as Home Assistant tells it.
type state struct {
	EntityID    string         `json:"entity_id"`
	State       string         `json:"state"`
	Attributes  map[string]any `json:"attributes"`
	LastChanged time.Time      `json:"last_changed"`
}

// entity is what the registry knows of one.
type entity struct {
	EntityID   string  `json:"entity_id"`
	UniqueID   string  `json:"unique_id"`
	DeviceID   string  `json:"device_id"`
	Platform   string  `json:"platform"`
	Category   *string `json:"entity_category"`
	DisabledBy *string `json:"disabled_by"`
}

// device is what the registry knows of one.
type device struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Manufacturer string     `json:"manufacturer"`
	Serial       string     `json:"serial_number"`
	Via          string     `json:"via_device_id"`
	Identifiers  [][]string `json:"identifiers"`
}

// rest asks the REST API, and decodes the answer into into unless that is nil.
func (c *client) rest(method, path string, body, into any) error {
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case url.Values:
		reader, contentType = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	default:
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, "http://"+address+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// onboard makes the first user, as a browser does on the first visit, and logs in. The other steps are marked as done
// already: they would add a weather forecast and a voice from the internet.
func (c *client) onboard() error {
	var code struct {
		Auth string `json:"auth_code"`
	}
	var token struct {
		Access string `json:"access_token"`
	}
	err := c.rest("POST", "/api/onboarding/users", map[string]string{
		"client_id": clientID, "name": "Test", "username": "test", "password": "only-for-this-run", "language": "en",
	}, &code)
	if err != nil {
		return err
	}
	err = c.rest("POST", "/auth/token", url.Values{"grant_type": {"authorization_code"}, "code": {code.Auth}, "client_id": {clientID}}, &token)
	if err != nil {
		return err
	}
	c.token = token.Access
	return nil
}

// flow goes through the dialogue that sets an integration up; answers holds the entries of its forms by step.
func (c *client) flow(handler string, answers map[string]map[string]any) error {
	type step struct {
		ID   string `json:"flow_id"`
		Type string `json:"type"`
		Step string `json:"step_id"`
	}
	const path = "/api/config/config_entries/flow"
	var s step
	err := c.rest("POST", path, map[string]any{"handler": handler}, &s)
	for err == nil && s.Type == "form" {
		answer, known := answers[s.Step]
		if !known {
			return fmt.Errorf("%s asks for %s", handler, s.Step)
		}
		err = c.rest("POST", path+"/"+s.ID, answer, &s)
	}
	if err == nil && s.Type != "create_entry" {
		err = fmt.Errorf("%s ends with %s", handler, s.Type)
	}
	return err
}

// connect opens the WebSocket.
func (c *client) connect() error {
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/api/websocket", nil)
	if err != nil {
		return err
	}
	var m struct {
		Type string `json:"type"`
	}
	if err := conn.ReadJSON(&m); err != nil {
		return err
	}
	if err := conn.WriteJSON(map[string]string{"type": "auth", "access_token": c.token}); err != nil {
		return err
	}
	if err := conn.ReadJSON(&m); err != nil {
		return err
	}
	if m.Type != "auth_ok" {
		return fmt.Errorf("the WebSocket says %s", m.Type)
	}
	c.conn, c.last = conn, 0
	return nil
}

// call asks one thing by WebSocket, and decodes the answer into into unless that is nil.
func (c *client) call(kind string, fields map[string]any, into any) error {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	c.last++
	message := map[string]any{"id": c.last, "type": kind}
	for key, value := range fields {
		message[key] = value
	}
	var answer struct {
		ID      int             `json:"id"`
		Success bool            `json:"success"`
		Result  json.RawMessage `json:"result"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	err := errors.Join(c.conn.SetReadDeadline(time.Now().Add(30*time.Second)), c.conn.WriteJSON(message), c.conn.ReadJSON(&answer))
	if err != nil {
		c.conn.Close()
		c.conn = nil
		return err
	}
	if !answer.Success || answer.ID != c.last {
		return fmt.Errorf("%s: %s", kind, answer.Error.Message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, into)
}

// act calls an action (a "service") on an entity.
func (c *client) act(action, entityID string, data map[string]any) error {
	domain, name, _ := strings.Cut(action, ".")
	fields := map[string]any{"domain": domain, "service": name}
	if data != nil {
		fields["service_data"] = data
	}
	if entityID != "" {
		fields["target"] = map[string]any{"entity_id": entityID}
	}
	return c.call("call_service", fields, nil)
}

// states returns all states by entity id.
func (c *client) states() (map[string]state, error) {
	var list []state
	if err := c.call("get_states", nil, &list); err != nil {
		return nil, err
	}
	all := map[string]state{}
	for _, s := range list {
		all[s.EntityID] = s
	}
	return all, nil
}

// state returns what one entity shows, or why that is not known.
func (c *client) state(id string) string {
	all, err := c.states()
	if err != nil {
		return err.Error()
	}
	if s, known := all[id]; known {
		return s.State
	}
	return "(no such entity)"
}

// entities returns the registry's entities of MQTT by unique id.
func (c *client) entities(t *testing.T) map[string]entity {
	t.Helper()
	var list []entity
	if err := c.call("config/entity_registry/list", nil, &list); err != nil {
		t.Fatal(err)
	}
	all := map[string]entity{}
	for _, e := range list {
		if e.Platform == "mqtt" {
			all[e.UniqueID] = e
		}
	}
	return all
}

// devices returns the registry's devices of MQTT by identifier.
func (c *client) devices(t *testing.T) map[string]device {
	t.Helper()
	var list []device
	if err := c.call("config/device_registry/list", nil, &list); err != nil {
		t.Fatal(err)
	}
	all := map[string]device{}
	for _, d := range list {
		for _, id := range d.Identifiers {
			if len(id) == 2 && id[0] == "mqtt" {
				all[id[1]] = d
			}
		}
	}
	return all
}
