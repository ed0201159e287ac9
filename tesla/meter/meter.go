// Package meter counts what the calls to Tesla's Fleet API cost, and keeps them within a monthly budget.
//
// What it promises: what it has counted in a month never passes the budget, and it has counted at least what Tesla bills.
// So each request is on disk before it is sent, in usage.json, under a lock file that every process of the machine respects:
// a crash loses none, and the command line counts as the bridge does. What got no answer counts as billed; only what was
// certainly not sent, and answers of 500 and above, are taken back. Sums are integers.
//
// As the money goes, reads and commands are spaced further; then commands that can wait are refused, then reads and
// wakes, then lowering the current, and stopping last, when there is nothing left at all. See pace.go for how much is kept
// for whom.
//
// What makes no sense is never taken for free money: a damaged file counts as all but the reserve, and a clock that was set
// back into an earlier month brings none back. Where the file cannot be written, only lowering and stopping are sent.
//
// Not stopped: somebody who deletes usage.json; another program that uses the same Tesla application; a clock that is a month
// ahead, which spends the next month's money now.
package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/tesla"
)

const (
	fileName = "usage.json"
	lockName = "usage.lock"
	// lockPatience is much longer than another process needs for one request.
	lockPatience = 5 * time.Second
)

// Files keeps usage.json. Load returns nil for what was never saved; what was saved is on disk when Save returns.
type Files interface {
	Load(name string) ([]byte, error)
	Save(name string, data []byte) error
}

// Options is what a meter needs to know. Its zero value has no limit.
type Options struct {
	// Budget is what a month may cost, 0 for no limit.
	Budget USD
	// Every is how often the configuration wants full reads of a charging car: a slower pace is worth a word.
	Every time.Duration
	// Cars tells how many cars share the budget, nil for one.
	Cars func() int
	// Now is the clock, nil for the machine's.
	Now func() time.Time
}

// Meter is one process's hand on the common usage.json. It is safe for concurrent use.
type Meter struct {
	o     Options
	files Files
	lock  func(context.Context) (unlock func() error, err error)
	close func() error
	turn  chan struct{} // full while somebody books

	known atomic.Pointer[known]
}

// known is what this process knows of the ledger; it is replaced as a whole.
type known struct {
	ledger
	owed  counts // of this month: what the file does not have yet, or has too much
	fault error  // why the file could not be kept
}

// Open opens the ledger in the state folder. Close it, so that what was taken back is known to others.
func Open(dir string, o Options) (*Meter, error) {
	folder, err := atomicfile.OpenFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open the state folder: %w", err)
	}
	file := flock.New(filepath.Join(dir, lockName))
	lock := func(ctx context.Context) (func() error, error) {
		_, err := file.TryLockContext(ctx, 10*time.Millisecond)
		return file.Unlock, err
	}
	m := New(folder, lock, o)
	m.close = func() error { return errors.Join(file.Close(), folder.Close()) }
	return m, nil
}

// New returns a meter over files. lock keeps other processes away from them until unlock.
func New(files Files, lock func(context.Context) (unlock func() error, err error), o Options) *Meter {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Meter{o: o, files: files, lock: lock, close: func() error { return nil }, turn: make(chan struct{}, 1)}
	m.known.Store(&known{})
	k := m.peek()
	m.known.Store(&k)
	return m
}

// Book counts a request before it is sent; see tesla.Meter.
func (m *Meter) Book(ctx context.Context, e tesla.Expense) (unbill func(), err error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, refusal("gave up waiting for usage.json", 0)
	}
	month, err := m.exchange(ctx, func(l ledger, now time.Time) (ledger, error) { return l.book(e, m.o.Budget, now) }, e)
	if err != nil {
		return nil, err
	}
	return func() { m.owe(month, counts{}.add(e, -1)) }, nil
}

// Stream counts signals that a car has streamed. They are told, and are not held against the budget: no request makes them come, and
// to refuse one would keep none away.
func (m *Meter) Stream(ctx context.Context, n int64) error {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := m.exchange(ctx, func(l ledger, now time.Time) (ledger, error) {
		l = l.at(now)
		l.Signals += n
		return l, nil
	}, tesla.ExpenseStop) // like a stop, it is kept in memory where it cannot be written
	return err
}

