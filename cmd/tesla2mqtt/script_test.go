package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tesla2mqtt/tesla/sim"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tesla2mqtt": main})
}

// TestScripts runs the program as a process of its own, against a simulated Tesla that each script has for itself.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			w := &world{cars: map[string]*sim.CarHandle{}}
			server := httptest.NewServer(&w.tesla)
			env.Defer(server.Close)
			env.Defer(func() {
				if v := w.tesla.Violations(); len(v) > 0 && !w.careless {
					env.T().Fatal("the simulator complains: ", strings.Join(v, "; "))
				}
			})
			env.Values[worldKey{}] = w
			env.Setenv("SIM", server.URL)
			return os.WriteFile(env.WorkDir+"/config.yaml",
				fmt.Appendf(nil, "tesla: {auth_url: %q, api_url: %q}\n", server.URL, server.URL), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "login": loginBy, "car": addCar, "fault": setFault, "calls": calls, "amps": amps, "revoke": revoke,
			"pasted": pasted, "settings": settings, "application": application, "owner": owner, "keyed": keyed, "host": host, "approve": approve,
			"wake": wakeCar, "certificate": certificate, "streams": checkStream,
		},
		Condition: func(name string) (bool, error) {
			_, err := os.Stat(defaultPaths[1])
			return name == "configured" && err == nil, nil
		},
	})
}

// world is what surrounds the program in one script.
type world struct {
	tesla    sim.Tesla
	cars     map[string]*sim.CarHandle
	careless bool // the script does what no careful client does
}

type worldKey struct{}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// exits CODE PROGRAM ARGS... runs a program, which must end with that code. No output of ours may ever hold a secret.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	checkExit(ts, args[0], err)
	checkSecrets(ts, ts.ReadFile("stdout")+ts.ReadFile("stderr"))
}

func checkExit(ts *testscript.TestScript, want string, err error) {
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

func checkSecrets(ts *testscript.TestScript, output string) {
	for _, secret := range append(of(ts).tesla.Secrets(), "hunter2") {
		if strings.Contains(output, secret) {
			ts.Fatalf("the output holds the secret %s", secret)
		}
	}
}

// pasteable returns what a person pastes in one of its forms. loginURL is what the program printed.
func (w *world) pasteable(form, loginURL string) (string, error) {
	callback, err := w.tesla.Approve(loginURL)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(callback)
	if err != nil {
		return "", err
	}
	code := u.Query().Get("code")
	access, refresh := w.tesla.Login()
	q := u.Query()
	q.Set("state", "another")
	forms := map[string]string{
		"url": callback, "quoted": "  '" + callback + "' ", "console": "Failed to launch '" + callback + "' because",
		"header": "Location: " + callback, "old": "https://auth.tesla.com/void/callback?" + u.RawQuery,
		"code": code, "code=": "code=" + code, "refresh": "refresh_token=" + refresh, "json": `"refresh_token":"` + refresh + `"`,
		"access": access, "garbage": "what is this?", "password": "hunter2hunter2", "phone": "654321", "empty": "", "long": strings.Repeat("x", 20_000),
		"foreign-state": "tesla://auth/callback?" + q.Encode(), "unknown-code": "EU_0123456789abcdef",
		"foreign-issuer": strings.Replace(callback, url.QueryEscape(u.Query().Get("issuer")), "https%3A%2F%2Fevil.example%2Foauth2%2Fv3", 1),
	}
	text, known := forms[form]
	if !known {
		return "", fmt.Errorf("no form is called %s", form)
	}
	return text + "\n", nil
}

var loginURLForm = regexp.MustCompile(`https?://\S+/oauth2/v3/authorize\?\S+`)

// login CODE FORM... runs the login with a person who opens the printed address and pastes those forms, one after another.
func loginBy(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command("tesla2mqtt", "-log", "debug", "login")
	cmd.Dir = ts.MkAbs(".")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	talk := bufio.NewReader(stderr)
	var said strings.Builder
	var loginURL string
	for loginURL == "" {
		line, err := talk.ReadString('\n')
		said.WriteString(line)
		if loginURL = loginURLForm.FindString(line); err != nil {
			break // the exit code will tell
		}
	}
	for _, form := range args[1:] {
		text, err := of(ts).pasteable(form, loginURL)
		ts.Check(err)
		if _, err := io.WriteString(stdin, text); err != nil {
			break // it had enough
		}
	}
	ts.Check(stdin.Close())
	_, err = io.Copy(&said, talk)
	ts.Check(err)
	err = cmd.Wait()
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), said.String())
	checkExit(ts, args[0], err)
	checkSecrets(ts, stdout.String()+said.String())
}

// pasted FILE FORM writes a form that needs no login page to a file, for stdin.
func pasted(ts *testscript.TestScript, _ bool, args []string) {
	_, refresh := of(ts).tesla.Login()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("refresh_token="+refresh), 0o600))
}

// settings FILE adds to the configuration.
func settings(ts *testscript.TestScript, _ bool, args []string) {
	all := ts.ReadFile("config.yaml") + ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), []byte(all), 0o600))
}

// car VIN-ENDING key=value... puts a car into the account.
func addCar(ts *testscript.TestScript, _ bool, args []string) {
	car := sim.Car{VIN: "5YJ3E1EA7KF" + args[0]}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "name":
			car.Name = value
		case "asleep":
			car.Asleep = true
		case "offline":
			car.Asleep, car.SleepsAs = true, "offline"
		case "signed":
			car.SignedCommands = true
		case "unpaired":
			car.Unpaired = true
		case "telemetry":
			car.Telemetry = value
		case "dc":
		case "plugged":
			car.PluggedIn, car.Stopped = true, true
		case "amps":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			car.Amps = n
		default:
			ts.Fatalf("a car has no %s", key)
		}
	}
	of(ts).cars[args[0]] = of(ts).tesla.Add(car)
	if slices.Contains(args, "dc") {
		of(ts).cars[args[0]].SetDC(true)
	}
}

// fault NAME [SCOPE] sets a fault; fault none takes all away.
func setFault(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	switch {
	case args[0] == "none":
		w.tesla.ClearFaults()
	case len(args) == 2:
		ts.Check(w.tesla.Fault(args[0], sim.On(args[1])))
	default:
		ts.Check(w.tesla.Fault(args[0]))
	}
}

// calls NAME COUNT checks how often something was asked so far.
func calls(ts *testscript.TestScript, _ bool, args []string) {
	if n := of(ts).tesla.Count(args[0], ""); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d calls of %s, want %s", n, args[0], args[1])
	}
}

// amps VIN-ENDING AMPS checks the set point of a car.
func amps(ts *testscript.TestScript, _ bool, args []string) {
	if n := of(ts).cars[args[0]].Amps(); strconv.Itoa(n) != args[1] {
		ts.Fatalf("the set point is %d A, want %s", n, args[1])
	}
}

// revoke is a change of the Tesla password.
func revoke(ts *testscript.TestScript, _ bool, _ []string) {
	of(ts).tesla.RevokeLogin()
	of(ts).careless = true // the first refused token request is how the program learns of it
}
