package tesla

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"tesla2mqtt/tesla/hosts"
)

// fleet is what a client of the Fleet API remembers for as long as it lives.
type fleet struct {
	mu    sync.Mutex
	moved string                 // base URL of the region that Tesla has sent us to, "" for none
	known map[string]FleetStatus // of each VIN
}

// NewFleetClient returns a client of the Fleet API. It differs from NewClient in what it calls: cars go by their VIN, and
// a request to the wrong region goes to the right one.
func NewFleetClient(h *http.Client, base func() string) *Client {
	return &Client{http: h, base: base, fleet: &fleet{known: map[string]FleetStatus{}}}
}

// Base is where requests go: to the API of the login, or to the region that Tesla has named since.
func (c *Client) Base() string {
	if c.fleet == nil {
		return c.base()
	}
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	if c.fleet.moved != "" {
		return c.fleet.moved
	}
	return c.base()
}

var rightBase = regexp.MustCompile(`use base URL: (https://[a-z0-9.-]+)`)

// move returns where else to send what was refused at base for being in the wrong region, "" if nowhere. Only from one of
// Tesla's regions to another: a proxy or a simulator is where its owner wants it.
func (c *Client) move(base string, err *Error) string {
	named := rightBase.FindStringSubmatch(err.Text)
	if !errors.Is(err, ErrWrongRegion) || named == nil || named[1] == base {
		return ""
	}
	region := hosts.FleetRegion(named[1])
	if region == "" || hosts.FleetRegion(base) == "" {
		return ""
	}
	c.fleet.mu.Lock()
	before := c.fleet.moved
	c.fleet.moved = named[1]
	c.fleet.mu.Unlock()
	if before != named[1] {
		c.notice(fmt.Sprintf("Tesla keeps this account in another region: requests go to %s until this program ends; set tesla.region: %s", named[1], region))
	}
	return named[1]
}

func (c *Client) notice(text string) {
	if c.Notice != nil {
		c.Notice(text)
	}
}

// standing adds to cars what the list does not say: whether they want signed commands and have our key. Each car is asked
// about once, and again while it does not have the key; that does not reach the car.
func (c *Client) standing(ctx context.Context, cars []Vehicle) error {
	c.fleet.mu.Lock()
	var news, unpaired []string
	for _, v := range cars {
		if s, known := c.fleet.known[v.VIN]; !known {
			news = append(news, v.VIN)
		} else if s.Key == KeyMissing {
			unpaired = append(unpaired, v.VIN)
		}
	}
	c.fleet.mu.Unlock()
	if ask := append(news, unpaired...); len(ask) > 0 {
		err := c.learn(ctx, ask)
		switch {
		case err == nil:
		case len(news) == 0:
			c.notice("whether the cars have got the key by now is asked again with the next list: " + err.Error())
		case errors.Is(err, ErrRefused), errors.Is(err, ErrNotFound): // a proxy may not pass it on
			c.notice("which cars want signed commands is not known until one refuses: " + err.Error())
		default:
			return err
		}
	}
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	for i, v := range cars {
		said := c.fleet.known[v.VIN]
		cars[i].SignedCommands, cars[i].Key = said.SignedCommands != nil && *said.SignedCommands, said.Key
	}
	return nil
}

// learn asks how the cars with these VINs can be commanded.
func (c *Client) learn(ctx context.Context, vins []string) error {
	for some := range slices.Chunk(vins, pageSize) {
		all, err := c.FleetStatus(ctx, some)
		if err != nil {
			return err
		}
		c.fleet.mu.Lock()
		for _, s := range all {
			c.fleet.known[s.VIN] = s
		}
		c.fleet.mu.Unlock()
	}
	return nil
}

// inFleet corrects the class of an error where the Fleet API, or tesla-http-proxy before it, means something else.
func (e *Error) inFleet() *Error {
	has := func(words string) bool { return strings.Contains(e.Text, words) }
	switch {
	case e.Status == http.StatusPreconditionFailed:
		e.Class = ErrNotRegistered
	case e.Status == http.StatusForbidden && e.Text == http.StatusText(e.Status):
		e.Class = ErrRefused // an older proxy left out Tesla's words, so nobody knows which of its reasons it is
	case e.Status == http.StatusInternalServerError && has("vehicle unavailable"):
		e.Class, e.Uncertain = ErrAsleep, false
	case e.Status == http.StatusInternalServerError && has("public key has not been paired"):
		e.Class, e.Uncertain = ErrNotPaired, false
	case e.Status == http.StatusServiceUnavailable && has("context deadline exceeded"):
		e.Class, e.Uncertain = ErrTemporary, false // the proxy was busy with another command to this car
	}
	return e
}
