package auth

import (
	"errors"
	"sync"
	"testing"
	"time"
)

func TestTwoProcessesOneRefresh(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, a *Source) {
		b := open(t, dir, tesla)
		tesla.wait = 3 * time.Second
		for gen := range 5 {
			time.Sleep(8 * time.Hour)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { mustGet(t, a, gen+1) })
				wg.Go(func() { mustGet(t, b, gen+1) })
			}
			wg.Wait()
			tokensAre(t, tesla, gen+1)
		}
		want(t, "dead tokens tried", tesla.tooOld, 0)
	})
}

func TestRefreshOfTheCommandLineBesideADaemon(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, daemon *Source) {
		cli := open(t, dir, tesla)
		if err := cli.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "on disk", onDisk(t, dir), 1)
		answer, err := daemon.Client().Get("https://owner-api.teslamotors.com/x") // with the old one: 401
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 1)
	})
}

// Real time, real locks: nothing in this test waits for a clock.
func TestTwoProcessesRaceInRealTime(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	loginAt(t, dir, tesla, time.Now().Add(-7*time.Hour))
	a, b := open(t, dir, tesla), open(t, dir, tesla)
	var wg sync.WaitGroup
	for range 100 {
		for _, s := range []*Source{a, b} {
			wg.Go(func() {
				if _, err := s.get(t.Context(), none); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if err := errors.Join(a.Refresh(t.Context()), b.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	want(t, "dead tokens tried", tesla.tooOld, 0)
	tokensAre(t, tesla, tesla.gen)
}