// exchange changes the ledger on disk, for e. Where it cannot be kept, the change is made in memory for what must not wait,
// and for everything if there is no limit. The turn is ours.
func (m *Meter) exchange(ctx context.Context, change func(ledger, time.Time) (ledger, error), e tesla.Expense) (month string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	now := m.o.Now()
	unlock, fault := m.lock(ctx)
	if fault == nil {
		defer func() { _ = unlock() }() // should that fail, the next one says so, and the end of the process frees it
	}
	k := *m.known.Load()
	if fault == nil {
		k, fault = m.read(k, now)
	}
	l, err := change(k.ledger, now)
	if err != nil {
		// Refused; what was read is news all the same.
		k.fault = fault
		m.known.Store(&k)
		return l.Month, err
	}
	before := k.counts
	if l.Month != k.Month {
		k.owed, before = counts{}, counts{}
	}
	if fault == nil {
		fault = m.write(l)
	}
	switch {
	case fault == nil:
		k.owed = counts{}
	case m.o.Budget > 0 && e != tesla.ExpenseLower && e != tesla.ExpenseStop:
		k.fault = fault
		m.known.Store(&k)
		return l.Month, refusal("what is spent cannot be written down ("+fault.Error()+"), so only lowering and stopping are sent", time.Minute)
	default:
		k.owed = k.owed.change(l.counts).change(before.negative())
	}
	m.known.Store(&known{l, k.owed, fault})
	return l.Month, nil
}

// read takes what the file says together with what it does not know yet. The lock is ours.
func (m *Meter) read(k known, now time.Time) (known, error) {
	data, err := m.files.Load(fileName)
	if err != nil {
		return k, err
	}
	l, err := parse(data)
	if err != nil {
		// For its owner to look at. That this fails as well changes nothing.
		_ = m.files.Save(damagedName, data)
		l = worst(m.o.Budget, now)
		return known{ledger: l}, m.write(l)
	}
	return k.with(l), nil
}

// with takes over what the file says.
func (k known) with(l ledger) known {
	switch {
	case l.Month < k.Month:
		return k // deleted under us, or not written in this month yet: what is in memory counts
	case l.Month > k.Month:
		return known{ledger: l} // what is owed was of a month that is over, and somebody could write
	}
	k.ledger, k.counts = l, l.counts.plus(k.owed)
	return k
}

const damagedName = "usage-damaged.json"

func (m *Meter) write(l ledger) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return m.files.Save(fileName, data)
}

// owe notes a change of the counts that the file learns of later.
func (m *Meter) owe(month string, d counts) {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	k := *m.known.Load()
	if k.Month != month {
		return
	}
	k.owed, k.counts = k.owed.change(d), k.counts.plus(d)
	m.known.Store(&k)
}

// peek looks at the file without the lock, which is enough for what is only shown: a file is replaced as a whole.
func (m *Meter) peek() known {
	k := *m.known.Load()
	data, err := m.files.Load(fileName)
	l, damaged := parse(data)
	switch {
	case err != nil:
		k.fault = err
	case damaged != nil:
		k.ledger, k.owed = worst(m.o.Budget, m.o.Now()), counts{}
	default:
		k = k.with(l)
	}
	return k
}

// Close writes down what was taken back, and lets go of the folder.
func (m *Meter) Close() error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	var err error
	if m.known.Load().owed != (counts{}) {
		_, err = m.exchange(context.Background(), func(l ledger, _ time.Time) (ledger, error) { return l, nil }, tesla.ExpenseStop)
		err = errors.Join(err, m.known.Load().fault)
	}
	return errors.Join(err, m.close())
}

// Pace tells at what distance a car may be read now, and how long a command that can wait has to. It waits for nothing.
func (m *Meter) Pace(now time.Time) (read, command time.Duration) {
	k := m.known.Load().at(now)
	if m.o.Budget == 0 {
		return 0, 0
	}
	cars := 1
	if m.o.Cars != nil {
		cars = max(1, m.o.Cars())
	}
	read = min(k.gap(slotRead, m.o.Budget, now)*time.Duration(cars), endless)
	if k.spendable(tesla.ExpenseCommand, m.o.Budget, now) < prices[tesla.ExpenseCommand] {
		return read, again
	}
	return read, k.wait(tesla.ExpenseCommand, m.o.Budget, now)
}
