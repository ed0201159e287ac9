package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answerFaults are those that are an answer and nothing more.
var answerFaults = []struct {
	name   string
	status int
	text   string // in the body
	sample string // recorded answer that must be the same
}{
	{"401", 401, "invalid bearer token", "err_401_invalid_bearer.json"},
	{"401-expired", 401, "token expired", "err_401_token_expired.json"},
	{"402", 402, "payment", ""},
	{"403-forbidden-client", 403, "fleet-api", "err_403_forbidden_client.json"},
	{"403-signing-required", 403, "Vehicle Command Protocol", "err_403_vcp_required.json"},
	{"403-exceeded-limit", 403, "EXCEEDED_LIMIT", "err_403_exceeded_limit.json"},
	{"403-missing-scopes", 403, "missing scopes", "err_403_missing_scopes.json"},
	{"404", 404, "not_found", "err_404_not_found.json"},
	{"405-in-service", 405, "in service", "err_405_in_service.json"},
	{"408", 408, "vehicle unavailable", "err_408_owner.json"},
	{"412", 412, "fleetapi", "err_412_fleet_only.json"},
	{"421", 421, "out of region", "err_421_region.json"},
	{"429", 429, "Retry in", ""},
	{"429-bare", 429, "", ""},
	{"500", 500, "error", ""},
	{"502", 502, "<HTML>", ""},
	{"503", 503, "asleep", "err_503_asleep.json"},
	{"504", 504, "timeout", "err_504_timeout.json"},
	{"html", 403, "Access Denied", ""},
	{"html-200", 200, "<HTML>", ""},
	{"could_not_wake_buses", 200, "could_not_wake_buses", "cmd_could_not_wake_buses.json"},
	{"unsigned_cmds_hardlocked", 200, "unsigned_cmds_hardlocked", "cmd_unsigned_hardlocked.json"},
	{"login_required", 401, "login_required", ""},
	{"invalid_grant", 401, "invalid_grant", "token_err_invalid_grant.json"},
	{"server_error", 400, "server_error", ""},
}

// acts are the faults that break more than the answer.
var acts = []string{"truncated", "endless", "slow", "hang", "cut-before", "cut-after", "redirect", "refresh-lost"}

// ofSigned are those of signed commands: TestSignedFaults.
var ofSigned = []string{"twice", "reboot"}

func TestEveryFaultIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, f := range answerFaults {
		tested[f.name] = true
	}
	for _, name := range append(ofSigned, acts...) {
		tested[name] = true
	}
	for _, kind := range Faults() {
		if !tested[kind.Name] {
			t.Errorf("fault %s has no test", kind.Name)
		}
		if kind.About == "" || strings.Contains(kind.About, "\n") {
			t.Errorf("fault %s is described as %q", kind.Name, kind.About)
		}
		if !isScope(kind.Scope) {
			t.Errorf("fault %s hits %q, which is no scope", kind.Name, kind.Scope)
		}
	}
	equal(t, "number of faults", len(Faults()), len(tested))
}

// world is a simulator and one way to reach it.
type world struct {
	name string
	open func(t *testing.T, tesla *Tesla) (client *http.Client, api, auth string)
}

var worlds = []world{
	{"in process", func(_ *testing.T, tesla *Tesla) (*http.Client, string, string) {
		return tesla.Client(), apiURL, authURL
	}},
	{"server", func(t *testing.T, tesla *Tesla) (*http.Client, string, string) {
		s := httptest.NewServer(tesla)
		t.Cleanup(s.Close)
		return s.Client(), s.URL, s.URL + "/oauth2/v3"
	}},
	{"HTTP/2 server", func(t *testing.T, tesla *Tesla) (*http.Client, string, string) {
		s := httptest.NewUnstartedServer(tesla)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Client(), s.URL, s.URL + "/oauth2/v3"
	}},
}

// stage is a car at the charger in a world, with the two requests that change something.
type stage struct {
	*testing.T
	tesla     *Tesla
	car       *CarHandle
	client    *http.Client
	api, auth string
	access    string
	refresh   string
}

