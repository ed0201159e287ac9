package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla/enroll"
)

// keygenText says what to do with the public key. The arguments: what became of the private key, where the public one was put, the
// domain, and where on it.
const keygenText = `%s
%s is its public half, which is no secret. Put it on your domain as a file, which must stay there:

   https://%[3]s%[4]s

To see whether it is there, and whether it is this one:

   curl -fsS https://%[3]s%[4]s

Next: tesla2mqtt fleet register
`

// fleetKeygen makes the key that signs commands, or shows the public half of the one that there is: cars know it, so it is never
// replaced.
func (a *app) fleetKeygen(_ context.Context, cmd *cli.Command) error {
	c, _, domain, err := a.loadFleet(cmd, 0)
	if err != nil {
		return err
	}
	path := c.Tesla.KeyFile
	if path == "" {
		return &usageError{"tesla.key_file is empty, so there is no place for the key", "name one in the configuration, such as key_file: fleet-key.pem; it is made then"}
	}
	if err := refuseRoot(c.StateDir); err != nil {
		return err
	}
	became := "A new private key is in " + path + ", which only you can read (mode 0600). Show it to nobody." + restartFor(c.StateDir)
	if err := enroll.Generate(path); errors.Is(err, fs.ErrExist) {
		became = "There is a private key already, " + path + ", and it was left alone."
	} else if err != nil {
		return fmt.Errorf("make the key: %w", err)
	}
	key, err := loadKey(c)
	if err != nil {
		return err
	}
	public, err := key.PublicPEM()
	if err != nil {
		return err
	}
	where := "What follows"
	if out := cmd.String("out"); out != "" {
		where = out
		if err := writePublic(out, public); err != nil {
			return fmt.Errorf("write the public key: %w", err)
		}
		public = ""
	}
	fmt.Fprintf(a.err, keygenText, became, where, domain, hostedAt)
	_, err = fmt.Fprint(a.out, public)
	return err
}

// writePublic writes a file for everybody to read. One that is there already must hold the same.
func writePublic(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if there, err := readBounded(path, maxConfig); err != nil || string(there) != text {
			return &adviceError{fmt.Errorf("%s holds something else, and was left alone", path), "remove it if it is an old public key, or name another file with -out"}
		}
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
