// Package draw lets one test be both short and long: `go test` draws a few random cases, a campaign thousands, by the
// environment. Only tests import it.
package draw

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Count is the number in the environment variable name, or otherwise if there is none.
func Count(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Seed is the number in the environment variable name, or a new one. It is logged, so that a failure can be repeated.
func Seed(t testing.TB, name string) uint64 {
	t.Helper()
	seed := Count(t, name, int(time.Now().UnixNano()&0xffffff))
	t.Logf("%s=%d", name, seed)
	return uint64(seed)
}

// Random is a source for the nth of several things that are drawn from one seed beside each other.
func Random(seed uint64, nth int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(nth))) }
