package main

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// tap stands before the simulated Tesla and notes when each request came and when it was answered.
type tap struct {
	next http.Handler

	mu       sync.Mutex
	arrived  func(call) // told at each arrival, if set
	answered func(call) // and at each end
}

// call is one request. id is the car's, "" if it is about none.
type call struct {
	id, what   string // what is products, vehicle, vehicle_data, wake_up, command or token
	began, end time.Time
}

// ServeHTTP passes the request on.
func (t *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c := callOf(r.URL.Path)
	c.began = began
	arrived, answered := t.listeners()
	if arrived != nil {
		arrived(c)
	}
	t.next.ServeHTTP(w, r)
	c.end = time.Now()
	if answered != nil {
		answered(c)
	}
}

func (t *tap) listeners() (arrived, answered func(call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.arrived, t.answered
}

// listen replaces who is told; the functions are called from many goroutines.
func (t *tap) listen(arrived, answered func(call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived, t.answered = arrived, answered
}

func callOf(path string) call {
	rest, ok := strings.CutPrefix(path, "/api/1/vehicles/")
	if !ok {
		return call{what: path[strings.LastIndex(path, "/")+1:]}
	}
	id, what, ok := strings.Cut(rest, "/")
	if !ok {
		return call{id: id, what: "vehicle"}
	}
	what, _, _ = strings.Cut(what, "/")
	return call{id: id, what: what}
}