func newStage(t *testing.T, w world) *stage {
	s := &stage{T: t, tesla: new(Tesla)}
	s.car = s.tesla.Add(Car{PluggedIn: true})
	s.access, s.refresh = s.tesla.Login()
	s.client, s.api, s.auth = w.open(t, s.tesla)
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// send tells the car 8 A, or refreshes the token, and reads the whole answer, 4 MB at most.
func (s *stage) send(ctx context.Context, scope string) (*http.Response, []byte, error) {
	s.Helper()
	target, body, kind := s.api+"/api/1/vehicles/"+s.car.VIN()+"/command/set_charging_amps", `{"charging_amps":8}`, "application/json"
	if scope == "token" {
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"ownerapi"}, "refresh_token": {s.refresh}}
		target, body, kind = s.auth+"/token", form.Encode(), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	req.GetBody = nil // or net/http may send a cut request again by itself
	req.Header.Set("Content-Type", kind)
	if scope != "token" {
		req.Header.Set("Authorization", "Bearer "+s.access)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return resp, raw, err
}

// effect is whether the amps were set or the token rotated.
func (s *stage) effect(scope string) bool {
	if scope != "token" {
		return len(s.car.Executed()) > 0
	}
	s.tesla.mu.Lock()
	defer s.tesla.mu.Unlock()
	return s.tesla.logins[s.refresh].current != s.refresh
}

func TestAnswerFaults(t *testing.T) {
	for _, w := range worlds {
		for _, test := range answerFaults {
			t.Run(w.name+"/"+test.name, func(t *testing.T) {
				s := newStage(t, w)
				if err := s.tesla.Fault(test.name, Times(1)); err != nil {
					t.Fatal(err)
				}
				scope := s.tesla.faults[0].scope
				resp, raw, err := s.send(t.Context(), scope)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "status", resp.StatusCode, test.status)
				if !strings.Contains(string(raw), test.text) {
					t.Errorf("body %q does not say %q", raw, test.text)
				}
				equal(t, "took effect", s.effect(scope), false)
				equal(t, "counted", s.tesla.Count("all", ""), 1)
				if resp, _, err = s.send(t.Context(), scope); err != nil || resp.StatusCode != 200 || !s.effect(scope) {
					t.Errorf("the next request: %v, took effect: %t", err, s.effect(scope))
				}
			})
		}
	}
}

func TestAnswerFaultsAsRecorded(t *testing.T) {
	for _, test := range answerFaults {
		if test.sample == "" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			status, want := sample(t, test.sample)
			b := newBench(t, new(Tesla))
			if err := b.tesla.Fault(test.name, On("products")); err != nil {
				t.Fatal(err)
			}
			gotStatus, d := b.do("GET", "/api/1/products", "")
			var got any = map[string]any(d)
			if text, isText := d["text"]; isText {
				got = text
			}
			equal(t, "status", gotStatus, status)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("body\n%v, recorded\n%v", got, want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for name, want := range map[string]string{"429": "60", "429-bare": ""} {
		s := newStage(t, worlds[0])
		_ = s.tesla.Fault(name)
		resp, _, err := s.send(t.Context(), "command")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name+" Retry-After", resp.Header.Get("Retry-After"), want)
	}
}

// Faults that break the connection: what the client sees, and whether the request took effect all the same.
func TestBreakingFaults(t *testing.T) {
	tests := []struct {
		name, scope string
		effect      bool
		headers     bool // the headers arrive, and the body fails
	}{
		{"truncated", "command", true, true},
		{"truncated", "token", true, true},
		{"cut-before", "command", false, false},
		{"cut-before", "token", false, false},
		{"cut-after", "command", true, false},
		{"cut-after", "token", true, false},
		{"refresh-lost", "token", true, false},
	}
	for _, w := range worlds {
		for _, test := range tests {
			t.Run(w.name+"/"+test.name+" "+test.scope, func(t *testing.T) {
				s := newStage(t, w)
				if err := s.tesla.Fault(test.name, On(test.scope)); err != nil {
					t.Fatal(err)
				}
				resp, raw, err := s.send(t.Context(), test.scope)
				if err == nil {
					t.Fatalf("no error, but %q", raw)
				}
				equal(t, "headers came", resp != nil, test.headers)
				if w.name == "in process" && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("error %v does not wrap io.ErrUnexpectedEOF", err)
				}
				equal(t, "took effect", s.effect(test.scope), test.effect)
				equal(t, "counted", s.tesla.Count("all", ""), 1)
				if test.headers && (len(raw) == 0 || raw[0] != '{') {
					t.Errorf("the part that came is %q", raw)
				}
			})
		}
	}
}

// Faults that take longer than the client has.
func TestLastingFaults(t *testing.T) {
	tests := []struct {
		name   string
		effect bool
	}{{"hang", false}, {"slow", false}, {"endless", true}}
	for _, w := range worlds {
		for _, test := range tests {
			t.Run(w.name+"/"+test.name, func(t *testing.T) {
				s := newStage(t, w)
				if err := s.tesla.Fault(test.name, Wait(time.Hour)); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_, raw, err := s.send(ctx, "command")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v after %d bytes, want the deadline's", err, len(raw))
				}
				equal(t, "took effect", s.effect("command"), test.effect)
			})
		}
	}
}

