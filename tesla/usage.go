package tesla

import (
	"errors"
	"sync"
	"time"
)

// class is a kind of request, as Tesla's limits and prices tell them apart.
type class int

const (
	classList class = iota
	classState
	classData
	classCommand
	classWake
	classPartner
)

// Usage counts the requests of this process since it started.
type Usage struct {
	List     int `json:"list"`
	State    int `json:"state"`
	Data     int `json:"data"`
	Commands int `json:"commands"`
	Wakes    int `json:"wakes"`
	Failed   int `json:"failed"`
	// RateLimited counts the answers 429.
	RateLimited int       `json:"rate_limited"`
	LastCall    time.Time `json:"last_call,omitzero"`
}

type usage struct {
	mu   sync.Mutex
	seen Usage
}

// Usage returns what has been sent so far.
func (c *Client) Usage() Usage {
	c.usage.mu.Lock()
	defer c.usage.mu.Unlock()
	return c.usage.seen
}

func (u *usage) count(c class) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen.LastCall = time.Now().UTC().Truncate(time.Second)
	switch c {
	case classList:
		u.seen.List++
	case classState:
		u.seen.State++
	case classData:
		u.seen.Data++
	case classCommand:
		u.seen.Commands++
	case classWake:
		u.seen.Wakes++
	}
}

func (u *usage) failed(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen.Failed++
	if errors.Is(err, ErrRateLimited) {
		u.seen.RateLimited++
	}
}
