package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// The little of MQTT 5 that finding out one's rights takes: only that version answers a publish with a reason. The bridge
// itself speaks 3.1.1.

// Packet types, as the upper half of the first byte.
const (
	typeConnack = 2
	typePubrec  = 5
	typeSuback  = 9
)

// Reason codes from here on are refusals.
const reasonFailed = 0x80

type packet struct {
	kind, flags byte
	body        []byte
}

// readPacket relies on frames to bound the length.
func readPacket(in *bufio.Reader) (packet, error) {
	first, err := in.ReadByte()
	if err != nil {
		return packet{}, err
	}
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return packet{}, err
	}
	p := packet{kind: first >> 4, flags: first & 0x0f, body: make([]byte, min(length, maxFrame))}
	_, err = io.ReadFull(in, p.body)
	return p, err
}

// encode makes a packet of parts: byte, uint16, string (with its length) and []byte (as it is).
func encode(first byte, parts ...any) []byte {
	var body []byte
	for _, part := range parts {
		switch part := part.(type) {
		case byte:
			body = append(body, part)
		case uint16:
			body = binary.BigEndian.AppendUint16(body, part)
		case string:
			body = append(binary.BigEndian.AppendUint16(body, uint16(len(part))), part...)
		case []byte:
			body = append(body, part...)
		}
	}
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

const noProperties = byte(0)

// connect5 asks for a session that ends with its connection, without a will.
func connect5(o Options) []byte {
	const cleanStart, hasPassword, hasUser = 0x02, 0x40, 0x80
	flags, login := byte(cleanStart), []any{}
	if o.Username != "" {
		flags, login = flags|hasUser, append(login, o.Username)
	}
	if o.Password != "" {
		flags, login = flags|hasPassword, append(login, o.Password)
	}
	return encode(0x10, append([]any{"MQTT", byte(5), flags, uint16(keepAlive.Seconds()), noProperties, o.ClientID}, login...)...)
}

func subscribe5(id uint16, filters []string) []byte {
	parts := []any{id, noProperties}
	for _, f := range filters {
		parts = append(parts, f, byte(0))
	}
	return encode(0x82, parts...)
}

// publish5 is at QoS 2 and never retained.
func publish5(id uint16, topic string, payload []byte) []byte {
	return encode(0x34, topic, id, noProperties, payload)
}

func release5(id uint16) []byte { return encode(0x62, id) }

// goodbye5 ends a connection and its session with it.
func goodbye5() []byte { return encode(0xe0) }

// reader takes a packet's body apart. After a fault everything is zero.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) || r.broken {
		r.broken, r.rest = true, nil
		return make([]byte, min(n, 4))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte     { return r.bytes(1)[0] }
func (r *reader) uint16() uint16 { return binary.BigEndian.Uint16(r.bytes(2)) }
func (r *reader) text() string   { return string(r.bytes(int(r.uint16()))) }

// properties returns the block of properties that stands here.
func (r *reader) properties() *reader {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > uint64(len(r.rest)) {
		r.broken, r.rest = true, nil
		return r
	}
	r.bytes(used)
	return &reader{rest: r.bytes(int(n))}
}

// limits are what a broker says of itself when it accepts a connection.
type limits struct {
	receive  int // publishes that may be open at a time
	qos      byte
	noRetain bool
}

var errMalformed = errors.New("the broker sent a packet that is not MQTT 5")

// readConnack returns the reason, 0 for accepted.
func readConnack(body []byte) (reason byte, l limits, err error) {
	r := &reader{rest: body}
	r.byte()
	reason = r.byte()
	l = limits{receive: 1<<16 - 1, qos: 2}
	if reason != 0 || r.broken {
		return reason, l, nil
	}
	for p := r.properties(); len(p.rest) > 0; {
		switch id := p.byte(); id {
		case 0x21:
			l.receive = int(p.uint16())
		case 0x24:
			l.qos = p.byte()
		case 0x25:
			l.noRetain = p.byte() == 0
		case 0x28, 0x29, 0x2a:
			p.byte()
		case 0x13, 0x22:
			p.uint16()
		case 0x11, 0x27:
			p.bytes(4)
		case 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f:
			p.text()
		case 0x26:
			p.text()
			p.text()
		default:
			return 0, l, errMalformed
		}
		if p.broken {
			return 0, l, errMalformed
		}
	}
	return 0, l, nil
}

// readAck is for PUBREC and PUBCOMP, whose reason is left out where it is success.
func readAck(body []byte) (id uint16, reason byte) {
	r := &reader{rest: body}
	id = r.uint16()
	if len(r.rest) > 0 {
		reason = r.byte()
	}
	return id, reason
}

// readSuback returns one reason for each filter.
func readSuback(body []byte) []byte {
	r := &reader{rest: body}
	r.uint16()
	r.properties()
	return r.rest
}

// readPublish is for QoS 0, as we subscribe.
func readPublish(p packet) (topic string, payload []byte) {
	r := &reader{rest: p.body}
	topic = r.text()
	if p.flags&0x06 != 0 {
		r.uint16()
	}
	r.properties()
	return topic, r.rest
}
