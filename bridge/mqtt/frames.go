package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const (
	// maxPayload is the largest message that is handed on, in bytes; a larger one is dropped and counted.
	maxPayload = 64 << 10
	// maxFrame is the longest packet that reaches paho: a topic of any length and still more than maxPayload.
	maxFrame = 192 << 10
	// typePublish is the upper half of the first byte of a PUBLISH packet.
	typePublish = 3
)

// frames bounds what a broker can make us hold in memory. paho reads any packet whole, and MQTT allows 256 MiB, so anyone
// who may publish to a command topic could exhaust a small machine. A longer PUBLISH is cut to maxFrame while it is read:
// it is acknowledged as usual, and its payload is still long enough to be dropped for its size.
type frames struct {
	net.Conn
	in     *bufio.Reader
	head   []byte // of the current packet, not yet delivered
	body   int    // bytes of the current packet still to deliver
	excess int    // bytes of the current packet to throw away
}

func bounded(c net.Conn) net.Conn {
	return &frames{Conn: c, in: bufio.NewReader(c)}
}

// Read delivers the stream packet by packet.
func (f *frames) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(f.head) == 0 && f.body == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.head) > 0 {
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := f.in.Read(p[:min(len(p), f.body)])
	f.body -= n
	return n, err
}

// next skips the rest of the packet before and reads the fixed header of the following one.
func (f *frames) next() error {
	skipped, err := io.CopyN(io.Discard, f.in, int64(f.excess))
	f.excess -= int(skipped)
	if err != nil {
		return err
	}
	kind, err := f.in.ReadByte()
	if err != nil {
		return err
	}
	length, err := f.length()
	if err != nil {
		return err
	}
	if length > maxFrame {
		if kind>>4 != typePublish {
			return fmt.Errorf("the broker sent a packet of type %d with %d bytes", kind>>4, length)
		}
		f.excess, length = length-maxFrame, maxFrame
	}
	f.head = binary.AppendUvarint([]byte{kind}, uint64(length)) // MQTT's length is a varint of at most four bytes
	f.body = length
	return nil
}

func (f *frames) length() (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := f.in.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, errors.New("the broker sent a packet with a malformed length")
}
