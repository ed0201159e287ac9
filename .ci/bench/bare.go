package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// bare is the least that a relay can do: a message in, a POST on a kept connection out. It is the limit that the program
// is compared with. Its arguments are the broker, the topic and the URL; the token is in the environment.
func bare(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: bare BROKER TOPIC URL")
	}
	topic, url, token := args[1], args[2], os.Getenv("BENCH_TOKEN")
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + args[0]).SetClientID("bare"))
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	defer client.Disconnect(100)
	failed := make(chan error, 1)
	t := client.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) {
		amps, err := strconv.Atoi(string(m.Payload()))
		if err = cmp.Or(err, post(ctx, url, token, amps)); err != nil {
			failed <- err
		}
	})
	if t.Wait() && t.Error() != nil {
		return t.Error()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func post(ctx context.Context, url, token string, amps int) error {
	body := fmt.Appendf(nil, `{"charging_amps":%d}`, amps)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