func TestEndlessCanBeLeft(t *testing.T) {
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			s := newStage(t, w)
			if err := s.tesla.Fault("endless"); err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.api+"/api/1/products", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
			if err != nil || len(raw) != 8<<10 || !strings.HasPrefix(string(raw), `{"response":"xxx`) {
				t.Errorf("%d bytes, %.20q, %v", len(raw), raw, err)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			opts []FaultOption
			want time.Duration
		}{{nil, 3 * time.Second}, {[]FaultOption{Wait(20 * time.Second)}, 20 * time.Second}} {
			s := newStage(t, worlds[0])
			if err := s.tesla.Fault("slow", test.opts...); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, _, err := s.send(t.Context(), "command"); err != nil {
				t.Fatal(err)
			}
			equal(t, "took", time.Since(start), test.want)
			equal(t, "took effect", s.effect("command"), true)
		}
	})
}

// The deadlines of a client work in fake time too.
func TestDeadlinesInABubble(t *testing.T) {
	for _, name := range []string{"hang", "slow", "endless"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, worlds[0])
				s.client.Timeout = time.Second
				if err := s.tesla.Fault(name); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, _, err := s.send(t.Context(), "command")
				var timeout interface{ Timeout() bool }
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("error %v is no timeout", err)
				}
				near(t, "seconds taken", time.Since(start).Seconds(), 1, 0.02)
			})
		})
	}
}

func TestRedirect(t *testing.T) {
	for _, scope := range []string{"command", "token"} {
		t.Run(scope, func(t *testing.T) {
			s := newStage(t, worlds[0])
			if err := s.tesla.Fault("redirect", On(scope)); err != nil {
				t.Fatal(err)
			}
			resp, _, err := s.send(t.Context(), scope)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, 307)
			if to := resp.Header.Get("Location"); !strings.HasPrefix(to, "https://evil.example/") {
				t.Errorf("redirected to %s", to)
			}
			equal(t, "violations of a client that stays", len(s.tesla.Violations()), 0)
			equal(t, "took effect", s.effect(scope), false)
		})
	}
	t.Run("followed", func(t *testing.T) {
		b := newBench(t, new(Tesla))
		_ = b.tesla.Fault("redirect", Times(1))
		b.do("GET", "/api/1/products", "")
		if v := b.tesla.Violations(); len(v) != 1 || !strings.Contains(v[0], "evil.example") {
			t.Errorf("violations %q", v)
		}
	})
}

func TestFaultChoice(t *testing.T) {
	b := newBench(t, new(Tesla))
	one, two := b.tesla.Add(Car{}), b.tesla.Add(Car{})
	path := func(h *CarHandle) string { return "/api/1/vehicles/" + h.VIN() }
	for _, err := range []error{
		b.tesla.Fault("500", On("vehicle_data"), For(one.VIN()), Times(2)),
		b.tesla.Fault("503", On("vehicle_data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, test := range []struct {
		path string
		want int
	}{
		{path(one), 200},
		{path(two) + "/vehicle_data", 503},
		{path(one) + "/vehicle_data", 500},
		{path(one) + "/vehicle_data", 500},
		{path(one) + "/vehicle_data", 503},
		{"/api/1/products", 200},
	} {
		status, _ := b.do("GET", test.path, "")
		if status != test.want {
			t.Errorf("request %d: %d, want %d", i, status, test.want)
		}
	}
	b.tesla.ClearFaults("500", "408")
	status, _ := b.do("GET", path(two)+"/vehicle_data", "")
	equal(t, "after others were cleared", status, 503)
	b.tesla.ClearFaults()
	status, _ = b.do("GET", path(two)+"/vehicle_data", "")
	equal(t, "after all were cleared", status, 200)
}

func TestFaultMistakes(t *testing.T) {
	tests := []struct {
		name  string
		fault string
		opts  []FaultOption
	}{
		{"unknown name", "4o4", nil},
		{"unknown scope", "404", []FaultOption{On("vehicel")}},
		{"unknown command", "404", []FaultOption{On("command/unlock")}},
		{"never", "404", []FaultOption{Times(0)}},
		{"less than never", "404", []FaultOption{Times(-3)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tesla := new(Tesla)
			if err := tesla.Fault(test.fault, test.opts...); err == nil {
				t.Error("no error")
			}
			equal(t, "faults", len(tesla.faults), 0)
		})
	}
}

// A refresh whose answer is lost must be repeatable with the old token in the grace, and not without.
func TestLostRefreshIsSurvivable(t *testing.T) {
	for _, strict := range []bool{false, true} {
		b := newBench(t, &Tesla{Strict: strict})
		_, token := b.tesla.Login()
		_ = b.tesla.Fault("refresh-lost", Times(1))
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"ownerapi"}, "refresh_token": {token}}
		if _, err := b.client.PostForm(authURL+"/token", form); err == nil {
			t.Fatal("the answer was not lost")
		}
		status, _ := b.refresh(token)
		want := 200
		if strict {
			want = 401
		}
		equal(t, "status of the second try", status, want)
	}
}
