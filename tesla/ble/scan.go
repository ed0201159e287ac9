//go:build linux && !nobluetooth

package ble

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Supported tells whether this program can use Bluetooth at all.
const Supported = true

// Check tells why the adapter cannot be used, or nil. It does not use it.
func (r *Radio) Check(ctx context.Context) error {
	b, err := openBus(ctx, r.adapter)
	if err != nil {
		return err
	}
	b.close()
	return nil
}

// Scan listens until the time for a search is over, and returns the Teslas that were heard, the loudest first. They do not
// notice.
func (r *Radio) Scan(ctx context.Context) ([]Sighting, error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	b, err := openBus(ctx, r.adapter)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if err := b.discover(ctx); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, r.limits.search)
	defer cancel()
	heard := map[string]Sighting{}
	err = b.await(within, func() (bool, error) { b.note(heard); return false, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	var all []Sighting
	for _, s := range heard {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Sighting) int { return cmp.Or(b.RSSI-a.RSSI, cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

// note adds the cars that are heard now.
func (b *bus) note(heard map[string]Sighting) {
	for path := range b.tree {
		if name := b.tree.named(path); isCar(name) && b.tree.heard(b.adapter, path) {
			heard[name] = Sighting{name, property[string](b.tree, path, ifDevice, "Address"), int(property[int16](b.tree, path, ifDevice, "RSSI"))}
		}
	}
}
