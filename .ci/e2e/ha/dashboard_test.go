package ha

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"gopkg.in/yaml.v3"
)

// dashboard: the example is taken by Home Assistant, and every entity in it is there. With E2E_SHOTS, a browser takes
// pictures of it and of the device's page into that folder.
func dashboard(t *testing.T, w *world) {
	data, err := os.ReadFile(filepath.Join(os.Getenv("E2E_EXAMPLES"), "dashboard.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var card map[string]any
	if err := yaml.Unmarshal(data, &card); err != nil {
		t.Fatal(err)
	}
	states, err := w.ha.states()
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(data)) {
		if _, id, found := strings.Cut(line, "entity: "); found {
			shown++
			id, _, _ = strings.Cut(id, ",")
			if _, there := states[id]; !there {
				t.Errorf("the card shows %s, which is not there", id)
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d entities were found in the card", shown)
	}
	folder := os.Getenv("E2E_SHOTS")
	if folder != "" {
		card["cards"].([]any)[1].(map[string]any)["hours_to_show"] = time.Since(w.dawn).Hours() // the solar test is its day
	}
	config := map[string]any{"views": []any{map[string]any{"title": "Charging", "cards": []any{card}}}}
	if err := w.ha.call("lovelace/dashboards/create", map[string]any{"url_path": "car-charging", "title": "Charging", "mode": "storage"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.ha.call("lovelace/config/save", map[string]any{"url_path": "car-charging", "config": config}, nil); err != nil {
		t.Fatal(err)
	}
	if folder == "" {
		return
	}
	b := w.startBrowser(t)
	b.shoot(t, "/car-charging/0?kiosk", 540, 1240, filepath.Join(folder, "dashboard.png"))
	id := w.ha.devices(t)["tesla2mqtt_"+writable].ID
	b.shoot(t, "/config/devices/device/"+id, 740, 1200, filepath.Join(folder, "device.png"))
}

// browser is a Chromium that is told what to do by its debugging protocol.
type browser struct {
	conn *websocket.Conn
	last int
}

// startBrowser opens a page of Home Assistant in which the user is logged in.
func (w *world) startBrowser(t *testing.T) *browser {
	t.Helper()
	var token string
	if err := w.ha.call("auth/long_lived_access_token", map[string]any{"client_name": "pictures", "lifespan": 1}, &token); err != nil {
		t.Fatal(err)
	}
	w.start("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=9222",
		"--user-data-dir="+filepath.Join(w.dir, "chromium"), "about:blank")
	var pages []struct {
		Type string `json:"type"`
		URL  string `json:"webSocketDebuggerUrl"`
	}
	await(t, "the browser", 30*time.Second, func() string {
		resp, err := http.Get("http://127.0.0.1:9222/json")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		return fault(json.NewDecoder(resp.Body).Decode(&pages))
	})
	for _, p := range pages {
		if p.Type != "page" {
			continue
		}
		conn, _, err := websocket.DefaultDialer.Dial(p.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{conn: conn}
		b.call(t, "Page.enable", map[string]any{})
		// Without a network but loopback it would wait to be online.
		b.call(t, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "Object.defineProperty(navigator, 'onLine', {get: () => true})"})
		b.call(t, "Page.navigate", map[string]any{"url": clientID + "manifest.json"})
		tokens, err := json.Marshal(map[string]any{
			"access_token": token, "token_type": "Bearer", "expires_in": 3600, "expires": time.Now().Add(time.Hour).UnixMilli(),
			"hassUrl": strings.TrimSuffix(clientID, "/"), "clientId": clientID, "refresh_token": "",
		})
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the browser is logged in", 20*time.Second, func() string {
			return b.evaluate(t, fmt.Sprintf("localStorage.setItem('hassTokens', %q); localStorage.setItem('dockedSidebar', '\"always_hidden\"'); ''", tokens))
		})
		return b
	}
	t.Fatal("the browser has no page")
	return nil
}

func (b *browser) call(t *testing.T, method string, params map[string]any) map[string]any {
	t.Helper()
	result, err := b.ask(method, params)
	if err != nil {
		t.Fatal(method, ": ", err)
	}
	return result
}

func (b *browser) ask(method string, params map[string]any) (map[string]any, error) {
	b.last++
	if err := b.conn.WriteJSON(map[string]any{"id": b.last, "method": method, "params": params}); err != nil {
		return nil, err
	}
	for {
		var answer struct {
			ID     int            `json:"id"`
			Result map[string]any `json:"result"`
			Error  any            `json:"error"`
		}
		if err := b.conn.ReadJSON(&answer); err != nil {
			return nil, err
		}
		switch {
		case answer.ID != b.last: // an event
		case answer.Error != nil:
			return nil, fmt.Errorf("%v", answer.Error)
		default:
			return answer.Result, nil
		}
	}
}

// evaluate runs JavaScript that gives a text.
func (b *browser) evaluate(t *testing.T, script string) string {
	t.Helper()
	result, _ := b.call(t, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true})["result"].(map[string]any)
	if text, ok := result["value"].(string); ok {
		return text
	}
	return fmt.Sprint(result)
}

// shoot takes a picture of a page once it has come to rest.
func (b *browser) shoot(t *testing.T, path string, width, height int, file string) {
	t.Helper()
	b.call(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.call(t, "Page.navigate", map[string]any{"url": strings.TrimSuffix(clientID, "/") + path})
	began := time.Now()
	var shot string
	await(t, "a picture of "+path, 60*time.Second, func() string {
		result, err := b.ask("Page.captureScreenshot", map[string]any{"format": "png"})
		shot, _ = result["data"].(string)
		if err != nil || time.Since(began) < 15*time.Second { // nothing tells when a page with live values is complete
			return "it may not be complete"
		}
		return ""
	})
	picture, err := base64.StdEncoding.DecodeString(shot)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d kB", file, len(picture)/1000)
}
