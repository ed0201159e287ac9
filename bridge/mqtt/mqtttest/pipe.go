package mqtttest

import "net"

// pipe is a connection in memory with room for what is under way. A plain net.Pipe has none: two ends that both write
// before they read would wait for each other for ever, and client and broker do.
func pipe() (net.Conn, net.Conn) {
	a, left := net.Pipe()
	right, b := net.Pipe()
	go carry(left, right)
	go carry(right, left)
	return a, b
}

// carry copies one direction until an end is closed; what was written before that still arrives.
func carry(from, to net.Conn) {
	chunks := make(chan []byte, 4096)
	go func() {
		defer to.Close()
		for chunk := range chunks {
			// After the other side closed, this fails and the rest is thrown away. To close from as well would lose what
			// the other side said last.
			_, _ = to.Write(chunk)
		}
	}()
	defer close(chunks)
	for {
		buf := make([]byte, 4096)
		n, err := from.Read(buf)
		if n > 0 {
			chunks <- buf[:n]
		}
		if err != nil {
			return
		}
	}
}
