package mqtt

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestChangesAreSignalled(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		select {
		case <-b.client.Changes():
		default:
			t.Error("no signal after connecting")
		}
		b.broker.Stop()
		b.after(time.Second)
		select {
		case <-b.client.Changes():
		default:
			t.Error("no signal after the loss")
		}
	})
}

func TestFetch(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish("t/bridge/health", []byte("well"), true)
		b.start()
		o := b.client.o
		o.Handler = nil

		got, err := Fetch(t.Context(), o, "t/bridge/health")
		if err != nil || string(got) != "well" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err = Fetch(t.Context(), o, "t/bridge/nothing"); !errors.Is(err, ErrNoMessage) {
			t.Errorf("nothing there: %v, want ErrNoMessage", err)
		}
		b.wantState(StateConnected)
		wantEqual(t, "state", b.said(stateTopic), []string{"online"})

		b.broker.Authorize(func(_, topic string, write bool) bool { return write })
		if _, err = Fetch(t.Context(), o, "t/bridge/health"); err == nil || !strings.Contains(err.Error(), "access rules") {
			t.Errorf("not allowed to read: %v", err)
		}
		b.broker.Authenticate(func(_, _, _ string) bool { return false })
		if _, err = Fetch(t.Context(), o, "t/bridge/health"); err == nil {
			t.Error("refused: no error")
		} else if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("refused: %v, want a RefusedError", err)
		}
		b.broker.Stop()
		if _, err = Fetch(t.Context(), o, "t/bridge/health"); err == nil || !strings.Contains(err.Error(), "cannot connect") {
			t.Errorf("no broker: %v", err)
		}
	})
}
