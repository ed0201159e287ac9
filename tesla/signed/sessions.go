package signed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/cache"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"

	"tesla2mqtt/tesla"
)

const (
	// A session is asked for at most so often: it costs as much as a command, and a car has better things to do.
	maxHandshakes = 4
	// So many more, so that what came before cannot keep a charge from being ended.
	stopHandshakes = 4
	handshakeSpan  = time.Minute

	// counterReserve is how many counters are taken from the file at a time. What the file names was never used, so that a
	// crash cannot make a counter come twice, without a write for each command.
	counterReserve = 256
	// maxClock is what a car's clock can show, in seconds: the protocol's limit is 2^30, some 34 years.
	maxClock = 1<<30 - 24*60*60

	// shortReserve is for a process that keeps nothing, such as set-amps: so it leaves out other counters than the bridge does
	// beside it, and the two never use the same.
	shortReserve = 8
)

// Memory keeps small files.
type Memory interface {
	// Load returns nil if there is no such file.
	Load(name string) ([]byte, error)
	Save(name string, data []byte) error
}

// sessions are those with one car, as they survive a restart. There is no secret in the file.
type sessions struct {
	memory  Memory
	name    string
	trouble func(error) // told of what could not be written

	Key        string              `json:"key"` // fingerprint of the key that they are for
	Handshakes []time.Time         `json:"handshakes"`
	Cache      *cache.SessionCache `json:"sessions"`

	reserve  uint32
	reserved map[int]uint32 // by domain: the counter that the file names
}

// loadSessions reads what was kept of a car. What is missing, damaged or of another key is as if there were none.
func loadSessions(memory Memory, trouble func(error), vin, key string) *sessions {
	s := &sessions{memory: memory, name: "session-" + vin + ".json", trouble: trouble,
		Key: key, Cache: cache.New(0), reserve: counterReserve, reserved: map[int]uint32{}}
	if memory == nil {
		s.reserve = shortReserve
		return s
	}
	data, err := memory.Load(s.name)
	if err != nil || len(data) == 0 {
		return s // what cannot be read is told when it cannot be written
	}
	var file struct {
		Key        string          `json:"key"`
		Handshakes []time.Time     `json:"handshakes"`
		Cache      json.RawMessage `json:"sessions"`
	}
	if json.Unmarshal(data, &file) != nil || len(file.Handshakes) > maxHandshakes+stopHandshakes {
		return s
	}
	s.Handshakes = file.Handshakes
	kept, err := cache.Import(bytes.NewReader(file.Cache))
	if file.Key != key || err != nil {
		return s
	}
	entries := kept.Vehicles[vin]
	for _, e := range entries {
		info, ok := sessionInfo(e.SessionInfo)
		if !ok || s.reserved[e.Domain] != 0 || e.CreatedAt.After(time.Now()) {
			clear(s.reserved)
			return s
		}
		s.reserved[e.Domain] = info.GetCounter()
	}
	if len(entries) > 0 {
		s.Cache.Vehicles[vin] = entries
	}
	return s
}

// sessionInfo decodes one session, and looks whether it can be one. The car's clock counts up from its start; one that is
// beyond all reason comes of a clock of ours that was set back behind that. Tesla's library would try to sign with it again and
// again, without a pause, until the deadline.
func sessionInfo(raw []byte) (*signatures.SessionInfo, bool) {
	info := new(signatures.SessionInfo)
	ok := proto.Unmarshal(raw, info) == nil && len(info.GetPublicKey()) == 65 && len(info.GetEpoch()) == 16 &&
		info.GetCounter() < math.MaxUint32-2*counterReserve && info.GetClockTime() < maxClock
	return info, ok
}

// begin tells whether a session may be asked for at now, and books it before it is: a crash does not make it forgotten.
func (s *sessions) begin(now time.Time, stop bool) (undo func(), err error) {
	recent := s.Handshakes[:0:0]
	for _, at := range s.Handshakes {
		if age := now.Sub(at); age >= 0 && age < handshakeSpan {
			recent = append(recent, at)
		}
	}
	most := maxHandshakes
	if stop {
		most += stopHandshakes
	}
	if len(recent) >= most {
		return nil, &tesla.Error{Class: tesla.ErrRateLimited,
			Text:       fmt.Sprintf("tesla2mqtt has asked the car for a new session %d times within a minute, and asks no more for now", len(recent)),
			Todo:       "this limit is tesla2mqtt's own, not Tesla's; send it again after that time (stopping the charge may be tried at once), and see in the log why the sessions failed",
			RetryAfter: handshakeSpan - now.Sub(recent[len(recent)-most])}
	}
	s.Handshakes = append(slices.Clone(recent), now.UTC())
	s.save()
	return func() {
		s.Handshakes = recent
		s.save()
	}, nil
}

// forget drops the sessions.
func (s *sessions) forget() {
	s.Cache = cache.New(0)
	clear(s.reserved)
	s.save()
}

// exporter is a vehicle, as far as its sessions go.
type exporter interface {
	UpdateCachedSessions(*cache.SessionCache) error
}

// keep takes over the sessions as they are now, and writes them if they are new, or their counters have come close to what the
// file names. It comes before the first use of a session that was loaded. It returns false for sessions that must not be used.
func (s *sessions) keep(v exporter, vin string) bool {
	now := cache.New(0)
	if err := v.UpdateCachedSessions(now); err != nil {
		s.trouble(fmt.Errorf("export the car's session: %w", err))
		return false
	}
	dirty := false
	for i, e := range now.Vehicles[vin] {
		info, ok := sessionInfo(e.SessionInfo)
		if !ok {
			return false
		}
		named := s.reserved[e.Domain]
		used := info.GetCounter()
		if used+s.reserve/4 > named || named-used > 2*s.reserve {
			named, dirty = used+s.reserve, true
		}
		s.reserved[e.Domain] = named
		info.Counter = named
		raw, err := proto.Marshal(info)
		if err != nil {
			s.trouble(fmt.Errorf("export the car's session: %w", err))
			return false
		}
		now.Vehicles[vin][i].SessionInfo = raw
	}
	epochs := !sameEpochs(s.Cache, now, vin)
	s.Cache = now
	if dirty || epochs {
		s.save()
	}
	return true
}

// sameEpochs tells whether two caches hold the same sessions.
func sameEpochs(a, b *cache.SessionCache, vin string) bool {
	epochs := func(c *cache.SessionCache) map[int]string {
		found := map[int]string{}
		for _, e := range c.Vehicles[vin] {
			info, _ := sessionInfo(e.SessionInfo)
			found[e.Domain] = string(info.GetEpoch())
		}
		return found
	}
	x, y := epochs(a), epochs(b)
	if len(x) != len(y) {
		return false
	}
	for domain, epoch := range x {
		if y[domain] != epoch {
			return false
		}
	}
	return true
}

// save writes the file. A session that could not be written is still good: it costs a handshake after the next start.
func (s *sessions) save() {
	if s.memory == nil {
		return
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = s.memory.Save(s.name, data)
	}
	if err != nil {
		s.trouble(fmt.Errorf("the car's session could not be saved, and is made anew after the next start: %w", err))
	}
}
