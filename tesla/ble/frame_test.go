package ble

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLocalName(t *testing.T) {
	// printf 5YJ3E1EA7KF317000 | sha1sum | cut -c 1-16
	if got := LocalName("5YJ3E1EA7KF317000"); got != "S78d8f255b258c3c6C" || !isCar(got) {
		t.Errorf("got %s", got)
	}
	for _, name := range []string{"", "S", "Tesla", "S78d8f255b258c3cxC", "X78d8f255b258c3c6C", "S78d8f255b258c3c6"} {
		if isCar(name) {
			t.Errorf("%q is taken for a car", name)
		}
	}
}

func TestFrame(t *testing.T) {
	for _, size := range []int{1, 255, 256, maxMessage} {
		got, err := frame(make([]byte, size))
		if err != nil || len(got) != size+2 || int(got[0])<<8+int(got[1]) != size {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	for _, size := range []int{0, maxMessage + 1} {
		if _, err := frame(make([]byte, size)); err == nil {
			t.Errorf("%d bytes were framed", size)
		}
	}
}

func TestChunkSize(t *testing.T) {
	for mtu, want := range map[int]int{0: 20, 23: 20, 247: 244, 517: 512, 65535: 512} {
		if got := chunkSize(mtu); got != want {
			t.Errorf("%d: %d, want %d", mtu, got, want)
		}
	}
}

// However messages are cut into packets, the same messages arrive.
func TestAssembler(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_800_000_000, 0)
	for range 200 {
		var a assembler
		var sent, got [][]byte
		var wire []byte
		for range 1 + random.IntN(4) {
			message := make([]byte, 1+random.IntN(maxMessage))
			for i := range message {
				message[i] = byte(random.Uint32())
			}
			framed, err := frame(message)
			if err != nil {
				t.Fatal(err)
			}
			sent, wire = append(sent, message), append(wire, framed...)
		}
		for len(wire) > 0 {
			n := min(1+random.IntN(300), len(wire))
			got = append(got, a.add(wire[:n], now)...)
			wire = wire[n:]
		}
		if len(got) != len(sent) {
			t.Fatalf("%d messages of %d", len(got), len(sent))
		}
		for i := range got {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("message %d is another", i)
			}
		}
	}
}

func TestAssemblerForgets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var a assembler
	if got := a.add([]byte{0, 3, 1}, now); got != nil {
		t.Errorf("a part gave %v", got)
	}
	if got := a.add([]byte{0, 1, 7}, now.Add(fragmentGap+1)); len(got) != 1 || !bytes.Equal(got[0], []byte{7}) {
		t.Errorf("after a pause: %v", got)
	}
	if got := a.add([]byte{0xff, 0xff, 1, 2, 3}, now.Add(fragmentGap+2)); got != nil || len(a.rest) != 0 {
		t.Errorf("of nonsense %v, kept %v", got, a.rest)
	}
	if got := a.add([]byte{0, 0, 0, 1, 9}, now.Add(fragmentGap+3)); len(got) != 1 || got[0][0] != 9 {
		t.Errorf("after an empty message: %v", got)
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0, 3, 1, 2, 3}, []byte{0, 1})
	f.Add([]byte{0xff}, []byte{0xff, 0, 1, 5})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		var a assembler
		now := time.Unix(1_800_000_000, 0)
		total := 0
		for _, m := range append(a.add(one, now), a.add(two, now)...) {
			if len(m) == 0 || len(m) > maxMessage {
				t.Fatalf("a message of %d bytes", len(m))
			}
			total += len(m)
		}
		if total+len(a.rest) > len(one)+len(two) || len(a.rest) >= header+maxMessage {
			t.Fatalf("%d bytes of messages and %d kept of %d", total, len(a.rest), len(one)+len(two))
		}
	})
}
