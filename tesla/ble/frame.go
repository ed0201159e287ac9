package ble

import (
	"fmt"
	"time"
)

const (
	// maxMessage is what a car takes and sends at once.
	maxMessage = 1024
	// header is the length before each message, two bytes, the high one first.
	header = 2
	// fragmentGap is the pause after which an unfinished message is given up: its rest will not come.
	fragmentGap = time.Second
	// leastChunk and mostChunk bound what is written at once: the smallest packet there is, and the longest value.
	leastChunk, mostChunk = 20, 512
)

// frame puts the length before a message.
func frame(message []byte) ([]byte, error) {
	if len(message) == 0 || len(message) > maxMessage {
		return nil, &Error{Kind: ErrProtocol, Text: fmt.Sprintf("a message of %d bytes cannot be sent; 1 to %d can", len(message), maxMessage)}
	}
	return append([]byte{byte(len(message) >> 8), byte(len(message))}, message...), nil
}

// chunkSize is how much fits into one packet of an ATT MTU; 0 means that it is not known.
func chunkSize(mtu int) int { return min(max(mtu-3, leastChunk), mostChunk) }

// assembler makes messages of the fragments that arrive. It holds less than one message and one fragment.
type assembler struct {
	rest []byte
	last time.Time
}

// add takes a fragment, and returns the messages that are whole now. A length that no message has means that the
// beginning was lost; everything until the next pause is then useless.
func (a *assembler) add(fragment []byte, now time.Time) (messages [][]byte) {
	if now.Sub(a.last) > fragmentGap {
		a.rest = nil
	}
	a.last = now
	a.rest = append(a.rest, fragment...)
	for len(a.rest) >= header {
		length := int(a.rest[0])<<8 | int(a.rest[1])
		if length > maxMessage {
			a.rest = nil
			break
		}
		if len(a.rest) < header+length {
			break
		}
		if length > 0 {
			messages = append(messages, a.rest[header:header+length:header+length])
		}
		a.rest = a.rest[header+length:]
	}
	return messages
}
