//go:build ignore

// Command car is the car's side of Tesla's telemetry, for a test with the real fleet-telemetry server: a websocket over mutual
// TLS, and in it the server's own messages. It is built in a module of its own, since it needs the server's packages.
//
// Each line of its input is a JSON object of fields, which it sends as one payload with typed values. It ends with its input.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/teslamotors/fleet-telemetry/messages"
	"github.com/teslamotors/fleet-telemetry/protos"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func main() {
	if err := drive(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "car:", err)
		os.Exit(1)
	}
}

// drive connects to a server, with the certificates of dir, and sends what it is told.
func drive(address, vin, dir string) error {
	mine, err := tls.LoadX509KeyPair(dir+"/car.crt", dir+"/car.key")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(dir + "/ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("no authority in ca.crt")
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{mine}, RootCAs: roots}, HandshakeTimeout: 10 * time.Second}
	ws, _, err := dialer.Dial("wss://"+address, nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; lines.Scan(); n++ {
		message, err := pack(vin, n, lines.Bytes())
		if err != nil {
			return err
		}
		if err := ws.WriteMessage(websocket.BinaryMessage, message); err != nil {
			return err
		}
	}
	return lines.Err()
}

// pack makes a message of one line.
func pack(vin string, n int, line []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, err
	}
	payload := &protos.Payload{Vin: vin, CreatedAt: timestamppb.Now()}
	for name, v := range fields {
		number, known := protos.Field_value[name]
		if !known {
			return nil, fmt.Errorf("the server knows no field %s", name)
		}
		payload.Data = append(payload.Data, &protos.Datum{Key: protos.Field(number), Value: value(v)})
	}
	data, err := proto.Marshal(payload)
	if err != nil {
		return nil, err
	}
	m := messages.StreamMessage{
		TXID: fmt.Appendf(nil, "tx-%d", n), SenderID: []byte("vehicle_device." + vin), DeviceID: []byte(vin), DeviceType: []byte("vehicle_device"),
		MessageTopic: []byte("V"), Payload: data, CreatedAt: uint32(time.Now().Unix()),
	}
	return m.ToBytes()
}

// value is a field as cars with prefer_typed send it.
func value(v any) *protos.Value {
	switch v := v.(type) {
	case bool:
		return &protos.Value{Value: &protos.Value_BooleanValue{BooleanValue: v}}
	case json.Number:
		if n, err := v.Int64(); err == nil && !strings.Contains(v.String(), ".") {
			return &protos.Value{Value: &protos.Value_IntValue{IntValue: int32(n)}}
		}
		f, _ := v.Float64()
		return &protos.Value{Value: &protos.Value_FloatValue{FloatValue: float32(f)}}
	case string:
		if n, known := protos.DetailedChargeStateValue_value[v]; known {
			return &protos.Value{Value: &protos.Value_DetailedChargeStateValue{DetailedChargeStateValue: protos.DetailedChargeStateValue(n)}}
		}
		if n, known := protos.CableType_value[v]; known {
			return &protos.Value{Value: &protos.Value_CableTypeValue{CableTypeValue: protos.CableType(n)}}
		}
		if n, known := protos.ChargePortLatchValue_value[v]; known {
			return &protos.Value{Value: &protos.Value_ChargePortLatchValue{ChargePortLatchValue: protos.ChargePortLatchValue(n)}}
		}
		return &protos.Value{Value: &protos.Value_StringValue{StringValue: v}}
	}
	return &protos.Value{Value: &protos.Value_Invalid{Invalid: true}}
}
