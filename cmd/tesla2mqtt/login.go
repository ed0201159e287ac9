package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
)

// loginText explains the login to somebody who has never done one. The arguments: where the token is kept, the address.
const loginText = `This program needs to log in to your Tesla account, once. You sign in on Tesla's own page, in your own browser; your
password is never seen here.

What the login allows: everything that Tesla's phone app can do with your account, such as unlocking and locating the car.
Tesla has no narrower permission for this API. This program reads the charging, and commands it when told to.
Where it is kept: %s
which only you can read (mode 0600). Whoever gets that file has the login. To end it, change your Tesla password, or revoke
the login in the security settings of your Tesla account.

1. Use Firefox, Chrome or Edge (Safari hides what is needed in step 3). In a new tab, press F12, choose the tab Network,
   and tick "Preserve log" (Firefox: "Persist Logs" behind the gear).
2. Open this address in that tab, and sign in:

   %s

3. The page then seems to hang. That is right: it wants to open Tesla's app, by an address that begins with
   tesla://auth/callback?code= . Find that address:
   - in the list of Network, select the last line with status 302, and copy the value of "Location" from its response
     headers; or
   - in Chrome, take it from the tab Console, where it says: Failed to launch 'tesla://auth/callback?code=...'
4. Paste it here within two minutes, and press Enter. Show it to nobody. Nothing else belongs here, above all not your password.

Instead you may paste a refresh token, made with tesla_auth 0.13 or newer, or with "Auth app for Tesla" on iOS.

`

// forbiddenText is for a login that Tesla took and now refuses. Cause and cure are disputed (TeslaMate#5384).
const forbiddenText = `the login worked and is saved, but Tesla refuses to serve it. Since June 2026 Tesla looks at the program
that a token was made with, and the verdict stays with the token: renewing it in a loop does not help and makes things worse`

const forbiddenAdvice = `try another tesla.tls_min, tesla.tls_max or tesla.http2 in the configuration, and log in again, with a callback
address rather than a refresh token; what helps has changed more than once, see README, Limits`

const (
	maxPaste = 16 << 10
	attempts = 3
)

func (a *app) login(ctx context.Context, cmd *cli.Command) (err error) {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	if err := useIssuer(c, cmd.String("issuer")); err != nil {
		return err
	}
	if err := a.needless(c); err != nil {
		return err
	}
	source, client, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	file, err := filepath.Abs(c.tokenFile())
	if err != nil {
		return err
	}
	if err := a.pasteLogin(ctx, c, source, file); err != nil {
		return err
	}
	return a.firstCall(ctx, c, client)
}

// useIssuer sends the login to another of Tesla's hosts than the usual one.
func useIssuer(c *Config, issuer string) error {
	if issuer == "" {
		return nil
	}
	if c.Tesla.API == "fleet" {
		return &usageError{"-issuer is for the Owner API", "the Fleet API goes by tesla.region; cn is China"}
	}
	issuer = strings.TrimRight(issuer, "/")
	if issuer != "https://auth.tesla.com" && issuer != "https://auth.tesla.cn" {
		return &usageError{"-issuer is not a login of Tesla's", "use https://auth.tesla.com or https://auth.tesla.cn"}
	}
	c.Tesla.AuthURL = issuer
	return nil
}

// pasteLogin shows the way, and takes what is pasted. What was not understood has not been sent anywhere, so the person may
// paste again; a code that Tesla refused is spent, and needs a new address.
func (a *app) pasteLogin(ctx context.Context, c *Config, source *auth.Source, file string) error {
	login := source.StartLogin()
	if c.Tesla.API == "fleet" {
		fmt.Fprint(a.err, c.fleetLoginText(file, login.URL()))
	} else {
		fmt.Fprintf(a.err, loginText, file, login.URL())
	}
	lines := readLines(a.in)
	for n := 1; ; n++ {
		fmt.Fprint(a.err, "Paste here: ")
		text, err := nextLine(ctx, lines)
		if err != nil {
			return err
		}
		kind, err := login.Finish(ctx, text)
		if kind != "" {
			fmt.Fprintf(a.err, "This is taken for: %s.\n", kind)
		}
		switch {
		case err == nil:
			fmt.Fprintf(a.err, "Logged in. The login is kept in %s and renews itself.\n", file)
			return nil
		case n == attempts || !unsent(err):
			return fmt.Errorf("login: %w", err)
		}
		fmt.Fprintf(a.err, "That did not work: %v\nNothing was sent. Please try again.\n", err)
	}
}

// unsent tells that package auth refused the text itself.
func unsent(err error) bool {
	e, ok := errors.AsType[*auth.Error](err)
	return ok && !e.LoginRequired() && !e.Temporary()
}

// firstCall shows that the login is good for something, by listing the cars.
func (a *app) firstCall(ctx context.Context, c *Config, client *tesla.Client) error {
	cars, err := client.Vehicles(ctx)
	if errors.Is(err, tesla.ErrForbidden) {
		return &adviceError{fmt.Errorf("%s (%w)", forbiddenText, err), forbiddenAdvice}
	}
	if err != nil {
		return fmt.Errorf("the login is saved, but the first call with it failed: %w", err)
	}
	if len(cars) == 0 {
		fmt.Fprintln(a.err, "This account has no car.")
	}
	return printCars(a.out, carLines(c, cars))
}

// typed is a line from standard input, or why there is none.
type typed struct {
	text string
	err  error
}

// readLines reads in a goroutine of its own: nothing interrupts the read of a terminal, and Ctrl-C must end the program all
// the same. The goroutine ends with the input or with the program.
func readLines(in io.Reader) <-chan typed {
	lines := make(chan typed)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, maxPaste+1)
		for {
			line, err := r.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				lines <- typed{err: fmt.Errorf("the line is longer than %d bytes; paste the address alone", maxPaste)}
				return
			}
			if text := strings.TrimSpace(string(line)); text != "" { // Enter pressed once too often is no answer
				lines <- typed{text: text}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

func nextLine(ctx context.Context, lines <-chan typed) (string, error) {
	select {
	case l, ok := <-lines:
		if !ok {
			return "", errors.New("the input ended before anything usable was pasted; nothing was changed")
		}
		return l.text, l.err
	case <-ctx.Done():
		return "", fmt.Errorf("stopped, nothing was changed: %w", context.Cause(ctx))
	}
}
