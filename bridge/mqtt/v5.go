package mqtt

import (
	"github.com/eclipse/paho.golang/packets"
)

// MQTT 5 serves to find out one's rights: only that version answers a publish with a reason. The bridge itself speaks 3.1.1.

// Reason codes from here on are refusals.
const reasonFailed = 0x80

// connect5 asks for a session that ends with its connection, without a will.
func connect5(o Options) packets.Packet {
	return &packets.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, KeepAlive: uint16(keepAlive.Seconds()), ClientID: o.ClientID,
		UsernameFlag: o.Username != "", Username: o.Username, PasswordFlag: o.Password != "", Password: []byte(o.Password),
		Properties: &packets.Properties{},
	}
}

func subscribe5(id uint16, filters []string) packets.Packet {
	s := &packets.Subscribe{PacketID: id, Properties: &packets.Properties{}}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, packets.SubOptions{Topic: f})
	}
	return s
}

// publish5 is at QoS 2 and never retained.
func publish5(id uint16, topic string, payload []byte) packets.Packet {
	return &packets.Publish{PacketID: id, Topic: topic, Payload: payload, QoS: 2, Properties: &packets.Properties{}}
}

func release5(id uint16) packets.Packet {
	return &packets.Pubrel{PacketID: id, Properties: &packets.Properties{}}
}

// goodbye5 ends a connection and its session with it.
func goodbye5() packets.Packet { return &packets.Disconnect{Properties: &packets.Properties{}} }

// limits are what a broker says of itself when it accepts a connection.
type limits struct {
	receive  int // publishes that may be open at a time
	qos      byte
	noRetain bool
}

// limitsOf fills in what MQTT 5 says for what is left out.
func limitsOf(p *packets.Properties) limits {
	l := limits{receive: 1<<16 - 1, qos: 2}
	if p.ReceiveMaximum != nil {
		l.receive = int(*p.ReceiveMaximum)
	}
	if p.MaximumQOS != nil {
		l.qos = *p.MaximumQOS
	}
	l.noRetain = p.RetainAvailable != nil && *p.RetainAvailable == 0
	return l
}
