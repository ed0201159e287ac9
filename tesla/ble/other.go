//go:build !linux || nobluetooth

package ble

import (
	"context"
	"time"
)

// Supported tells whether this program can use Bluetooth at all.
const Supported = false

// connection never comes about here.
type connection struct{ lost chan struct{} }

func (r *Radio) dial(context.Context, string, chan<- []byte) (*connection, error) {
	return nil, &Error{Kind: ErrUnsupported}
}

// Check tells that there is no Bluetooth.
func (r *Radio) Check(context.Context) error { return &Error{Kind: ErrUnsupported} }

// Scan tells that there is no Bluetooth.
func (r *Radio) Scan(context.Context) ([]Sighting, error) { return nil, &Error{Kind: ErrUnsupported} }

func (c *connection) send(context.Context, []byte) error { return &Error{Kind: ErrUnsupported} }
func (c *connection) broken() bool                       { return true }
func (c *connection) why() error                         { return nil }
func (c *connection) close(time.Duration)                {}
