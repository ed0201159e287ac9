package meter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

// open opens a meter in dir, at a clock of the test's.
func open(t *testing.T, dir string, now *time.Time) *Meter {
	t.Helper()
	m, err := Open(dir, Options{Budget: ten, Every: 5 * time.Minute, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func book(t *testing.T, m *Meter, e tesla.Expense) (unbill func()) {
	t.Helper()
	unbill, err := m.Book(t.Context(), e)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	return unbill
}

// TestProcessesShareTheMoney: what one process books the others know, a crash loses nothing, and what was taken back is
// given up only by a crash.
func TestProcessesShareTheMoney(t *testing.T) {
	dir, now := t.TempDir(), date(3, 12)
	bridge, cli := open(t, dir, &now), open(t, dir, &now)
	book(t, bridge, tesla.ExpenseRead)
	book(t, cli, tesla.ExpenseCommand)
	unbill := book(t, cli, tesla.ExpenseWake)
	want := func(m *Meter, spent USD) {
		t.Helper()
		if got := m.Report().Spent; got != spent {
			t.Errorf("%s USD are spent, want %s", got, spent)
		}
	}
	want(bridge, 23_000)
	unbill()
	want(cli, 3_000)
	want(open(t, dir, &now), 23_000) // had the process crashed now, the wake would count
	if err := cli.Close(); err != nil {
		t.Fatal(err)
	}
	want(bridge, 3_000)
	book(t, bridge, tesla.ExpenseStop)
	want(open(t, dir, &now), 4_000)
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("usage.json: %v, %v", info.Mode(), err)
	}
}

// TestSignals: what a car streams is told with its price, by all processes and over a restart, and is held against nothing.
func TestSignals(t *testing.T) {
	dir, now := t.TempDir(), date(31, 23)
	bridge, cli := open(t, dir, &now), open(t, dir, &now)
	book(t, cli, tesla.ExpenseRead)
	for range 2 {
		if err := bridge.Stream(t.Context(), 1_500_000); err != nil {
			t.Fatal(err)
		}
	}
	book(t, cli, tesla.ExpenseStop)
	want := func(m *Meter, signals int64, usd, spent USD) {
		t.Helper()
		if r := m.Report(); r.Signals != (Cost{signals, usd}) || r.Spent != spent || *r.Left != ten-spent {
			t.Errorf("got %+v", r)
		}
	}
	want(bridge, 3_000_000, 20*Dollar, 3_000)
	want(open(t, dir, &now), 3_000_000, 20*Dollar, 3_000)
	now = now.Add(2 * time.Hour)
	want(bridge, 0, 0, 0)
	if err := bridge.Stream(t.Context(), 15); err != nil {
		t.Fatal(err)
	}
	want(cli, 15, 100, 0)
	f := &files{data: map[string][]byte{}, full: syscall.ENOSPC}
	m := New(f, unlocked, Options{Budget: ten, Now: func() time.Time { return now }})
	for range 2 {
		if err := m.Stream(t.Context(), 15); err != nil {
			t.Fatal(err)
		}
	}
	if f.full = nil; m.Close() != nil {
		t.Error("what came while the disk was full could not be written down later")
	}
	want(New(f, unlocked, Options{Budget: ten, Now: func() time.Time { return now }}), 30, 200, 0)
}

// TestManyAtOnce: not one is lost between goroutines and processes.
func TestManyAtOnce(t *testing.T) {
	dir, now := t.TempDir(), date(3, 12)
	var running sync.WaitGroup
	for range 2 {
		m := open(t, dir, &now)
		for range 4 {
			running.Go(func() {
				for range 10 {
					if _, err := m.Book(t.Context(), tesla.ExpenseLower); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	running.Wait()
	if got := open(t, dir, &now).Report().Commands; got != (Cost{80, 80_000}) {
		t.Errorf("80 were booked, %+v are known", got)
	}
}

// TestTakenBackAfterTheMonth: a request of November cannot make December cheaper.
func TestTakenBackAfterTheMonth(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)
	m := open(t, dir, &now)
	unbill := book(t, m, tesla.ExpenseRead)
	now = date(1, 0)
	book(t, m, tesla.ExpenseRead)
	unbill()
	if r := m.Report(); r.Month != "2026-12" || r.Reads.Count != 1 || !r.Since.Equal(now) {
		t.Errorf("got %+v", r)
	}
}

// TestDamagedFileIsNoFreeMoney: only lowering and stopping are left, it is said, and the file is kept for its owner.
func TestDamagedFileIsNoFreeMoney(t *testing.T) {
	for name, content := range map[string]string{
		"cut": `{"version":1,"month":"2026-12","rea`, "empty": "", "negative": `{"version":1,"month":"2026-12","reads":-5000}`,
		"huge": `{"version":1,"month":"2026-12","reads":9000000000000000000}`, "another version": `{"version":2,"month":"2026-12"}`,
		"no month": `{"version":1}`, "null": "null",
	} {
		t.Run(name, func(t *testing.T) {
			dir, now := t.TempDir(), date(3, 12)
			if err := os.WriteFile(filepath.Join(dir, fileName), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it is the same after a restart
				m := open(t, dir, &now)
				for _, e := range []tesla.Expense{tesla.ExpenseRead, tesla.ExpenseWake, tesla.ExpenseCommand} {
					if _, err := m.Book(t.Context(), e); !errors.Is(err, tesla.ErrOwnBudget) {
						t.Errorf("%s: %v", e, err)
					}
				}
				book(t, m, tesla.ExpenseLower)
				book(t, m, tesla.ExpenseStop)
				if r := m.Report(); !strings.Contains(r.Problem, "damaged") || len(r.Throttled) == 0 || *r.Left > 2*Dollar {
					t.Errorf("got %+v", r)
				}
			}
			if kept, err := os.ReadFile(filepath.Join(dir, damagedName)); err != nil || string(kept) != content {
				t.Errorf("kept is %q, %v", kept, err)
			}
			now = date(31, 23).Add(time.Hour)
			book(t, open(t, dir, &now), tesla.ExpenseRead)
		})
	}
}

// files are on a disk that can be full.
type files struct {
	data map[string][]byte
	full error
}

func (f *files) Load(name string) ([]byte, error) { return f.data[name], nil }

func (f *files) Save(name string, data []byte) error {
	if f.full == nil {
		f.data[name] = data
	}
	return f.full
}

func unlocked(context.Context) (func() error, error) { return func() error { return nil }, nil }

// TestFullDisk: what cannot be written down is not sent, but for lowering and stopping, which are written down later.
func TestFullDisk(t *testing.T) {
	f, now := &files{data: map[string][]byte{}}, date(3, 12)
	o := Options{Budget: ten, Now: func() time.Time { return now }}
	m := New(f, unlocked, o)
	book(t, m, tesla.ExpenseRead)
	f.full = syscall.ENOSPC
	if _, err := m.Book(t.Context(), tesla.ExpenseRead); !errors.Is(err, tesla.ErrOwnBudget) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("a read: %v", err)
	}
	book(t, m, tesla.ExpenseLower)
	unbill := book(t, m, tesla.ExpenseStop)
	book(t, m, tesla.ExpenseStop)
	if r := m.Report(); r.Commands.Count != 3 || r.Reads.Count != 1 || !strings.Contains(r.Problem, "no space") {
		t.Errorf("got %+v", r)
	}
	unbill()
	f.full = nil
	book(t, m, tesla.ExpenseRead)
	if r := New(f, unlocked, o).Report(); r.Commands.Count != 2 || r.Reads.Count != 2 || r.Problem != "" {
		t.Errorf("after that: %+v", r)
	}
}

// TestFullDiskOverTheMonth: what was not written down when the month began is not forgotten.
func TestFullDiskOverTheMonth(t *testing.T) {
	f, now := &files{data: map[string][]byte{}}, date(31, 23)
	m := New(f, unlocked, Options{Budget: ten, Now: func() time.Time { return now }})
	book(t, m, tesla.ExpenseRead)
	f.full = syscall.ENOSPC
	now = now.Add(2 * time.Hour)
	book(t, m, tesla.ExpenseStop)
	book(t, m, tesla.ExpenseStop)
	f.full = nil
	book(t, m, tesla.ExpenseStop)
	if r := m.Report(); r.Month != "2027-01" || r.Commands.Count != 3 || r.Reads.Count != 0 {
		t.Errorf("got %+v", r)
	}
}

// TestNoLimit: everything is counted and nothing refused, even on a disk that is full.
func TestNoLimit(t *testing.T) {
	f, now := &files{data: map[string][]byte{}}, date(3, 12)
	m := New(f, unlocked, Options{Now: func() time.Time { return now }})
	for range 1000 {
		book(t, m, tesla.ExpenseWake)
	}
	f.full = syscall.ENOSPC
	book(t, m, tesla.ExpenseRead)
	read, command := m.Pace(now)
	if r := m.Report(); r.Spent != 20_002_000 || r.Left != nil || len(r.Throttled) != 0 || read != 0 || command != 0 {
		t.Errorf("got %+v, %s, %s", r, read, command)
	}
}

// TestDeletedWhileItRuns: the one who runs remembers.
func TestDeletedWhileItRuns(t *testing.T) {
	dir, now := t.TempDir(), date(3, 12)
	m := open(t, dir, &now)
	book(t, m, tesla.ExpenseWake)
	if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	book(t, m, tesla.ExpenseWake)
	if got := open(t, dir, &now).Report().Wakes.Count; got != 2 {
		t.Errorf("%d wakes are known, want 2", got)
	}
}

// TestLockThatIsHeld: the wait has an end, and what must not wait goes.
func TestLockThatIsHeld(t *testing.T) {
	f, now := &files{data: map[string][]byte{}}, date(3, 12)
	held := func(ctx context.Context) (func() error, error) { return nil, context.DeadlineExceeded }
	m := New(f, held, Options{Budget: ten, Now: func() time.Time { return now }})
	if _, err := m.Book(t.Context(), tesla.ExpenseCommand); !errors.Is(err, tesla.ErrOwnBudget) {
		t.Errorf("a command: %v", err)
	}
	book(t, m, tesla.ExpenseStop)
}

// TestPaceOfSeveralCars: they share one budget.
func TestPaceOfSeveralCars(t *testing.T) {
	f, now := &files{data: map[string][]byte{}}, date(1, 0)
	m := New(f, unlocked, Options{Budget: ten, Every: 5 * time.Minute, Now: func() time.Time { return now }, Cars: func() int { return 3 }})
	read, command := m.Pace(now)
	if read.Round(time.Second) != 22*time.Minute+19*time.Second || command != 0 {
		t.Errorf("read each %s, commands wait %s", read, command)
	}
	if r := m.Report(); len(r.Throttled) != 1 || !strings.Contains(r.Throttled[0], "22m19s instead of 5m0s") {
		t.Errorf("held back: %q", r.Throttled)
	}
}
