package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"rsc.io/qr"

	"tesla2mqtt/tesla"
)

// host FILE DOMAIN puts a file where Tesla looks for the application's public key.
func host(ts *testscript.TestScript, _ bool, args []string) {
	of(ts).tesla.Host(args[1], []byte(ts.ReadFile(args[0])))
}

// approve VIN-ENDING is the owner who opens the pairing link on the phone.
func approve(ts *testscript.TestScript, _ bool, args []string) {
	if !of(ts).cars[args[0]].Approve() {
		ts.Fatalf("there is no key to take")
	}
}

// asking answers one after the other, the last for ever.
type asking struct {
	answers []any // a tesla.KeyState or an error
	asked   int
}

func (a *asking) FleetStatus(context.Context, []string) ([]tesla.FleetStatus, error) {
	answer := a.answers[min(a.asked, len(a.answers)-1)]
	a.asked++
	if err, failed := answer.(error); failed {
		return nil, err
	}
	return []tesla.FleetStatus{{Key: answer.(tesla.KeyState)}}, nil
}

// TestAwaitKey: it ends with the key, with what only a person can mend, or in time; what may pass is asked again.
func TestAwaitKey(t *testing.T) {
	passing, lasting := &tesla.Error{Class: tesla.ErrTemporary}, &tesla.Error{Class: tesla.ErrMissingScopes}
	for _, row := range []struct {
		name    string
		answers []any
		took    time.Duration
		asked   int
		says    string // of the error
	}{
		{"at once", []any{tesla.KeyPaired}, 0, 1, ""},
		{"after two looks", []any{tesla.KeyMissing, tesla.KeyState(""), tesla.KeyPaired}, 30 * time.Second, 3, ""},
		{"over a hiccup", []any{tesla.KeyMissing, passing, tesla.KeyPaired}, 30 * time.Second, 3, ""},
		{"a lacking permission", []any{tesla.KeyMissing, lasting}, 15 * time.Second, 2, "permission"},
		{"never", []any{tesla.KeyMissing}, 10 * time.Minute, 41, "V does not know the key yet"},
		{"no answer", []any{passing}, 10 * time.Minute, 41, "no proper answer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of, talk, began := &asking{answers: row.answers}, &strings.Builder{}, time.Now()
				err := awaitKey(t.Context(), of, "V", talk)
				if took := time.Since(began); took != row.took || of.asked != row.asked {
					t.Errorf("%d looks in %s", of.asked, took)
				}
				if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says) || hintFor(err) == "") {
					t.Errorf("got %v, hint %q", err, hintFor(err))
				}
				if n := strings.Count(talk.String(), "Waiting until "); n != min(row.asked-1, 1) {
					t.Errorf("it says %q", talk)
				}
			})
		})
	}
}

// TestDrawQR: the lines of blocks are the code, with a margin that is light on any terminal.
func TestDrawQR(t *testing.T) {
	const text = "https://tesla.com/_ak/my.example?vin=5YJ3E1EA7KF317000"
	drawn, err := drawQR(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	if want := (code.Size + 8 + 1) / 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for i, line := range lines {
		inner, painted := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
		inner, ends := strings.CutSuffix(inner, "\x1b[0m")
		cells := []rune(inner)
		if !painted || !ends || len(cells) != code.Size+8 {
			t.Fatalf("line %d: %q", i, line)
		}
		for j, cell := range cells {
			x, y := j-4, 2*i-4
			upper, lower := cell == '█' || cell == '▀', cell == '█' || cell == '▄'
			if upper != code.Black(x, y) || lower != code.Black(x, y+1) {
				t.Fatalf("%q at %d, %d", cell, x, y)
			}
		}
	}
	if _, err := drawQR(strings.Repeat("x", 10_000)); err == nil {
		t.Error("more than a code can hold was drawn")
	}
}

func TestDomainForm(t *testing.T) {
	for domain, good := range map[string]bool{
		"my.example": true, "me.github.io": true, "a-b.c1.example": true, "xn--bcher-kva.example": true,
		"": false, "localhost": false, "127.0.0.1": false, "My.example": false, "https://my.example": false, "my.example/x": false,
		"my.example:443": false, "-my.example": false, "my..example": false, "my.example?x": false, "[::1]": false,
	} {
		if domainForm.MatchString(domain) != good {
			t.Errorf("%q: %t", domain, !good)
		}
	}
}

func TestJudgeRegistration(t *testing.T) {
	for _, row := range []struct {
		r               registration
		status, message string
	}{
		{registration{Key: keyOurs}, statusOK, "with the key of tesla.key_file"},
		{registration{Key: keySome}, statusOK, "tesla.key_file is empty"},
		{registration{Key: keyAnother}, statusWarn, "another key"},
		{registration{Key: keyNone}, statusWarn, "is not registered"},
		{registration{Key: keyUnknown, err: &adviceError{errNoSecret, "x"}}, statusOK, "not asked"},
		{registration{Key: keyUnknown, err: &tesla.Error{Class: tesla.ErrMissingScopes}}, statusWarn, "is not known: login lacks"},
	} {
		if f := judgeRegistration(row.r); f.Status != row.status || !strings.Contains(f.Message, row.message) || (f.Fix == "") != (f.Status == statusOK) {
			t.Errorf("%+v: %+v", row.r, f)
		}
	}
}

// TestPublicKeyFile: what is there already is not written over, whatever it is.
func TestPublicKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "public.pem")
	for _, row := range []struct {
		text string
		good bool
	}{{"one", true}, {"one", true}, {"two", false}} {
		err := writePublic(path, row.text)
		if (err == nil) != row.good || !row.good && hintFor(err) == "" {
			t.Errorf("%s: %v", row.text, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "one" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if err := writePublic(filepath.Join(path, "none"), "x"); err == nil || errors.Is(err, os.ErrExist) {
		t.Errorf("no such folder: %v", err)
	}
}

// TestDocumentedSetup: each command of ours in the document about the set-up is run by a script.
func TestDocumentedSetup(t *testing.T) {
	script, err := os.ReadFile("testdata/script/fleet-document.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(repository + "/docs/setup-fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	var run []string
	for _, m := range regexp.MustCompile(`(?m)^(?:exits \d|exec) (tesla2mqtt .*)$|^(login) 0 `).FindAllStringSubmatch(string(script), -1) {
		if run = append(run, m[1]); m[2] != "" {
			run = append(run, "tesla2mqtt login")
		}
	}
	seen := 0
	for _, m := range regexp.MustCompile("(?m)^ *(tesla2mqtt [a-z].*)$|`(tesla2mqtt [a-z][^`]*)`").FindAllStringSubmatch(string(text), -1) {
		command := strings.TrimSpace(m[1] + m[2])
		if seen++; !slices.Contains(run, command) {
			t.Errorf("no script runs: %s", command)
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands were seen; the check checks nothing", seen)
	}
}
