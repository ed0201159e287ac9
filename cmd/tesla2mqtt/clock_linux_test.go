package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// ourClock is what the program under test has in time.Now: so many seconds more on the wall, as a file that is mapped says.
// The monotonic clock stays what it is, as when a machine's clock is set.
const ourClock = `
var wallOffset = mapWallOffset()

func mapWallOffset() *int64 {
	name, _ := syscall.Getenv("CAMPAIGN_CLOCK")
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		panic("CAMPAIGN_CLOCK: " + err.Error())
	}
	mem, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("CAMPAIGN_CLOCK: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&mem[0]))
}
`

// buildWithClock builds the real program on a standard library whose wall clock can be set.
func buildWithClock(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, change := range [][2]string{
		{"\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn Time{", "\tsec, nsec, mono := runtimeNow()\n\tsec += *wallOffset\n\tif mono == 0 {\n\t\treturn Time{"},
		{"\t_ \"unsafe\" // for go:linkname\n)", "\t\"syscall\"\n\t\"unsafe\"\n)"},
	} {
		if strings.Count(changed, change[0]) != 1 {
			t.Skipf("this Go's time.go is another one than this test knows: %q", change[0])
		}
		changed = strings.Replace(changed, change[0], change[1], 1)
	}
	dir := t.TempDir()
	ours, overlay, program := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "tesla2mqtt")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: ours}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{ours: []byte(changed + ourClock), overlay: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// wallClock is the clock of one program.
type wallClock struct {
	t    *testing.T
	name string
}

func newWallClock(t *testing.T) *wallClock {
	c := &wallClock{t, filepath.Join(t.TempDir(), "clock")}
	c.set(0)
	return c
}

func (c *wallClock) set(offset time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(binary.NativeEndian.AppendUint64(nil, uint64(offset/time.Second)))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// TestCampaignClock: the machine's clock is set by 30 s and by a day, forth and back, while the program runs and while it is
// stopped. It asks for no token more than it needs, goes on reading at its pace, executes and refuses commands as before,
// and wakes a car neither more often than promised nor not at all.
func TestCampaignClock(t *testing.T) {
	rounds, long, random := drawn(t, 1)
	if !long {
		t.Skip("builds the program on another clock, which takes a minute: .ci/campaign/clock runs it")
	}
	program := buildWithClock(t)
	h := newLightHousehold(t)
	h.tesla.ExpiresIn = 40 * time.Second
	sleeper := h.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000002", Asleep: true, WakeTakes: 2 * time.Second, SleepAfter: 4 * time.Second})
	r := h.resident(h.settings).logIn()
	r.program = program
	clock := newWallClock(t)
	r.env = []string{"CAMPAIGN_CLOCK=" + clock.name}
	r.addCar("5YJ3E1EA7KF000002", "sleeper")
	r.start()
	within(t, 20*time.Second, "the bridge is well", h.well)
	jumps := []time.Duration{30 * time.Second, -30 * time.Second, 24 * time.Hour, -24 * time.Hour}
	var offset time.Duration
	mayWake := 1
	for round := range rounds {
		jump := jumps[(round+random.IntN(2)*2)%4]
		offset += jump
		restart := round%3 == 2
		if restart {
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}
		before := h.count()
		clock.set(offset)
		if restart {
			r.start()
			within(t, 20*time.Second, "the bridge is well again", h.well)
		}
		if restart && jump == 24*time.Hour {
			mayWake++ // a stopped program cannot tell a day from a clock that was set
		}
		sleeper.Sleep()
		within(t, 10*time.Second, "the other car is seen asleep", func() bool { return h.says("sleeper/vehicle_state") == "asleep" })
		h.client.Publish("tesla2mqtt/sleeper/wake/set", []byte("1"), false)
		h.lifeGoesOn(round, 20*time.Second)
		got := h.count().less(before)
		t.Logf("round %d: clock set by %s (now %s off), restart %v: %+v in %s", round, jump, offset, restart, got, 20*time.Second)
		got.check(t, restart)
	}
	wakes := h.tesla.Count("wake_up", sleeper.VIN())
	t.Logf("%d wakes, at most %d", wakes, mayWake)
	if wakes == 0 || wakes > mayWake {
		t.Errorf("the car was woken %d times within 15 minutes", wakes)
	}
	h.checkOnce(r)
	h.checkNeighbours(r)
}

func (r *resident) addCar(vin, name string) {
	r.h.t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		r.h.t.Fatal(err)
	}
	changed := strings.Replace(string(text), "name: car}]", fmt.Sprintf("name: car}, {vin: %s, name: %s}]", vin, name), 1)
	if err := os.WriteFile(r.config, []byte(changed), 0o600); err != nil {
		r.h.t.Fatal(err)
	}
}

// requests is how often Tesla was asked.
type requests struct{ token, looks, reads, wakes int }

func (h *household) count() requests {
	return requests{h.tesla.Count("token", ""), h.tesla.Count("vehicle", vin), h.tesla.Count("vehicle_data", vin), h.tesla.Count("wake_up", "")}
}

func (a requests) less(b requests) requests {
	return requests{a.token - b.token, a.looks - b.looks, a.reads - b.reads, a.wakes - b.wakes}
}

// check holds 20 s of polling each second, with a token that lives for 40 s, against what it costs without any jump.
func (a requests) check(t *testing.T, restart bool) {
	t.Helper()
	if a.token > 2 {
		t.Errorf("%d token requests", a.token)
	}
	if a.looks < 10 || a.looks > 40 || a.reads < 10 || a.reads > 50 {
		t.Errorf("%d looks and %d reads", a.looks, a.reads)
	}
	if a.wakes > 1 {
		t.Errorf("%d wakes", a.wakes)
	}
}

// lifeGoesOn sends a command each two seconds and expects each to be carried out.
func (h *household) lifeGoesOn(round int, d time.Duration) {
	h.t.Helper()
	for began, n := time.Now(), 0; time.Since(began) < d; n++ {
		id := fmt.Sprintf("%d-%d", round, n)
		h.send("charge_amps", fmt.Sprintf(`{"value":%d,"id":%q,"ttl":10}`, 6+(h.car.Amps()-5)%20, id))
		within(h.t, 15*time.Second, "a result for "+id, func() bool { return len(h.results()[id]) > 0 })
		if got := h.results()[id][0]; got.Status != "ok" || got.DurationMS < 0 || got.DurationMS > 11_000 {
			h.t.Errorf("%s is %+v", id, got)
		}
		time.Sleep(2 * time.Second) // the pace of the sender
	}
	if last, err := time.Parse(time.RFC3339, h.says("car/last_update")); err != nil || time.Since(last).Abs() > 10*time.Second {
		h.t.Errorf("last_update is %s off (%v)", time.Since(last), err)
	}
}
